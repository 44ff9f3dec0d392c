    row_number() OVER (
        PARTITION BY {unit}
        ORDER BY
            {card}.country NULLS LAST,
            {card}.market NULLS LAST,
            {card}.effective_from DESC NULLS LAST,
            {card}.tier_from DESC NULLS LAST
    ) AS preference
FROM {numbered}
LEFT JOIN {card}
    ON {card}.category = {category_of_unit}
    AND {card}.effective_from <= {numbered}.dated
    AND CASE
        WHEN {card}.country IS NOT NULL
            THEN {card}.country = {numbered}.country
                AND {card}.tier_from <= {numbered}.number
        WHEN {card}.market IS NOT NULL
            THEN {card}.market = {numbered}.market
                AND {card}.tier_from <= {numbered}.market_number
        ELSE {card}.tier_from <= {numbered}.number
    END
