-- Which sends lead to sessions, and how long do they last? Delivered deployments with their
-- sessions.
WITH delivered_deployments AS (
    SELECT
        {by},
        session_id,
        user_responded_timestamp,
        CASE
            WHEN user_responded_timestamp >= deployment_delivered_timestamp
            THEN unix_micros(user_responded_timestamp)
                - unix_micros(deployment_delivered_timestamp)
        END AS reply_time
    FROM {deployments}
    {tagged}
    WHERE delivery_status = 'Delivered'
        AND (:from_at IS NULL OR deployment_timestamp >= :from_at)
        AND (:until_at IS NULL OR deployment_timestamp < :until_at)
),
lasting AS (
    SELECT
        session_id AS found_id,
        session_finished_timestamp,
        session_status,
        CASE
            WHEN session_finished_timestamp >= session_started_timestamp
            THEN unix_micros(session_finished_timestamp) - unix_micros(session_started_timestamp)
        END AS duration
    FROM sessions
),
sparked AS (
    SELECT
        {by_columns},
        count(*) AS delivered,
        count(found_id) AS sessions,
        count_if(session_id IS NOT NULL AND found_id IS NULL) AS unmatched_sessions,
        count(user_responded_timestamp) AS replied,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY CAST(reply_time AS DOUBLE)) AS reply_time,
        count(session_finished_timestamp) AS finished_sessions,
        CAST(sum(duration) AS DOUBLE) / nullif(count(duration), 0) AS mean_duration,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY CAST(duration AS DOUBLE)) AS median_duration,
        count(CASE WHEN session_status = 'AGENTS' THEN 1 END) AS agent_sessions
    FROM delivered_deployments
    LEFT JOIN lasting ON lasting.found_id = delivered_deployments.session_id
    GROUP BY {by_columns}
)
SELECT
    {by_columns},
    CAST(delivered AS BIGINT) AS delivered,
    CAST(sessions AS BIGINT) AS sessions,
    CAST(unmatched_sessions AS BIGINT) AS unmatched_sessions,
    CAST(replied AS BIGINT) AS replied,
    CAST(replied AS DOUBLE) * 100 / delivered AS reply_pct,
    CAST(reply_time AS DOUBLE) / 1000000 AS median_reply_seconds,
    CAST(finished_sessions AS BIGINT) AS finished_sessions,
    CAST(mean_duration AS DOUBLE) / 1000000 AS avg_session_seconds,
    CAST(median_duration AS DOUBLE) / 1000000 AS median_session_seconds,
    CAST(agent_sessions AS BIGINT) AS agent_sessions,
    CAST(agent_sessions AS DOUBLE) * 100 / nullif(sessions, 0) AS agent_pct
FROM sparked
ORDER BY {by_order}
