-- Faster than the twin by one aggregation of the messages, and by a join for the latest name of a line.
WITH by_day AS (
    SELECT
        CAST(make_timestamp(epoch_us(created_at)) AS DATE) AS date,
        waba_id,
        line AS wa_phone_number,
        country,
        message_type,
        count_if(going_out) AS created,
        count_if(
            going_out AND delivered_at IS NULL AND seen_at IS NULL
            AND (failed_at IS NOT NULL OR reason_for_failure IS NOT NULL)) AS failed,
        -- What was seen was delivered, and what was delivered was sent.
        count_if(
            going_out
            AND (sent_at IS NOT NULL OR delivered_at IS NOT NULL OR seen_at IS NOT NULL)) AS sent,
        count_if(going_out AND (delivered_at IS NOT NULL OR seen_at IS NOT NULL)) AS delivered,
        count_if(going_out AND seen_at IS NOT NULL) AS read,
        count_if(NOT going_out) AS received
    FROM (SELECT *, message_direction = 'outgoing' AS going_out FROM messages)
    GROUP BY ALL
),
latest AS (
    SELECT line_whatsapp_number, max(session_started_timestamp) AS session_started_timestamp
    FROM sessions
    WHERE line_whatsapp_display_name IS NOT NULL
    GROUP BY line_whatsapp_number
),
names AS (
    SELECT
        line_whatsapp_number AS wa_phone_number,
        arg_max(line_whatsapp_display_name, session_id) AS display_name
    FROM sessions
    JOIN latest USING (line_whatsapp_number, session_started_timestamp)
    WHERE line_whatsapp_display_name IS NOT NULL
    GROUP BY line_whatsapp_number
)
SELECT
    date,
    waba_id,
    wa_phone_number,
    display_name,
    country,
    message_type,
    CAST(created AS BIGINT) AS created,
    CAST(failed AS BIGINT) AS failed,
    CAST(sent AS BIGINT) AS sent,
    CAST(delivered AS BIGINT) AS delivered,
    CAST(read AS BIGINT) AS read,
    CAST(received AS BIGINT) AS received
FROM by_day
LEFT JOIN names USING (wa_phone_number)
ORDER BY
    date, waba_id NULLS LAST, wa_phone_number NULLS LAST, country NULLS LAST,
    message_type NULLS LAST;
