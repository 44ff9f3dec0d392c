-- Do repeated templates hurt? Deployments by the number of earlier ones to the same person within the
-- window that did not fail and were not answered by then.
WITH sent AS (
    SELECT
        user_phone,
        deployment_timestamp,
        user_responded_timestamp,
        delivery_status,
        state
    FROM deployments
    WHERE user_phone IS NOT NULL
),
-- The deployments that are counted, by tag several times; those in `sent` are looked back to.
in_range AS (
    SELECT
        {by_then}user_phone,
        deployment_timestamp,
        user_responded_timestamp,
        delivery_status,
        state
    FROM {deployments}
    {tagged}
    WHERE user_phone IS NOT NULL
        AND (:from_at IS NULL OR deployment_timestamp >= :from_at)
        AND (:until_at IS NULL OR deployment_timestamp < :until_at)
),
-- A deployment counts from the microsecond after it until its answer, or the end of the window.
lasting AS (
    SELECT
        user_phone,
        unix_micros(deployment_timestamp) + 1 AS begins,
        least(
            unix_micros(deployment_timestamp) + 1 + :window_hours * 3600000000,
            coalesce(
                unix_micros(user_responded_timestamp),
                unix_micros(deployment_timestamp) + 1 + :window_hours * 3600000000
            )
        ) AS ends
    FROM sent
    WHERE delivery_status <> 'Failed'
),
in_turn AS (
    SELECT
        {by_columns_then}user_phone,
        unix_micros(deployment_timestamp) AS at,
        0 AS change,
        TRUE AS counts,
        user_responded_timestamp,
        delivery_status,
        state
    FROM in_range
    UNION ALL
    SELECT {no_by_then}user_phone, begins, 1, FALSE, NULL, NULL, NULL
    FROM lasting
    WHERE begins < ends
    UNION ALL
    SELECT {no_by_then}user_phone, ends, -1, FALSE, NULL, NULL, NULL
    FROM lasting
    WHERE begins < ends
),
with_earlier AS (
    SELECT
        *,
        -- All changes up to that instant.
        sum(change) OVER (PARTITION BY user_phone ORDER BY at) AS earlier
    FROM in_turn
),
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
