-- Faster by recursion over the few sessions that have to do with a redirection.
parents AS MATERIALIZED (
    SELECT DISTINCT parent_session_id AS session_id FROM sessions WHERE parent_session_id IS NOT NULL
),
families AS MATERIALIZED (
    SELECT
        session_id, parent_session_id, conversation_id, session_status, last_node_id,
        session_started_timestamp, session_finished_timestamp, user_phone, user_key
    FROM sessions
    WHERE parent_session_id IS NOT NULL OR session_id IN (FROM parents)
),
-- A root has children, and no parent that is in the lake.
tops AS MATERIALIZED (
    SELECT session_id AS top, *
    FROM families
    SEMI JOIN parents USING (session_id)
    WHERE parent_session_id IS NULL
        OR parent_session_id NOT IN (SELECT session_id FROM families)
),
-- The trail of a session sorts depth first: siblings by start, then id.
linked AS (
    SELECT
        top, session_id, 1 AS levels, [(session_started_timestamp, session_id)] AS trail,
        conversation_id, session_status, last_node_id, session_started_timestamp,
        session_finished_timestamp
    FROM tops
    UNION ALL
    SELECT
        top, child.session_id, levels + 1,
        list_append(trail, (child.session_started_timestamp, child.session_id)),
        child.conversation_id, child.session_status, child.last_node_id,
        child.session_started_timestamp, child.session_finished_timestamp
    FROM linked
    JOIN families AS child ON child.parent_session_id = linked.session_id
),
trees AS (
    SELECT
        top,
        count(*) AS sessions,
        max(levels) AS depth,
        string_agg(coalesce(conversation_id, '?'), ' > ' ORDER BY trail) AS conversation_path,
        sum(epoch_us(session_finished_timestamp) - epoch_us(session_started_timestamp))
            FILTER (session_finished_timestamp >= session_started_timestamp) AS duration
    FROM linked
    GROUP BY top
),
chains AS (
    SELECT
        trees.*,
        user_phone,
        user_key,
        session_started_timestamp AS started_at,
        parent_session_id IS NOT NULL AS root_missing
    FROM trees
    JOIN tops USING (top)
)
