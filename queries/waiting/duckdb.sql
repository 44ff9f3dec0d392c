-- Faster than the twin by half-hours as numbers, by the first and last messages of episodes alone, and by
-- counting who begins and who ceases to wait.
WITH counted AS (
    SELECT
        user_key,
        line,
        whatsapp_id,
        epoch_us(created_at) AS moment,
        message_direction = 'incoming' AS is_incoming
    FROM messages
    WHERE user_key IS NOT NULL
        AND (
            (message_direction = 'incoming' AND format IS DISTINCT FROM 'reaction')
            OR (
                message_type = 'outgoing'
                AND NOT (
                    (failed_at IS NOT NULL OR reason_for_failure IS NOT NULL)
                    AND delivered_at IS NULL
                    AND seen_at IS NULL
                )
            )
        )
),
beside AS (
    SELECT
        *,
        lag(moment) OVER turns AS before_moment,
        lag(is_incoming) OVER turns AS before_is_incoming,
        lead(moment) OVER turns AS next_moment,
        lead(is_incoming) OVER turns AS next_is_incoming
    FROM counted
    WINDOW turns AS (PARTITION BY user_key, line ORDER BY moment, whatsapp_id)
),
marked AS (
    SELECT
        user_key,
        line,
        whatsapp_id,
        moment,
        coalesce(before_is_incoming AND moment - before_moment <= 86400000000, false) AS goes_on,
        coalesce(next_is_incoming AND next_moment - moment <= 86400000000, false) AS lasts,
        coalesce(NOT next_is_incoming AND next_moment - moment <= 86400000000, false)
            AS is_answered,
        next_moment
    FROM beside
    WHERE is_incoming
),
ends AS (
    SELECT
        *,
        lead(CASE WHEN is_answered THEN next_moment ELSE moment + 86400000000 END) OVER turns
            AS closed_later,
        lead(is_answered) OVER turns AS is_answered_later
    FROM marked
    WHERE NOT goes_on OR NOT lasts
    WINDOW turns AS (PARTITION BY user_key, line ORDER BY moment, whatsapp_id)
),
episodes AS (
    SELECT
        moment AS opened,
        CASE
            WHEN lasts THEN closed_later
            WHEN is_answered THEN next_moment
            ELSE moment + 86400000000
        END AS closed,
        CASE WHEN lasts THEN is_answered_later ELSE is_answered END AS is_answered
    FROM ends
    WHERE NOT goes_on
),
latest AS (
    SELECT epoch_us(max(created_at)) AS latest_moment FROM messages
),
started AS (
    SELECT
        opened // 1800000000 AS number,
        count(*) AS started,
        count_if(is_answered) AS answered,
        count_if(NOT is_answered AND closed <= latest_moment) AS unanswered,
        quantile_cont(CASE WHEN is_answered THEN closed - opened END, [0.5, 0.9]) AS waits
    FROM episodes
    CROSS JOIN latest
    GROUP BY number
),
changes AS (
    SELECT number, sum(change) AS change
    FROM (
        SELECT (opened + 1799999999) // 1800000000 AS number, 1 AS change FROM episodes
        UNION ALL
        SELECT (closed + 1799999999) // 1800000000, -1 FROM episodes
    )
    GROUP BY number
),
numbers AS (
    SELECT unnest(range(min(number), max(number) + 1)) AS number FROM changes
),
waited AS (
    SELECT number, sum(change) OVER (ORDER BY number) AS waiting
    FROM numbers
    LEFT JOIN changes USING (number)
)
SELECT
    make_timestamptz(number * 1800000000) AS half_hour,
    CAST(coalesce(waiting, 0) AS BIGINT) AS waiting,
    CAST(coalesce(started, 0) AS BIGINT) AS started,
    CAST(coalesce(answered, 0) AS BIGINT) AS answered,
    CAST(coalesce(unanswered, 0) AS BIGINT) AS unanswered,
    CAST(waits[1] / 1e6 AS DOUBLE) AS median_wait_seconds,
    CAST(waits[2] / 1e6 AS DOUBLE) AS p90_wait_seconds
FROM waited
FULL JOIN started USING (number)
CROSS JOIN latest
WHERE number * 1800000000 <= latest_moment AND (waiting > 0 OR started > 0)
ORDER BY number;
