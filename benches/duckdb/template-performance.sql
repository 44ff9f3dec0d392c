-- Which templates are delivered, read and answered? A reply is the person's first message on the line, at or after the
-- message arrived and at most 72 hours later.
WITH asked AS (
    SELECT
        template_name,
        user_key,
        coalesce(line, '') AS line,
        coalesce(delivered_at, sent_at, created_at) AS arrived_at,
        failed_at IS NOT NULL OR reason_for_failure IS NOT NULL AS failed,
        -- What was seen was delivered, and what was delivered was sent.
        sent_at IS NOT NULL OR delivered_at IS NOT NULL OR seen_at IS NOT NULL AS sent,
        delivered_at IS NOT NULL OR seen_at IS NOT NULL AS delivered,
        seen_at IS NOT NULL AS read
    FROM messages
    WHERE message_type = 'template'
),
written AS (
    SELECT user_key, coalesce(line, '') AS line, created_at
    FROM messages
    WHERE message_direction = 'incoming' AND user_key IS NOT NULL
),
replies AS (
    SELECT
        template_name,
        count(*) AS replied,
        quantile_cont(took, 0.5) AS median_reply
    FROM (
        SELECT asked.template_name, epoch_us(created_at) - epoch_us(arrived_at) AS took
        FROM (SELECT template_name, user_key, line, arrived_at FROM asked WHERE delivered) AS asked
        ASOF JOIN written
            ON written.user_key = asked.user_key
            AND written.line = asked.line
            AND written.created_at >= asked.arrived_at
    )
    WHERE took <= 72 * 3600000000
    GROUP BY template_name
),
counted AS (
    SELECT
        template_name,
        count(*) AS created,
        count_if(failed AND NOT delivered) AS failed,
        count_if(sent) AS sent,
        count_if(delivered) AS delivered,
        count_if(read) AS read
    FROM asked
    GROUP BY template_name
)
SELECT
    counted.template_name,
    CAST(created AS BIGINT) AS created,
    CAST(failed AS BIGINT) AS failed,
    CAST(sent AS BIGINT) AS sent,
    CAST(delivered AS BIGINT) AS delivered,
    CAST(read AS BIGINT) AS read,
    CAST(100.0 * delivered / created AS DOUBLE) AS delivered_pct,
    CAST(100.0 * read / nullif(delivered, 0) AS DOUBLE) AS read_pct,
    CAST(coalesce(replied, 0) AS BIGINT) AS replied,
    CAST(100.0 * coalesce(replied, 0) / nullif(delivered, 0) AS DOUBLE) AS reply_pct,
    CAST(median_reply / 1e6 AS DOUBLE) AS median_reply_seconds
FROM counted
LEFT JOIN replies ON replies.template_name IS NOT DISTINCT FROM counted.template_name
ORDER BY counted.created DESC, counted.template_name NULLS LAST;
