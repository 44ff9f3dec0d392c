-- Faster than the twin by one window over fewer columns.
WITH sent AS (
    SELECT
        user_key,
        epoch_us(deployment_timestamp) AS sent_at,
        epoch_us(user_responded_timestamp) AS answered_at,
        delivery_status,
        state
    FROM deployments
    WHERE user_key IS NOT NULL
),
-- One that was sent counts from the microsecond after until it is answered, or is too old.
lasting AS (
    SELECT
        user_key,
        sent_at + 1 AS begins,
        least(sent_at + 1 + 86400000000, coalesce(answered_at, sent_at + 1 + 86400000000)) AS ends
    FROM sent
    WHERE delivery_status <> 'Failed'
),
in_turn AS (
    SELECT user_key, sent_at AS moment, 0 AS change, delivery_status, state, answered_at, TRUE AS counts
    FROM sent
    UNION ALL
    SELECT user_key, begins, 1, NULL, NULL, NULL, FALSE FROM lasting WHERE begins < ends
    UNION ALL
    SELECT user_key, ends, -1, NULL, NULL, NULL, FALSE FROM lasting WHERE begins < ends
),
counted AS (
    SELECT
        least(earlier, 3) AS unanswered_before,
        count(*) AS deployments,
        count(DISTINCT user_key) AS users,
        count_if(delivery_status = 'Delivered') AS delivered,
        count_if(state = 'frequency_capped') AS frequency_capped,
        count_if(delivery_status = 'Delivered' AND answered_at IS NOT NULL) AS replied
    FROM (
        SELECT *, sum(change) OVER (PARTITION BY user_key ORDER BY moment) AS earlier FROM in_turn
    )
    WHERE counts
    GROUP BY ALL
)
SELECT
    CAST(number AS BIGINT) AS unanswered_before,
    CAST(coalesce(deployments, 0) AS BIGINT) AS deployments,
    CAST(coalesce(users, 0) AS BIGINT) AS users,
    CAST(coalesce(delivered, 0) AS BIGINT) AS delivered,
    CAST(100.0 * delivered / deployments AS DOUBLE) AS delivered_pct,
    CAST(coalesce(frequency_capped, 0) AS BIGINT) AS frequency_capped,
    CAST(100.0 * frequency_capped / deployments AS DOUBLE) AS frequency_capped_pct,
    CAST(coalesce(replied, 0) AS BIGINT) AS replied,
    CAST(100.0 * replied / nullif(delivered, 0) AS DOUBLE) AS reply_pct
FROM range(4) AS numbers (number)
LEFT JOIN counted ON counted.unanswered_before = number
ORDER BY number;
