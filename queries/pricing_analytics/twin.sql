-- How many messages were delivered, and what did they cost? By the bucket of their creation;
-- or the figures that Meta reported.
WITH {markets},
{deliveries},
counted AS (
    SELECT
        bucket{dimensions},
        count(*) AS volume,
        {cost} AS cost
    FROM (SELECT *, {bucket} AS bucket, line AS phone_number FROM deliveries) AS units
    WHERE :source = 'lake'
        AND (
            (size(:waba) = 0 AND NOT :waba_none)
            OR array_contains(:waba, waba_id)
            OR (:waba_none AND waba_id IS NULL)
        )
        AND (size(:phone_numbers) = 0 OR array_contains(:phone_numbers, phone_number))
        AND (size(:country_codes) = 0 OR array_contains(:country_codes, country))
        AND (size(:pricing_types) = 0 OR array_contains(:pricing_types, pricing_type))
        AND (
            size(:pricing_categories) = 0 OR array_contains(:pricing_categories, pricing_category)
        )
    GROUP BY bucket{dimensions}
),
{reported},
stored AS (
    SELECT
        start,
        `end`{dimensions},
        CASE WHEN count(volume) = count(*) THEN sum(volume) END AS volume,
        CASE WHEN count(cost) = count(*) THEN sum(cost) END AS cost
    FROM reported
    WHERE field = 'pricing_analytics'
        AND preference = 1
        AND (size(:phone_numbers) = 0 OR array_contains(:phone_numbers, phone_number))
        AND (size(:country_codes) = 0 OR array_contains(:country_codes, country))
        AND (size(:pricing_types) = 0 OR array_contains(:pricing_types, pricing_type))
        AND (
            size(:pricing_categories) = 0 OR array_contains(:pricing_categories, pricing_category)
        )
    GROUP BY start, `end`{dimensions}
),
points AS (
    SELECT {start} AS start, {end} AS `end`{dimensions}, volume, cost FROM counted
    UNION ALL
    SELECT start, `end`{dimensions}, volume, cost FROM stored
)
SELECT
    CAST(start AS BIGINT) AS start,
    CAST(`end` AS BIGINT) AS `end`{dimensions}{measures}
FROM points
WHERE coalesce(volume, 0) <> 0
    OR coalesce(cost, 0) <> 0
    OR (volume IS NULL AND cost IS NOT NULL)
ORDER BY {order}
