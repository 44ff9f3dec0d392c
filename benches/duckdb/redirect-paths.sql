-- Which paths do chains take? Each tree of sessions by the flows that it leads through.
WITH RECURSIVE parents AS MATERIALIZED (
    SELECT DISTINCT parent_session_id AS session_id FROM sessions WHERE parent_session_id IS NOT NULL
),
-- Few sessions have to do with a redirection.
families AS MATERIALIZED (
    SELECT
        session_id, parent_session_id, conversation_id, session_status, last_node_id,
        session_started_timestamp, session_finished_timestamp, user_phone, user_key
    FROM sessions
    WHERE parent_session_id IS NOT NULL OR session_id IN (FROM parents)
),
-- A root has children, and no parent that is in the lake.
roots AS MATERIALIZED (
    SELECT session_id AS root, *
    FROM families
    SEMI JOIN parents USING (session_id)
    WHERE parent_session_id IS NULL
        OR parent_session_id NOT IN (SELECT session_id FROM families)
),
-- The way to a session, which sorts depth first: siblings by start, then id.
linked AS (
    SELECT
        root, session_id, 1 AS depth, [(session_started_timestamp, session_id)] AS way,
        conversation_id, session_status, last_node_id, session_started_timestamp,
        session_finished_timestamp
    FROM roots
    UNION ALL
    SELECT
        root, child.session_id, depth + 1,
        list_append(way, (child.session_started_timestamp, child.session_id)),
        child.conversation_id, child.session_status, child.last_node_id,
        child.session_started_timestamp, child.session_finished_timestamp
    FROM linked
    JOIN families AS child ON child.parent_session_id = linked.session_id
),
chains AS (
    SELECT
        root,
        count(*) AS sessions,
        max(depth) AS depth,
        string_agg(coalesce(conversation_id, '?'), ' > ' ORDER BY way) AS conversation_path,
        sum(epoch_us(session_finished_timestamp) - epoch_us(session_started_timestamp))
            FILTER (session_finished_timestamp >= session_started_timestamp) AS duration,
        arg_max(
            (session_finished_timestamp, last_node_id, session_status),
            (session_started_timestamp, session_id)) AS latest
    FROM linked
    GROUP BY root
)
SELECT
    conversation_path,
    CAST(count(*) AS BIGINT) AS chains,
    CAST(count(DISTINCT user_key) AS BIGINT) AS users,
    CAST(avg(sessions) AS DOUBLE) AS avg_sessions,
    CAST(avg(duration) / 1e6 AS DOUBLE) AS avg_duration_seconds
FROM chains
JOIN roots USING (root)
GROUP BY conversation_path
ORDER BY count(*) DESC, conversation_path;
