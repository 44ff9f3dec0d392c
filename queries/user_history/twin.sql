-- What happened with one person? All events that name them or one of their sessions.
WITH asked AS (
    SELECT :phone AS person
    UNION
    SELECT person FROM persons WHERE user_id = :phone
),
own_deployments AS (
    SELECT * FROM deployments WHERE user_phone IN (SELECT person FROM asked)
),
own_sessions AS (
    SELECT * FROM sessions WHERE user_phone IN (SELECT person FROM asked)
),
own_messages AS (
    SELECT * FROM messages WHERE user_phone IN (SELECT person FROM asked)
),
own_closures AS (
    SELECT closed_at, session_id, event_type
    FROM closures
    WHERE user_phone IN (SELECT person FROM asked) OR session_id IN (SELECT session_id FROM own_sessions)
),
own_conversions AS (
    SELECT converted_at, session_id, event
    FROM conversions
    WHERE user_phone IN (SELECT person FROM asked) OR session_id IN (SELECT session_id FROM own_sessions)
),
own_preferences AS (
    SELECT at, new_value
    FROM events
    WHERE event = 'marketing-preference' AND user_phone IN (SELECT person FROM asked)
),
own_chats AS (
    SELECT assigned_at, agent FROM agent_chats WHERE user_phone IN (SELECT person FROM asked)
),
history AS (
    SELECT
        1 AS place,
        'deployment' AS event,
        deployment_timestamp AS at,
        conversation_id,
        session_id,
        CAST(NULL AS STRING) AS line_whatsapp_number,
        state AS detail
    FROM own_deployments
    UNION ALL
    SELECT
        2,
        'session_started',
        session_started_timestamp,
        conversation_id,
        session_id,
        line_whatsapp_number,
        session_type
    FROM own_sessions
    UNION ALL
    SELECT
        3,
        'first_message',
        first_message_timestamp,
        conversation_id,
        session_id,
        line_whatsapp_number,
        first_message
    FROM own_sessions
    UNION ALL
    SELECT
        4,
        'response',
        user_responded_timestamp,
        conversation_id,
        session_id,
        CAST(NULL AS STRING),
        CAST(NULL AS STRING)
    FROM own_deployments
    UNION ALL
    SELECT
        CASE message_direction WHEN 'incoming' THEN 5 ELSE 6 END,
        concat('message_', message_direction),
        created_at,
        CAST(NULL AS STRING),
        CAST(NULL AS STRING),
        line,
        coalesce(message, template_name)
    FROM own_messages
    UNION ALL
    SELECT
        7,
        'last_message',
        last_message_timestamp,
        conversation_id,
        session_id,
        line_whatsapp_number,
        last_message
    FROM own_sessions
    WHERE first_message_timestamp IS NULL OR first_message_timestamp <> last_message_timestamp
    UNION ALL
    SELECT
        8,
        'session_finished',
        session_finished_timestamp,
        conversation_id,
        session_id,
        line_whatsapp_number,
        session_status
    FROM own_sessions
    UNION ALL
    SELECT
        9,
        'closure',
        closed_at,
        CAST(NULL AS STRING),
        session_id,
        CAST(NULL AS STRING),
        event_type
    FROM own_closures
    UNION ALL
    SELECT
        10,
        'conversion',
        converted_at,
        CAST(NULL AS STRING),
        session_id,
        CAST(NULL AS STRING),
        event
    FROM own_conversions
    UNION ALL
    SELECT
        CASE new_value WHEN 'stop' THEN 11 ELSE 12 END,
        new_value,
        at,
        CAST(NULL AS STRING),
        CAST(NULL AS STRING),
        CAST(NULL AS STRING),
        CAST(NULL AS STRING)
    FROM own_preferences
    WHERE new_value IN ('stop', 'resume')
    UNION ALL
    SELECT
        13,
        'agent_assigned',
        assigned_at,
        CAST(NULL AS STRING),
        CAST(NULL AS STRING),
        CAST(NULL AS STRING),
        agent
    FROM own_chats
)
SELECT
    CAST(at AS TIMESTAMP_LTZ) AS at,
    CAST(event AS STRING) AS event,
    CAST(conversation_id AS STRING) AS conversation_id,
    CAST(session_id AS STRING) AS session_id,
    CAST(line_whatsapp_number AS STRING) AS line_whatsapp_number,
    CAST(detail AS STRING) AS detail
FROM history{named}
WHERE at IS NOT NULL
    AND (:from_at IS NULL OR at >= :from_at)
    AND (:until_at IS NULL OR at < :until_at){passes}
ORDER BY
    at NULLS LAST,
    place NULLS LAST,
    conversation_id NULLS LAST,
    session_id NULLS LAST,
    line_whatsapp_number NULLS LAST,
    detail NULLS LAST
