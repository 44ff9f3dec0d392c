line_names AS (
    SELECT
        line_whatsapp_number,
        line_whatsapp_display_name,
        row_number() OVER (
            PARTITION BY line_whatsapp_number
            ORDER BY session_started_timestamp DESC NULLS LAST, session_id DESC NULLS LAST
        ) AS place
    FROM sessions
    WHERE line_whatsapp_display_name IS NOT NULL
)
