-- How long do messages take to be sent, delivered and seen?
WITH in_range AS (
    SELECT
        {by},
        CASE
            WHEN sent_at >= created_at THEN CAST(unix_micros(sent_at) - unix_micros(created_at) AS DOUBLE)
        END AS to_sent,
        CASE
            WHEN delivered_at >= sent_at THEN CAST(unix_micros(delivered_at) - unix_micros(sent_at) AS DOUBLE)
        END AS to_delivered,
        CASE
            WHEN seen_at >= delivered_at THEN CAST(unix_micros(seen_at) - unix_micros(delivered_at) AS DOUBLE)
        END AS to_seen
    FROM {messages}
    {tagged}
    WHERE message_direction = 'outgoing'
        AND (:from_at IS NULL OR created_at >= :from_at)
        AND (:until_at IS NULL OR created_at < :until_at)
)
SELECT
    {by_columns},
    CAST(count(*) AS BIGINT) AS messages,
    CAST(
        percentile_cont(0.5) WITHIN GROUP (ORDER BY to_sent) / 1000000 AS DOUBLE
    ) AS sent_p50_seconds,
    CAST(
        percentile_cont(0.9) WITHIN GROUP (ORDER BY to_sent) / 1000000 AS DOUBLE
    ) AS sent_p90_seconds,
    CAST(
        percentile_cont(0.99) WITHIN GROUP (ORDER BY to_sent) / 1000000 AS DOUBLE
    ) AS sent_p99_seconds,
    CAST(
        percentile_cont(0.5) WITHIN GROUP (ORDER BY to_delivered) / 1000000 AS DOUBLE
    ) AS delivered_p50_seconds,
    CAST(
        percentile_cont(0.9) WITHIN GROUP (ORDER BY to_delivered) / 1000000 AS DOUBLE
    ) AS delivered_p90_seconds,
    CAST(
        percentile_cont(0.99) WITHIN GROUP (ORDER BY to_delivered) / 1000000 AS DOUBLE
    ) AS delivered_p99_seconds,
    CAST(
        percentile_cont(0.5) WITHIN GROUP (ORDER BY to_seen) / 1000000 AS DOUBLE
    ) AS seen_p50_seconds,
    CAST(
        percentile_cont(0.9) WITHIN GROUP (ORDER BY to_seen) / 1000000 AS DOUBLE
    ) AS seen_p90_seconds,
    CAST(
        percentile_cont(0.99) WITHIN GROUP (ORDER BY to_seen) / 1000000 AS DOUBLE
    ) AS seen_p99_seconds
FROM in_range
GROUP BY {by_columns}
ORDER BY {by_order}
