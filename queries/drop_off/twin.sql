-- Where do users leave a flow? Sessions by the last node reached.
WITH in_range AS (
    SELECT
        conversation_id,
        conversation_version,
        last_node_id,
        user_phone,
        session_status,
        CASE
            WHEN session_finished_timestamp >= session_started_timestamp
            THEN unix_micros(session_finished_timestamp) - unix_micros(session_started_timestamp)
        END AS duration
    FROM sessions
    WHERE (:from_at IS NULL OR session_started_timestamp >= :from_at)
        AND (:until_at IS NULL OR session_started_timestamp < :until_at)
        AND (
            (size(:conversation_id) = 0 AND NOT :conversation_id_none)
            OR array_contains(:conversation_id, conversation_id)
            OR (:conversation_id_none AND conversation_id IS NULL)
        )
        AND (
            (size(:conversation_version) = 0 AND NOT :conversation_version_none)
            OR array_contains(:conversation_version, conversation_version)
            OR (:conversation_version_none AND conversation_version IS NULL)
        )
        AND (
            (size(:session_type) = 0 AND NOT :session_type_none)
            OR array_contains(:session_type, session_type)
            OR (:session_type_none AND session_type IS NULL)
        )
        AND (
            (size(:country) = 0 AND NOT :country_none)
            OR array_contains(:country, country)
            OR (:country_none AND country IS NULL)
        )
),
last_nodes AS (
    SELECT
        conversation_id,
        conversation_version,
        last_node_id,
        count(*) AS sessions,
        count(DISTINCT user_phone) AS users,
        count(CASE WHEN session_status = 'AGENTS' THEN 1 END) AS agent_sessions,
        CAST(sum(duration) AS DOUBLE) / nullif(count(duration), 0) / 1000000 AS avg_duration_seconds
    FROM in_range
    GROUP BY conversation_id, conversation_version, last_node_id
)
SELECT
    CAST(conversation_id AS STRING) AS conversation_id,
    CAST(conversation_version AS INT) AS conversation_version,
    CAST(last_node_id AS STRING) AS last_node_id,
    CAST(sessions AS BIGINT) AS sessions,
    CAST(
        CAST(sessions AS DOUBLE) * 100
        / sum(sessions) OVER (PARTITION BY conversation_id, conversation_version)
        AS DOUBLE
    ) AS share_pct,
    CAST(users AS BIGINT) AS users,
    CAST(agent_sessions AS BIGINT) AS agent_sessions,
    CAST(avg_duration_seconds AS DOUBLE) AS avg_duration_seconds
FROM last_nodes
ORDER BY
    conversation_id NULLS LAST,
    conversation_version NULLS LAST,
    sessions DESC NULLS LAST,
    last_node_id NULLS LAST
