-- Faster than the twin by arg_max for the headlines, and one aggregation for counts and sums of conversions.
WITH {attributed},
sourced AS (
    SELECT
        coalesce(meta_source_type, 'Ad') AS meta_source_type,
        meta_source_id,
        meta_source_headline,
        session_key,
        session_id,
        user_key,
        session_started_timestamp,
        session_finished_timestamp,
        CASE
            WHEN session_finished_timestamp >= session_started_timestamp
            THEN epoch_us(session_finished_timestamp) - epoch_us(session_started_timestamp)
        END AS duration
    FROM sessions
    WHERE meta_source_id IS NOT NULL
),
counted AS (
    SELECT
        meta_source_type,
        meta_source_id,
        arg_max(meta_source_headline, (session_started_timestamp, session_id))
            FILTER (meta_source_headline IS NOT NULL) AS meta_source_headline,
        count(*) AS sessions,
        count(DISTINCT user_key) AS users,
        count(session_finished_timestamp) AS finished_sessions,
        avg(duration) AS mean_duration,
        quantile_cont(duration, 0.5) AS median_duration
    FROM sourced
    GROUP BY ALL
),
earned AS (
    SELECT
        meta_source_type,
        meta_source_id,
        count(*) AS conversions,
        CASE
            WHEN count(DISTINCT coalesce(currency, '?')) FILTER (value IS NOT NULL) = 1
            THEN sum(value)
        END AS revenue,
        string_agg(DISTINCT coalesce(currency, '?'), '+' ORDER BY coalesce(currency, '?'))
            FILTER (value IS NOT NULL) AS revenue_currency
    FROM sourced
    JOIN attributed ON converted_session_key = session_key
    GROUP BY ALL
),
-- An ad's days are added up before they meet its sessions.
spent AS (
    SELECT
        'Ad' AS meta_source_type,
        ad_id AS meta_source_id,
        CASE WHEN count(DISTINCT coalesce(currency, '?')) = 1 THEN sum(spend) END AS spend,
        string_agg(DISTINCT coalesce(currency, '?'), '+' ORDER BY coalesce(currency, '?'))
            AS spend_currency,
        sum(impressions) AS impressions,
        sum(clicks) AS clicks
    FROM ad_spend
    GROUP BY ad_id
)
SELECT
    meta_source_type,
    meta_source_id,
    meta_source_headline,
    CAST(coalesce(sessions, 0) AS BIGINT) AS sessions,
    CAST(coalesce(users, 0) AS BIGINT) AS users,
    CAST(coalesce(finished_sessions, 0) AS BIGINT) AS finished_sessions,
    CAST(mean_duration / 1e6 AS DOUBLE) AS avg_duration_seconds,
    CAST(median_duration / 1e6 AS DOUBLE) AS median_duration_seconds,
    CAST(spend AS DECIMAL(38, 6)) AS spend,
    nullif(spend_currency, '?') AS spend_currency,
    CAST(coalesce(conversions, 0) AS BIGINT) AS conversions,
    CAST(revenue AS DECIMAL(38, 6)) AS revenue,
    nullif(revenue_currency, '?') AS revenue_currency,
    CAST(spend AS DOUBLE) / sessions AS cost_per_session,
    CASE
        WHEN spend = 0 OR NOT EXISTS (FROM conversions) THEN NULL
        WHEN revenue_currency IS NULL THEN 0 * CAST(spend AS DOUBLE)
        WHEN revenue_currency = spend_currency THEN CAST(revenue AS DOUBLE) / CAST(spend AS DOUBLE)
    END AS roas,
    CAST(impressions AS BIGINT) AS impressions,
    CAST(clicks AS BIGINT) AS clicks,
    -- Only ads have clicks.
    CAST(100 * coalesce(sessions, 0) / nullif(CAST(clicks AS DOUBLE), 0) AS DOUBLE) AS chat_rate_pct
FROM counted
FULL JOIN spent USING (meta_source_type, meta_source_id)
LEFT JOIN earned USING (meta_source_type, meta_source_id)
ORDER BY coalesce(counted.sessions, 0) DESC, meta_source_type, meta_source_id;
