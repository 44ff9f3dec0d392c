-- Why do sends fail, and what can be done? Failed deployments by their state and detail.
WITH in_range AS (
    SELECT
        {by_then}state,
        status_detail,
        user_phone,
        delivery_status
    FROM {deployments}
    {tagged}
    WHERE (:from_at IS NULL OR deployment_timestamp >= :from_at)
        AND (:until_at IS NULL OR deployment_timestamp < :until_at)
),
totals AS (
    SELECT
        {by_columns_then}count(*) AS deployments,
        count_if(delivery_status = 'Failed') AS failures
    FROM in_range
    {group_by}
),
reasons AS (
    SELECT
        {by_columns_then}state,
        status_detail,
        count(*) AS deployments,
        count(DISTINCT user_phone) AS users
    FROM in_range
    WHERE delivery_status = 'Failed'
    GROUP BY {by_columns_then}state, status_detail
),
known AS (
    SELECT *
    FROM (VALUES
        {advice}
    ) AS listed (state, advice)
)
SELECT
    {here_by_then}CAST(here.state AS STRING) AS state,
    CAST(here.status_detail AS STRING) AS status_detail,
    CAST(here.deployments AS BIGINT) AS deployments,
    CAST(here.users AS BIGINT) AS users,
    CAST(here.deployments AS DOUBLE) * 100 / there.failures AS share_of_failures_pct,
    CAST(here.deployments AS DOUBLE) * 100 / there.deployments AS share_of_deployments_pct,
    CAST(known.advice AS STRING) AS advice
FROM reasons AS here
INNER JOIN totals AS there ON 1 = 1{and_by}
LEFT JOIN known ON known.state = here.state
ORDER BY
    {by_order_then}deployments DESC NULLS LAST,
    state NULLS LAST,
    status_detail NULLS LAST
