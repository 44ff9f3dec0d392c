-- Faster by arg_min for the first message, and by looking up rates for distinct combinations only.
firsts AS (
    SELECT
        conversation_id,
        arg_min(
            {
                waba_id: waba_id, line: line, country: country, word: conversation_type,
                template_word: CASE
                    WHEN message_direction = 'outgoing' AND pricing_category IN (
                        'marketing', 'marketing_lite', 'utility', 'authentication',
                        'authentication_international')
                    THEN pricing_category
                END,
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
            WHEN first.template_word IS NOT NULL THEN first.template_word
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
        conversation_id, created_at, stepped.dated, waba_id, line, stepped.country, session_type,
        free_tier, rate.currency AS currency,
        CASE WHEN chargeable THEN rate.price ELSE 0 END AS cost,
        CASE WHEN chargeable AND rate.price IS NOT NULL THEN coalesce(rate.currency, '?') END
            AS charged_in,
        CASE
            WHEN category_word IS NOT NULL THEN upper(category_word)
            WHEN session_type IN ('user_initiated', 'referral') THEN 'SERVICE'
            ELSE 'UNKNOWN'
        END AS conversation_category,
        CASE
            WHEN session_type = 'referral' THEN 'FREE_ENTRY_POINT'
            WHEN free_tier THEN 'FREE_TIER'
            ELSE 'REGULAR'
        END AS conversation_type,
        CASE
            WHEN session_type IN ('business_initiated', 'user_initiated') THEN upper(session_type)
            ELSE 'UNKNOWN'
        END AS conversation_direction
    FROM stepped
    LEFT JOIN priced
        ON priced.country IS NOT DISTINCT FROM stepped.country
        AND priced.category = stepped.category
        AND priced.dated = stepped.dated
        AND priced.step = stepped.step
)
