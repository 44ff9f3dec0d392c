in_turn AS (
    SELECT
        user_phone,
        line,
        country,
        whatsapp_id,
        created_at,
        unix_micros(created_at) AS at,
        message_direction = 'incoming' AS is_incoming
    FROM messages
    WHERE user_phone IS NOT NULL
        AND (
            (message_direction = 'incoming' AND coalesce(format, '') <> 'reaction')
            OR (
                message_direction = 'outgoing'
                AND (:answers = 'any' OR message_type = 'outgoing')
                AND NOT (
                    (failed_at IS NOT NULL OR reason_for_failure IS NOT NULL)
                    AND delivered_at IS NULL
                    AND seen_at IS NULL
                )
            )
        )
),
beside AS (
    SELECT
        *,
        lag(at) OVER (PARTITION BY user_phone, line ORDER BY created_at, whatsapp_id) AS before_at,
        lag(is_incoming) OVER (PARTITION BY user_phone, line ORDER BY created_at, whatsapp_id)
            AS before_is_incoming,
        lead(at) OVER (PARTITION BY user_phone, line ORDER BY created_at, whatsapp_id) AS next_at,
        lead(is_incoming) OVER (PARTITION BY user_phone, line ORDER BY created_at, whatsapp_id)
            AS next_is_incoming
    FROM in_turn
),
written AS (
    SELECT
        *,
        CASE
            WHEN before_is_incoming AND at - before_at <= :give_up_hours * 3600000000 THEN 0
            ELSE 1
        END AS opens
    FROM beside
    WHERE is_incoming
),
numbered AS (
    SELECT
        *,
        sum(opens) OVER (
            PARTITION BY user_phone, line
            ORDER BY created_at, whatsapp_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS number
    FROM written
),
latest AS (
    SELECT unix_micros(max(created_at)) AS latest_at FROM messages
),
-- An answer ends an episode if it follows the last message in time; else that ends by itself.
ended AS (
    SELECT
        user_phone,
        line,
        max(CASE WHEN opens = 1 THEN country END) AS country,
        max(CASE WHEN opens = 1 THEN whatsapp_id END) AS whatsapp_id,
        min(created_at) AS created_at,
        max(
            CASE
                WHEN NOT next_is_incoming AND next_at - at <= :give_up_hours * 3600000000
                THEN next_at
            END
        ) AS answered_at,
        max(at) + :give_up_hours * 3600000000 AS given_up_at
    FROM numbered
    GROUP BY user_phone, line, number
),
episodes AS (
    SELECT
        ended.user_phone,
        ended.line,
        ended.country,
        ended.whatsapp_id,
        ended.created_at,
        unix_micros(ended.created_at) AS opened,
        coalesce(ended.answered_at, ended.given_up_at) AS closed,
        ended.answered_at IS NOT NULL AS is_answered,
        ended.answered_at IS NULL AND ended.given_up_at <= latest.latest_at AS is_given_up
    FROM ended
    CROSS JOIN latest
),
asked AS (
    SELECT
        {by_then}user_phone,
        whatsapp_id,
        created_at,
        opened,
        closed,
        is_answered,
        is_given_up
    FROM {episodes}
    {tagged}
)
