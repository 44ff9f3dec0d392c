-- Faster by joining only the sessions that were created, and by one pass over the deployments.
created AS (
    SELECT name, session_key FROM sent WHERE arrived AND session_key IS NOT NULL
),
durations AS (
    SELECT created.name, avg(duration) AS mean_duration
    FROM created
    JOIN (
        SELECT
            session_key,
            epoch_us(session_finished_timestamp) - epoch_us(session_started_timestamp) AS duration
        FROM sessions
        WHERE session_finished_timestamp >= session_started_timestamp
    ) AS finished USING (session_key)
    GROUP BY created.name
),
earned AS (
    SELECT
        name,
        count(DISTINCT converted_session_key) AS converted_sessions,
        CASE
            WHEN count(DISTINCT coalesce(currency, '?')) FILTER (value IS NOT NULL) = 1
            THEN sum(value)
        END AS revenue,
        nullif(
            string_agg(DISTINCT coalesce(currency, '?'), '+' ORDER BY coalesce(currency, '?'))
                FILTER (value IS NOT NULL),
            '?') AS revenue_currency
    FROM (
        SELECT DISTINCT name, session_key
        FROM created
        SEMI JOIN attributed ON converted_session_key = session_key
    ) AS converted
    JOIN attributed ON converted_session_key = session_key
    GROUP BY name
),
sends AS (
    SELECT
        name,
        count(*) AS deployments,
        count_if(arrived) AS delivered,
        count_if(arrived AND session_key IS NOT NULL) AS sessions_created,
        count_if(arrived AND user_responded_timestamp IS NOT NULL) AS replied
    FROM sent
    GROUP BY name
),
writing AS (
    SELECT name, count(*) AS inbound_sessions FROM inbound GROUP BY name
),
met AS (
    SELECT coalesce(sends.name, writing.name) AS name, sends.* EXCLUDE (name), inbound_sessions
    FROM sends
    FULL JOIN writing ON sends.name IS NOT DISTINCT FROM writing.name
),
breakdown AS (
    SELECT
        met.name,
        CAST(coalesce(deployments, 0) AS BIGINT) AS deployments,
        CAST(coalesce(delivered, 0) AS BIGINT) AS delivered,
        CAST(100.0 * delivered / deployments AS DOUBLE) AS delivered_pct,
        CAST(coalesce(sessions_created, 0) AS BIGINT) AS sessions_created,
        CAST(100.0 * sessions_created / nullif(delivered, 0) AS DOUBLE) AS click_through_pct,
        CAST(coalesce(replied, 0) AS BIGINT) AS replied,
        CAST(100.0 * replied / nullif(delivered, 0) AS DOUBLE) AS reply_pct,
        CAST(coalesce(inbound_sessions, 0) AS BIGINT) AS inbound_sessions,
        CAST(mean_duration / 1e6 AS DOUBLE) AS avg_session_seconds,
        CAST(coalesce(converted_sessions, 0) AS BIGINT) AS converted_sessions,
        CAST(100.0 * coalesce(converted_sessions, 0) / nullif(sessions_created, 0) AS DOUBLE)
            AS conversion_pct,
        CAST(revenue AS DECIMAL(38, 6)) AS revenue,
        CAST(revenue_currency AS VARCHAR) AS revenue_currency
    FROM met
    LEFT JOIN durations ON durations.name IS NOT DISTINCT FROM met.name
    LEFT JOIN earned ON earned.name IS NOT DISTINCT FROM met.name
)
