-- How many conversations were there, and what did they cost? By the bucket of their first
-- message that did not fail; or the figures that Meta reported.
WITH {markets},
{conversations},
units AS (
    SELECT
        {bucket} AS bucket,
        waba_id,
        line AS phone_number,
        country,
        conversation_category,
        conversation_type,
        conversation_direction,
        cost,
        charged_in
    FROM conversations
    WHERE :source = 'lake'
),
counted AS (
    SELECT
        bucket{dimensions},
        count(*) AS conversation,
        {cost} AS cost
    FROM units
    WHERE (
        (size(:waba) = 0 AND NOT :waba_none)
        OR array_contains(:waba, waba_id)
        OR (:waba_none AND waba_id IS NULL)
    )
        AND (size(:phone_numbers) = 0 OR array_contains(:phone_numbers, phone_number))
        AND (size(:country_codes) = 0 OR array_contains(:country_codes, country))
        AND (
            size(:conversation_categories) = 0
            OR array_contains(:conversation_categories, conversation_category)
        )
        AND (
            size(:conversation_types) = 0 OR array_contains(:conversation_types, conversation_type)
        )
        AND (
            size(:conversation_directions) = 0
            OR array_contains(:conversation_directions, conversation_direction)
        )
    GROUP BY bucket{dimensions}
),
{reported},
stored AS (
    SELECT
        start,
        `end`{dimensions},
        CASE WHEN count(conversation) = count(*) THEN sum(conversation) END AS conversation,
        CASE WHEN count(cost) = count(*) THEN sum(cost) END AS cost
    FROM reported
    WHERE field = 'conversation_analytics'
        AND preference = 1
        AND (size(:phone_numbers) = 0 OR array_contains(:phone_numbers, phone_number))
        AND (size(:country_codes) = 0 OR array_contains(:country_codes, country))
        AND (
            size(:conversation_categories) = 0
            OR array_contains(:conversation_categories, conversation_category)
        )
        AND (
            size(:conversation_types) = 0 OR array_contains(:conversation_types, conversation_type)
        )
        AND (
            size(:conversation_directions) = 0
            OR array_contains(:conversation_directions, conversation_direction)
        )
    GROUP BY start, `end`{dimensions}
),
points AS (
    SELECT {start} AS start, {end} AS `end`{dimensions}, conversation, cost FROM counted
    UNION ALL
    SELECT start, `end`{dimensions}, conversation, cost FROM stored
)
SELECT
    CAST(start AS BIGINT) AS start,
    CAST(`end` AS BIGINT) AS `end`{dimensions}{measures}
FROM points
WHERE coalesce(conversation, 0) <> 0
    OR coalesce(cost, 0) <> 0
    OR (conversation IS NULL AND cost IS NOT NULL)
ORDER BY {order}
