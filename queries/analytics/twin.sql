-- How many messages were sent and delivered? By the bucket of their creation; or the figures that
-- Meta reported.
WITH units AS (
    SELECT
        {bucket} AS bucket,
        waba_id,
        line AS phone_number,
        country,
        CASE
            WHEN message_direction = 'incoming' THEN '100'
            WHEN message_type = 'template' THEN '0'
            ELSE '2'
        END AS product_type,
        message_direction = 'incoming'
            OR sent_at IS NOT NULL OR delivered_at IS NOT NULL OR seen_at IS NOT NULL AS sent,
        message_direction = 'incoming' OR delivered_at IS NOT NULL OR seen_at IS NOT NULL
            AS delivered
    FROM messages
    WHERE :source = 'lake'
        AND (:from_at IS NULL OR created_at >= :from_at)
        AND (:until_at IS NULL OR created_at < :until_at)
),
counted AS (
    SELECT bucket, count_if(sent) AS sent, count_if(delivered) AS delivered
    FROM units
    WHERE (
        (size(:waba) = 0 AND NOT :waba_none)
        OR array_contains(:waba, waba_id)
        OR (:waba_none AND waba_id IS NULL)
    )
        AND (size(:phone_numbers) = 0 OR array_contains(:phone_numbers, phone_number))
        AND (size(:country_codes) = 0 OR array_contains(:country_codes, country))
        AND (size(:product_types) = 0 OR array_contains(:product_types, product_type))
    GROUP BY bucket
),
reported AS (
    SELECT
        waba_id,
        start,
        `end`,
        phone_numbers,
        country_codes,
        sent,
        delivered,
        dense_rank() OVER (
            PARTITION BY waba_id, start, `end`
            ORDER BY
                CASE WHEN phone_numbers IS NULL THEN 0 ELSE 1 END,
                size(split(phone_numbers, ',')) DESC NULLS LAST,
                CASE WHEN country_codes IS NULL THEN 0 ELSE 1 END,
                size(split(country_codes, ',')) DESC NULLS LAST,
                phone_numbers DESC NULLS LAST,
                country_codes DESC NULLS LAST
        ) AS preference
    FROM meta_points
    WHERE :source = 'meta'
        AND field = 'analytics'
        AND granularity = :granularity
        AND (:first_at IS NULL OR start * 1000000 >= unix_micros(:first_at))
        AND (:until_at IS NULL OR start * 1000000 < unix_micros(:until_at))
        AND (
            (size(:waba) = 0 AND NOT :waba_none)
            OR array_contains(:waba, waba_id)
            OR (:waba_none AND waba_id IS NULL)
        )
        AND (:phone_list IS NULL OR phone_numbers = :phone_list)
        AND (:country_list IS NULL OR country_codes = :country_list)
),
of_lines AS (
    SELECT
        waba_id,
        start,
        `end`,
        preference,
        coalesce(country_codes, '*') AS country_codes,
        explode(split(coalesce(phone_numbers, '*'), ',')) AS line
    FROM reported
),
of_pairs AS (
    SELECT waba_id, start, `end`, preference, line, explode(split(country_codes, ',')) AS country
    FROM of_lines
),
-- Responses whose lines and countries overlap those of a preferred response.
covered AS (
    SELECT DISTINCT
        later.waba_id AS covered_waba,
        later.start AS covered_start,
        later.`end` AS covered_end,
        later.preference AS covered_preference
    FROM of_pairs AS later
    INNER JOIN of_pairs AS earlier
        ON earlier.waba_id <=> later.waba_id
        AND earlier.start = later.start
        AND earlier.`end` = later.`end`
        AND earlier.preference < later.preference
        AND (earlier.line = later.line OR earlier.line = '*' OR later.line = '*')
        AND (earlier.country = later.country OR earlier.country = '*' OR later.country = '*')
),
stored AS (
    SELECT
        start,
        `end`,
        CASE WHEN count(sent) = count(*) THEN sum(sent) END AS sent,
        CASE WHEN count(delivered) = count(*) THEN sum(delivered) END AS delivered
    FROM reported
    LEFT JOIN covered
        ON covered_waba <=> waba_id
        AND covered_start = start
        AND covered_end = `end`
        AND covered_preference = preference
    WHERE covered_start IS NULL
    GROUP BY start, `end`
),
points AS (
    SELECT {start} AS start, {end} AS `end`, sent, delivered FROM counted
    UNION ALL
    SELECT start, `end`, sent, delivered FROM stored
)
SELECT
    CAST(start AS BIGINT) AS start,
    CAST(`end` AS BIGINT) AS `end`{measures}
FROM points
WHERE coalesce(sent, 0) <> 0 OR coalesce(delivered, 0) <> 0
ORDER BY {order}
