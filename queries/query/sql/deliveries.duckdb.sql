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
        WHERE message_direction = 'incoming'
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
stepped_deliveries AS (
    SELECT numbered.*, steps.tier_from AS step
    FROM (
        SELECT
            *,
            CASE WHEN category = 'service' THEN 0 ELSE row_number() OVER (
                PARTITION BY country, category, date_trunc('month', local)
                ORDER BY created_at, whatsapp_id) END AS number
        FROM typed_deliveries
        WHERE pricing_type = 'REGULAR'
    ) AS numbered
    ASOF LEFT JOIN (SELECT DISTINCT category, tier_from FROM rates) AS steps
        ON steps.category = numbered.category AND steps.tier_from <= numbered.number
),
tiers AS (
    SELECT
        *,
        lead(tier_from) OVER (PARTITION BY effective_from, country, category ORDER BY tier_from)
            AS next_from
    FROM rates
),
kinds_of_deliveries AS (
    SELECT DISTINCT country, category, dated, step FROM stepped_deliveries
),
priced_deliveries AS (
    SELECT
        kinds.country, kinds.category, kinds.dated, kinds.step,
        arg_max(
            {price: price, currency: tiers.currency, tier_from: tier_from, next_from: next_from},
            (tiers.country IS NOT NULL, effective_from, tier_from)) AS rate
    FROM kinds_of_deliveries AS kinds
    JOIN tiers
        ON tiers.category = kinds.category
        AND (tiers.country = kinds.country OR tiers.country IS NULL)
        AND effective_from <= dated
        AND tier_from <= step
    GROUP BY ALL
),
deliveries AS (
    SELECT
        created_at, waba_id, line, stepped.country, message_type, template_name, pricing_category,
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
        AND priced.step = stepped.step
    UNION ALL
    SELECT
        created_at, waba_id, line, country, message_type, template_name, pricing_category,
        pricing_type, NULL, 0, NULL
    FROM typed_deliveries
    WHERE pricing_type <> 'REGULAR'
)
