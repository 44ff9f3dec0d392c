-- Do repeated templates hurt? Deployments by how many others were sent to the same person shortly
-- before, did not fail and were not answered by then.
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
unanswered AS (
    SELECT
        moments.user_phone,
        moments.deployment_timestamp,
        count(*) AS earlier
    FROM (SELECT DISTINCT user_phone, deployment_timestamp FROM in_range) AS moments
    INNER JOIN sent ON sent.user_phone = moments.user_phone
    WHERE sent.delivery_status <> 'Failed'
        AND sent.deployment_timestamp < moments.deployment_timestamp
        AND unix_micros(moments.deployment_timestamp) - unix_micros(sent.deployment_timestamp)
            <= :window_hours * 3600000000
        AND coalesce(sent.user_responded_timestamp > moments.deployment_timestamp, TRUE)
    GROUP BY moments.user_phone, moments.deployment_timestamp
),
placed AS (
    SELECT
        in_range.user_phone,
        in_range.delivery_status,
        in_range.user_responded_timestamp,
        in_range.state,
        least(coalesce(unanswered.earlier, 0), 3) AS unanswered_before
    FROM in_range
    LEFT JOIN unanswered
        ON unanswered.user_phone = in_range.user_phone
        AND unanswered.deployment_timestamp = in_range.deployment_timestamp
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
