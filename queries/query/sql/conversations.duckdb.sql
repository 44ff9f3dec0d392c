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
dates AS (
    SELECT dates.country, dates.dated, coalesce(market_name, 'Other') AS market
    FROM (SELECT DISTINCT country, dated FROM tiered WHERE country IS NOT NULL) AS dates
    ASOF LEFT JOIN all_markets ON market_country = country AND valid_from <= dated
),
located AS (
    SELECT tiered.*, market, session_type <> 'referral' AND NOT free_tier AS chargeable
    FROM tiered
    LEFT JOIN dates ON dates.country = tiered.country AND dates.dated = tiered.dated
),
numbered AS (
    SELECT
        *,
        CASE WHEN chargeable THEN row_number() OVER (
            PARTITION BY country, category, date_trunc('month', local), chargeable
            ORDER BY created_at, conversation_id) ELSE 1 END AS number,
        CASE WHEN chargeable THEN row_number() OVER (
            PARTITION BY market, category, date_trunc('month', local), chargeable
            ORDER BY created_at, conversation_id) ELSE 1 END AS market_number
    FROM located
),
steps AS (
    SELECT DISTINCT category, tier_from FROM rates
),
stepped AS (
    SELECT numbered.*, steps.tier_from AS step, market_steps.tier_from AS market_step
    FROM numbered
    ASOF LEFT JOIN steps
        ON steps.category = numbered.category AND steps.tier_from <= numbered.number
    ASOF LEFT JOIN steps AS market_steps
        ON market_steps.category = numbered.category
        AND market_steps.tier_from <= numbered.market_number
),
kinds AS (
    SELECT DISTINCT country, market, category, dated, step, market_step FROM stepped
),
priced AS (
    SELECT
        kinds.country, kinds.market, kinds.category, kinds.dated, kinds.step, kinds.market_step,
        arg_max(
            {price: price, currency: rates.currency},
            (rates.country IS NOT NULL, rates.market IS NOT NULL, effective_from, tier_from)) AS rate
    FROM kinds
    JOIN rates
        ON rates.category = kinds.category
        AND effective_from <= dated
        AND CASE
            WHEN rates.country IS NOT NULL THEN rates.country = kinds.country AND tier_from <= step
            WHEN rates.market IS NOT NULL
            THEN rates.market = kinds.market AND tier_from <= market_step
            ELSE tier_from <= step
        END
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
        AND priced.market IS NOT DISTINCT FROM stepped.market
        AND priced.step IS NOT DISTINCT FROM stepped.step
        AND priced.market_step IS NOT DISTINCT FROM stepped.market_step
)
