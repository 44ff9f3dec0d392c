-- How many sends arrive, by day?
WITH by_day AS (
    SELECT
        CAST(make_timestamp(epoch_us(deployment_timestamp)) AS DATE) AS day,
        count(*) AS deployments,
        count(DISTINCT user_key) AS users,
        count_if(delivery_status = 'Delivered') AS delivered,
        count_if(delivery_status = 'Sent') AS sent,
        count_if(delivery_status = 'Failed') AS failed,
        count_if(delivery_status = 'In Process') AS in_process
    FROM deployments
    GROUP BY 1
)
SELECT
    day,
    CAST(deployments AS BIGINT) AS deployments,
    CAST(users AS BIGINT) AS users,
    CAST(delivered AS BIGINT) AS delivered,
    CAST(sent AS BIGINT) AS sent,
    CAST(failed AS BIGINT) AS failed,
    CAST(in_process AS BIGINT) AS in_process,
    CAST(100.0 * delivered / deployments AS DOUBLE) AS delivered_pct,
    CAST(100.0 * delivered / nullif(delivered + failed, 0) AS DOUBLE)
        AS delivered_of_settled_pct
FROM by_day
ORDER BY day;
