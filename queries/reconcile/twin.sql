-- Do the vendors' figures agree with ours? Kaleyra's summaries and Meta's points beside the same
-- figures computed from the messages.
WITH {markets},
{conversations},
{deliveries},
reported_messages AS (
    SELECT
        date, waba_id, wa_phone_number, country, message_type,
        sum(created) AS created, sum(failed) AS failed, sum(sent) AS sent,
        sum(delivered) AS delivered, sum(read) AS read, sum(received) AS received
    FROM message_summaries
    WHERE (:from_date IS NULL OR date >= :from_date)
        AND (:to_date IS NULL OR date <= :to_date)
        AND (
            (size(:waba) = 0 AND NOT :waba_none)
            OR array_contains(:waba, waba_id)
            OR (:waba_none AND waba_id IS NULL)
        )
    GROUP BY date, waba_id, wa_phone_number, country, message_type
),
message_days AS (
    SELECT DISTINCT date AS day_reported, waba_id AS waba_reported FROM reported_messages
),
dated_messages AS (
    SELECT
        CAST(from_utc_timestamp(created_at, :timezone) AS DATE) AS date,
        waba_id,
        line AS wa_phone_number,
        country,
        message_type,
        {outcomes}
    FROM messages
),
computed_messages AS (
    SELECT
        date, waba_id, wa_phone_number, country, message_type,
        {message_counts}
    FROM dated_messages
    INNER JOIN message_days
        ON day_reported = date AND waba_reported <=> waba_id
    GROUP BY date, waba_id, wa_phone_number, country, message_type
),
message_figures AS (
    SELECT true AS ours, * FROM computed_messages
    UNION ALL
    SELECT false AS ours, * FROM reported_messages
),
retyped AS (
    SELECT
        date, waba_id, wa_phone_number, country, free_tier, number_of_sessions, amount, currency,
        CASE
            WHEN session_type IN ('referral', 'referral_conversion') THEN 'referral'
            WHEN session_type IN (
                'marketing', 'utility', 'authentication', 'authentication_international'
            ) THEN 'business_initiated'
            WHEN session_type = 'service' THEN 'user_initiated'
            ELSE session_type
        END AS session_type
    FROM session_summaries
    WHERE (:from_date IS NULL OR date >= :from_date)
        AND (:to_date IS NULL OR date <= :to_date)
        AND (
            (size(:waba) = 0 AND NOT :waba_none)
            OR array_contains(:waba, waba_id)
            OR (:waba_none AND waba_id IS NULL)
        )
),
reported_sessions AS (
    SELECT
        date, waba_id, wa_phone_number, country, session_type, free_tier,
        sum(number_of_sessions) AS number_of_sessions,
        sum(amount) AS amount,
        min(CASE WHEN amount IS NOT NULL THEN coalesce(currency, '?') END) AS least_currency,
        max(CASE WHEN amount IS NOT NULL THEN coalesce(currency, '?') END) AS greatest_currency
    FROM retyped
    GROUP BY date, waba_id, wa_phone_number, country, session_type, free_tier
),
session_days AS (
    SELECT DISTINCT date AS day_reported, waba_id AS waba_reported FROM retyped
),
computed_sessions AS (
    SELECT
        dated AS date, waba_id, line AS wa_phone_number, country, session_type, free_tier,
        count(*) AS number_of_sessions,
        {cost} AS amount,
        min(charged_in) AS charged_in
    FROM conversations
    INNER JOIN session_days
        ON day_reported = dated AND waba_reported <=> waba_id
    GROUP BY dated, waba_id, line, country, session_type, free_tier
),
session_figures AS (
    SELECT
        true AS ours,
        ours.date, ours.waba_id, ours.wa_phone_number, ours.country, ours.session_type,
        ours.free_tier, ours.number_of_sessions,
        CASE
            WHEN theirs.least_currency <> ours.charged_in THEN NULL ELSE ours.amount
        END AS amount
    FROM computed_sessions AS ours
    LEFT JOIN reported_sessions AS theirs
        ON theirs.date = ours.date
        AND theirs.waba_id <=> ours.waba_id
        AND theirs.wa_phone_number <=> ours.wa_phone_number
        AND theirs.country <=> ours.country
        AND theirs.session_type <=> ours.session_type
        AND theirs.free_tier <=> ours.free_tier
    UNION ALL
    SELECT
        false AS ours, date, waba_id, wa_phone_number, country, session_type, free_tier,
        number_of_sessions,
        CASE
            WHEN least_currency IS NULL OR least_currency = greatest_currency THEN amount
        END AS amount
    FROM reported_sessions
),
asked AS (
    SELECT
        waba_id, field, granularity, start, `end`, dimensions, phone_numbers, country_codes,
        phone_number, country, conversation_category, conversation_type, conversation_direction,
        pricing_category, pricing_type, tier, sent, delivered, conversation, volume, cost
    FROM meta_points
    WHERE field IN ('analytics', 'conversation_analytics', 'pricing_analytics')
        AND (
            (size(:waba) = 0 AND NOT :waba_none)
            OR array_contains(:waba, waba_id)
            OR (:waba_none AND waba_id IS NULL)
        )
        AND (
            :from_date IS NULL
            OR CAST(from_utc_timestamp(timestamp_micros(start * 1000000), :timezone) AS DATE)
                >= :from_date
        )
        AND (
            :to_date IS NULL
            OR CAST(from_utc_timestamp(timestamp_micros(start * 1000000), :timezone) AS DATE)
                <= :to_date
        )
),
requests AS (
    SELECT DISTINCT
        waba_id AS asked_waba, field AS asked_field, granularity, start, `end`, dimensions,
        phone_numbers, country_codes
    FROM asked
),
units AS (
    SELECT
        'analytics' AS field, created_at, waba_id, line AS phone_number, country,
        CAST(NULL AS STRING) AS conversation_category,
        CAST(NULL AS STRING) AS conversation_type,
        CAST(NULL AS STRING) AS conversation_direction,
        CAST(NULL AS STRING) AS pricing_category,
        CAST(NULL AS STRING) AS pricing_type,
        CAST(NULL AS STRING) AS tier,
        CASE
            WHEN sent_at IS NOT NULL OR delivered_at IS NOT NULL OR seen_at IS NOT NULL THEN 1
            ELSE 0
        END AS first_count,
        CASE WHEN delivered_at IS NOT NULL OR seen_at IS NOT NULL THEN 1 ELSE 0 END AS second_count,
        CAST(0 AS DECIMAL(38, 6)) AS cost,
        CAST(NULL AS STRING) AS charged_in
    FROM messages
    WHERE message_direction = 'outgoing'
    UNION ALL
    SELECT
        'conversation_analytics', created_at, waba_id, line, country,
        conversation_category, conversation_type, conversation_direction,
        NULL, NULL, NULL, 1, 0, cost, charged_in
    FROM conversations
    UNION ALL
    SELECT
        'pricing_analytics', created_at, waba_id, line, country, NULL, NULL, NULL,
        pricing_category, pricing_type, tier, 1, 0, cost, charged_in
    FROM deliveries
),
found AS (
    SELECT
        requests.*,
        CASE WHEN array_contains(split(dimensions, ','), 'PHONE') THEN phone_number END
            AS phone_number,
        CASE WHEN array_contains(split(dimensions, ','), 'COUNTRY') THEN country END AS country,
        CASE
            WHEN array_contains(split(dimensions, ','), 'CONVERSATION_CATEGORY')
                THEN conversation_category
        END AS conversation_category,
        CASE
            WHEN array_contains(split(dimensions, ','), 'CONVERSATION_TYPE') THEN conversation_type
        END AS conversation_type,
        CASE
            WHEN array_contains(split(dimensions, ','), 'CONVERSATION_DIRECTION')
                THEN conversation_direction
        END AS conversation_direction,
        CASE
            WHEN array_contains(split(dimensions, ','), 'PRICING_CATEGORY') THEN pricing_category
        END AS pricing_category,
        CASE WHEN array_contains(split(dimensions, ','), 'PRICING_TYPE') THEN pricing_type END
            AS pricing_type,
        CASE WHEN array_contains(split(dimensions, ','), 'TIER') THEN tier END AS tier,
        first_count,
        second_count,
        cost,
        charged_in
    FROM requests
    INNER JOIN units
        ON units.field = requests.asked_field
        AND units.waba_id <=> requests.asked_waba
        AND unix_micros(units.created_at) >= requests.start * 1000000
        AND unix_micros(units.created_at) < requests.`end` * 1000000
    WHERE (phone_numbers IS NULL OR array_contains(split(phone_numbers, ','), units.phone_number))
        AND (country_codes IS NULL OR array_contains(split(country_codes, ','), units.country))
),
point_figures AS (
    SELECT
        true AS ours, asked_field AS field, asked_waba AS waba_id, granularity, start, dimensions,
        phone_numbers, country_codes, phone_number, country, conversation_category,
        conversation_type, conversation_direction, pricing_category, pricing_type, tier,
        sum(first_count) AS first_count,
        sum(second_count) AS second_count,
        {cost} AS cost
    FROM found
    GROUP BY
        asked_field, asked_waba, granularity, start, dimensions, phone_numbers, country_codes,
        phone_number, country, conversation_category, conversation_type, conversation_direction,
        pricing_category, pricing_type, tier
    UNION ALL
    SELECT
        false AS ours, field, waba_id, granularity, start, dimensions, phone_numbers,
        country_codes,
        CASE WHEN array_contains(split(dimensions, ','), 'PHONE') THEN phone_number END,
        CASE WHEN array_contains(split(dimensions, ','), 'COUNTRY') THEN country END,
        conversation_category, conversation_type, conversation_direction, pricing_category,
        pricing_type, tier,
        sum(CASE field
            WHEN 'analytics' THEN sent
            WHEN 'conversation_analytics' THEN conversation
            ELSE volume
        END),
        sum(delivered),
        sum(cost)
    FROM asked
    GROUP BY
        field, waba_id, granularity, start, dimensions, phone_numbers, country_codes,
        CASE WHEN array_contains(split(dimensions, ','), 'PHONE') THEN phone_number END,
        CASE WHEN array_contains(split(dimensions, ','), 'COUNTRY') THEN country END,
        conversation_category, conversation_type, conversation_direction, pricing_category,
        pricing_type, tier
),
named AS (
    SELECT
        ours,
        field,
        timestamp_micros(start * 1000000) AS bucket,
        concat(
            'waba_id=', coalesce(waba_id, ''),
            '; granularity=', coalesce(granularity, ''),
            coalesce(concat('; phone_numbers=', phone_numbers), ''),
            coalesce(concat('; country_codes=', country_codes), ''),
            CASE WHEN array_contains(split(dimensions, ','), 'PHONE')
                THEN concat('; phone_number=', coalesce(phone_number, '')) ELSE '' END,
            CASE WHEN array_contains(split(dimensions, ','), 'COUNTRY')
                THEN concat('; country=', coalesce(country, '')) ELSE '' END,
            CASE WHEN array_contains(split(dimensions, ','), 'CONVERSATION_CATEGORY')
                THEN concat('; conversation_category=', coalesce(conversation_category, ''))
                ELSE '' END,
            CASE WHEN array_contains(split(dimensions, ','), 'CONVERSATION_TYPE')
                THEN concat('; conversation_type=', coalesce(conversation_type, '')) ELSE '' END,
            CASE WHEN array_contains(split(dimensions, ','), 'CONVERSATION_DIRECTION')
                THEN concat('; conversation_direction=', coalesce(conversation_direction, ''))
                ELSE '' END,
            CASE WHEN array_contains(split(dimensions, ','), 'PRICING_CATEGORY')
                THEN concat('; pricing_category=', coalesce(pricing_category, '')) ELSE '' END,
            CASE WHEN array_contains(split(dimensions, ','), 'PRICING_TYPE')
                THEN concat('; pricing_type=', coalesce(pricing_type, '')) ELSE '' END,
            CASE WHEN array_contains(split(dimensions, ','), 'TIER')
                THEN concat('; tier=', coalesce(tier, '')) ELSE '' END
        ) AS key,
        first_count,
        second_count,
        cost
    FROM point_figures
    WHERE NOT ours OR first_count + second_count > 0
),
figures AS (
    SELECT
        'message-summary' AS what,
        to_utc_timestamp(CAST(date AS TIMESTAMP_LTZ), :timezone) AS bucket,
        concat(
            'waba_id=', coalesce(waba_id, ''), '; wa_phone_number=', coalesce(wa_phone_number, ''),
            '; country=', coalesce(country, ''), '; message_type=', coalesce(message_type, '')
        ) AS key,
        metric,
        ours,
        CAST(CASE metric
            WHEN 'created' THEN created
            WHEN 'failed' THEN failed
            WHEN 'sent' THEN sent
            WHEN 'delivered' THEN delivered
            WHEN 'read' THEN read
            ELSE received
        END AS DECIMAL(38, 6)) AS value
    FROM message_figures
    CROSS JOIN (
        SELECT explode(array('created', 'failed', 'sent', 'delivered', 'read', 'received'))
            AS metric
    ) AS metrics
    UNION ALL
    SELECT
        'session-summary',
        to_utc_timestamp(CAST(date AS TIMESTAMP_LTZ), :timezone),
        concat(
            'waba_id=', coalesce(waba_id, ''), '; wa_phone_number=', coalesce(wa_phone_number, ''),
            '; country=', coalesce(country, ''), '; session_type=', coalesce(session_type, ''),
            '; free_tier=', coalesce(CAST(free_tier AS STRING), '')
        ),
        metric,
        ours,
        CASE metric
            WHEN 'amount' THEN CAST(amount AS DECIMAL(38, 6))
            ELSE CAST(number_of_sessions AS DECIMAL(38, 6))
        END
    FROM session_figures
    CROSS JOIN (SELECT explode(array('number_of_sessions', 'amount')) AS metric) AS metrics
    UNION ALL
    SELECT
        replace(field, '_', '-'),
        bucket,
        key,
        CASE
            WHEN field = 'analytics' THEN CASE place WHEN 1 THEN 'sent' ELSE 'delivered' END
            WHEN place = 2 THEN 'cost'
            WHEN field = 'conversation_analytics' THEN 'conversation'
            ELSE 'volume'
        END,
        ours,
        CASE
            WHEN place = 1 THEN CAST(first_count AS DECIMAL(38, 6))
            WHEN field = 'analytics' THEN CAST(second_count AS DECIMAL(38, 6))
            ELSE CAST(cost AS DECIMAL(38, 6))
        END
    FROM named
    CROSS JOIN (SELECT explode(array(1, 2)) AS place) AS places
),
-- Points with the same start and different ends are summed, on both sides.
compared AS (
    SELECT
        what,
        bucket,
        key,
        metric,
        CAST(sum(CASE WHEN ours THEN value END) * 1000000 AS DECIMAL(38, 0)) AS computed,
        CAST(sum(CASE WHEN NOT ours THEN value END) * 1000000 AS DECIMAL(38, 0)) AS reported
    FROM figures
    GROUP BY what, bucket, key, metric
)
SELECT
    CAST(what AS STRING) AS what,
    CAST(bucket AS TIMESTAMP_LTZ) AS bucket,
    CAST(key AS STRING) AS key,
    CAST(metric AS STRING) AS metric,
    CAST(computed AS DOUBLE) / 1000000 AS computed,
    CAST(reported AS DOUBLE) / 1000000 AS reported,
    CAST(coalesce(computed, 0) - coalesce(reported, 0) AS DOUBLE) / 1000000 AS difference,
    CAST(coalesce(computed, 0) - coalesce(reported, 0) AS DOUBLE) * 100
        / CAST(nullif(reported, 0) AS DOUBLE)
        AS difference_pct,
    CAST(abs(coalesce(computed, 0) - coalesce(reported, 0)) AS DOUBLE) * 100
        <= CAST(abs(coalesce(reported, 0)) AS DOUBLE) * {tolerance} AS within_tolerance
FROM compared
WHERE computed IS NOT NULL OR reported IS NOT NULL
ORDER BY
    what NULLS LAST,
    bucket NULLS LAST,
    key NULLS LAST,
    metric NULLS LAST
