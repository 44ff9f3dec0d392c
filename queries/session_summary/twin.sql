-- How many sessions did a day bring, and what did they cost? A session is a conversation; it counts
-- on the day of its first message that did not fail.
WITH {markets},
{conversations},
days AS (
    SELECT
        dated AS date,
        waba_id,
        line AS wa_phone_number,
        country,
        session_type,
        free_tier,
        currency,
        count(*) AS number_of_sessions,
        sum(cost) AS amount,
        count_if(cost IS NULL) AS unpriced_sessions
    FROM conversations
    GROUP BY dated, waba_id, line, country, session_type, free_tier, currency
),
{line_names}
SELECT
    CAST(date AS DATE) AS date,
    CAST(waba_id AS STRING) AS waba_id,
    CAST(wa_phone_number AS STRING) AS wa_phone_number,
    CAST(line_whatsapp_display_name AS STRING) AS display_name,
    CAST(country AS STRING) AS country,
    CAST(session_type AS STRING) AS session_type,
    CAST(free_tier AS BOOLEAN) AS free_tier,
    CAST(number_of_sessions AS BIGINT) AS number_of_sessions,
    CAST(CASE WHEN unpriced_sessions = 0 THEN amount END AS DECIMAL(38, 6)) AS amount,
    CAST(currency AS STRING) AS currency,
    CAST(unpriced_sessions AS BIGINT) AS unpriced_sessions
FROM days
LEFT JOIN line_names
    ON line_names.line_whatsapp_number = days.wa_phone_number AND line_names.place = 1
ORDER BY
    date NULLS LAST,
    waba_id NULLS LAST,
    wa_phone_number NULLS LAST,
    country NULLS LAST,
    session_type NULLS LAST,
    free_tier NULLS LAST,
    currency NULLS LAST
