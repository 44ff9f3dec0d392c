-- Which campaigns are delivered, read and answered? A message is answered by the first message of
-- its person on its line, at or after it arrived and within the window.
WITH asked AS (
    SELECT
        campaign_id,
        whatsapp_id,
        user_phone,
        line,
        failed_at IS NOT NULL OR reason_for_failure IS NOT NULL AS failed,
        sent_at IS NOT NULL OR delivered_at IS NOT NULL OR seen_at IS NOT NULL AS sent,
        delivered_at IS NOT NULL OR seen_at IS NOT NULL AS delivered,
        seen_at IS NOT NULL AS read,
        unix_micros(coalesce(delivered_at, sent_at, created_at)) AS arrived
    FROM messages
    WHERE message_direction = 'outgoing'
        AND campaign_id IS NOT NULL
        AND (:from_at IS NULL OR created_at >= :from_at)
        AND (:until_at IS NULL OR created_at < :until_at)
),
written AS (
    SELECT
        user_phone,
        line,
        unix_micros(created_at) AS written
    FROM messages
    WHERE message_direction = 'incoming'
),
replies AS (
    SELECT
        asked.whatsapp_id,
        CAST(min(written.written - asked.arrived) AS DOUBLE) AS took
    FROM asked
    INNER JOIN written
        ON written.user_phone = asked.user_phone
        -- A null line is one too.
        AND written.line IS NOT DISTINCT FROM asked.line
        AND written.written >= asked.arrived
        AND written.written - asked.arrived <= :reply_window_hours * 3600000000
    WHERE asked.delivered
    GROUP BY asked.whatsapp_id
),
counted AS (
    SELECT
        asked.campaign_id,
        count(*) AS created,
        count_if(asked.failed AND NOT asked.delivered) AS failed,
        count_if(asked.sent) AS sent,
        count_if(asked.delivered) AS delivered,
        count_if(asked.read) AS read,
        count(replies.took) AS replied,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY replies.took) / 1000000
            AS median_reply_seconds
    FROM asked
    LEFT JOIN replies ON replies.whatsapp_id = asked.whatsapp_id
    GROUP BY asked.campaign_id
)
SELECT
    CAST(campaign_id AS STRING) AS campaign_id,
    CAST(created AS BIGINT) AS created,
    CAST(failed AS BIGINT) AS failed,
    CAST(sent AS BIGINT) AS sent,
    CAST(delivered AS BIGINT) AS delivered,
    CAST(read AS BIGINT) AS read,
    CAST(delivered AS DOUBLE) * 100 / created AS delivered_pct,
    CAST(read AS DOUBLE) * 100 / nullif(delivered, 0) AS read_pct,
    CAST(replied AS BIGINT) AS replied,
    CAST(replied AS DOUBLE) * 100 / nullif(delivered, 0) AS reply_pct,
    CAST(median_reply_seconds AS DOUBLE) AS median_reply_seconds
FROM counted
ORDER BY
    created DESC NULLS LAST,
    campaign_id NULLS LAST
