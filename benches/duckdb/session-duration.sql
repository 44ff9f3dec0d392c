-- How long are sessions, by day?
WITH timed AS (
    SELECT
        CAST(make_timestamp(epoch_us(session_started_timestamp)) AS DATE) AS day,
        session_finished_timestamp IS NOT NULL AS finished,
        CASE
            WHEN session_finished_timestamp >= session_started_timestamp
            THEN epoch_us(session_finished_timestamp) - epoch_us(session_started_timestamp)
        END AS duration
    FROM sessions
),
by_day AS (
    SELECT
        day,
        count(*) AS sessions,
        count_if(finished) AS finished_sessions,
        avg(duration) AS mean,
        quantile_cont(duration, [0.5, 0.9, 0.95]) AS quantiles,
        max(duration) AS longest
    FROM timed
    GROUP BY day
)
SELECT
    day,
    CAST(sessions AS BIGINT) AS sessions,
    CAST(finished_sessions AS BIGINT) AS finished_sessions,
    CAST(mean / 1e6 AS DOUBLE) AS avg_duration_seconds,
    CAST(quantiles[1] / 1e6 AS DOUBLE) AS median_duration_seconds,
    CAST(quantiles[2] / 1e6 AS DOUBLE) AS p90_duration_seconds,
    CAST(quantiles[3] / 1e6 AS DOUBLE) AS p95_duration_seconds,
    CAST(longest / 1e6 AS DOUBLE) AS max_duration_seconds
FROM by_day
ORDER BY day;
