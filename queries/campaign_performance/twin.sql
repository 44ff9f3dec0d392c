-- Which campaigns are delivered, read and answered? The reply to a message is the
-- first one of its person on its line, at or after its arrival and within the window.
WITH asked AS (
    SELECT *, campaign_id AS name
    FROM {messages}
    WHERE message_direction = 'outgoing' AND campaign_id IS NOT NULL
),
{performance}
SELECT
    {by_columns_then}name AS campaign_id, created, failed, sent, delivered, read, delivered_pct, read_pct,
    replied, reply_pct, median_reply_seconds
FROM performance
ORDER BY
    {by_order_then}created DESC NULLS LAST,
    campaign_id NULLS LAST
