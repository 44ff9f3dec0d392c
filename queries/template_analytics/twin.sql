-- How do templates do, day by day? Messages by the day of their creation; or the figures that
-- Meta reported.
WITH {markets},
{deliveries},
sends AS (
    SELECT
        {bucket} AS bucket,
        template_name AS template_id,
        count_if(sent_at IS NOT NULL OR delivered_at IS NOT NULL OR seen_at IS NOT NULL) AS sent,
        count_if(delivered_at IS NOT NULL OR seen_at IS NOT NULL) AS delivered,
        count_if(seen_at IS NOT NULL) AS read
    FROM messages
    WHERE :source = 'lake'
        AND message_type = 'template'
        AND (:from_at IS NULL OR created_at >= :from_at)
        AND (:until_at IS NULL OR created_at < :until_at)
        AND (
            (size(:waba) = 0 AND NOT :waba_none)
            OR array_contains(:waba, waba_id)
            OR (:waba_none AND waba_id IS NULL)
        )
        AND (size(:template_ids) = 0 OR array_contains(:template_ids, template_name))
    GROUP BY {bucket}, template_name
),
charges AS (
    SELECT
        {bucket} AS charged_bucket,
        template_name AS charged_template,
        {cost} AS cost
    FROM deliveries
    WHERE message_type = 'template'
        AND (
            (size(:waba) = 0 AND NOT :waba_none)
            OR array_contains(:waba, waba_id)
            OR (:waba_none AND waba_id IS NULL)
        )
    GROUP BY {bucket}, template_name
),
counted AS (
    SELECT
        bucket,
        template_id,
        sent,
        delivered,
        read,
        cost
    FROM sends
    LEFT JOIN charges
        ON charged_bucket = bucket AND charged_template <=> template_id
),
{reported},
chosen AS (
    SELECT
        *,
        max(CASE WHEN product_type IS NOT NULL THEN 1 ELSE 0 END) OVER (
            PARTITION BY start, `end`, template_id
        ) AS has_product
    FROM reported
    WHERE field = 'template_analytics' AND preference = 1
),
stored AS (
    SELECT
        start,
        `end`,
        template_id,
        CASE WHEN count(sent) = count(*) THEN sum(sent) END AS sent,
        CASE WHEN count(delivered) = count(*) THEN sum(delivered) END AS delivered,
        CASE WHEN count(read) = count(*) THEN sum(read) END AS read,
        CASE WHEN count(clicked) = count(*) THEN sum(clicked) END AS clicked,
        CASE WHEN count(*) = 1 THEN sum(unique_clicked) END AS unique_clicked,
        CASE WHEN count(cost) = count(*) THEN sum(cost) END AS cost
    FROM chosen
    WHERE (product_type IS NOT NULL OR has_product = 0)
        AND (size(:template_ids) = 0 OR array_contains(:template_ids, template_id))
    GROUP BY start, `end`, template_id
),
points AS (
    SELECT
        {start} AS start, {end} AS `end`, template_id, sent, delivered, read,
        CAST(NULL AS BIGINT) AS clicked, CAST(NULL AS BIGINT) AS unique_clicked, cost
    FROM counted
    UNION ALL
    SELECT start, `end`, template_id, sent, delivered, read, clicked, unique_clicked, cost
    FROM stored
)
SELECT
    CAST(start AS BIGINT) AS start,
    CAST(`end` AS BIGINT) AS `end`,
    CAST(template_id AS STRING) AS template_id{measures}
FROM points
WHERE coalesce(sent, 0) <> 0
    OR coalesce(delivered, 0) <> 0
    OR coalesce(read, 0) <> 0
    OR coalesce(clicked, 0) <> 0
    OR coalesce(unique_clicked, 0) <> 0
    OR coalesce(cost, 0) <> 0
    OR (
        coalesce(sent, delivered, read, clicked, unique_clicked) IS NULL AND cost IS NOT NULL
    )
ORDER BY {order}
