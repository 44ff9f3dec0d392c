-- Where do users leave a flow? Sessions by the last node reached.
WITH in_range AS (
    SELECT
        {by_then}conversation_id,
        conversation_version,
        last_node_id,
        user_phone,
        session_status,
        CASE
            WHEN session_finished_timestamp >= session_started_timestamp
            THEN unix_micros(session_finished_timestamp) - unix_micros(session_started_timestamp)
        END AS duration
    FROM {sessions}
    {tagged}
    WHERE (:from_at IS NULL OR session_started_timestamp >= :from_at)
        AND (:until_at IS NULL OR session_started_timestamp < :until_at)
),
last_nodes AS (
    SELECT
        {by_columns_then}conversation_id,
        conversation_version,
        last_node_id,
        count(*) AS sessions,
        count(DISTINCT user_phone) AS users,
        count(CASE WHEN session_status = 'AGENTS' THEN 1 END) AS agent_sessions,
        CAST(sum(duration) AS DOUBLE) / nullif(count(duration), 0) / 1000000 AS avg_duration_seconds
    FROM in_range
    GROUP BY {by_columns_then}conversation_id, conversation_version, last_node_id
),
versions AS (
    SELECT DISTINCT {by_columns_then}conversation_id, conversation_version
    FROM last_nodes
),
-- A version's own row of a node before that of all versions.
candidates AS (
    SELECT
        {here_by_then}here.conversation_id,
        here.conversation_version,
        nodes.node_id,
        nodes.label,
        nodes.position,
        nodes.is_final,
        row_number() OVER (
            PARTITION BY {here_by_then}here.conversation_id, here.conversation_version, nodes.node_id
            ORDER BY nodes.conversation_version NULLS LAST
        ) AS place
    FROM versions AS here
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
all_nodes AS (
    SELECT {by_columns_then}conversation_id, conversation_version, last_node_id
    FROM last_nodes
    UNION
    SELECT {by_columns_then}conversation_id, conversation_version, node_id
    FROM known
    WHERE :linear
),
stopped AS (
    SELECT
        {here_by_then}here.conversation_id,
        here.conversation_version,
        here.last_node_id,
        coalesce(there.sessions, 0) AS sessions,
        coalesce(there.users, 0) AS users,
        coalesce(there.agent_sessions, 0) AS agent_sessions,
        there.avg_duration_seconds
    FROM all_nodes AS here
    LEFT JOIN last_nodes AS there
        ON there.conversation_id <=> here.conversation_id
            AND there.conversation_version <=> here.conversation_version
            AND there.last_node_id <=> here.last_node_id{and_by}
),
labelled AS (
    SELECT here.*, there.label, there.position, there.is_final
    FROM stopped AS here
    LEFT JOIN known AS there
        ON there.conversation_id = here.conversation_id
            AND there.conversation_version <=> here.conversation_version
            AND there.node_id = here.last_node_id{and_by}
),
summed AS (
    SELECT
        *,
        sum(sessions) OVER (PARTITION BY {by_columns_then}conversation_id, conversation_version)
            AS of_version,
        CASE
            WHEN position IS NOT NULL
            THEN sum(sessions) OVER (
                PARTITION BY {by_columns_then}conversation_id, conversation_version
                ORDER BY position DESC NULLS LAST
            )
        END AS reached
    FROM labelled
)
SELECT
    {by_columns_then}CAST(conversation_id AS STRING) AS conversation_id,
    CAST(conversation_version AS INT) AS conversation_version,
    CAST(last_node_id AS STRING) AS last_node_id,
    CAST(sessions AS BIGINT) AS sessions,
    CAST(sessions AS DOUBLE) * 100 / of_version AS share_pct,
    CAST(users AS BIGINT) AS users,
    CAST(agent_sessions AS BIGINT) AS agent_sessions,
    CAST(avg_duration_seconds AS DOUBLE) AS avg_duration_seconds,
    CAST(label AS STRING) AS label,
    CAST(position AS BIGINT) AS position,
    CAST(is_final AS BOOLEAN) AS is_final{reached}
FROM summed
ORDER BY
    {by_order_then}conversation_id NULLS LAST,
    conversation_version NULLS LAST,
    {then},
    last_node_id NULLS LAST
