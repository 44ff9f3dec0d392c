-- Where are users redirected? Each tree of sessions under one to which nobody was redirected.
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
    root AS root_session_id,
    user_phone,
    CAST(sessions AS BIGINT) AS sessions,
    CAST(depth AS BIGINT) AS depth,
    conversation_path,
    session_started_timestamp AS started_at,
    latest[1] AS finished_at,
    CAST(duration / 1e6 AS DOUBLE) AS total_duration_seconds,
    latest[2] AS last_node_id,
    latest[3] AS last_session_status,
    parent_session_id IS NOT NULL AS root_missing
FROM chains
JOIN roots USING (root)
ORDER BY started_at, root_session_id;
