-- Why do messages fail? Outgoing messages that failed and were not delivered later, by reason and
-- template.
WITH failed AS (
    SELECT
        reason_for_failure,
        template_name,
        user_phone
    FROM messages
    WHERE message_direction = 'outgoing'
        AND (failed_at IS NOT NULL OR reason_for_failure IS NOT NULL)
        AND delivered_at IS NULL
        AND seen_at IS NULL
        AND (:from_at IS NULL OR created_at >= :from_at)
        AND (:until_at IS NULL OR created_at < :until_at)
),
totals AS (
    SELECT count(*) AS failures
    FROM failed
),
reasons AS (
    SELECT
        reason_for_failure,
        template_name,
        count(*) AS messages,
        count(DISTINCT user_phone) AS users
    FROM failed
    GROUP BY reason_for_failure, template_name
)
SELECT
    CAST(reasons.reason_for_failure AS STRING) AS reason_for_failure,
    CAST(reasons.template_name AS STRING) AS template_name,
    CAST(reasons.messages AS BIGINT) AS messages,
    CAST(reasons.users AS BIGINT) AS users,
    CAST(reasons.messages AS DOUBLE) * 100 / totals.failures AS share_pct
FROM reasons
CROSS JOIN totals
ORDER BY
    messages DESC NULLS LAST,
    reason_for_failure NULLS LAST,
    template_name NULLS LAST
