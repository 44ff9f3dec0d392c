-- What would automatic closing do? Incoming messages by the minutes since the previous message of the
-- same person on the same line.
WITH arrived AS (
    SELECT
        user_phone,
        line,
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
in_turn AS (
    SELECT
        user_phone,
        message_direction,
        created_at,
        lag(created_at) OVER (
            PARTITION BY user_phone, line
            ORDER BY created_at NULLS LAST, whatsapp_id NULLS LAST
        ) AS before_at
    FROM arrived
),
replies AS (
    SELECT
        user_phone,
        unix_micros(created_at) - unix_micros(before_at) AS gap
    FROM in_turn
    WHERE message_direction = 'incoming'
        AND before_at IS NOT NULL
        AND (:from_at IS NULL OR created_at >= :from_at)
        AND (:until_at IS NULL OR created_at < :until_at)
),
totals AS (
    SELECT count(*) AS replies
    FROM replies
),
asked AS (
    SELECT explode(:minutes) AS minutes
),
counted AS (
    SELECT
        asked.minutes,
        count(replies.gap) AS replies_after,
        count(DISTINCT replies.user_phone) AS users
    FROM asked
    LEFT JOIN replies ON replies.gap > asked.minutes * 60000000
    GROUP BY asked.minutes
)
SELECT
    CAST(counted.minutes AS BIGINT) AS minutes,
    CAST(counted.replies_after AS BIGINT) AS replies_after,
    CAST(counted.replies_after AS DOUBLE) * 100 / nullif(totals.replies, 0) AS share_pct,
    CAST(counted.users AS BIGINT) AS users
FROM counted
CROSS JOIN totals
ORDER BY minutes NULLS LAST
