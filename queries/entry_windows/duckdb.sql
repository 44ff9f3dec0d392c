-- Faster than the twin by ASOF joins for answers and windows, and by looking up rates for the messages inside alone.
WITH clicks AS MATERIALIZED (
    SELECT
        session_id AS click_id,
        meta_source_id,
        user_key,
        line_whatsapp_number AS line,
        first_message_timestamp AS clicked_at
    FROM sessions
    WHERE user_key IS NOT NULL
        AND first_message_timestamp IS NOT NULL
        AND (meta_source_id IS NOT NULL OR meta_source_type IS NOT NULL)
        AND coalesce(meta_source_type, 'Ad') = 'Ad'
),
served AS MATERIALIZED (
    SELECT whatsapp_id, user_key, line, created_at
    FROM messages
    WHERE message_direction = 'outgoing' AND (delivered_at IS NOT NULL OR seen_at IS NOT NULL)
        AND user_key IN (SELECT user_key FROM clicks)
),
answers AS MATERIALIZED (
    SELECT click_id, clicks.user_key, clicks.line, clicked_at, created_at AS opened_at
    FROM clicks
    ASOF JOIN served
        ON served.user_key = clicks.user_key
        AND served.line = clicks.line
        AND served.created_at >= clicks.clicked_at
    WHERE created_at <= clicked_at + INTERVAL 24 HOURS
    UNION ALL
    SELECT click_id, clicks.user_key, instants.line, clicked_at, created_at
    FROM clicks
    -- A click without a line is answered on any: of answers at one instant the smallest id decides.
    ASOF JOIN (
        SELECT user_key, created_at, arg_min({line: line}, whatsapp_id).line AS line
        FROM served
        GROUP BY ALL
    ) AS instants
        ON instants.user_key = clicks.user_key
        AND instants.created_at >= clicks.clicked_at
    WHERE clicks.line IS NULL AND created_at <= clicked_at + INTERVAL 24 HOURS
),
windows AS (
    SELECT
        user_key,
        coalesce(line, '') AS line,
        opened_at,
        arg_max(click_id, (clicked_at, click_id)) AS click_id
    FROM answers
    GROUP BY ALL
),
in_windows AS MATERIALIZED (
    SELECT whatsapp_id, click_id
    FROM served
    ASOF JOIN windows
        ON windows.user_key = served.user_key
        AND windows.line = coalesce(served.line, '')
        AND windows.opened_at <= served.created_at
    WHERE created_at < opened_at + INTERVAL 72 HOURS
),
delivered AS (
    SELECT
        whatsapp_id,
        user_key,
        line,
        country,
        created_at,
        make_timestamp(epoch_us(created_at)) AS local,
        CASE
            WHEN message_type <> 'template' THEN 'service'
            WHEN pricing_category IN (
                'marketing', 'marketing_lite', 'utility', 'authentication',
                'authentication_international')
            THEN pricing_category
            WHEN conversation_type IN (
                'marketing', 'utility', 'authentication', 'authentication_international')
            THEN conversation_type
            ELSE 'unknown'
        END AS category
    FROM messages
    WHERE message_direction = 'outgoing' AND (delivered_at IS NOT NULL OR seen_at IS NOT NULL)
),
-- Until October 2026, a utility template within a day of a person's message is free.
answering AS (
    SELECT templates.whatsapp_id
    FROM (
        SELECT whatsapp_id, user_key, coalesce(line, '') AS line, created_at
        FROM delivered
        WHERE category = 'utility' AND created_at < TIMESTAMPTZ '2026-10-01 00:00:00Z'
    ) AS templates
    ASOF JOIN (
        SELECT user_key, coalesce(line, '') AS line, created_at
        FROM messages
        WHERE message_direction = 'incoming' AND coalesce(format, '') <> 'reaction'
    ) AS wrote
        ON wrote.user_key = templates.user_key
        AND wrote.line = templates.line
        AND wrote.created_at <= templates.created_at
    WHERE wrote.created_at > templates.created_at - INTERVAL 24 HOURS
),
-- From October 2026 on, the first 1000 service messages of a line and month are free.
serving AS (
    SELECT whatsapp_id
    FROM delivered
    WHERE category = 'service' AND created_at >= TIMESTAMPTZ '2026-10-01 00:00:00Z'
    QUALIFY row_number() OVER (
        PARTITION BY line, date_trunc('month', local) ORDER BY created_at, whatsapp_id) > 1000
),
built_in_markets AS (
    SELECT
        unnest(string_split(countries, ' ')) AS country,
        market,
        CAST(valid_from AS DATE) AS valid_from
    FROM read_csv('data/reference/markets.tsv', delim = '\t', header = false, comment = '#',
        all_varchar = true, quote = '', names = ['valid_from', 'market', 'countries'])
),
all_markets AS (
    SELECT country, market, valid_from FROM markets
    UNION ALL
    FROM built_in_markets ANTI JOIN markets USING (country, valid_from)
),
placed AS (
    SELECT
        days.country,
        dated,
        CASE WHEN days.country IS NOT NULL THEN coalesce(market, 'Other') END AS market
    FROM (SELECT DISTINCT country, CAST(local AS DATE) AS dated FROM delivered) AS days
    ASOF LEFT JOIN all_markets ON all_markets.country = days.country AND valid_from <= dated
),
numbered AS (
    SELECT
        whatsapp_id,
        delivered.country,
        market,
        category,
        dated,
        CASE WHEN category = 'service' THEN 0 ELSE row_number() OVER (
            PARTITION BY delivered.country, category, date_trunc('month', local)
            ORDER BY created_at, whatsapp_id) END AS number,
        CASE WHEN category = 'service' THEN 0 ELSE row_number() OVER (
            PARTITION BY market, category, date_trunc('month', local)
            ORDER BY created_at, whatsapp_id) END AS market_number
    FROM delivered
    JOIN placed
        ON placed.country IS NOT DISTINCT FROM delivered.country
        AND placed.dated = CAST(local AS DATE)
    WHERE (category <> 'service' OR whatsapp_id IN (FROM serving))
        AND whatsapp_id NOT IN (FROM answering)
),
charged AS MATERIALIZED (
    FROM numbered SEMI JOIN in_windows USING (whatsapp_id)
),
priced AS (
    SELECT
        kinds.*,
        arg_max(
            {price: price, currency: coalesce(currency, '?')},
            (rates.country IS NOT NULL, rates.market IS NOT NULL, effective_from, tier_from)) AS rate
    FROM (SELECT DISTINCT * EXCLUDE (whatsapp_id) FROM charged) AS kinds
    JOIN rates
        ON rates.category = kinds.category
        AND effective_from <= dated
        AND CASE
            WHEN rates.country IS NOT NULL THEN rates.country = kinds.country AND tier_from <= number
            WHEN rates.market IS NOT NULL
            THEN rates.market = kinds.market AND tier_from <= market_number
            ELSE tier_from <= number
        END
    GROUP BY ALL
),
costs AS (
    SELECT whatsapp_id, rate.price AS price, rate.currency AS currency
    FROM charged
    LEFT JOIN priced
        ON priced.country IS NOT DISTINCT FROM charged.country
        AND priced.market IS NOT DISTINCT FROM charged.market
        AND priced.category = charged.category
        AND priced.dated = charged.dated
        AND priced.number = charged.number
        AND priced.market_number = charged.market_number
),
inside AS (
    SELECT
        meta_source_id,
        count(*) AS messages_inside,
        CASE
            WHEN count(costs.whatsapp_id) = count(price) AND count(DISTINCT currency) <= 1
            THEN coalesce(sum(price), 0)
        END AS cost,
        coalesce(string_agg(DISTINCT currency, '+' ORDER BY currency), '') AS charged
    FROM in_windows
    JOIN clicks ON clicks.click_id = in_windows.click_id
    LEFT JOIN costs ON costs.whatsapp_id = in_windows.whatsapp_id
    GROUP BY ALL
),
counted AS (
    SELECT
        meta_source_id,
        count(*) AS clicks,
        count(*) FILTER (
            answers.click_id IS NULL
            AND NOT coalesce(clicks.clicked_at + INTERVAL 24 HOURS <= latest_at, false)
        ) AS pending,
        count(answers.click_id) AS answered,
        quantile_cont(epoch_us(opened_at) - epoch_us(clicks.clicked_at), 0.5) AS median_answer
    FROM clicks
    CROSS JOIN (SELECT max(created_at) AS latest_at FROM messages)
    LEFT JOIN answers ON answers.click_id = clicks.click_id
    GROUP BY ALL
),
spent AS (
    SELECT
        ad_id AS meta_source_id,
        CASE WHEN count(DISTINCT coalesce(currency, '?')) = 1 THEN sum(spend) END AS spend,
        string_agg(DISTINCT coalesce(currency, '?'), '+' ORDER BY coalesce(currency, '?'))
            AS spend_currency
    FROM ad_spend
    GROUP BY ad_id
)
SELECT
    meta_source_id,
    CAST(coalesce(clicks, 0) AS BIGINT) AS clicks,
    CAST(coalesce(pending, 0) AS BIGINT) AS pending,
    CAST(coalesce(answered, 0) AS BIGINT) AS answered,
    CAST(100.0 * answered / nullif(clicks - pending, 0) AS DOUBLE) AS answered_pct,
    CAST(median_answer / 1e6 AS DOUBLE) AS median_answer_seconds,
    CAST(coalesce(clicks - pending - answered, 0) AS BIGINT) AS missed,
    CAST(coalesce(messages_inside, 0) AS BIGINT) AS messages_inside,
    CAST(cost AS DECIMAL(38, 6)) AS would_have_cost,
    nullif(nullif(charged, '?'), '') AS currency,
    CAST(spend AS DECIMAL(38, 6)) AS spend,
    nullif(spend_currency, '?') AS spend_currency,
    CASE
        WHEN messages_inside IS NULL THEN CAST(spend AS DOUBLE) / clicks
        WHEN charged IN ('', spend_currency) THEN CAST(spend - cost AS DOUBLE) / clicks
    END AS net_per_click
FROM counted
FULL JOIN spent USING (meta_source_id)
LEFT JOIN inside ON inside.meta_source_id IS NOT DISTINCT FROM counted.meta_source_id
    AND counted.clicks IS NOT NULL
ORDER BY coalesce(counted.clicks, 0) DESC, meta_source_id NULLS LAST;
