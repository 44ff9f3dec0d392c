-- When does a send that Meta capped get through? Capped deployments by the time until the next one
-- of their flow to the same person, and by the attempt.
WITH {retried},
counted AS (
    SELECT
        place,
        gap,
        attempt,
        count(*) AS capped,
        -- What was not retried has no rates.
        CASE WHEN place <= 7 THEN count(*) END AS tried,
        count_if(delivered) AS delivered,
        count_if(capped_again) AS capped_again,
        count_if(replied) AS replied
    FROM {capped_sends}
    WHERE (:from_at IS NULL OR deployment_timestamp >= :from_at)
        AND (:until_at IS NULL OR deployment_timestamp < :until_at)
    GROUP BY place, gap, attempt
),
answer AS (
    SELECT
        place,
        CAST(gap AS STRING) AS gap,
        CAST(attempt AS BIGINT) AS attempt,
        CAST(capped AS BIGINT) AS capped,
        CAST(delivered AS BIGINT) AS delivered,
        CAST(delivered AS DOUBLE) * 100 / tried AS delivered_pct,
        {delivered_low} AS delivered_low,
        {delivered_high} AS delivered_high,
        CAST(capped_again AS BIGINT) AS capped_again,
        CAST(capped_again AS DOUBLE) * 100 / tried AS capped_again_pct,
        CAST(replied AS BIGINT) AS replied,
        CAST(replied AS DOUBLE) * 100 / nullif(delivered, 0) AS reply_pct
    FROM counted
)
SELECT
    gap, attempt, capped, delivered, delivered_pct, delivered_low, delivered_high, capped_again,
    capped_again_pct, replied, reply_pct
FROM answer
ORDER BY place, attempt
