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
)
SELECT
    {keys},
    session_id,
    user_phone,
    session_started_timestamp AS at,
    TRUE AS sessions,
    session_finished_timestamp IS NOT NULL AS finished_sessions
FROM sourced
