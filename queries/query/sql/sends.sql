-- Delivered deployments, each a message of one category, numbered before any filter.
delivered_sends AS (
    SELECT
        *,
        CAST(from_utc_timestamp(deployment_timestamp, :timezone) AS DATE) AS dated,
        date_trunc('MONTH', from_utc_timestamp(deployment_timestamp, :timezone)) AS month_of_send
    FROM deployments
    WHERE delivery_status = 'Delivered'
),
placed_sends AS (
    SELECT
        delivered_sends.*,
        CASE WHEN country IS NOT NULL THEN coalesce(market_name, 'Other') END AS market
    FROM delivered_sends
    LEFT JOIN all_markets
        ON all_markets.market_country = delivered_sends.country
        AND delivered_sends.dated >= all_markets.valid_from
        AND (all_markets.valid_until IS NULL OR delivered_sends.dated < all_markets.valid_until)
),
numbered_sends AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY country, month_of_send
            ORDER BY
                deployment_timestamp NULLS LAST,
                user_phone NULLS LAST,
                conversation_id NULLS LAST,
                conversation_version NULLS LAST
        ) AS number,
        row_number() OVER (
            PARTITION BY market, month_of_send
            ORDER BY
                deployment_timestamp NULLS LAST,
                user_phone NULLS LAST,
                conversation_id NULLS LAST,
                conversation_version NULLS LAST
        ) AS market_number
    FROM placed_sends
),
offered_sends AS (
    SELECT
        numbered_sends.*,
        rates.price,
        rates.currency,
    {rate_of_unit}
),
sends AS (
    SELECT
        *,
        price AS cost,
        CASE WHEN price IS NOT NULL THEN coalesce(currency, '?') END AS charged_in
    FROM {offered_sends}
    WHERE preference = 1
        AND (:from_at IS NULL OR deployment_timestamp >= :from_at)
        AND (:until_at IS NULL OR deployment_timestamp < :until_at)
)
