-- How many sends arrive? Deployments by delivery status.
WITH in_range AS (
    SELECT
        {by},
        user_phone,
        delivery_status
    FROM {deployments}
    {tagged}
    WHERE (:from_at IS NULL OR deployment_timestamp >= :from_at)
        AND (:until_at IS NULL OR deployment_timestamp < :until_at)
),
by_status AS (
    SELECT
        {by_columns},
        count(*) AS deployments,
        count(DISTINCT user_phone) AS users,
        count_if(delivery_status = 'Delivered') AS delivered,
        count_if(delivery_status = 'Sent') AS sent,
        count_if(delivery_status = 'Failed') AS failed,
        count_if(delivery_status = 'In Process') AS in_process
    FROM in_range
    GROUP BY {by_columns}
)
SELECT
    {by_columns},
    CAST(deployments AS BIGINT) AS deployments,
    CAST(users AS BIGINT) AS users,
    CAST(delivered AS BIGINT) AS delivered,
    CAST(sent AS BIGINT) AS sent,
    CAST(failed AS BIGINT) AS failed,
    CAST(in_process AS BIGINT) AS in_process,
    CAST(delivered AS DOUBLE) * 100 / deployments AS delivered_pct,
    CAST(delivered AS DOUBLE) * 100 / nullif(delivered + failed, 0) AS delivered_of_settled_pct
FROM by_status
ORDER BY {by_order}
