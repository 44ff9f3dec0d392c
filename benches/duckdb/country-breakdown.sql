-- How do countries answer?
WITH created AS (
    SELECT country, session_key
    FROM deployments
    WHERE delivery_status = 'Delivered' AND session_key IS NOT NULL
),
durations AS (
    SELECT created.country, avg(duration) AS mean_duration
    FROM created
    JOIN (
        SELECT
            session_key,
            epoch_us(session_finished_timestamp) - epoch_us(session_started_timestamp) AS duration
        FROM sessions
        WHERE session_finished_timestamp >= session_started_timestamp
    ) AS finished USING (session_key)
    GROUP BY created.country
),
sends AS (
    SELECT
        country,
        count(*) AS deployments,
        count_if(delivery_status = 'Delivered') AS delivered,
        count_if(delivery_status = 'Delivered' AND session_key IS NOT NULL) AS sessions_created,
        count_if(delivery_status = 'Delivered' AND user_responded_timestamp IS NOT NULL)
            AS replied
    FROM deployments
    GROUP BY country
),
inbound AS (
    SELECT country, count(*) AS inbound_sessions
    FROM sessions
    WHERE session_type = 'Inbound'
    GROUP BY country
),
names AS (
    SELECT
        split_part(line, chr(9), 1) AS country,
        split_part(line, chr(9), 2) AS country_name
    FROM (
        SELECT unnest(string_split(trim(content, chr(10)), chr(10))) AS line
        FROM read_text(getvariable('countries'))
    )
),
-- Null is a country like any other.
met AS (
    SELECT
        coalesce(sends.country, inbound.country) AS country,
        coalesce(deployments, 0) AS deployments,
        coalesce(delivered, 0) AS delivered,
        coalesce(sessions_created, 0) AS sessions_created,
        coalesce(replied, 0) AS replied,
        coalesce(inbound_sessions, 0) AS inbound_sessions
    FROM sends
    FULL JOIN inbound ON sends.country IS NOT DISTINCT FROM inbound.country
)
SELECT
    met.country,
    names.country_name,
    CAST(deployments AS BIGINT) AS deployments,
    CAST(delivered AS BIGINT) AS delivered,
    CAST(100.0 * delivered / nullif(deployments, 0) AS DOUBLE) AS delivered_pct,
    CAST(sessions_created AS BIGINT) AS sessions_created,
    CAST(100.0 * sessions_created / nullif(delivered, 0) AS DOUBLE) AS click_through_pct,
    CAST(replied AS BIGINT) AS replied,
    CAST(100.0 * replied / nullif(delivered, 0) AS DOUBLE) AS reply_pct,
    CAST(inbound_sessions AS BIGINT) AS inbound_sessions,
    CAST(mean_duration / 1e6 AS DOUBLE) AS avg_session_seconds,
    -- The lake has no conversions.
    CAST(0 AS BIGINT) AS converted_sessions,
    CAST(CASE WHEN sessions_created > 0 THEN 0 END AS DOUBLE) AS conversion_pct,
    CAST(NULL AS DECIMAL(18, 6)) AS revenue,
    CAST(NULL AS VARCHAR) AS revenue_currency
FROM met
LEFT JOIN durations ON durations.country IS NOT DISTINCT FROM met.country
LEFT JOIN names ON names.country = met.country
ORDER BY met.deployments DESC, met.country NULLS LAST;
