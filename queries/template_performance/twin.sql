-- Which templates are delivered, read and answered? The reply to a message is the
-- first one of its person on its line, at or after its arrival and within the window.
WITH asked AS (
    SELECT *, template_name AS name
    FROM {messages}
    WHERE message_type = 'template'
),
{performance}
SELECT
    {by_columns_then}name AS template_name, created, failed, sent, delivered, read, delivered_pct, read_pct,
    replied, reply_pct, median_reply_seconds
FROM performance
ORDER BY
    {by_order_then}created DESC NULLS LAST,
    template_name NULLS LAST
