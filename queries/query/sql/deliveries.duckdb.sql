-- Faster by an ASOF join for the last message of a person, and by looking up rates for distinct combinations only.
delivered AS (
    SELECT
        user_key,
        coalesce(line, '') AS answering_line,
        waba_id, line, country, created_at, whatsapp_id, message_type, template_name,
        make_timestamp(epoch_us(created_at)) AS local,
        CASE
            WHEN pricing_category IS NOT NULL THEN upper(pricing_category)
            WHEN message_type <> 'template' THEN 'SERVICE'
            WHEN conversation_type IN (
                'marketing', 'utility', 'authentication', 'authentication_international')
            THEN upper(conversation_type)
            ELSE 'UNKNOWN'
        END AS pricing_category,
        CASE
            WHEN pricing_type IS NOT NULL THEN upper(pricing_type)
            WHEN conversation_type IN ('referral', 'referral_conversion') THEN 'FREE_ENTRY_POINT'
        END AS decided_type
    FROM messages
    WHERE message_direction = 'outgoing' AND (delivered_at IS NOT NULL OR seen_at IS NOT NULL)
),
-- Until October 2026, a utility template within a day of a person's message is free.
answering AS (
    SELECT delivered.whatsapp_id
    FROM (
        SELECT whatsapp_id, user_key, answering_line, created_at
        FROM delivered
        WHERE pricing_category = 'UTILITY' AND decided_type IS NULL
            AND created_at < TIMESTAMPTZ '2026-10-01 00:00:00Z'
    ) AS delivered
    ASOF JOIN (
        SELECT user_key, coalesce(line, '') AS answering_line, created_at
        FROM messages
        WHERE message_direction = 'incoming' AND coalesce(format, '') <> 'reaction'
    ) AS wrote
        ON wrote.user_key = delivered.user_key
        AND wrote.answering_line = delivered.answering_line
        AND wrote.created_at <= delivered.created_at
    WHERE wrote.created_at > delivered.created_at - INTERVAL 24 HOURS
),
-- From October 2026 on, the first 1000 service messages of a line and month are free.
serving AS (
    SELECT whatsapp_id
    FROM delivered
    WHERE pricing_category = 'SERVICE' AND decided_type IS DISTINCT FROM 'FREE_ENTRY_POINT'
        AND created_at >= TIMESTAMPTZ '2026-10-01 00:00:00Z'
    QUALIFY row_number() OVER (
        PARTITION BY line, date_trunc('month', local) ORDER BY created_at, whatsapp_id) > 1000
),
typed_deliveries AS (
    SELECT
        delivered.*,
        CAST(local AS DATE) AS dated,
        lower(pricing_category) AS category,
        CASE
            WHEN decided_type IS NOT NULL THEN decided_type
            WHEN answering.whatsapp_id IS NOT NULL THEN 'FREE_CUSTOMER_SERVICE'
            WHEN pricing_category = 'SERVICE' AND serving.whatsapp_id IS NULL
            THEN 'FREE_CUSTOMER_SERVICE'
            ELSE 'REGULAR'
        END AS pricing_type
    FROM delivered
    LEFT JOIN answering ON answering.whatsapp_id = delivered.whatsapp_id
    LEFT JOIN serving ON serving.whatsapp_id = delivered.whatsapp_id
),
markets_of_deliveries AS (
    SELECT days.country, days.dated, coalesce(market_name, 'Other') AS market
    FROM (SELECT DISTINCT country, dated FROM typed_deliveries WHERE country IS NOT NULL) AS days
    ASOF LEFT JOIN all_markets ON market_country = country AND valid_from <= dated
),
numbered_deliveries AS (
    SELECT
        typed_deliveries.*,
        market,
        CASE WHEN category = 'service' THEN 0 ELSE row_number() OVER (
            PARTITION BY typed_deliveries.country, category, date_trunc('month', local)
            ORDER BY created_at, whatsapp_id) END AS number,
        CASE WHEN category = 'service' THEN 0 ELSE row_number() OVER (
            PARTITION BY market, category, date_trunc('month', local)
            ORDER BY created_at, whatsapp_id) END AS market_number
    FROM typed_deliveries
    LEFT JOIN markets_of_deliveries AS placed
        ON placed.country = typed_deliveries.country AND placed.dated = typed_deliveries.dated
    WHERE pricing_type = 'REGULAR'
),
steps_of_deliveries AS (
    SELECT DISTINCT category, tier_from FROM rates
),
stepped_deliveries AS (
    SELECT numbered.*, steps.tier_from AS step, market_steps.tier_from AS market_step
    FROM numbered_deliveries AS numbered
    ASOF LEFT JOIN steps_of_deliveries AS steps
        ON steps.category = numbered.category AND steps.tier_from <= numbered.number
    ASOF LEFT JOIN steps_of_deliveries AS market_steps
        ON market_steps.category = numbered.category
        AND market_steps.tier_from <= numbered.market_number
),
tiers AS (
    SELECT
        *,
        lead(tier_from) OVER (
            PARTITION BY effective_from, country, market, category ORDER BY tier_from) AS next_from
    FROM rates
),
kinds_of_deliveries AS (
    SELECT DISTINCT country, market, category, dated, step, market_step FROM stepped_deliveries
),
priced_deliveries AS (
    SELECT
        kinds.country, kinds.market, kinds.category, kinds.dated, kinds.step, kinds.market_step,
        arg_max(
            {price: price, currency: tiers.currency, tier_from: tier_from, next_from: next_from},
            (tiers.country IS NOT NULL, tiers.market IS NOT NULL, effective_from, tier_from)) AS rate
    FROM kinds_of_deliveries AS kinds
    JOIN tiers
        ON tiers.category = kinds.category
        AND effective_from <= dated
        AND CASE
            WHEN tiers.country IS NOT NULL THEN tiers.country = kinds.country AND tier_from <= step
            WHEN tiers.market IS NOT NULL
            THEN tiers.market = kinds.market AND tier_from <= market_step
            ELSE tier_from <= step
        END
    GROUP BY ALL
),
deliveries AS (
    SELECT
        whatsapp_id, created_at, waba_id, line, stepped.country, message_type, template_name,
        pricing_category,
        'REGULAR' AS pricing_type,
        CASE WHEN rate.price IS NOT NULL AND stepped.category <> 'service' THEN
            rate.tier_from || ':' || coalesce(CAST(rate.next_from - 1 AS VARCHAR), 'MAX') END AS tier,
        rate.price AS cost,
        CASE WHEN rate.price IS NOT NULL THEN coalesce(rate.currency, '?') END AS charged_in
    FROM stepped_deliveries AS stepped
    LEFT JOIN priced_deliveries AS priced
        ON priced.country IS NOT DISTINCT FROM stepped.country
        AND priced.category = stepped.category
        AND priced.dated = stepped.dated
        AND priced.market IS NOT DISTINCT FROM stepped.market
        AND priced.step IS NOT DISTINCT FROM stepped.step
        AND priced.market_step IS NOT DISTINCT FROM stepped.market_step
    UNION ALL
    SELECT
        whatsapp_id, created_at, waba_id, line, country, message_type, template_name,
        pricing_category, pricing_type, NULL, 0, NULL
    FROM typed_deliveries
    WHERE pricing_type <> 'REGULAR'
)
