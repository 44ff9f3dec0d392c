-- Which replies could have been one? A reply is mergeable if the message before it in the turn of its person
-- and line is a reply, shortly before. What the others would cost alone is counted without the mergeable ones.
WITH {markets},
{deliveries},
{replies},
kept_messages AS (
    SELECT messages.*
    FROM messages
    LEFT JOIN replies ON replies.reply_id = messages.whatsapp_id
    WHERE NOT coalesce(replies.is_mergeable, FALSE)
),
{kept_windows_then}kept AS (
    SELECT
        whatsapp_id,
        line,
        country,
        created_at,
        coalesce(:rules, CAST(from_utc_timestamp(created_at, :timezone) AS DATE)) AS dated,
        date_trunc('MONTH', from_utc_timestamp(created_at, :timezone)) AS month_of_creation,
        (:free_entry_point
            AND coalesce(conversation_type, '') IN ('referral', 'referral_conversion')){or_kept_entered}
            AS is_entry
    FROM kept_messages{join_kept_entered}
    WHERE message_type = 'outgoing' AND (delivered_at IS NOT NULL OR seen_at IS NOT NULL)
),
kept_numbered AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY line, month_of_creation, is_entry
            ORDER BY created_at NULLS LAST, whatsapp_id NULLS LAST
        ) AS service_number
    FROM kept
),
kept_placed AS (
    SELECT
        kept_numbered.*,
        NOT is_entry AND dated >= DATE '2026-10-01' AND service_number > :free_service_messages
            AS is_charged,
        CASE WHEN country IS NOT NULL THEN coalesce(market_name, 'Other') END AS market
    FROM kept_numbered
    LEFT JOIN all_markets
        ON all_markets.market_country = kept_numbered.country
        AND kept_numbered.dated >= all_markets.valid_from
        AND (all_markets.valid_until IS NULL OR kept_numbered.dated < all_markets.valid_until)
),
kept_offered AS (
    SELECT
        kept_placed.whatsapp_id,
        kept_placed.is_charged,
        rates.price,
        rates.currency,
        row_number() OVER (
            PARTITION BY kept_placed.whatsapp_id
            ORDER BY
                rates.country NULLS LAST,
                rates.market NULLS LAST,
                rates.effective_from DESC NULLS LAST,
                rates.tier_from DESC NULLS LAST
        ) AS preference
    FROM kept_placed
    LEFT JOIN rates
        ON rates.effective_from <= kept_placed.dated
        AND rates.category = 'service'
        AND rates.tier_from <= 0
        AND CASE
            WHEN rates.country IS NOT NULL THEN rates.country = kept_placed.country
            WHEN rates.market IS NOT NULL THEN rates.market = kept_placed.market
            ELSE TRUE
        END
),
kept_costs AS (
    SELECT
        whatsapp_id AS kept_id,
        CASE WHEN is_charged THEN price ELSE 0 END AS kept_cost,
        CASE WHEN is_charged AND price IS NOT NULL THEN coalesce(currency, '?') END AS kept_in
    FROM kept_offered
    WHERE preference = 1
),
units AS (
    SELECT
        {by_then}is_mergeable,
        cost,
        charged_in,
        kept_id,
        kept_cost,
        kept_in
    FROM {messages}
    {tagged}
    INNER JOIN replies ON replies.reply_id = whatsapp_id
    INNER JOIN (
        SELECT whatsapp_id AS priced_id, cost, charged_in FROM deliveries
    ) AS priced ON priced.priced_id = whatsapp_id
    LEFT JOIN kept_costs ON kept_costs.kept_id = whatsapp_id
),
summed AS (
    SELECT
        {by_columns_then}count(*) AS service_messages,
        count_if(is_mergeable) AS mergeable,
        {cost} AS cost,
        CASE
            WHEN count(kept_cost) = count(kept_id) AND count(DISTINCT kept_in) <= 1
                THEN coalesce(sum(kept_cost), 0)
        END AS cost_if_merged,
        nullif(nullif(array_join(sort_array(collect_set(charged_in)), '+'), '?'), '') AS currency,
        nullif(nullif(array_join(sort_array(collect_set(kept_in)), '+'), '?'), '') AS kept_currency
    FROM units
    {group_by}
)
SELECT
    {by_columns_then}CAST(service_messages AS BIGINT) AS service_messages,
    CAST(mergeable AS BIGINT) AS mergeable,
    CAST(mergeable AS DOUBLE) * 100 / service_messages AS mergeable_pct,
    CAST(cost AS DECIMAL(38, 6)) AS cost,
    CAST(cost_if_merged AS DECIMAL(38, 6)) AS cost_if_merged,
    CAST(cost - cost_if_merged AS DECIMAL(38, 6)) AS saved,
    CAST(coalesce(currency, kept_currency) AS STRING) AS currency
FROM summed
ORDER BY {by_order}
