in_turn AS (
    SELECT
        user_phone,
        line_whatsapp_number AS line,
        country,
        session_id,
        session_started_timestamp AS created_at,
        unix_micros(last_message_timestamp) - unix_micros(session_started_timestamp) AS gap
    FROM sessions
    WHERE user_phone IS NOT NULL AND last_message_timestamp IS NOT NULL
)
