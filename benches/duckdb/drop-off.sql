-- Where do users leave a flow?
WITH left_at AS (
    SELECT
        conversation_id,
        conversation_version,
        last_node_id,
        count(*) AS sessions,
        count(DISTINCT user_key) AS users,
        count_if(session_status = 'AGENTS') AS agent_sessions,
        avg(epoch_us(session_finished_timestamp) - epoch_us(session_started_timestamp))
            FILTER (session_finished_timestamp >= session_started_timestamp)
            / 1e6 AS avg_duration_seconds
    FROM sessions
    GROUP BY ALL
)
SELECT
    conversation_id,
    CAST(conversation_version AS INTEGER) AS conversation_version,
    last_node_id,
    CAST(sessions AS BIGINT) AS sessions,
    CAST(100.0 * sessions / sum(sessions) OVER (
        PARTITION BY conversation_id, conversation_version) AS DOUBLE) AS share_pct,
    CAST(users AS BIGINT) AS users,
    CAST(agent_sessions AS BIGINT) AS agent_sessions,
    CAST(avg_duration_seconds AS DOUBLE) AS avg_duration_seconds
FROM left_at
ORDER BY
    conversation_id NULLS LAST,
    conversation_version NULLS LAST,
    left_at.sessions DESC,
    last_node_id NULLS LAST;
