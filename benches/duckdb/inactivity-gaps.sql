-- What would automatic closing do? Messages that came in longer than so many minutes after the one
-- before.
WITH gaps AS (
    SELECT
        user_key,
        message_direction = 'incoming' AS came_in,
        epoch_us(created_at) - lag(epoch_us(created_at)) OVER (
            PARTITION BY user_key, line ORDER BY created_at, whatsapp_id) AS gap
    FROM messages
    WHERE user_key IS NOT NULL
        AND NOT (
            message_direction = 'outgoing'
            AND (failed_at IS NOT NULL OR reason_for_failure IS NOT NULL)
            AND delivered_at IS NULL
            AND seen_at IS NULL)
),
counted AS (
    SELECT
        count(*) AS replies,
        [
            count_if(gap > 1800000000), count_if(gap > 3600000000), count_if(gap > 86400000000)
        ] AS replies_after,
        [
            count(DISTINCT user_key) FILTER (gap > 1800000000),
            count(DISTINCT user_key) FILTER (gap > 3600000000),
            count(DISTINCT user_key) FILTER (gap > 86400000000)
        ] AS users
    FROM gaps
    WHERE came_in AND gap IS NOT NULL
)
SELECT
    CAST([30, 60, 1440][place] AS BIGINT) AS minutes,
    CAST(replies_after[place] AS BIGINT) AS replies_after,
    CAST(100.0 * replies_after[place] / nullif(replies, 0) AS DOUBLE) AS share_pct,
    CAST(users[place] AS BIGINT) AS users
FROM counted, range(1, 4) AS places (place)
ORDER BY place;
