in_turn AS (
    SELECT whatsapp_id, user_phone, line, created_at, message_type = 'outgoing' AS is_reply
    FROM messages
    WHERE user_phone IS NOT NULL
        AND (
            (message_type = 'outgoing' AND (delivered_at IS NOT NULL OR seen_at IS NOT NULL))
            OR (message_direction = 'incoming' AND coalesce(format, '') <> 'reaction')
        )
),
turns AS (
    SELECT
        whatsapp_id,
        is_reply,
        unix_micros(created_at) AS at,
        lag(is_reply) OVER (
            PARTITION BY user_phone, line
            ORDER BY created_at NULLS LAST, whatsapp_id NULLS LAST
        ) AS follows_reply,
        lag(unix_micros(created_at)) OVER (
            PARTITION BY user_phone, line
            ORDER BY created_at NULLS LAST, whatsapp_id NULLS LAST
        ) AS before_at
    FROM in_turn
),
replies AS (
    SELECT
        whatsapp_id AS reply_id,
        coalesce(follows_reply AND at - before_at <= :seconds * 1000000, FALSE) AS is_mergeable
    FROM turns
    WHERE is_reply
)
