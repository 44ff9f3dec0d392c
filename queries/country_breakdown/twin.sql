-- How do the countries compare? Deployments by the country of their person, what the delivered ones
-- sparked, and the inbound sessions beside them.
WITH in_range AS (
    SELECT
        country,
        delivery_status,
        user_responded_timestamp,
        session_id
    FROM {deployments}
    WHERE (:from_at IS NULL OR deployment_timestamp >= :from_at)
        AND (:until_at IS NULL OR deployment_timestamp < :until_at)
),
lasting AS (
    SELECT
        session_id AS found_id,
        unix_micros(session_finished_timestamp) - unix_micros(session_started_timestamp)
            AS duration
    FROM sessions
    WHERE session_finished_timestamp >= session_started_timestamp
),
sent_to AS (
    SELECT
        country,
        count(*) AS deployments,
        count_if(delivery_status = 'Delivered') AS delivered,
        count_if(delivery_status = 'Delivered' AND session_id IS NOT NULL) AS sessions_created,
        count_if(delivery_status = 'Delivered' AND user_responded_timestamp IS NOT NULL) AS replied
    FROM in_range
    GROUP BY country
),
sparked AS (
    SELECT
        country,
        CAST(sum(duration) AS DOUBLE) / count(duration) / 1000000 AS avg_session_seconds
    FROM in_range
    INNER JOIN lasting ON lasting.found_id = in_range.session_id
    WHERE delivery_status = 'Delivered'
    GROUP BY country
),
{attributed},
created AS (
    SELECT DISTINCT country, session_id
    FROM in_range
    WHERE delivery_status = 'Delivered' AND session_id IS NOT NULL
),
converted AS (
    SELECT country, count(DISTINCT session_id) AS converted_sessions
    FROM created
    INNER JOIN attributed ON attributed.converted_session_id = created.session_id
    GROUP BY country
),
sums AS (
    SELECT country, coalesce(currency, '?') AS currency, sum(value) AS amount
    FROM created
    INNER JOIN attributed ON attributed.converted_session_id = created.session_id
    WHERE value IS NOT NULL
    GROUP BY country, coalesce(currency, '?')
),
earned AS (
    SELECT
        country,
        CASE WHEN count(*) = 1 THEN sum(amount) END AS revenue,
        nullif(array_join(sort_array(collect_list(currency)), '+'), '?') AS revenue_currency
    FROM sums
    GROUP BY country
),
writing AS (
    SELECT
        country,
        count(*) AS inbound_sessions
    FROM {sessions}
    WHERE session_type = 'Inbound'
        AND (:from_at IS NULL OR session_started_timestamp >= :from_at)
        AND (:until_at IS NULL OR session_started_timestamp < :until_at)
    GROUP BY country
),
met AS (
    SELECT country FROM sent_to
    UNION
    SELECT country FROM writing
),
named AS (
    SELECT *
    FROM (VALUES
        {countries}
    ) AS listed (code, country_name)
)
SELECT
    CAST(met.country AS STRING) AS country,
    CAST(named.country_name AS STRING) AS country_name,
    CAST(coalesce(sent_to.deployments, 0) AS BIGINT) AS deployments,
    CAST(coalesce(sent_to.delivered, 0) AS BIGINT) AS delivered,
    CAST(sent_to.delivered AS DOUBLE) * 100 / sent_to.deployments AS delivered_pct,
    CAST(coalesce(sent_to.sessions_created, 0) AS BIGINT) AS sessions_created,
    CAST(sent_to.sessions_created AS DOUBLE) * 100 / nullif(sent_to.delivered, 0)
        AS click_through_pct,
    CAST(coalesce(sent_to.replied, 0) AS BIGINT) AS replied,
    CAST(sent_to.replied AS DOUBLE) * 100 / nullif(sent_to.delivered, 0) AS reply_pct,
    CAST(coalesce(writing.inbound_sessions, 0) AS BIGINT) AS inbound_sessions,
    CAST(sparked.avg_session_seconds AS DOUBLE) AS avg_session_seconds,
    CAST(coalesce(converted.converted_sessions, 0) AS BIGINT) AS converted_sessions,
    CAST(coalesce(converted.converted_sessions, 0) AS DOUBLE) * 100
        / nullif(sent_to.sessions_created, 0) AS conversion_pct,
    CAST(earned.revenue AS DECIMAL(38, 6)) AS revenue,
    CAST(earned.revenue_currency AS STRING) AS revenue_currency
FROM met
-- A null country is one too, so the joins are null-safe.
LEFT JOIN sent_to ON sent_to.country <=> met.country
LEFT JOIN sparked ON sparked.country <=> met.country
LEFT JOIN converted ON converted.country <=> met.country
LEFT JOIN earned ON earned.country <=> met.country
LEFT JOIN writing ON writing.country <=> met.country
LEFT JOIN named ON named.code = met.country
ORDER BY
    deployments DESC NULLS LAST,
    country NULLS LAST
