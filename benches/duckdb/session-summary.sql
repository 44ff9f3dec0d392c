-- How many sessions did a day bring, and what did they cost? The first thousand of an account and
-- month are free.
WITH firsts AS (
    SELECT
        conversation_id,
        arg_min(
            {
                waba_id: waba_id, line: line, country: country, word: conversation_type,
                direction: message_direction, created_at: created_at
            },
            (created_at, whatsapp_id)) AS first
    FROM messages
    WHERE conversation_id IS NOT NULL
        AND (
            message_direction = 'incoming' OR delivered_at IS NOT NULL OR seen_at IS NOT NULL
            OR (failed_at IS NULL AND reason_for_failure IS NULL))
    GROUP BY conversation_id
),
typed AS (
    SELECT
        conversation_id,
        unnest(first),
        make_timestamp(epoch_us(first.created_at)) AS local,
        CASE
            WHEN first.word IN ('referral', 'referral_conversion') THEN 'referral'
            WHEN first.word IN (
                'marketing', 'utility', 'authentication', 'authentication_international')
            THEN 'business_initiated'
            WHEN first.word = 'service' THEN 'user_initiated'
            WHEN first.word IS NOT NULL THEN first.word
            WHEN first.direction = 'outgoing' THEN 'business_initiated'
            ELSE 'user_initiated'
        END AS session_type,
        CASE
            WHEN first.word IN (
                'marketing', 'utility', 'authentication', 'authentication_international', 'service')
            THEN first.word
        END AS category_word
    FROM firsts
),
tiered AS (
    SELECT
        *,
        CAST(local AS DATE) AS dated,
        coalesce(category_word, session_type) AS category,
        session_type <> 'referral' AND row_number() OVER (
            PARTITION BY waba_id, date_trunc('month', local), session_type = 'referral'
            ORDER BY created_at, conversation_id) <= 1000 AS free_tier
    FROM typed
),
numbered AS (
    SELECT
        *,
        session_type <> 'referral' AND NOT free_tier AS chargeable,
        CASE WHEN chargeable THEN row_number() OVER (
            PARTITION BY country, category, date_trunc('month', local), chargeable
            ORDER BY created_at, conversation_id) ELSE 1 END AS number
    FROM tiered
),
stepped AS (
    SELECT numbered.*, steps.tier_from AS step
    FROM numbered
    ASOF LEFT JOIN (SELECT DISTINCT category, tier_from FROM rates) AS steps
        ON steps.category = numbered.category AND steps.tier_from <= numbered.number
),
-- Few kinds of units are left for the rate card: by country, category, day and tier.
kinds AS (
    SELECT DISTINCT country, category, dated, step FROM stepped
),
priced AS (
    SELECT
        kinds.country, kinds.category, kinds.dated, kinds.step,
        arg_max(
            {price: price, currency: rates.currency},
            (rates.country IS NOT NULL, effective_from, tier_from)) AS rate
    FROM kinds
    JOIN rates
        ON rates.category = kinds.category
        AND (rates.country = kinds.country OR rates.country IS NULL)
        AND effective_from <= dated
        AND tier_from <= step
    GROUP BY ALL
),
conversations AS (
    SELECT
        stepped.*,
        rate.currency AS currency,
        CASE WHEN chargeable THEN rate.price ELSE 0 END AS cost,
        CASE WHEN chargeable AND rate.price IS NOT NULL THEN coalesce(rate.currency, '?') END
            AS charged_in
    FROM stepped
    LEFT JOIN priced
        ON priced.country IS NOT DISTINCT FROM stepped.country
        AND priced.category = stepped.category
        AND priced.dated = stepped.dated
        AND priced.step = stepped.step
),
by_day AS (
    SELECT
        dated AS date, waba_id, line AS wa_phone_number, country, session_type, free_tier, currency,
        count(*) AS number_of_sessions,
        sum(cost) AS amount,
        count_if(cost IS NULL) AS unpriced_sessions
    FROM conversations
    GROUP BY ALL
),
names AS (
    SELECT
        line_whatsapp_number AS wa_phone_number,
        arg_max(line_whatsapp_display_name, (session_started_timestamp, session_id))
            AS display_name
    FROM sessions
    WHERE line_whatsapp_display_name IS NOT NULL
    GROUP BY line_whatsapp_number
)
SELECT
    date,
    waba_id,
    wa_phone_number,
    display_name,
    country,
    session_type,
    free_tier,
    CAST(number_of_sessions AS BIGINT) AS number_of_sessions,
    CAST(CASE WHEN unpriced_sessions = 0 THEN amount END AS DECIMAL(38, 6)) AS amount,
    currency,
    CAST(unpriced_sessions AS BIGINT) AS unpriced_sessions
FROM by_day
LEFT JOIN names USING (wa_phone_number)
ORDER BY
    date, waba_id NULLS LAST, wa_phone_number NULLS LAST, country NULLS LAST, session_type,
    free_tier, currency NULLS LAST;
