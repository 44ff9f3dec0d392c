-- Which paths do chains of redirections take? Chains by the sequence of their conversations.
WITH {chains}
SELECT
    CAST(conversation_path AS STRING) AS conversation_path,
    CAST(count(*) AS BIGINT) AS chains,
    CAST(count(DISTINCT user_phone) AS BIGINT) AS users,
    CAST(sum(sessions) AS DOUBLE) / count(*) AS avg_sessions,
    CAST(sum(duration) AS DOUBLE) / nullif(count(duration), 0) / 1000000
        AS avg_duration_seconds
FROM chains
GROUP BY conversation_path
ORDER BY
    chains DESC NULLS LAST,
    conversation_path NULLS LAST
