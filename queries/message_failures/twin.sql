-- Why do messages fail? Outgoing messages that failed and were not delivered later, by reason,
-- error code and template.
WITH failed AS (
    SELECT
        {by_then}{template_then}reason_for_failure,
        error_code,
        user_phone
    FROM {messages}
    {tagged}
    WHERE message_direction = 'outgoing'
        AND (failed_at IS NOT NULL OR reason_for_failure IS NOT NULL)
        AND delivered_at IS NULL
        AND seen_at IS NULL
        AND (:from_at IS NULL OR created_at >= :from_at)
        AND (:until_at IS NULL OR created_at < :until_at)
),
totals AS (
    SELECT {by_columns_then}count(*) AS failures
    FROM failed
    {group_by}
),
reasons AS (
    SELECT
        {by_columns_then}{template_then}reason_for_failure,
        error_code,
        count(*) AS messages,
        count(DISTINCT user_phone) AS users
    FROM failed
    GROUP BY {by_columns_then}{template_then}reason_for_failure, error_code
),
shared AS (
    SELECT here.*, there.failures
    FROM reasons AS here
    INNER JOIN totals AS there ON 1 = 1{and_by}
),
codes AS (
    SELECT *
    FROM (VALUES
        {codes}
    ) AS listed (code, state)
),
stated AS (
    SELECT shared.*, coalesce(codes.state, 'other_failure') AS state
    FROM shared
    LEFT JOIN codes ON codes.code = shared.error_code
),
known AS (
    SELECT *
    FROM (VALUES
        {advice}
    ) AS listed (state, advice)
)
SELECT
    {by_columns_then}CAST(reason_for_failure AS STRING) AS reason_for_failure,
    {template_then}CAST(messages AS BIGINT) AS messages,
    CAST(users AS BIGINT) AS users,
    CAST(messages AS DOUBLE) * 100 / failures AS share_pct,
    CAST(error_code AS INT) AS error_code,
    CAST(stated.state AS STRING) AS state,
    CAST(known.advice AS STRING) AS advice
FROM stated
LEFT JOIN known ON known.state = stated.state
ORDER BY
    {by_order_then}messages DESC NULLS LAST,
    reason_for_failure NULLS LAST,
    error_code NULLS LAST,
    template_name NULLS LAST
