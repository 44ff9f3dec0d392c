-- How long are sessions, over time?
WITH in_range AS (
    SELECT
        {by},
        session_finished_timestamp AS finished_at,
        CASE
            WHEN session_finished_timestamp >= session_started_timestamp
            THEN unix_micros(session_finished_timestamp) - unix_micros(session_started_timestamp)
        END AS duration
    FROM {sessions}
    {tagged}
    WHERE (:from_at IS NULL OR session_started_timestamp >= :from_at)
        AND (:until_at IS NULL OR session_started_timestamp < :until_at)
)
SELECT
    {by_columns},
    CAST(count(*) AS BIGINT) AS sessions,
    CAST(count(finished_at) AS BIGINT) AS finished_sessions,
    CAST(CAST(sum(duration) AS DOUBLE) / nullif(count(duration), 0) / 1000000 AS DOUBLE)
        AS avg_duration_seconds,
    CAST(
        percentile_cont(0.5) WITHIN GROUP (ORDER BY CAST(duration AS DOUBLE)) / 1000000 AS DOUBLE
    ) AS median_duration_seconds,
    CAST(
        percentile_cont(0.9) WITHIN GROUP (ORDER BY CAST(duration AS DOUBLE)) / 1000000 AS DOUBLE
    ) AS p90_duration_seconds,
    CAST(
        percentile_cont(0.95) WITHIN GROUP (ORDER BY CAST(duration AS DOUBLE)) / 1000000 AS DOUBLE
    ) AS p95_duration_seconds,
    CAST(CAST(max(duration) AS DOUBLE) / 1000000 AS DOUBLE) AS max_duration_seconds
FROM in_range
GROUP BY {by_columns}
ORDER BY {by_order}
