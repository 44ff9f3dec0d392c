-- Which ads and posts start sessions, how long do they last, what do they earn? The spend of an
-- ad is summed over its days before it is joined with its sessions.
WITH sourced AS (
    SELECT
        session_id,
        user_phone,
        session_started_timestamp,
        session_finished_timestamp,
        coalesce(meta_source_type, 'Ad') AS meta_source_type,
        meta_source_id,
        meta_source_headline,
        CASE
            WHEN session_finished_timestamp >= session_started_timestamp
                THEN unix_micros(session_finished_timestamp)
                    - unix_micros(session_started_timestamp)
        END AS duration
    FROM sessions
    WHERE meta_source_id IS NOT NULL
        AND (:from_at IS NULL OR session_started_timestamp >= :from_at)
        AND (:until_at IS NULL OR session_started_timestamp < :until_at)
),
counted AS (
    SELECT
        meta_source_type,
        meta_source_id,
        count(*) AS sessions,
        count(DISTINCT user_phone) AS users,
        count(session_finished_timestamp) AS finished_sessions,
        CAST(sum(duration) AS DOUBLE) / nullif(count(duration), 0) / 1000000
            AS avg_duration_seconds,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY CAST(duration AS DOUBLE)) / 1000000
            AS median_duration_seconds
    FROM sourced
    GROUP BY meta_source_type, meta_source_id
),
headed AS (
    SELECT
        meta_source_type,
        meta_source_id,
        meta_source_headline,
        row_number() OVER (
            PARTITION BY meta_source_type, meta_source_id
            ORDER BY session_started_timestamp DESC NULLS LAST, session_id DESC NULLS LAST
        ) AS place
    FROM sourced
    WHERE meta_source_headline IS NOT NULL
),
{attributed},
matched AS (
    SELECT
        sourced.meta_source_type,
        sourced.meta_source_id,
        attributed.value,
        coalesce(attributed.currency, '?') AS currency
    FROM sourced
    INNER JOIN attributed ON attributed.converted_session_id = sourced.session_id
),
converted AS (
    SELECT meta_source_type, meta_source_id, count(*) AS conversions
    FROM matched
    GROUP BY meta_source_type, meta_source_id
),
earned_in AS (
    SELECT meta_source_type, meta_source_id, currency, sum(value) AS amount
    FROM matched
    WHERE value IS NOT NULL
    GROUP BY meta_source_type, meta_source_id, currency
),
earned AS (
    SELECT
        meta_source_type,
        meta_source_id,
        CASE WHEN count(*) = 1 THEN max(amount) END AS revenue,
        array_join(sort_array(collect_list(currency)), '+') AS revenue_currency
    FROM earned_in
    GROUP BY meta_source_type, meta_source_id
),
spent_in AS (
    SELECT ad_id, coalesce(currency, '?') AS currency, sum(spend) AS amount
    FROM ad_spend
    WHERE (:from_date IS NULL OR day >= :from_date)
        AND (:to_date IS NULL OR day <= :to_date)
    GROUP BY ad_id, coalesce(currency, '?')
),
spent AS (
    SELECT
        'Ad' AS meta_source_type,
        ad_id AS meta_source_id,
        CASE WHEN count(*) = 1 THEN max(amount) END AS spend,
        array_join(sort_array(collect_list(currency)), '+') AS spend_currency
    FROM spent_in
    GROUP BY ad_id
),
met AS (
    SELECT meta_source_type, meta_source_id FROM counted
    UNION
    SELECT meta_source_type, meta_source_id FROM spent
),
known AS (
    SELECT count(*) AS conversions FROM conversions
)
SELECT
    CAST(met.meta_source_type AS STRING) AS meta_source_type,
    CAST(met.meta_source_id AS STRING) AS meta_source_id,
    CAST(headed.meta_source_headline AS STRING) AS meta_source_headline,
    CAST(coalesce(counted.sessions, 0) AS BIGINT) AS sessions,
    CAST(coalesce(counted.users, 0) AS BIGINT) AS users,
    CAST(coalesce(counted.finished_sessions, 0) AS BIGINT) AS finished_sessions,
    CAST(counted.avg_duration_seconds AS DOUBLE) AS avg_duration_seconds,
    CAST(counted.median_duration_seconds AS DOUBLE) AS median_duration_seconds,
    CAST(spent.spend AS DECIMAL(38, 6)) AS spend,
    CAST(nullif(spent.spend_currency, '?') AS STRING) AS spend_currency,
    CAST(coalesce(converted.conversions, 0) AS BIGINT) AS conversions,
    CAST(earned.revenue AS DECIMAL(38, 6)) AS revenue,
    CAST(nullif(earned.revenue_currency, '?') AS STRING) AS revenue_currency,
    CAST(spent.spend AS DOUBLE) / counted.sessions AS cost_per_session,
    CASE
        WHEN known.conversions = 0 OR spent.spend = 0 THEN NULL
        WHEN earned.revenue_currency IS NULL THEN 0 * CAST(spent.spend AS DOUBLE)
        WHEN earned.revenue_currency = spent.spend_currency
            THEN CAST(earned.revenue AS DOUBLE) / CAST(spent.spend AS DOUBLE)
    END AS roas
FROM met
CROSS JOIN known
LEFT JOIN counted
    ON counted.meta_source_type = met.meta_source_type
        AND counted.meta_source_id = met.meta_source_id
LEFT JOIN headed
    ON headed.meta_source_type = met.meta_source_type
        AND headed.meta_source_id = met.meta_source_id
        AND headed.place = 1
LEFT JOIN converted
    ON converted.meta_source_type = met.meta_source_type
        AND converted.meta_source_id = met.meta_source_id
LEFT JOIN earned
    ON earned.meta_source_type = met.meta_source_type
        AND earned.meta_source_id = met.meta_source_id
LEFT JOIN spent
    ON spent.meta_source_type = met.meta_source_type
        AND spent.meta_source_id = met.meta_source_id
ORDER BY
    sessions DESC NULLS LAST,
    meta_source_type NULLS LAST,
    meta_source_id NULLS LAST
