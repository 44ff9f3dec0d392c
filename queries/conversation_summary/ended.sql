in_range AS (
    SELECT
        session_id,
        conversation_id,
        conversation_version,
        last_node_id,
        user_phone,
        country,
        session_started_timestamp,
        session_finished_timestamp,
        session_type,
        session_status,
        first_message_timestamp,
        first_message
    FROM {sessions}
    WHERE (:from_at IS NULL OR session_started_timestamp >= :from_at)
        AND (:until_at IS NULL OR session_started_timestamp < :until_at)
),
compared AS (
    SELECT
        *,
        max(conversation_version) OVER (PARTITION BY conversation_id) AS latest
    FROM {in_range}
),
asked AS (
    SELECT *
    FROM compared
    WHERE (NOT :latest_version OR conversation_version <=> latest)
        AND (
            (size(:conversation_version) = 0 AND NOT :conversation_version_none)
            OR array_contains(:conversation_version, conversation_version)
            OR (:conversation_version_none AND conversation_version IS NULL)
        )
),
flows_met AS (
    SELECT DISTINCT conversation_id, conversation_version
    FROM asked
),
-- The row of a node in a version comes before the one of all versions.
candidates AS (
    SELECT
        here.conversation_id,
        here.conversation_version,
        nodes.node_id,
        nodes.is_final,
        row_number() OVER (
            PARTITION BY here.conversation_id, here.conversation_version, nodes.node_id
            ORDER BY nodes.conversation_version NULLS LAST
        ) AS place
    FROM flows_met AS here
    INNER JOIN nodes
        ON nodes.conversation_id = here.conversation_id
            AND (
                nodes.conversation_version IS NULL
                OR nodes.conversation_version = here.conversation_version
            )
),
known AS (
    SELECT *
    FROM candidates
    WHERE place = 1
),
ended AS (
    SELECT here.*, there.is_final
    FROM asked AS here
    LEFT JOIN known AS there
        ON there.conversation_id = here.conversation_id
            AND there.conversation_version <=> here.conversation_version
            AND there.node_id = here.last_node_id
)
