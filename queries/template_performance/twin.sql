-- Which templates are delivered, read and answered? A message is answered by the first message of
-- its person on its line, at or after it arrived and within the window.
WITH asked AS (
    SELECT
        template_name,
        whatsapp_id,
        user_phone,
        line,
        failed_at IS NOT NULL OR reason_for_failure IS NOT NULL AS failed,
        sent_at IS NOT NULL OR delivered_at IS NOT NULL OR seen_at IS NOT NULL AS sent,
        delivered_at IS NOT NULL OR seen_at IS NOT NULL AS delivered,
        seen_at IS NOT NULL AS read,
        unix_micros(coalesce(delivered_at, sent_at, created_at)) AS arrived
    FROM messages
    WHERE message_type = 'template'
        AND (:from_at IS NULL OR created_at >= :from_at)
        AND (:until_at IS NULL OR created_at < :until_at)
),
in_turn AS (
    SELECT
        user_phone,
        line,
        whatsapp_id,
        arrived AS at,
        CAST(NULL AS BIGINT) AS written
    FROM asked
    WHERE delivered AND user_phone IS NOT NULL
    UNION ALL
    SELECT
        user_phone,
        line,
        NULL,
        unix_micros(created_at),
        unix_micros(created_at)
    FROM messages
    WHERE message_direction = 'incoming' AND user_phone IS NOT NULL
),
answered AS (
    SELECT
        whatsapp_id,
        -- The first at or after that instant; a null line is one too.
        min(written) OVER (PARTITION BY user_phone, line ORDER BY at DESC) - at AS took
    FROM in_turn
),
replies AS (
    SELECT whatsapp_id, CAST(took AS DOUBLE) AS took
    FROM answered
    WHERE whatsapp_id IS NOT NULL AND took <= :reply_window_hours * 3600000000
),
counted AS (
    SELECT
        asked.template_name,
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
    GROUP BY asked.template_name
)
SELECT
    CAST(template_name AS STRING) AS template_name,
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
    template_name NULLS LAST
