-- Why do messages fail?
WITH failed AS (
    SELECT
        reason_for_failure, template_name, count(*) AS messages, count(DISTINCT user_key) AS users
    FROM messages
    WHERE message_direction = 'outgoing'
        AND (failed_at IS NOT NULL OR reason_for_failure IS NOT NULL)
        AND delivered_at IS NULL
        AND seen_at IS NULL
    GROUP BY ALL
)
SELECT
    reason_for_failure,
    template_name,
    CAST(messages AS BIGINT) AS messages,
    CAST(users AS BIGINT) AS users,
    CAST(100.0 * messages / sum(messages) OVER () AS DOUBLE) AS share_pct
FROM failed
ORDER BY failed.messages DESC, reason_for_failure NULLS LAST, template_name NULLS LAST;
