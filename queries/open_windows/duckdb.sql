-- Faster than the twin by unnesting the first and last message of a session in one scan, and by a filter before the aggregation.
WITH wrote AS (
    SELECT
        user_phone,
        line_whatsapp_number,
        -- A last message without a first one counts too.
        unnest([first_message_timestamp, last_message_timestamp]) AS wrote_at
    FROM sessions
    UNION ALL
    SELECT user_phone, line, created_at
    FROM messages
    WHERE message_direction = 'incoming' AND coalesce(format, '') <> 'reaction'
),
asked AS (
    SELECT max(wrote_at) AS asked_at FROM wrote
),
latest AS (
    SELECT user_phone, line_whatsapp_number, max(wrote_at) AS wrote_at
    FROM wrote
    WHERE user_phone IS NOT NULL AND wrote_at > (SELECT asked_at FROM asked) - INTERVAL 24 HOURS
    GROUP BY ALL
)
SELECT
    user_phone,
    line_whatsapp_number,
    wrote_at AS last_user_message_at,
    wrote_at + INTERVAL 24 HOURS AS closes_at,
    CAST((epoch_us(wrote_at) + 86400000000 - epoch_us(asked_at)) / 6e7 AS DOUBLE) AS minutes_left
FROM latest, asked
ORDER BY closes_at, user_phone, line_whatsapp_number NULLS LAST;
