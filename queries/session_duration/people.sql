SELECT
    {by_then}session_id,
    user_phone,
    session_started_timestamp AS at,
    TRUE AS sessions,
    session_finished_timestamp IS NOT NULL AS finished_sessions
FROM {sessions}
{tagged}
WHERE (:from_at IS NULL OR session_started_timestamp >= :from_at)
    AND (:until_at IS NULL OR session_started_timestamp < :until_at)
