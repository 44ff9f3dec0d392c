-- Faster than the twin by the hashes of sessions: the twin also joins by parents, which have none.
WITH ended AS (
    SELECT
        session_key,
        session_id,
        user_key,
        conversation_id,
        conversation_version,
        last_node_id,
        session_status,
        epoch_us(session_started_timestamp) AS started,
        epoch_us(session_finished_timestamp) AS finished,
        epoch_us(last_message_timestamp) AS wrote
    FROM sessions
),
begun AS (
    SELECT user_key, session_key, conversation_id, conversation_version, started AS began
    FROM ended
    WHERE user_key IS NOT NULL
    UNION ALL
    SELECT
        user_key, session_key, conversation_id, conversation_version, epoch_us(deployment_timestamp)
    FROM deployments
    WHERE delivery_status <> 'Failed' AND user_key IS NOT NULL
),
replaced AS (
    SELECT
        ended.session_key,
        bool_or(
            coalesce(
                begun.conversation_id = ended.conversation_id
                AND begun.conversation_version > ended.conversation_version,
                false
            )
        ) AS is_overwritten
    FROM ended
    JOIN begun USING (user_key)
    WHERE begun.session_key IS DISTINCT FROM ended.session_key
        AND began > started
        AND began BETWEEN finished - 60000000 AND finished + 60000000
    GROUP BY ended.session_key
),
-- Nodes of versions that occur; a version's own row comes before that of all versions.
final_nodes AS (
    SELECT
        versions.conversation_id,
        versions.conversation_version,
        nodes.node_id,
        arg_min(coalesce(nodes.is_final, false), nodes.conversation_version IS NULL) AS is_final
    FROM (SELECT DISTINCT conversation_id, conversation_version FROM sessions) AS versions
    JOIN nodes
        ON nodes.conversation_id = versions.conversation_id
            AND (
                nodes.conversation_version IS NULL
                OR nodes.conversation_version = versions.conversation_version
            )
    GROUP BY versions.conversation_id, versions.conversation_version, nodes.node_id
),
known AS (
    SELECT
        conversation_id,
        conversation_version,
        list(node_id) FILTER (is_final) AS final_nodes
    FROM final_nodes
    GROUP BY conversation_id, conversation_version
),
parents AS (
    SELECT DISTINCT parent_session_id AS session_id
    FROM sessions
    WHERE parent_session_id IS NOT NULL
),
told AS (
    SELECT session_key, count(*) AS events
    FROM closures
    WHERE session_key IS NOT NULL
    GROUP BY session_key
),
placed AS (
    SELECT
        CASE
            WHEN finished IS NULL THEN 1
            WHEN parents.session_id IS NOT NULL THEN 2
            WHEN session_status IN ('AGENTS', 'RATING') THEN 3
            WHEN is_overwritten THEN 4
            WHEN replaced.session_key IS NOT NULL THEN 5
            WHEN abs(finished - wrote) <= 60000000
                AND (
                    known.conversation_id IS NULL
                    OR coalesce(list_contains(final_nodes, last_node_id), false)
                ) THEN 8
            ELSE 9
        END AS place,
        CASE WHEN finished >= started THEN finished - started END AS duration,
        events
    FROM ended
    LEFT JOIN parents ON parents.session_id = ended.session_id
    LEFT JOIN replaced ON replaced.session_key = ended.session_key
    LEFT JOIN told ON told.session_key = ended.session_key
    LEFT JOIN known
        ON known.conversation_id = ended.conversation_id
            AND known.conversation_version IS NOT DISTINCT FROM ended.conversation_version
),
counted AS (
    SELECT
        place, count(*) AS sessions, avg(duration) AS mean_duration, sum(events) AS webhook_events
    FROM placed
    GROUP BY place
)
SELECT
    [
        'open', 'redirected', 'agent', 'overwritten', 'another-flow', 'inactivity', 'age',
        'final-block', 'unknown'
    ][number] AS closing_reason,
    CAST(coalesce(sessions, 0) AS BIGINT) AS sessions,
    CAST(100.0 * coalesce(sessions, 0) / sum(sessions) OVER () AS DOUBLE) AS share_pct,
    CAST(mean_duration / 1e6 AS DOUBLE) AS avg_duration_seconds,
    CAST(coalesce(webhook_events, 0) AS BIGINT) AS webhook_events
FROM range(1, 10) AS numbers (number)
LEFT JOIN counted ON counted.place = number
ORDER BY number;
