-- The root of each session. Every step doubles the distance to the ancestor, so `up_16` finds roots up
-- to 15 redirections away; deeper sessions are left out.
up_1 AS (
    SELECT
        session_id,
        session_id AS top,
        parent_session_id AS up,
        1 AS levels,
        -- Sorts by start, then by id. The trail of a session is a prefix of those below it.
        concat(
            CAST(unix_micros(session_started_timestamp) + 1000000000000000000 AS STRING),
            session_id,
            chr(1)
        ) AS trail
    FROM sessions
),
up_2 AS (
    SELECT
        low.session_id,
        coalesce(high.top, low.top) AS top,
        high.up,
        low.levels + coalesce(high.levels, 0) AS levels,
        concat(coalesce(high.trail, ''), low.trail) AS trail
    FROM up_1 AS low
    LEFT JOIN up_1 AS high ON high.session_id = low.up
),
up_4 AS (
    SELECT
        low.session_id,
        coalesce(high.top, low.top) AS top,
        high.up,
        low.levels + coalesce(high.levels, 0) AS levels,
        concat(coalesce(high.trail, ''), low.trail) AS trail
    FROM up_2 AS low
    LEFT JOIN up_2 AS high ON high.session_id = low.up
),
up_8 AS (
    SELECT
        low.session_id,
        coalesce(high.top, low.top) AS top,
        high.up,
        low.levels + coalesce(high.levels, 0) AS levels,
        concat(coalesce(high.trail, ''), low.trail) AS trail
    FROM up_4 AS low
    LEFT JOIN up_4 AS high ON high.session_id = low.up
),
up_16 AS (
    SELECT
        low.session_id,
        coalesce(high.top, low.top) AS top,
        high.up,
        low.levels + coalesce(high.levels, 0) AS levels,
        concat(coalesce(high.trail, ''), low.trail) AS trail
    FROM up_8 AS low
    LEFT JOIN up_8 AS high ON high.session_id = low.up
),
linked AS (
    SELECT
        up_16.top,
        up_16.levels,
        up_16.trail,
        sessions.session_id,
        sessions.session_started_timestamp,
        sessions.session_finished_timestamp,
        sessions.session_status,
        sessions.last_node_id,
        coalesce(sessions.conversation_id, '?') AS conversation,
        CASE
            WHEN sessions.session_finished_timestamp >= sessions.session_started_timestamp
                THEN unix_micros(sessions.session_finished_timestamp)
                    - unix_micros(sessions.session_started_timestamp)
        END AS duration
    FROM up_16
    INNER JOIN sessions ON sessions.session_id = up_16.session_id
    -- Sessions on a cycle always have an ancestor.
    WHERE up_16.up IS NULL
),
trees AS (
    SELECT
        top,
        count(*) AS sessions,
        max(levels) AS depth,
        listagg(conversation, ' > ') WITHIN GROUP (ORDER BY trail) AS conversation_path,
        sum(duration) AS duration
    FROM linked
    GROUP BY top
),
chains AS (
    SELECT
        trees.*,
        roots.user_phone,
        roots.started_at,
        roots.root_missing{then_by_columns}
    FROM trees
    INNER JOIN roots ON roots.session_id = trees.top
    WHERE trees.sessions >= :min_sessions
)
