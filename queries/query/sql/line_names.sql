line_names AS (
    SELECT
        line_whatsapp_number,
        line_whatsapp_display_name,
        row_number() OVER (
            PARTITION BY line_whatsapp_number
            ORDER BY
                session_started_timestamp DESC NULLS LAST,
                session_id DESC NULLS LAST,
                reported_on DESC NULLS LAST,
                line_whatsapp_display_name DESC NULLS LAST
        ) AS place
    FROM (
        SELECT
            line_whatsapp_number, line_whatsapp_display_name, session_started_timestamp,
            session_id, CAST(NULL AS DATE) AS reported_on
        FROM sessions
        UNION ALL
        SELECT
            wa_phone_number, display_name, CAST(NULL AS TIMESTAMP), CAST(NULL AS STRING), date
        FROM message_summaries
        UNION ALL
        SELECT
            wa_phone_number, display_name, CAST(NULL AS TIMESTAMP), CAST(NULL AS STRING), date
        FROM session_summaries
    ) AS named
    WHERE line_whatsapp_display_name IS NOT NULL
)
