-- Do repeated templates hurt? Deployments by the number of earlier ones to the same person within the
-- window that did not fail and were not answered by then.
WITH {earlier},
placed AS (
    SELECT
        {by_columns_then}user_phone,
        delivery_status,
        user_responded_timestamp,
        state,
        least(earlier, 3) AS unanswered_before
    FROM with_earlier
    WHERE counts
),
numbers AS (
    SELECT explode(array(0, 1, 2, 3)) AS number
),
met AS (
    SELECT DISTINCT {by_columns_then}TRUE AS occurs
    FROM placed
),
listed AS (
    SELECT {by_columns_then}number
    FROM numbers
    LEFT JOIN met ON 1 = 1
    -- Without a split, there are four rows even if nothing was sent.
    WHERE NOT :split OR occurs
),
counted AS (
    SELECT
        {here_by_then}here.number,
        count(there.user_phone) AS deployments,
        count(DISTINCT there.user_phone) AS users,
        count(CASE WHEN there.delivery_status = 'Delivered' THEN 1 END) AS delivered,
        count(CASE WHEN there.state = 'frequency_capped' THEN 1 END) AS frequency_capped,
        count_if(
            there.delivery_status = 'Delivered' AND there.user_responded_timestamp IS NOT NULL
        ) AS replied
    FROM listed AS here
    LEFT JOIN placed AS there ON there.unanswered_before = here.number{and_by}
    GROUP BY {here_by_then}here.number
)
SELECT
    {by_columns_then}CAST(number AS BIGINT) AS unanswered_before,
    CAST(deployments AS BIGINT) AS deployments,
    CAST(users AS BIGINT) AS users,
    CAST(delivered AS BIGINT) AS delivered,
    CAST(delivered AS DOUBLE) * 100 / nullif(deployments, 0) AS delivered_pct,
    CAST(frequency_capped AS BIGINT) AS frequency_capped,
    CAST(frequency_capped AS DOUBLE) * 100 / nullif(deployments, 0) AS frequency_capped_pct,
    CAST(replied AS BIGINT) AS replied,
    CAST(replied AS DOUBLE) * 100 / nullif(delivered, 0) AS reply_pct
FROM counted
ORDER BY {by_order_then}unanswered_before NULLS LAST
