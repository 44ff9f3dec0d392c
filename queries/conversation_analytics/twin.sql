-- How many conversations were there, and what did they cost? Each in the bucket of its first
-- message that did not fail; or what Meta itself said.
WITH
    {conversations},
units AS (
    SELECT
        {bucket} AS bucket,
        waba_id,
        line AS phone_number,
        country,
        CASE
            WHEN category_word IS NOT NULL THEN upper(category_word)
            WHEN session_type IN ('user_initiated', 'referral') THEN 'SERVICE'
            ELSE 'UNKNOWN'
        END AS conversation_category,
        CASE
            WHEN session_type = 'referral' THEN 'FREE_ENTRY_POINT'
            WHEN free_tier THEN 'FREE_TIER'
            ELSE 'REGULAR'
        END AS conversation_type,
        CASE
            WHEN session_type IN ('business_initiated', 'user_initiated') THEN upper(session_type)
            ELSE 'UNKNOWN'
        END AS conversation_direction,
        cost,
        charged_in
    FROM conversations
    WHERE :source = 'lake'
),
counted AS (
    SELECT
        bucket{dimensions},
        count(*) AS conversation,
        CASE
            WHEN count(cost) = count(*) AND count(DISTINCT charged_in) <= 1 THEN sum(cost)
        END AS cost
    FROM units
    WHERE (size(:waba) = 0 OR array_contains(:waba, waba_id))
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
told AS (
    SELECT
        *,
        dense_rank() OVER (
            PARTITION BY waba_id, start, `end`
            ORDER BY
                CASE WHEN dimensions IS NULL THEN 0 ELSE size(split(dimensions, ',')) END,
                dimensions NULLS LAST
        ) AS preference
    FROM meta_points
    WHERE :source = 'meta'
        AND field = 'conversation_analytics'
        AND granularity = :granularity
        AND (:first_at IS NULL OR start * 1000000 >= unix_micros(:first_at))
        AND (:until_at IS NULL OR start * 1000000 < unix_micros(:until_at))
        AND (size(:waba) = 0 OR array_contains(:waba, waba_id)){including}
),
stored AS (
    SELECT
        start,
        `end`{dimensions},
        CASE WHEN count(conversation) = count(*) THEN sum(conversation) END AS conversation,
        CASE WHEN count(cost) = count(*) THEN sum(cost) END AS cost
    FROM told
    WHERE preference = 1
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
