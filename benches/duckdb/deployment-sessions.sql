-- Which sends spark conversations, and how long do they last? By conversation.
WITH delivered AS (
    SELECT
        conversation_id,
        conversation_version,
        session_key,
        user_responded_timestamp IS NOT NULL AS replied,
        CASE
            WHEN user_responded_timestamp >= deployment_delivered_timestamp
            THEN epoch_us(user_responded_timestamp) - epoch_us(deployment_delivered_timestamp)
        END AS reply
    FROM deployments
    WHERE delivery_status = 'Delivered'
),
talks AS (
    SELECT
        session_key,
        session_finished_timestamp IS NOT NULL AS finished,
        session_status IS NOT DISTINCT FROM 'AGENTS' AS agent,
        CASE
            WHEN session_finished_timestamp >= session_started_timestamp
            THEN epoch_us(session_finished_timestamp) - epoch_us(session_started_timestamp)
        END AS duration
    FROM sessions
),
sent AS (
    SELECT
        conversation_id,
        conversation_version,
        count(*) AS delivered,
        count(session_key) AS named,
        count_if(replied) AS replied,
        quantile_cont(reply, 0.5) AS median_reply
    FROM delivered
    GROUP BY ALL
),
-- An inner join by itself, which DuckDB does in less time than a left one that keeps all rows.
talked AS (
    SELECT
        conversation_id,
        conversation_version,
        count(*) AS sessions,
        count_if(finished) AS finished_sessions,
        avg(duration) AS mean_duration,
        quantile_cont(duration, 0.5) AS median_duration,
        count_if(agent) AS agent_sessions
    FROM delivered
    JOIN talks USING (session_key)
    GROUP BY ALL
),
by_conversation AS (
    SELECT
        sent.*,
        coalesce(sessions, 0) AS sessions,
        named - coalesce(sessions, 0) AS unmatched_sessions,
        coalesce(finished_sessions, 0) AS finished_sessions,
        mean_duration,
        median_duration,
        coalesce(agent_sessions, 0) AS agent_sessions
    FROM sent
    LEFT JOIN talked
        ON talked.conversation_id IS NOT DISTINCT FROM sent.conversation_id
        AND talked.conversation_version IS NOT DISTINCT FROM sent.conversation_version
)
SELECT
    conversation_id,
    CAST(conversation_version AS INTEGER) AS conversation_version,
    CAST(delivered AS BIGINT) AS delivered,
    CAST(sessions AS BIGINT) AS sessions,
    CAST(unmatched_sessions AS BIGINT) AS unmatched_sessions,
    CAST(replied AS BIGINT) AS replied,
    CAST(100.0 * replied / delivered AS DOUBLE) AS reply_pct,
    CAST(median_reply / 1e6 AS DOUBLE) AS median_reply_seconds,
    CAST(finished_sessions AS BIGINT) AS finished_sessions,
    CAST(mean_duration / 1e6 AS DOUBLE) AS avg_session_seconds,
    CAST(median_duration / 1e6 AS DOUBLE) AS median_session_seconds,
    CAST(agent_sessions AS BIGINT) AS agent_sessions,
    CAST(100.0 * agent_sessions / nullif(sessions, 0) AS DOUBLE) AS agent_pct
FROM by_conversation
ORDER BY conversation_id NULLS LAST, conversation_version NULLS LAST;
