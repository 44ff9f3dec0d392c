starts AS (
    SELECT
        waba_id, whatsapp_id, line, user_phone, country, conversation_id, conversation_type,
        created_at, message_direction, pricing_category,
        row_number() OVER (
            PARTITION BY conversation_id
            ORDER BY created_at NULLS LAST, whatsapp_id NULLS LAST
        ) AS place
    FROM messages
    WHERE conversation_id IS NOT NULL
        AND (
            message_direction = 'incoming'
            OR delivered_at IS NOT NULL
            OR seen_at IS NOT NULL
            OR (failed_at IS NULL AND reason_for_failure IS NULL)
        )
),
typed AS (
    SELECT
        *,
        CASE
            WHEN conversation_type IN ('referral', 'referral_conversion') THEN 'referral'
            WHEN conversation_type IN (
                'marketing', 'utility', 'authentication', 'authentication_international'
            ) THEN 'business_initiated'
            WHEN conversation_type = 'service' THEN 'user_initiated'
            WHEN conversation_type IS NOT NULL THEN conversation_type
            WHEN message_direction = 'outgoing' THEN 'business_initiated'
            ELSE 'user_initiated'
        END AS session_type,
        CASE
            WHEN message_direction = 'outgoing' AND pricing_category IN (
                'marketing', 'marketing_lite', 'utility', 'authentication',
                'authentication_international'
            ) THEN pricing_category
            WHEN conversation_type IN (
                'marketing', 'utility', 'authentication', 'authentication_international', 'service'
            ) THEN conversation_type
        END AS category_word,
        CAST(from_utc_timestamp(created_at, :timezone) AS DATE) AS dated,
        date_trunc('MONTH', from_utc_timestamp(created_at, :timezone)) AS month_of_start
    FROM starts
    WHERE place = 1
),
placed AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY waba_id, month_of_start, session_type = 'referral'
            ORDER BY created_at NULLS LAST, conversation_id NULLS LAST
        ) AS place_in_month
    FROM typed
),
tiered AS (
    SELECT
        *,
        session_type <> 'referral' AND place_in_month <= :free_sessions AS free_tier,
        session_type <> 'referral' AND place_in_month > :free_sessions AS chargeable,
        lower(coalesce(category_word, session_type)) AS category
    FROM placed
),
located AS (
    SELECT
        tiered.*,
        CASE WHEN country IS NOT NULL THEN coalesce(market_name, 'Other') END AS market
    FROM tiered
    LEFT JOIN all_markets
        ON all_markets.market_country = tiered.country
        AND tiered.dated >= all_markets.valid_from
        AND (all_markets.valid_until IS NULL OR tiered.dated < all_markets.valid_until)
),
numbered AS (
    SELECT
        *,
        CASE WHEN chargeable THEN row_number() OVER (
            PARTITION BY country, category, month_of_start, chargeable
            ORDER BY created_at NULLS LAST, conversation_id NULLS LAST
        ) ELSE 1 END AS number,
        CASE WHEN chargeable THEN row_number() OVER (
            PARTITION BY market, category, month_of_start, chargeable
            ORDER BY created_at NULLS LAST, conversation_id NULLS LAST
        ) ELSE 1 END AS market_number
    FROM located
),
offered AS (
    SELECT
        numbered.*,
        rates.price,
        rates.currency,
        row_number() OVER (
            PARTITION BY numbered.conversation_id
            ORDER BY
                rates.country NULLS LAST,
                rates.market NULLS LAST,
                rates.effective_from DESC NULLS LAST,
                rates.tier_from DESC NULLS LAST
        ) AS preference
    FROM numbered
    LEFT JOIN rates
        ON rates.category = numbered.category
        AND rates.effective_from <= numbered.dated
        AND CASE
            WHEN rates.country IS NOT NULL
                THEN rates.country = numbered.country AND rates.tier_from <= numbered.number
            WHEN rates.market IS NOT NULL
                THEN rates.market = numbered.market AND rates.tier_from <= numbered.market_number
            ELSE rates.tier_from <= numbered.number
        END
),
conversations AS (
    SELECT
        conversation_id, created_at, dated, waba_id, line, country, session_type,
        free_tier, currency,
        CASE WHEN chargeable THEN price ELSE 0 END AS cost,
        CASE WHEN chargeable AND price IS NOT NULL THEN coalesce(currency, '?') END AS charged_in,
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
    FROM {offered}
    WHERE preference = 1
        AND (:from_at IS NULL OR created_at >= :from_at)
        AND (:until_at IS NULL OR created_at < :until_at)
)
