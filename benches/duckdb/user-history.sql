-- What happened with one person?
WITH own_deployments AS (
    FROM deployments WHERE user_phone = getvariable('phone')
),
own_sessions AS (
    FROM sessions WHERE user_phone = getvariable('phone')
),
history AS (
    SELECT
        1 AS place, 'deployment' AS event, deployment_timestamp AS "at", conversation_id, session_id,
        NULL AS line_whatsapp_number, state AS detail
    FROM own_deployments
    UNION ALL
    SELECT
        2, 'session_started', session_started_timestamp, conversation_id, session_id,
        line_whatsapp_number, session_type
    FROM own_sessions
    UNION ALL
    SELECT
        3, 'first_message', first_message_timestamp, conversation_id, session_id,
        line_whatsapp_number, first_message
    FROM own_sessions
    UNION ALL
    SELECT 4, 'response', user_responded_timestamp, conversation_id, session_id, NULL, NULL
    FROM own_deployments
    UNION ALL
    SELECT
        CASE message_direction WHEN 'incoming' THEN 5 ELSE 6 END, 'message_' || message_direction,
        created_at, NULL, NULL, line, coalesce(message, template_name)
    FROM messages
    WHERE user_phone = getvariable('phone')
    UNION ALL
    SELECT
        7, 'last_message', last_message_timestamp, conversation_id, session_id,
        line_whatsapp_number, last_message
    FROM own_sessions
    WHERE first_message_timestamp IS DISTINCT FROM last_message_timestamp
    UNION ALL
    SELECT
        8, 'session_finished', session_finished_timestamp, conversation_id, session_id,
        line_whatsapp_number, session_status
    FROM own_sessions
    UNION ALL
    SELECT 9, 'closure', closed_at, NULL, session_id, NULL, event_type
    FROM closures
    WHERE user_phone = getvariable('phone')
        OR session_key IN (SELECT session_key FROM own_sessions)
    UNION ALL
    SELECT 10, 'conversion', converted_at, NULL, session_id, NULL, event
    FROM conversions
    WHERE user_phone = getvariable('phone')
        OR session_key IN (SELECT session_key FROM own_sessions)
)
SELECT
    "at",
    event,
    CAST(conversation_id AS VARCHAR) AS conversation_id,
    CAST(session_id AS VARCHAR) AS session_id,
    CAST(line_whatsapp_number AS VARCHAR) AS line_whatsapp_number,
    CAST(detail AS VARCHAR) AS detail
FROM history
WHERE "at" IS NOT NULL
ORDER BY
    "at", place, history.conversation_id NULLS LAST, history.session_id NULLS LAST,
    history.line_whatsapp_number NULLS LAST, history.detail NULLS LAST;
