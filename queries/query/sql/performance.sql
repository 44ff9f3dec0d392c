sent_messages AS (
    SELECT
        asked.*,
        {outcomes},
        unix_micros(coalesce(delivered_at, sent_at, created_at)) AS arrived
    FROM asked
    WHERE (:from_at IS NULL OR created_at >= :from_at)
        AND (:until_at IS NULL OR created_at < :until_at)
),
in_turn AS (
    SELECT user_phone, line, whatsapp_id, arrived AS at, CAST(NULL AS BIGINT) AS written
    FROM sent_messages
    WHERE delivered AND user_phone IS NOT NULL
    UNION ALL
    SELECT user_phone, line, NULL, unix_micros(created_at), unix_micros(created_at)
    FROM messages
    WHERE message_direction = 'incoming'
        AND coalesce(format, '') <> 'reaction'
        AND user_phone IS NOT NULL
),
answered AS (
    SELECT
        whatsapp_id,
        -- The first message at or after that instant. A missing line is a partition, too.
        min(written) OVER (PARTITION BY user_phone, line ORDER BY at DESC) - at AS took
    FROM in_turn
),
replies AS (
    SELECT whatsapp_id, CAST(took AS DOUBLE) AS took
    FROM answered
    WHERE whatsapp_id IS NOT NULL AND took <= :reply_window_hours * 3600000000
),
grouped AS (
    -- By tag, a message occurs once for each tag of its person.
    SELECT
        {by_then}name,
        whatsapp_id,
        failed,
        sent,
        delivered,
        read
    FROM sent_messages
    {tagged}
),
counted AS (
    SELECT
        {by_columns_then}name,
        count(*) AS created,
        count_if(grouped.failed AND NOT grouped.delivered) AS failed,
        count_if(grouped.sent) AS sent,
        count_if(grouped.delivered) AS delivered,
        count_if(grouped.read) AS read,
        count(replies.took) AS replied,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY replies.took) / 1000000
            AS median_reply_seconds
    FROM grouped
    LEFT JOIN replies ON replies.whatsapp_id = grouped.whatsapp_id
    GROUP BY {by_columns_then}name
),
performance AS (
    SELECT
        {by_columns_then}CAST(name AS STRING) AS name,
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
)
