-- How do templates do, day by day?
WITH delivered AS (
    SELECT
        user_key,
        coalesce(line, '') AS line,
        country,
        created_at,
        whatsapp_id,
        message_type,
        template_name,
        make_timestamp(epoch_us(created_at)) AS local,
        CASE
            WHEN message_type <> 'template' THEN 'SERVICE'
            WHEN conversation_type IN (
                'marketing', 'utility', 'authentication', 'authentication_international')
            THEN upper(conversation_type)
            ELSE 'UNKNOWN'
        END AS pricing_category,
        coalesce(conversation_type IN ('referral', 'referral_conversion'), false) AS referral
    FROM messages
    WHERE message_direction = 'outgoing' AND (delivered_at IS NOT NULL OR seen_at IS NOT NULL)
),
-- A utility template within a day of a person's message is free.
answering AS (
    SELECT delivered.whatsapp_id
    FROM (
        SELECT whatsapp_id, user_key, line, created_at
        FROM delivered
        WHERE pricing_category = 'UTILITY' AND NOT referral
    ) AS delivered
    ASOF JOIN (
        SELECT user_key, coalesce(line, '') AS line, created_at
        FROM messages
        WHERE message_direction = 'incoming'
    ) AS wrote
        ON wrote.user_key = delivered.user_key
        AND wrote.line = delivered.line
        AND wrote.created_at <= delivered.created_at
    WHERE wrote.created_at > delivered.created_at - INTERVAL 24 HOURS
),
typed AS (
    SELECT
        delivered.*,
        CAST(local AS DATE) AS dated,
        lower(pricing_category) AS category,
        NOT referral AND pricing_category <> 'SERVICE' AND answering.whatsapp_id IS NULL AS regular
    FROM delivered
    LEFT JOIN answering ON answering.whatsapp_id = delivered.whatsapp_id
),
stepped AS (
    SELECT numbered.*, steps.tier_from AS step
    FROM (
        SELECT
            *,
            row_number() OVER (
                PARTITION BY country, category, date_trunc('month', local)
                ORDER BY created_at, whatsapp_id) AS number
        FROM typed
        WHERE regular
    ) AS numbered
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
deliveries AS (
    SELECT stepped.dated, message_type, template_name, rate.price AS cost,
        CASE WHEN rate.price IS NOT NULL THEN coalesce(rate.currency, '?') END AS charged_in
    FROM stepped
    LEFT JOIN priced
        ON priced.country IS NOT DISTINCT FROM stepped.country
        AND priced.category = stepped.category
        AND priced.dated = stepped.dated
        AND priced.step = stepped.step
    UNION ALL
    SELECT dated, message_type, template_name, 0, NULL FROM typed WHERE NOT regular
),
charges AS (
    SELECT
        dated, template_name,
        CASE WHEN count(cost) = count(*) AND count(DISTINCT charged_in) <= 1 THEN sum(cost) END
            AS cost
    FROM deliveries
    WHERE message_type = 'template'
    GROUP BY ALL
),
sends AS (
    SELECT
        CAST(make_timestamp(epoch_us(created_at)) AS DATE) AS dated,
        template_name,
        count_if(sent_at IS NOT NULL OR delivered_at IS NOT NULL OR seen_at IS NOT NULL) AS sent,
        count_if(delivered_at IS NOT NULL OR seen_at IS NOT NULL) AS delivered,
        count_if(seen_at IS NOT NULL) AS read
    FROM messages
    WHERE message_type = 'template'
    GROUP BY ALL
)
SELECT
    CAST(epoch(sends.dated) AS BIGINT) AS start,
    CAST(epoch(sends.dated) + 86400 AS BIGINT) AS "end",
    sends.template_name AS template_id,
    CAST(sent AS BIGINT) AS sent,
    CAST(delivered AS BIGINT) AS delivered,
    CAST(read AS BIGINT) AS read,
    CAST(NULL AS BIGINT) AS clicked,
    CAST(cost AS DECIMAL(38, 6)) AS cost
FROM sends
LEFT JOIN charges
    ON charges.dated = sends.dated
    AND charges.template_name IS NOT DISTINCT FROM sends.template_name
WHERE sent > 0
ORDER BY start, template_id NULLS LAST;
