-- Why do sends fail, and what can be done? Failed deployments by their state and detail.
WITH in_range AS (
    SELECT
        state,
        status_detail,
        user_phone,
        delivery_status
    FROM deployments
    WHERE (:from_at IS NULL OR deployment_timestamp >= :from_at)
        AND (:until_at IS NULL OR deployment_timestamp < :until_at)
        AND (
            (size(:conversation_id) = 0 AND NOT :conversation_id_none)
            OR array_contains(:conversation_id, conversation_id)
            OR (:conversation_id_none AND conversation_id IS NULL)
        )
),
totals AS (
    SELECT
        count(*) AS deployments,
        count_if(delivery_status = 'Failed') AS failures
    FROM in_range
),
reasons AS (
    SELECT
        state,
        status_detail,
        count(*) AS deployments,
        count(DISTINCT user_phone) AS users
    FROM in_range
    WHERE delivery_status = 'Failed'
    GROUP BY state, status_detail
),
known AS (
    SELECT *
    FROM (VALUES
        {advice}
    ) AS listed (state, advice)
)
SELECT
    CAST(reasons.state AS STRING) AS state,
    CAST(reasons.status_detail AS STRING) AS status_detail,
    CAST(reasons.deployments AS BIGINT) AS deployments,
    CAST(reasons.users AS BIGINT) AS users,
    CAST(reasons.deployments AS DOUBLE) * 100 / totals.failures AS share_of_failures_pct,
    CAST(reasons.deployments AS DOUBLE) * 100 / totals.deployments AS share_of_deployments_pct,
    CAST(known.advice AS STRING) AS advice
FROM reasons
CROSS JOIN totals
LEFT JOIN known ON known.state = reasons.state
ORDER BY
    deployments DESC NULLS LAST,
    state NULLS LAST,
    status_detail NULLS LAST
