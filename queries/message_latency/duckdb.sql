-- Faster than the twin by computing the three percentiles of a duration at once.
WITH took AS (
    SELECT
        CAST(make_timestamp(epoch_us(created_at)) AS DATE) AS day,
        CASE WHEN sent_at >= created_at THEN epoch_us(sent_at) - epoch_us(created_at) END AS sent,
        CASE WHEN delivered_at >= sent_at THEN epoch_us(delivered_at) - epoch_us(sent_at) END
            AS delivered,
        CASE WHEN seen_at >= delivered_at THEN epoch_us(seen_at) - epoch_us(delivered_at) END
            AS seen
    FROM messages
    WHERE message_direction = 'outgoing'
),
by_day AS (
    SELECT
        day,
        count(*) AS messages,
        quantile_cont(sent, [0.5, 0.9, 0.99]) AS sent,
        quantile_cont(delivered, [0.5, 0.9, 0.99]) AS delivered,
        quantile_cont(seen, [0.5, 0.9, 0.99]) AS seen
    FROM took
    GROUP BY day
)
SELECT
    day,
    CAST(messages AS BIGINT) AS messages,
    CAST(sent[1] / 1e6 AS DOUBLE) AS sent_p50_seconds,
    CAST(sent[2] / 1e6 AS DOUBLE) AS sent_p90_seconds,
    CAST(sent[3] / 1e6 AS DOUBLE) AS sent_p99_seconds,
    CAST(delivered[1] / 1e6 AS DOUBLE) AS delivered_p50_seconds,
    CAST(delivered[2] / 1e6 AS DOUBLE) AS delivered_p90_seconds,
    CAST(delivered[3] / 1e6 AS DOUBLE) AS delivered_p99_seconds,
    CAST(seen[1] / 1e6 AS DOUBLE) AS seen_p50_seconds,
    CAST(seen[2] / 1e6 AS DOUBLE) AS seen_p90_seconds,
    CAST(seen[3] / 1e6 AS DOUBLE) AS seen_p99_seconds
FROM by_day
ORDER BY day;
