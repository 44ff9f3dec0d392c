-- Which paths do chains of redirections take? Chains by the sequence of their conversations.
WITH roots AS (
    SELECT
        {by_then}session_id,
        user_phone,
        session_started_timestamp AS started_at,
        parent_session_id IS NOT NULL AS root_missing
    FROM {sessions}
    {tagged}
    WHERE (:from_at IS NULL OR session_started_timestamp >= :from_at)
        AND (:until_at IS NULL OR session_started_timestamp < :until_at)
),
{chains}
SELECT
    {by_columns_then}CAST(conversation_path AS STRING) AS conversation_path,
    CAST(count(*) AS BIGINT) AS chains,
    CAST(count(DISTINCT user_phone) AS BIGINT) AS users,
    CAST(sum(sessions) AS DOUBLE) / count(*) AS avg_sessions,
    CAST(sum(duration) AS DOUBLE) / nullif(count(duration), 0) / 1000000
        AS avg_duration_seconds
FROM chains
GROUP BY {by_columns_then}conversation_path
ORDER BY
    {by_order_then}chains DESC NULLS LAST,
    conversation_path NULLS LAST
