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
in_range AS (
    SELECT *
    FROM sent
    WHERE (:from_at IS NULL OR deployment_timestamp >= :from_at)
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
        user_phone,
        unix_micros(deployment_timestamp) AS at,
        0 AS change,
        TRUE AS counts,
        user_responded_timestamp,
        delivery_status,
        state
    FROM in_range
    UNION ALL
    SELECT user_phone, begins, 1, FALSE, NULL, NULL, NULL
    FROM lasting
    WHERE begins < ends
    UNION ALL
    SELECT user_phone, ends, -1, FALSE, NULL, NULL, NULL
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
        user_phone,
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
counted AS (
    SELECT
        numbers.number,
        count(placed.user_phone) AS deployments,
        count(DISTINCT placed.user_phone) AS users,
        count(CASE WHEN placed.delivery_status = 'Delivered' THEN 1 END) AS delivered,
        count(CASE WHEN placed.state = 'frequency_capped' THEN 1 END) AS frequency_capped,
        count_if(
            placed.delivery_status = 'Delivered' AND placed.user_responded_timestamp IS NOT NULL
        ) AS replied
    FROM numbers
    LEFT JOIN placed ON placed.unanswered_before = numbers.number
    GROUP BY numbers.number
)
SELECT
    CAST(number AS BIGINT) AS unanswered_before,
    CAST(deployments AS BIGINT) AS deployments,
    CAST(users AS BIGINT) AS users,
    CAST(delivered AS BIGINT) AS delivered,
    CAST(delivered AS DOUBLE) * 100 / nullif(deployments, 0) AS delivered_pct,
    CAST(frequency_capped AS BIGINT) AS frequency_capped,
    CAST(frequency_capped AS DOUBLE) * 100 / nullif(deployments, 0) AS frequency_capped_pct,
    CAST(replied AS BIGINT) AS replied,
    CAST(replied AS DOUBLE) * 100 / nullif(delivered, 0) AS reply_pct
FROM counted
ORDER BY unanswered_before NULLS LAST
