own_markets AS (
    SELECT country, market, valid_from FROM markets
),
built_in_markets AS (
    SELECT explode(split(countries, ' ')) AS country, market, valid_from
    FROM (VALUES
        {built_in_markets}
    ) AS lines (market, valid_from, countries)
),
-- The market of a country from a date until another; a loaded row replaces a built-in one.
all_markets AS (
    SELECT
        country AS market_country,
        market AS market_name,
        valid_from,
        lead(valid_from) OVER (PARTITION BY country ORDER BY valid_from NULLS LAST) AS valid_until
    FROM (
        SELECT country, market, valid_from FROM own_markets
        UNION ALL
        SELECT built_in_markets.country, built_in_markets.market, built_in_markets.valid_from
        FROM built_in_markets
        LEFT JOIN own_markets
            ON own_markets.country = built_in_markets.country
            AND own_markets.valid_from = built_in_markets.valid_from
        WHERE own_markets.country IS NULL
    ) AS rows_of_markets
)
