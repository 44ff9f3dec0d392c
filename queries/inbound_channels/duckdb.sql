-- Faster than the twin by one aggregation for counts and sums of conversions.
WITH {attributed},
inbound AS (
    SELECT
        CASE
            WHEN of_meta AND meta_source_type = 'Post' THEN 'meta-post'
            WHEN of_meta THEN 'meta-ad'
            WHEN whatsapp_link_campaign_name IS NOT NULL OR whatsapp_link_campaign_source IS NOT NULL
            THEN 'whatsapp-link'
            WHEN parent_session_id IS NOT NULL THEN 'redirection'
            ELSE 'organic'
        END AS channel,
        CASE WHEN of_meta THEN coalesce(meta_source_type, 'Ad') ELSE whatsapp_link_campaign_source END
            AS source,
        CASE WHEN of_meta THEN meta_source_id ELSE whatsapp_link_campaign_name END AS campaign,
        session_key,
        user_key,
        session_status,
        session_finished_timestamp,
        CASE
            WHEN session_finished_timestamp >= session_started_timestamp
            THEN epoch_us(session_finished_timestamp) - epoch_us(session_started_timestamp)
        END AS duration
    FROM (
        SELECT *, meta_source_id IS NOT NULL OR meta_source_type IS NOT NULL AS of_meta
        FROM sessions
        WHERE session_type = 'Inbound'
    )
),
counted AS (
    SELECT
        channel,
        source,
        campaign,
        count(*) AS sessions,
        count(DISTINCT user_key) AS users,
        count(session_finished_timestamp) AS finished_sessions,
        avg(duration) AS mean_duration,
        count_if(session_status = 'AGENTS') AS agent_sessions
    FROM inbound
    GROUP BY ALL
),
earned AS (
    SELECT
        channel,
        source,
        campaign,
        count(*) AS conversions,
        count(DISTINCT session_key) AS converted_sessions,
        CASE
            WHEN count(DISTINCT coalesce(currency, '?')) FILTER (value IS NOT NULL) = 1
            THEN sum(value)
        END AS revenue,
        nullif(
            string_agg(DISTINCT coalesce(currency, '?'), '+' ORDER BY coalesce(currency, '?'))
                FILTER (value IS NOT NULL),
            '?') AS revenue_currency
    FROM inbound
    JOIN attributed ON converted_session_key = session_key
    GROUP BY ALL
)
SELECT
    counted.channel,
    counted.source,
    counted.campaign,
    CAST(sessions AS BIGINT) AS sessions,
    CAST(users AS BIGINT) AS users,
    CAST(finished_sessions AS BIGINT) AS finished_sessions,
    CAST(mean_duration / 1e6 AS DOUBLE) AS avg_duration_seconds,
    CAST(agent_sessions AS BIGINT) AS agent_sessions,
    CAST(100.0 * agent_sessions / sessions AS DOUBLE) AS agent_pct,
    CAST(coalesce(conversions, 0) AS BIGINT) AS conversions,
    CAST(100.0 * coalesce(converted_sessions, 0) / sessions AS DOUBLE) AS conversion_pct,
    CAST(revenue AS DECIMAL(38, 6)) AS revenue,
    revenue_currency
FROM counted
LEFT JOIN earned
    ON earned.channel = counted.channel
    AND earned.source IS NOT DISTINCT FROM counted.source
    AND earned.campaign IS NOT DISTINCT FROM counted.campaign
ORDER BY
    counted.sessions DESC, counted.channel, counted.source NULLS LAST, counted.campaign NULLS LAST;
