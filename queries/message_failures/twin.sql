-- Why do messages fail? Outgoing messages that failed and were not delivered later, by reason,
-- error code and template.
WITH failed AS (
    SELECT
        reason_for_failure,
        error_code,
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
        error_code,
        template_name,
        count(*) AS messages,
        count(DISTINCT user_phone) AS users
    FROM failed
    GROUP BY reason_for_failure, error_code, template_name
),
codes AS (
    SELECT *
    FROM (VALUES
        {codes}
    ) AS listed (code, state)
),
stated AS (
    SELECT reasons.*, coalesce(codes.state, 'other_failure') AS state
    FROM reasons
    LEFT JOIN codes ON codes.code = reasons.error_code
),
known AS (
    SELECT *
    FROM (VALUES
        {advice}
    ) AS listed (state, advice)
)
SELECT
    CAST(stated.reason_for_failure AS STRING) AS reason_for_failure,
    CAST(stated.template_name AS STRING) AS template_name,
    CAST(stated.messages AS BIGINT) AS messages,
    CAST(stated.users AS BIGINT) AS users,
    CAST(stated.messages AS DOUBLE) * 100 / totals.failures AS share_pct,
    CAST(stated.error_code AS INT) AS error_code,
    CAST(stated.state AS STRING) AS state,
    CAST(known.advice AS STRING) AS advice
FROM stated
CROSS JOIN totals
LEFT JOIN known ON known.state = stated.state
ORDER BY
    messages DESC NULLS LAST,
    reason_for_failure NULLS LAST,
    error_code NULLS LAST,
    template_name NULLS LAST
