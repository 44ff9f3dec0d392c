arrived AS (
    SELECT
        user_phone,
        line,
        country,
        message_direction,
        created_at,
        whatsapp_id
    FROM messages
    WHERE user_phone IS NOT NULL
        AND (message_direction = 'outgoing' OR coalesce(format, '') <> 'reaction')
        AND NOT (
            message_direction = 'outgoing'
            AND (failed_at IS NOT NULL OR reason_for_failure IS NOT NULL)
            AND delivered_at IS NULL
            AND seen_at IS NULL
        )
),
followed AS (
    SELECT
        *,
        lag(created_at) OVER (
            PARTITION BY user_phone, line
            ORDER BY created_at NULLS LAST, whatsapp_id NULLS LAST
        ) AS before_at
    FROM arrived
),
in_turn AS (
    SELECT
        user_phone,
        line,
        country,
        whatsapp_id,
        created_at,
        unix_micros(created_at) - unix_micros(before_at) AS gap
    FROM followed
    WHERE message_direction = 'incoming' AND before_at IS NOT NULL
)
