in_range AS (
    SELECT
        {by_then}session_id,
        user_phone,
        session_started_timestamp AS started_at,
        conversation_id AS flow_id,
        conversation_version AS flow_version,
        last_node_id,
        session_status IN ('AGENTS', 'RATING') AS with_agents,
        unix_micros(session_started_timestamp) AS started,
        unix_micros(session_finished_timestamp) AS finished,
        unix_micros(last_message_timestamp) AS wrote
    FROM {sessions}
    {tagged}
    WHERE (:from_at IS NULL OR session_started_timestamp >= :from_at)
        AND (:until_at IS NULL OR session_started_timestamp < :until_at)
),
begun AS (
    SELECT
        session_id,
        user_phone,
        conversation_id,
        conversation_version,
        unix_micros(session_started_timestamp) AS began
    FROM sessions
    UNION ALL
    SELECT
        session_id,
        user_phone,
        conversation_id,
        conversation_version,
        unix_micros(deployment_timestamp) AS began
    FROM deployments
    WHERE delivery_status <> 'Failed'
),
replaced AS (
    SELECT
        in_range.session_id,
        max(
            CASE
                WHEN begun.conversation_id = in_range.flow_id
                    AND begun.conversation_version > in_range.flow_version THEN 1
                ELSE 0
            END
        ) AS is_overwritten
    FROM in_range
    INNER JOIN begun ON begun.user_phone = in_range.user_phone
    WHERE begun.session_id IS DISTINCT FROM in_range.session_id
        AND begun.began > in_range.started
        AND begun.began BETWEEN in_range.finished - :tolerance_seconds * 1000000
            AND in_range.finished + :tolerance_seconds * 1000000
    GROUP BY in_range.session_id
),
stopped AS (
    SELECT DISTINCT flow_id, flow_version, last_node_id
    FROM in_range
),
-- Of versions of which a node is known. A version's own row of a node comes before that of all versions.
known AS (
    SELECT
        stopped.flow_id,
        stopped.flow_version,
        stopped.last_node_id,
        coalesce(
            max(
                CASE
                    WHEN nodes.node_id = stopped.last_node_id
                        AND nodes.conversation_version IS NOT NULL
                    THEN CASE WHEN nodes.is_final THEN 1 ELSE 0 END
                END
            ),
            max(
                CASE
                    WHEN nodes.node_id = stopped.last_node_id AND nodes.conversation_version IS NULL
                    THEN CASE WHEN nodes.is_final THEN 1 ELSE 0 END
                END
            ),
            0
        ) AS is_final
    FROM stopped
    INNER JOIN nodes
        ON nodes.conversation_id = stopped.flow_id
            AND (
                nodes.conversation_version IS NULL
                OR nodes.conversation_version = stopped.flow_version
            )
    GROUP BY stopped.flow_id, stopped.flow_version, stopped.last_node_id
),
parents AS (
    SELECT DISTINCT parent_session_id AS session_id
    FROM sessions
    WHERE parent_session_id IS NOT NULL
),
webhooks AS (
    SELECT session_id, count(*) AS events
    FROM closures
    WHERE session_id IS NOT NULL
    GROUP BY session_id
),
ended AS (
    SELECT
        {by_columns_then}in_range.session_id,
        in_range.user_phone,
        in_range.started_at,
        CASE
            WHEN in_range.finished IS NULL THEN 1
            WHEN parents.session_id IS NOT NULL THEN 2
            WHEN in_range.with_agents THEN 3
            WHEN replaced.is_overwritten = 1 THEN 4
            WHEN replaced.session_id IS NOT NULL THEN 5
            WHEN in_range.finished
                >= coalesce(in_range.wrote, in_range.started) + :inactivity_minutes * 60000000 THEN 6
            WHEN abs(in_range.finished - in_range.started - :age_minutes * 60000000)
                <= :tolerance_seconds * 1000000 THEN 7
            WHEN abs(in_range.finished - in_range.wrote) <= :tolerance_seconds * 1000000
                AND coalesce(known.is_final, 1) = 1 THEN 8
            ELSE 9
        END AS place,
        CASE
            WHEN in_range.finished >= in_range.started THEN in_range.finished - in_range.started
        END AS duration,
        webhooks.events
    FROM in_range
    LEFT JOIN parents ON parents.session_id = in_range.session_id
    LEFT JOIN replaced ON replaced.session_id = in_range.session_id
    LEFT JOIN webhooks ON webhooks.session_id = in_range.session_id
    LEFT JOIN known
        ON known.flow_id = in_range.flow_id
            AND known.flow_version <=> in_range.flow_version
            AND known.last_node_id <=> in_range.last_node_id
),
reasons AS (
    SELECT *
    FROM (VALUES
        (1, 'open'),
        (2, 'redirected'),
        (3, 'agent'),
        (4, 'overwritten'),
        (5, 'another-flow'),
        (6, 'inactivity'),
        (7, 'age'),
        (8, 'final-block'),
        (9, 'unknown')
    ) AS named (place, name)
)
