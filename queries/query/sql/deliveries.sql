{entry_windows_then}delivered AS (
    SELECT
        whatsapp_id, created_at, waba_id, line, user_phone, country, message_type, template_name,
        CASE
            WHEN :reported_pricing AND pricing_category IS NOT NULL THEN upper(pricing_category)
            WHEN message_type <> 'template' THEN 'SERVICE'
            WHEN pricing_category IN (
                'marketing', 'marketing_lite', 'utility', 'authentication',
                'authentication_international'
            ) THEN upper(pricing_category)
            WHEN conversation_type IN (
                'marketing', 'utility', 'authentication', 'authentication_international'
            ) THEN upper(conversation_type)
            ELSE 'UNKNOWN'
        END AS pricing_category,
        CASE
            WHEN :reported_pricing AND pricing_type IS NOT NULL THEN upper(pricing_type)
            WHEN :free_entry_point AND conversation_type IN ('referral', 'referral_conversion')
                {or_entered}THEN 'FREE_ENTRY_POINT'
        END AS decided_type,
        coalesce(:rules, CAST(from_utc_timestamp(created_at, :timezone) AS DATE)) AS dated,
        date_trunc('MONTH', from_utc_timestamp(created_at, :timezone)) AS month_of_creation
    FROM messages{join_entered}
    WHERE message_direction = 'outgoing' AND (delivered_at IS NOT NULL OR seen_at IS NOT NULL)
),
-- Utility templates that are free because they answer a message.
answering AS (
    SELECT DISTINCT delivered.whatsapp_id AS answering_id
    FROM delivered
    INNER JOIN messages AS question
        ON question.user_phone = delivered.user_phone
        AND question.line <=> delivered.line
        AND question.created_at <= delivered.created_at
        AND unix_micros(delivered.created_at) - unix_micros(question.created_at) < 86400000000
    WHERE question.message_direction = 'incoming'
        AND coalesce(question.format, '') <> 'reaction'
        AND delivered.pricing_category = 'UTILITY'
        AND delivered.dated < DATE '2026-10-01'
),
-- Service messages, by their number in the line and month.
serving AS (
    SELECT
        whatsapp_id AS serving_id,
        row_number() OVER (
            PARTITION BY line, month_of_creation
            ORDER BY created_at NULLS LAST, whatsapp_id NULLS LAST
        ) AS service_number
    FROM delivered
    WHERE pricing_category = 'SERVICE' AND coalesce(decided_type, '') <> 'FREE_ENTRY_POINT'
),
typed_deliveries AS (
    SELECT
        delivered.*,
        CASE
            WHEN decided_type IS NOT NULL THEN decided_type
            WHEN answering_id IS NOT NULL THEN 'FREE_CUSTOMER_SERVICE'
            WHEN pricing_category = 'SERVICE'
                AND (dated < DATE '2026-10-01' OR service_number <= :free_service_messages)
                THEN 'FREE_CUSTOMER_SERVICE'
            ELSE 'REGULAR'
        END AS pricing_type
    FROM delivered
    LEFT JOIN answering ON answering.answering_id = delivered.whatsapp_id
    LEFT JOIN serving ON serving.serving_id = delivered.whatsapp_id
),
placed_deliveries AS (
    SELECT
        typed_deliveries.*,
        CASE WHEN country IS NOT NULL THEN coalesce(market_name, 'Other') END AS market
    FROM typed_deliveries
    LEFT JOIN all_markets
        ON all_markets.market_country = typed_deliveries.country
        AND typed_deliveries.dated >= all_markets.valid_from
        AND (all_markets.valid_until IS NULL OR typed_deliveries.dated < all_markets.valid_until)
),
-- The price of service messages has no tiers.
numbered_deliveries AS (
    SELECT
        *,
        CASE WHEN pricing_category = 'SERVICE' THEN 0 ELSE row_number() OVER (
            PARTITION BY country, pricing_category, pricing_type, month_of_creation
            ORDER BY created_at NULLS LAST, whatsapp_id NULLS LAST
        ) END AS number,
        CASE WHEN pricing_category = 'SERVICE' THEN 0 ELSE row_number() OVER (
            PARTITION BY market, pricing_category, pricing_type, month_of_creation
            ORDER BY created_at NULLS LAST, whatsapp_id NULLS LAST
        ) END AS market_number
    FROM placed_deliveries
),
tiers AS (
    SELECT
        *,
        lead(tier_from) OVER (
            PARTITION BY effective_from, country, market, category ORDER BY tier_from NULLS LAST
        ) AS next_from
    FROM rates
),
offered_deliveries AS (
    SELECT
        numbered_deliveries.*,
        tiers.price,
        tiers.currency,
        tiers.tier_from,
        tiers.next_from,
    {rate_of_unit}
        AND numbered_deliveries.pricing_type = 'REGULAR'
),
deliveries AS (
    SELECT
        whatsapp_id, created_at, waba_id, line, country, message_type, template_name,
        pricing_category, pricing_type,
        CASE WHEN price IS NOT NULL AND pricing_category <> 'SERVICE' THEN concat(
            CAST(tier_from AS STRING), ':', coalesce(CAST(next_from - 1 AS STRING), 'MAX')
        ) END AS tier,
        CASE WHEN pricing_type = 'REGULAR' THEN price ELSE 0 END AS cost,
        CASE WHEN price IS NOT NULL THEN coalesce(currency, '?') END AS charged_in
    FROM offered_deliveries
    WHERE preference = 1
        AND (:from_at IS NULL OR created_at >= :from_at)
        AND (:until_at IS NULL OR created_at < :until_at)
)
