-- What became of the messages of a day? By the day of their creation; incoming ones count as received
-- only.
WITH in_range AS (
    SELECT
        CAST(date_trunc('DAY', from_utc_timestamp(created_at, :timezone)) AS DATE) AS date,
        waba_id,
        line AS wa_phone_number,
        country,
        message_type,
        {outcomes}
    FROM {messages}
    WHERE (:from_at IS NULL OR created_at >= :from_at)
        AND (:until_at IS NULL OR created_at < :until_at)
),
days AS (
    SELECT
        date,
        waba_id,
        wa_phone_number,
        country,
        message_type,
        {message_counts}
    FROM in_range
    GROUP BY date, waba_id, wa_phone_number, country, message_type
),
{line_names}
SELECT
    CAST(date AS DATE) AS date,
    CAST(waba_id AS STRING) AS waba_id,
    CAST(wa_phone_number AS STRING) AS wa_phone_number,
    CAST(line_whatsapp_display_name AS STRING) AS display_name,
    CAST(country AS STRING) AS country,
    CAST(message_type AS STRING) AS message_type,
    CAST(created AS BIGINT) AS created,
    CAST(failed AS BIGINT) AS failed,
    CAST(sent AS BIGINT) AS sent,
    CAST(delivered AS BIGINT) AS delivered,
    CAST(read AS BIGINT) AS read,
    CAST(received AS BIGINT) AS received
FROM days
LEFT JOIN line_names
    ON line_names.line_whatsapp_number = days.wa_phone_number AND line_names.place = 1
ORDER BY
    date NULLS LAST,
    waba_id NULLS LAST,
    wa_phone_number NULLS LAST,
    country NULLS LAST,
    message_type NULLS LAST
