-- Whose 24-hour service window is open? People who wrote to a line in the 24 hours before `:at`, by
-- default the instant of the latest message in the lake.
WITH wrote AS (
    SELECT user_phone, country, line_whatsapp_number, first_message_timestamp AS wrote_at
    FROM sessions
    UNION ALL
    SELECT user_phone, country, line_whatsapp_number, last_message_timestamp AS wrote_at
    FROM sessions
    UNION ALL
    SELECT user_phone, country, line AS line_whatsapp_number, created_at AS wrote_at
    FROM messages
    WHERE message_direction = 'incoming' AND coalesce(format, '') <> 'reaction'
),
asked AS (
    SELECT coalesce(:at, max(wrote_at)) AS asked_at
    FROM wrote
),
-- Filters by tag see a session that starts at that instant.
answerable AS (
    SELECT
        wrote.user_phone,
        wrote.country,
        wrote.line_whatsapp_number,
        wrote.wrote_at,
        asked.asked_at,
        asked.asked_at AS session_started_timestamp
    FROM wrote
    INNER JOIN asked ON wrote.wrote_at <= asked.asked_at
    WHERE wrote.user_phone IS NOT NULL
),
latest AS (
    SELECT user_phone, line_whatsapp_number, asked_at, max(wrote_at) AS wrote_at
    FROM {answerable}
    GROUP BY user_phone, line_whatsapp_number, asked_at
)
SELECT
    CAST(user_phone AS STRING) AS user_phone,
    CAST(line_whatsapp_number AS STRING) AS line_whatsapp_number,
    CAST(wrote_at AS TIMESTAMP_LTZ) AS last_user_message_at,
    CAST(wrote_at + INTERVAL '24' HOUR AS TIMESTAMP_LTZ) AS closes_at,
    CAST(
        unix_micros(wrote_at) + 86400000000 - unix_micros(asked_at) AS DOUBLE
    ) / 60000000 AS minutes_left
FROM latest
WHERE wrote_at + INTERVAL '24' HOUR > asked_at
ORDER BY
    closes_at NULLS LAST,
    user_phone NULLS LAST,
    line_whatsapp_number NULLS LAST
