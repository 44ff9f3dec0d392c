-- How do the audiences compare? By the tags that a person has at the time.
WITH attributed AS (
    SELECT session_key, converted_at, value, currency
    FROM conversions
    WHERE session_key IS NOT NULL
    UNION ALL
    SELECT visits.session_key, owed.converted_at, owed.value, owed.currency
    FROM (
        SELECT user_key, converted_at, value, currency
        FROM conversions
        WHERE session_key IS NULL AND user_key IS NOT NULL
    ) AS owed
    -- The last session that was no redirection, of two at one instant the greater id.
    ASOF JOIN (
        SELECT
            user_key,
            session_started_timestamp,
            arg_max(session_key, session_id) AS session_key
        FROM sessions
        WHERE parent_session_id IS NULL
            AND user_key IN (SELECT user_key FROM conversions WHERE session_key IS NULL)
        GROUP BY ALL
    ) AS visits
        ON visits.user_key = owed.user_key
        AND visits.session_started_timestamp <= owed.converted_at
    WHERE owed.converted_at <= visits.session_started_timestamp + INTERVAL 168 HOURS
),
sent AS (
    SELECT tags.tag, delivery_status, session_key, user_responded_timestamp
    FROM deployments
    LEFT JOIN audience_tags AS tags
        ON tags.user_key = deployments.user_key
        AND (tags.since IS NULL OR tags.since <= deployment_timestamp)
),
created AS (
    SELECT tag, session_key
    FROM sent
    WHERE delivery_status = 'Delivered' AND session_key IS NOT NULL
),
durations AS (
    SELECT created.tag, avg(duration) AS mean_duration
    FROM created
    JOIN (
        SELECT
            session_key,
            epoch_us(session_finished_timestamp) - epoch_us(session_started_timestamp) AS duration
        FROM sessions
        WHERE session_finished_timestamp >= session_started_timestamp
    ) AS finished USING (session_key)
    GROUP BY created.tag
),
earned AS (
    SELECT
        tag,
        count(DISTINCT session_key) AS converted_sessions,
        CASE
            WHEN count(DISTINCT coalesce(currency, '?')) FILTER (value IS NOT NULL) = 1
            THEN sum(value)
        END AS revenue,
        nullif(
            string_agg(DISTINCT coalesce(currency, '?'), '+' ORDER BY coalesce(currency, '?'))
                FILTER (value IS NOT NULL),
            '?') AS revenue_currency
    FROM (
        SELECT created.tag, session_key, value, currency
        FROM (
            SELECT DISTINCT tag, session_key
            FROM created
            SEMI JOIN attributed USING (session_key)
        ) AS created
        JOIN attributed USING (session_key)
    )
    GROUP BY tag
),
sends AS (
    SELECT
        tag,
        count(*) AS deployments,
        count_if(delivery_status = 'Delivered') AS delivered,
        count_if(delivery_status = 'Delivered' AND session_key IS NOT NULL) AS sessions_created,
        count_if(delivery_status = 'Delivered' AND user_responded_timestamp IS NOT NULL)
            AS replied
    FROM sent
    GROUP BY tag
),
inbound AS (
    SELECT tag, count(*) AS inbound_sessions
    FROM (
        SELECT tags.tag, session_type
        FROM sessions
        LEFT JOIN audience_tags AS tags
            ON tags.user_key = sessions.user_key
            AND (tags.since IS NULL OR tags.since <= session_started_timestamp)
        WHERE session_type = 'Inbound'
    )
    WHERE session_type = 'Inbound'
    GROUP BY tag
),
-- Null is a tag like any other.
met AS (
    SELECT
        coalesce(sends.tag, inbound.tag) AS tag,
        coalesce(deployments, 0) AS deployments,
        coalesce(delivered, 0) AS delivered,
        coalesce(sessions_created, 0) AS sessions_created,
        coalesce(replied, 0) AS replied,
        coalesce(inbound_sessions, 0) AS inbound_sessions
    FROM sends
    FULL JOIN inbound ON sends.tag IS NOT DISTINCT FROM inbound.tag
)
SELECT
    met.tag,
    CAST(deployments AS BIGINT) AS deployments,
    CAST(delivered AS BIGINT) AS delivered,
    CAST(100.0 * delivered / nullif(deployments, 0) AS DOUBLE) AS delivered_pct,
    CAST(sessions_created AS BIGINT) AS sessions_created,
    CAST(100.0 * sessions_created / nullif(delivered, 0) AS DOUBLE) AS click_through_pct,
    CAST(replied AS BIGINT) AS replied,
    CAST(100.0 * replied / nullif(delivered, 0) AS DOUBLE) AS reply_pct,
    CAST(inbound_sessions AS BIGINT) AS inbound_sessions,
    CAST(mean_duration / 1e6 AS DOUBLE) AS avg_session_seconds,
    CAST(coalesce(converted_sessions, 0) AS BIGINT) AS converted_sessions,
    CAST(100.0 * coalesce(converted_sessions, 0) / nullif(sessions_created, 0) AS DOUBLE)
        AS conversion_pct,
    CAST(revenue AS DECIMAL(38, 6)) AS revenue,
    CAST(revenue_currency AS VARCHAR) AS revenue_currency
FROM met
LEFT JOIN durations ON durations.tag IS NOT DISTINCT FROM met.tag
LEFT JOIN earned ON earned.tag IS NOT DISTINCT FROM met.tag
ORDER BY met.deployments DESC, met.tag NULLS LAST;
