-- Who waits for an answer? Episodes by the bucket in which they open, and by each at whose start
-- they are open.
WITH {asked},
dated AS (
    SELECT
        *,
        CAST((opened - pmod(opened, 86400000000)) / 86400000000 AS BIGINT) AS first_day,
        CAST((closed - pmod(closed, 86400000000)) / 86400000000 AS BIGINT) AS last_day
    FROM asked
),
-- Days with an episode, and those around them; each in quarters of an hour, which no change of a clock
-- cuts.
days AS (
    SELECT DISTINCT day
    FROM (
        SELECT
            explode(sequence(first_day - CAST(1 AS BIGINT), last_day + CAST(31 AS BIGINT))) AS day
        FROM (SELECT DISTINCT first_day, last_day FROM dated) AS spans
    ) AS near
),
steps AS (
    SELECT explode(sequence(CAST(0 AS BIGINT), CAST(95 AS BIGINT))) AS step
),
ticks AS (
    SELECT timestamp_micros(day * 86400000000 + step * 900000000) AS tick
    FROM days
    CROSS JOIN steps
),
placed AS (
    SELECT {bucket_of_tick} AS bucket, tick
    FROM ticks
),
-- Those that share a day with the range.
buckets AS (
    SELECT bucket, unix_micros(min(tick)) AS starts
    FROM placed
    GROUP BY bucket
    HAVING max(
        CASE
            WHEN (:from_at IS NULL OR tick >= :from_at)
                AND (:until_at IS NULL OR tick < :until_at) THEN 1
            ELSE 0
        END
    ) = 1
),
shown AS (
    SELECT
        bucket,
        starts,
        CAST((starts - pmod(starts, 86400000000)) / 86400000000 AS BIGINT) AS start_day
    FROM buckets
    CROSS JOIN latest
    WHERE starts <= latest_at
),
-- An episode for each of its days, so that a day finds the buckets that start on it.
lasting AS (
    SELECT
        {by_columns_then}opened,
        closed,
        explode(sequence(first_day, last_day)) AS open_day
    FROM dated
),
met AS (
    SELECT
        {met_columns}
    FROM lasting
    INNER JOIN shown
        ON shown.start_day = lasting.open_day
            AND shown.starts >= lasting.opened
            AND shown.starts < lasting.closed
),
begun AS (
    SELECT
        {by_columns},
        count(*) AS started,
        count_if(is_answered) AS answered,
        count_if(is_given_up) AS unanswered,
        percentile_cont(0.5) WITHIN GROUP (
            ORDER BY CAST(CASE WHEN is_answered THEN closed - opened END AS DOUBLE)
        ) / 1000000 AS median_wait_seconds,
        percentile_cont(0.9) WITHIN GROUP (
            ORDER BY CAST(CASE WHEN is_answered THEN closed - opened END AS DOUBLE)
        ) / 1000000 AS p90_wait_seconds
    FROM asked
    WHERE (:from_at IS NULL OR created_at >= :from_at)
        AND (:until_at IS NULL OR created_at < :until_at)
    GROUP BY {by_columns}
),
waited AS (
    SELECT {by_columns}, count(*) AS waiting
    FROM met
    GROUP BY {by_columns}
),
together AS (
    SELECT
        {by_columns},
        CAST(0 AS BIGINT) AS waiting,
        started,
        answered,
        unanswered,
        median_wait_seconds,
        p90_wait_seconds
    FROM begun
    UNION ALL
    SELECT
        {by_columns},
        waiting,
        CAST(0 AS BIGINT),
        CAST(0 AS BIGINT),
        CAST(0 AS BIGINT),
        CAST(NULL AS DOUBLE),
        CAST(NULL AS DOUBLE)
    FROM waited
)
SELECT
    {by_columns},
    CAST(sum(waiting) AS BIGINT) AS waiting,
    CAST(sum(started) AS BIGINT) AS started,
    CAST(sum(answered) AS BIGINT) AS answered,
    CAST(sum(unanswered) AS BIGINT) AS unanswered,
    CAST(max(median_wait_seconds) AS DOUBLE) AS median_wait_seconds,
    CAST(max(p90_wait_seconds) AS DOUBLE) AS p90_wait_seconds
FROM together
GROUP BY {by_columns}
ORDER BY {by_order}
