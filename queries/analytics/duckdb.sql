-- Faster than the twin by counting the messages that it answers only: the twin types each message by product.
SELECT
    CAST(day * 86400 AS BIGINT) AS start,
    CAST(day * 86400 + 86400 AS BIGINT) AS "end",
    CAST(count_if(
        sent_at IS NOT NULL OR delivered_at IS NOT NULL OR seen_at IS NOT NULL) AS BIGINT) AS sent,
    CAST(count_if(delivered_at IS NOT NULL OR seen_at IS NOT NULL) AS BIGINT) AS delivered
FROM (SELECT *, epoch_us(created_at) // 86400000000 AS day FROM messages)
WHERE message_direction = 'outgoing'
GROUP BY day
HAVING count_if(sent_at IS NOT NULL OR delivered_at IS NOT NULL OR seen_at IS NOT NULL) > 0
ORDER BY start;
