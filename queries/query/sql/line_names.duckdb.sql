-- Faster by arg_max than by a window over all sessions.
line_names AS (
    SELECT
        line_whatsapp_number,
        arg_max(line_whatsapp_display_name, (session_started_timestamp, session_id))
            AS line_whatsapp_display_name,
        1 AS place
    FROM sessions
    WHERE line_whatsapp_display_name IS NOT NULL
    GROUP BY line_whatsapp_number
)
