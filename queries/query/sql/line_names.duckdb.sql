-- Faster by arg_max than by a window over all sessions.
line_names AS (
    SELECT
        line AS line_whatsapp_number,
        arg_max(name, (of_session, named_at, id)) AS line_whatsapp_display_name,
        1 AS place
    FROM (
        SELECT
            line_whatsapp_number AS line, line_whatsapp_display_name AS name, true AS of_session,
            epoch_us(session_started_timestamp) AS named_at, session_id AS id
        FROM sessions
        UNION ALL
        SELECT wa_phone_number, display_name, false, epoch_us(CAST(date AS TIMESTAMP)), display_name
        FROM message_summaries
        UNION ALL
        SELECT wa_phone_number, display_name, false, epoch_us(CAST(date AS TIMESTAMP)), display_name
        FROM session_summaries
    )
    WHERE name IS NOT NULL
    GROUP BY line
)
