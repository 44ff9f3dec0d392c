WITH {names_then}sourced AS (
    SELECT
        {keys_of_sessions},
        sessions.session_id,
        sessions.user_phone,
        sessions.session_started_timestamp,
        sessions.session_finished_timestamp
    FROM {sessions}{ads_of_sessions}
    WHERE sessions.meta_source_id IS NOT NULL
        AND (:from_at IS NULL OR session_started_timestamp >= :from_at)
        AND (:until_at IS NULL OR session_started_timestamp < :until_at)
),
{attributed},
matched AS (
    SELECT sourced.*, attributed.event
    FROM sourced
    INNER JOIN attributed ON attributed.converted_session_id = sourced.session_id
),
met_events AS (
    SELECT DISTINCT {groups}
    FROM matched
),
-- A session is counted in the row of each event of its group.
of_events AS (
    SELECT sourced.*, met_events.event
    FROM sourced
    LEFT JOIN met_events
        ON {is_of_event}
)
SELECT
    {groups},
    session_id,
    user_phone,
    session_started_timestamp AS at,
    TRUE AS sessions,
    session_finished_timestamp IS NOT NULL AS finished_sessions
FROM of_events
