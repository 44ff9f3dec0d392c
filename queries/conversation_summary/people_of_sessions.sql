WITH {ended}
SELECT
    conversation_id,
    conversation_version,
    session_id,
    user_phone,
    session_started_timestamp AS at,
    TRUE AS sessions,
    first_message_timestamp IS NOT NULL AS replied,
    session_finished_timestamp IS NOT NULL AS finished_sessions,
    session_status = 'AGENTS' AS agent_sessions,
    is_final AS final_sessions
FROM ended
