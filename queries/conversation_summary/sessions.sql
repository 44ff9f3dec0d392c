-- How does a conversation do, whoever starts it? Sessions by version, and how they end.
WITH {ended},
lasting AS (
    SELECT
        *,
        CASE
            WHEN session_finished_timestamp >= session_started_timestamp
            THEN unix_micros(session_finished_timestamp) - unix_micros(session_started_timestamp)
        END AS duration
    FROM ended
),
versions AS (
    SELECT
        conversation_id,
        conversation_version,
        count(*) AS sessions,
        count(DISTINCT user_phone) AS users,
        count(CASE WHEN session_type = 'Inbound' THEN 1 END) AS inbound_sessions,
        count(first_message_timestamp) AS replied,
        count_if(first_message_timestamp IS NOT NULL AND first_message IS NULL) AS media_first,
        count(session_finished_timestamp) AS finished_sessions,
        count(CASE WHEN session_status = 'AGENTS' THEN 1 END) AS agent_sessions,
        count(CASE WHEN is_final THEN 1 END) AS final_sessions,
        CAST(sum(duration) AS DOUBLE) / nullif(count(duration), 0) AS mean_duration,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY CAST(duration AS DOUBLE)) AS median_duration
    FROM lasting
    GROUP BY conversation_id, conversation_version
),
flows AS (
    SELECT DISTINCT conversation_id AS known_id, conversation_version AS known_version
    FROM known
)
SELECT
    CAST(conversation_id AS STRING) AS conversation_id,
    CAST(conversation_version AS INT) AS conversation_version,
    CAST(sessions AS BIGINT) AS sessions,
    CAST(users AS BIGINT) AS users,
    CAST(inbound_sessions AS BIGINT) AS inbound_sessions,
    CAST(replied AS BIGINT) AS replied,
    CAST(replied AS DOUBLE) * 100 / sessions AS reply_pct,
    CAST(media_first AS BIGINT) AS media_first,
    CAST(finished_sessions AS BIGINT) AS finished_sessions,
    CAST(finished_sessions AS DOUBLE) * 100 / sessions AS finished_pct,
    CAST(agent_sessions AS BIGINT) AS agent_sessions,
    CAST(agent_sessions AS DOUBLE) * 100 / sessions AS agent_pct,
    CAST(CASE WHEN known_id IS NOT NULL THEN final_sessions END AS BIGINT) AS final_sessions,
    CASE WHEN known_id IS NOT NULL THEN CAST(final_sessions AS DOUBLE) * 100 / sessions END
        AS final_pct,
    CAST(mean_duration AS DOUBLE) / 1000000 AS avg_duration_seconds,
    CAST(median_duration AS DOUBLE) / 1000000 AS median_duration_seconds
FROM versions
LEFT JOIN flows
    ON known_id = conversation_id
        AND known_version <=> conversation_version
ORDER BY
    conversation_id NULLS LAST,
    conversation_version NULLS LAST
