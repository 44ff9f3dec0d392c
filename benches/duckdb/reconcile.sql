-- Do the vendors' figures agree with those worked out from the messages?
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
tiers AS (
    SELECT
        *,
        lead(tier_from) OVER (PARTITION BY effective_from, country, category ORDER BY tier_from)
            AS next_from
    FROM rates
),
delivered AS (
    SELECT
        user_key,
        coalesce(line, '') AS line,
        waba_id,
        country,
        created_at,
        whatsapp_id,
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
typed_deliveries AS (
    SELECT
        delivered.*,
        CAST(local AS DATE) AS dated,
        lower(pricing_category) AS category,
        NOT referral AND pricing_category <> 'SERVICE' AND answering.whatsapp_id IS NULL AS regular
    FROM delivered
    LEFT JOIN answering ON answering.whatsapp_id = delivered.whatsapp_id
),
stepped_deliveries AS (
    SELECT numbered.*, steps.tier_from AS step
    FROM (
        SELECT
            *,
            row_number() OVER (
                PARTITION BY country, category, date_trunc('month', local)
                ORDER BY created_at, whatsapp_id) AS number
        FROM typed_deliveries
        WHERE regular
    ) AS numbered
    ASOF LEFT JOIN (SELECT DISTINCT category, tier_from FROM rates) AS steps
        ON steps.category = numbered.category AND steps.tier_from <= numbered.number
),
kinds_of_deliveries AS (
    SELECT DISTINCT country, category, dated, step FROM stepped_deliveries
),
priced_deliveries AS (
    SELECT
        kinds.country, kinds.category, kinds.dated, kinds.step,
        arg_max(
            {price: price, currency: rates.currency, tier_from: tier_from, next_from: next_from},
            (rates.country IS NOT NULL, effective_from, tier_from)) AS rate
    FROM kinds_of_deliveries AS kinds
    JOIN tiers AS rates
        ON rates.category = kinds.category
        AND (rates.country = kinds.country OR rates.country IS NULL)
        AND effective_from <= dated
        AND tier_from <= step
    GROUP BY ALL
),
deliveries AS (
    SELECT
        waba_id, line, stepped.country, created_at, pricing_category, 'REGULAR' AS pricing_type,
        CASE WHEN rate.price IS NOT NULL THEN
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
        waba_id, line, country, created_at, pricing_category,
        CASE WHEN referral THEN 'FREE_ENTRY_POINT' ELSE 'FREE_CUSTOMER_SERVICE' END, NULL, 0, NULL
    FROM typed_deliveries
    WHERE NOT regular
),
message_keys AS (
    SELECT
        date, waba_id, wa_phone_number, country, message_type, false AS ours,
        sum(created) AS created, sum(failed) AS failed, sum(sent) AS sent,
        sum(delivered) AS delivered, sum(read) AS read, sum(received) AS received
    FROM message_summaries
    GROUP BY ALL
    UNION ALL
    SELECT
        CAST(make_timestamp(epoch_us(created_at)) AS DATE) AS date, waba_id, line, country,
        message_type, true,
        count_if(going_out),
        count_if(
            going_out AND delivered_at IS NULL AND seen_at IS NULL
            AND (failed_at IS NOT NULL OR reason_for_failure IS NOT NULL)),
        count_if(
            going_out
            AND (sent_at IS NOT NULL OR delivered_at IS NOT NULL OR seen_at IS NOT NULL)),
        count_if(going_out AND (delivered_at IS NOT NULL OR seen_at IS NOT NULL)),
        count_if(going_out AND seen_at IS NOT NULL),
        count_if(NOT going_out)
    FROM (SELECT *, message_direction = 'outgoing' AS going_out FROM messages)
    GROUP BY ALL
),
-- Only what stands beside a reported row of the day and account.
message_figures AS (
    FROM message_keys
    WHERE NOT ours OR EXISTS (
        FROM message_summaries AS told
        WHERE told.date = message_keys.date
            AND told.waba_id IS NOT DISTINCT FROM message_keys.waba_id)
),
retyped AS (
    SELECT
        * REPLACE (CASE
            WHEN session_type IN ('referral', 'referral_conversion') THEN 'referral'
            WHEN session_type IN (
                'marketing', 'utility', 'authentication', 'authentication_international')
            THEN 'business_initiated'
            WHEN session_type = 'service' THEN 'user_initiated'
            ELSE session_type
        END AS session_type)
    FROM session_summaries
),
session_keys AS (
    SELECT
        date, waba_id, wa_phone_number, country, session_type, free_tier, false AS ours,
        sum(number_of_sessions) AS number_of_sessions,
        CASE
            WHEN count(DISTINCT coalesce(currency, '?')) FILTER (amount IS NOT NULL) <= 1
            THEN sum(amount)
        END AS amount,
        min(coalesce(currency, '?')) FILTER (amount IS NOT NULL) AS charged_in
    FROM retyped
    GROUP BY ALL
    UNION ALL
    SELECT
        dated, waba_id, line, country, session_type, free_tier, true, count(*),
        CASE WHEN count(cost) = count(*) AND count(DISTINCT charged_in) <= 1 THEN sum(cost) END,
        min(charged_in)
    FROM conversations
    WHERE EXISTS (
        FROM session_summaries AS told
        WHERE told.date = conversations.dated
            AND told.waba_id IS NOT DISTINCT FROM conversations.waba_id)
    GROUP BY ALL
),
session_figures AS (
    SELECT
        *,
        min(charged_in) FILTER (NOT ours) OVER (
            PARTITION BY date, waba_id, wa_phone_number, country, session_type, free_tier)
            AS told_in
    FROM session_keys
),
units AS (
    SELECT
        'analytics' AS field, created_at, waba_id, line AS phone_number, country,
        NULL AS conversation_category, NULL AS conversation_type, NULL AS conversation_direction,
        NULL AS pricing_category, NULL AS pricing_type, NULL AS tier,
        CAST(sent_at IS NOT NULL OR delivered_at IS NOT NULL OR seen_at IS NOT NULL AS INTEGER)
            AS first_count,
        CAST(delivered_at IS NOT NULL OR seen_at IS NOT NULL AS INTEGER) AS second_count,
        CAST(0 AS DECIMAL(38, 6)) AS cost,
        NULL AS charged_in
    FROM messages
    WHERE message_direction = 'outgoing'
    UNION ALL
    SELECT
        'conversation_analytics', created_at, waba_id, line, country,
        CASE
            WHEN category_word IS NOT NULL THEN upper(category_word)
            WHEN session_type IN ('user_initiated', 'referral') THEN 'SERVICE'
            ELSE 'UNKNOWN'
        END,
        CASE
            WHEN session_type = 'referral' THEN 'FREE_ENTRY_POINT'
            WHEN free_tier THEN 'FREE_TIER'
            ELSE 'REGULAR'
        END,
        CASE
            WHEN session_type IN ('business_initiated', 'user_initiated') THEN upper(session_type)
            ELSE 'UNKNOWN'
        END,
        NULL, NULL, NULL, 1, 0, cost, charged_in
    FROM conversations
    UNION ALL
    SELECT
        'pricing_analytics', created_at, waba_id, line, country, NULL, NULL, NULL,
        pricing_category, pricing_type, tier, 1, 0, cost, charged_in
    FROM deliveries
),
points AS (
    SELECT
        *,
        coalesce(granularity, '') || '|' || coalesce(dimensions, '') || '|'
            || coalesce(phone_numbers, '') || '|' || coalesce(country_codes, '') AS series,
        list_contains(string_split(dimensions, ','), 'PHONE') AS by_phone,
        list_contains(string_split(dimensions, ','), 'COUNTRY') AS by_country
    FROM meta_points
    WHERE field IN ('analytics', 'conversation_analytics', 'pricing_analytics')
),
asked AS (
    SELECT DISTINCT
        field, coalesce(waba_id, '') AS account, series, make_timestamptz(start * 1000000) AS begins,
        make_timestamptz("end" * 1000000) AS ends, start, waba_id, granularity, dimensions,
        phone_numbers, country_codes, by_phone, by_country
    FROM points
),
-- A unit lies in one bucket of each kind of request.
found AS (
    SELECT
        asked.*,
        CASE WHEN by_phone THEN units.phone_number END AS phone_number,
        CASE WHEN by_country THEN units.country END AS country,
        CASE WHEN contains(dimensions, 'CONVERSATION_CATEGORY') THEN conversation_category END
            AS conversation_category,
        CASE WHEN contains(dimensions, 'CONVERSATION_TYPE') THEN conversation_type END
            AS conversation_type,
        CASE WHEN contains(dimensions, 'CONVERSATION_DIRECTION') THEN conversation_direction END
            AS conversation_direction,
        CASE WHEN contains(dimensions, 'PRICING_CATEGORY') THEN pricing_category END
            AS pricing_category,
        CASE WHEN contains(dimensions, 'PRICING_TYPE') THEN pricing_type END AS pricing_type,
        CASE WHEN contains(dimensions, 'TIER') THEN tier END AS tier,
        first_count, second_count, cost, charged_in
    FROM (
        SELECT units.*, kinds.series, kinds.account
        FROM units
        JOIN (SELECT DISTINCT field, account, series FROM asked) AS kinds
            ON kinds.field = units.field AND kinds.account = coalesce(units.waba_id, '')
    ) AS units
    ASOF JOIN asked
        ON asked.field = units.field
        AND asked.account = units.account
        AND asked.series = units.series
        AND asked.begins <= units.created_at
    WHERE units.created_at < asked.ends
        AND (phone_numbers IS NULL
            OR list_contains(string_split(phone_numbers, ','), units.phone_number))
        AND (country_codes IS NULL
            OR list_contains(string_split(country_codes, ','), units.country))
),
point_figures AS (
    SELECT
        true AS ours, field, waba_id, granularity, start, dimensions, phone_numbers, country_codes,
        by_phone, by_country, phone_number, country, conversation_category, conversation_type,
        conversation_direction, pricing_category, pricing_type, tier,
        sum(first_count) AS first_count,
        sum(second_count) AS second_count,
        CASE WHEN count(cost) = count(*) AND count(DISTINCT charged_in) <= 1 THEN sum(cost) END
            AS cost
    FROM found
    GROUP BY ALL
    HAVING sum(first_count) + sum(second_count) > 0
    UNION ALL
    SELECT
        false, field, waba_id, granularity, start, dimensions, phone_numbers, country_codes,
        by_phone, by_country, CASE WHEN by_phone THEN phone_number END,
        CASE WHEN by_country THEN country END, conversation_category, conversation_type,
        conversation_direction, pricing_category, pricing_type, tier,
        sum(CASE field
            WHEN 'analytics' THEN sent WHEN 'conversation_analytics' THEN conversation ELSE volume
        END),
        sum(delivered),
        sum(cost)
    FROM points
    GROUP BY ALL
),
figures AS (
    SELECT
        'message-summary' AS what, ours,
        CAST(CAST(date AS TIMESTAMP) AS TIMESTAMPTZ) AS bucket,
        'waba_id=' || coalesce(waba_id, '') || '; wa_phone_number='
            || coalesce(wa_phone_number, '') || '; country=' || coalesce(country, '')
            || '; message_type=' || coalesce(message_type, '') AS key,
        unnest(['created', 'failed', 'sent', 'delivered', 'read', 'received']) AS metric,
        unnest([created, failed, sent, delivered, read, received])::DECIMAL(38, 6) AS figure
    FROM message_figures
    UNION ALL
    SELECT
        'session-summary', ours, CAST(CAST(date AS TIMESTAMP) AS TIMESTAMPTZ),
        'waba_id=' || coalesce(waba_id, '') || '; wa_phone_number='
            || coalesce(wa_phone_number, '') || '; country=' || coalesce(country, '')
            || '; session_type=' || coalesce(session_type, '')
            || '; free_tier=' || coalesce(CAST(free_tier AS VARCHAR), ''),
        unnest(['number_of_sessions', 'amount']),
        unnest([
            number_of_sessions::DECIMAL(38, 6),
            CASE WHEN NOT ours OR told_in IS NULL OR charged_in IS NULL OR told_in = charged_in
                THEN amount END::DECIMAL(38, 6)
        ])
    FROM session_figures
    UNION ALL
    SELECT
        replace(field, '_', '-'), ours, make_timestamptz(start * 1000000),
        'waba_id=' || coalesce(waba_id, '') || '; granularity=' || coalesce(granularity, '')
            || coalesce('; phone_numbers=' || phone_numbers, '')
            || coalesce('; country_codes=' || country_codes, '')
            || CASE WHEN by_phone THEN '; phone_number=' || coalesce(phone_number, '') ELSE '' END
            || CASE WHEN by_country THEN '; country=' || coalesce(country, '') ELSE '' END
            || CASE WHEN contains(dimensions, 'CONVERSATION_CATEGORY')
                THEN '; conversation_category=' || coalesce(conversation_category, '') ELSE '' END
            || CASE WHEN contains(dimensions, 'CONVERSATION_TYPE')
                THEN '; conversation_type=' || coalesce(conversation_type, '') ELSE '' END
            || CASE WHEN contains(dimensions, 'CONVERSATION_DIRECTION')
                THEN '; conversation_direction=' || coalesce(conversation_direction, '') ELSE '' END
            || CASE WHEN contains(dimensions, 'PRICING_CATEGORY')
                THEN '; pricing_category=' || coalesce(pricing_category, '') ELSE '' END
            || CASE WHEN contains(dimensions, 'PRICING_TYPE')
                THEN '; pricing_type=' || coalesce(pricing_type, '') ELSE '' END
            || CASE WHEN contains(dimensions, 'TIER')
                THEN '; tier=' || coalesce(tier, '') ELSE '' END,
        unnest(CASE field
            WHEN 'analytics' THEN ['sent', 'delivered']
            WHEN 'conversation_analytics' THEN ['conversation', 'cost']
            ELSE ['volume', 'cost']
        END),
        unnest([
            first_count::DECIMAL(38, 6),
            CASE WHEN field = 'analytics' THEN second_count::DECIMAL(38, 6)
                ELSE cost::DECIMAL(38, 6) END
        ])
    FROM point_figures
),
compared AS (
    SELECT
        what, bucket, key, metric,
        CAST(1000000 * sum(figure) FILTER (ours) AS HUGEINT) AS computed,
        CAST(1000000 * sum(figure) FILTER (NOT ours) AS HUGEINT) AS reported
    FROM figures
    GROUP BY ALL
)
SELECT
    what,
    bucket,
    key,
    metric,
    computed / 1e6 AS computed,
    reported / 1e6 AS reported,
    (coalesce(compared.computed, 0) - coalesce(compared.reported, 0)) / 1e6 AS difference,
    100.0 * (coalesce(compared.computed, 0) - coalesce(compared.reported, 0))::DOUBLE
        / nullif(compared.reported, 0) AS difference_pct,
    abs(coalesce(compared.computed, 0) - coalesce(compared.reported, 0)) * 100
        <= abs(coalesce(compared.reported, 0)) AS within_tolerance
FROM compared
WHERE compared.computed IS NOT NULL OR compared.reported IS NOT NULL
ORDER BY what, bucket, key, metric;
