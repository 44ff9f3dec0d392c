SELECT
    {by_then}conversation_id,
    conversation_version,
    last_node_id,
    session_id,
    user_phone,
    session_started_timestamp AS at,
    TRUE AS sessions,
    session_status = 'AGENTS' AS agent_sessions
FROM {sessions}
{tagged}
WHERE (:from_at IS NULL OR session_started_timestamp >= :from_at)
    AND (:until_at IS NULL OR session_started_timestamp < :until_at)
