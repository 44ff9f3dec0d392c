-- Faster than the twin by one pass over the rows: groups of a dimension are sums of smaller ones.
WITH counted AS (
    SELECT
        country,
        conversation_id,
        conversation_version,
        count(*) FILTER (is_before) AS b0,
        count(*) FILTER (is_before AND happened) AS a0,
        count(*) FILTER (NOT is_before) AS b1,
        count(*) FILTER (NOT is_before AND happened) AS a1
    FROM (
        SELECT
            country,
            conversation_id,
            conversation_version,
            delivery_status = 'Delivered' AS happened,
            deployment_timestamp < TIMESTAMPTZ '2025-07-01 00:00:00+00' AS is_before
        FROM deployments
        WHERE deployment_timestamp >= TIMESTAMPTZ '2025-03-31 00:00:00+00'
            AND deployment_timestamp < TIMESTAMPTZ '2025-10-01 00:00:00+00'
    )
    GROUP BY ALL
),
listed AS (
    SELECT 0 AS place, 'all' AS dimension, NULL::VARCHAR AS value, b0, a0, b1, a1
    FROM counted
    UNION ALL
    SELECT 1, 'country', country, b0, a0, b1, a1
    FROM counted
    UNION ALL
    SELECT
        2,
        'conversation',
        CASE
            WHEN conversation_id IS NOT NULL OR conversation_version IS NOT NULL
            THEN coalesce(conversation_id, '') || '/' || coalesce(conversation_version::VARCHAR, '')
        END,
        b0,
        a0,
        b1,
        a1
    FROM counted
),
each_group AS (
    SELECT
        place,
        dimension,
        value,
        CAST(sum(b0) AS DOUBLE) AS b0,
        CAST(sum(a0) AS DOUBLE) AS a0,
        CAST(sum(b1) AS DOUBLE) AS b1,
        CAST(sum(a1) AS DOUBLE) AS a1
    FROM listed
    GROUP BY ALL
),
totals AS (
    SELECT b0 AS all_b0, a0 AS all_a0, b1 AS all_b1
    FROM each_group
    WHERE place = 0
),
-- Half the width and the middle of Wilson's interval of each rate.
bounded AS (
    SELECT
        *,
        a0 / nullif(b0, 0) AS rate0,
        a1 / nullif(b1, 0) AS rate1,
        (a0 + 1.9207294103470627::DOUBLE) / (b0 + 3.8414588206941254::DOUBLE) AS middle0,
        (a1 + 1.9207294103470627::DOUBLE) / (b1 + 3.8414588206941254::DOUBLE) AS middle1,
        1.959963984540054::DOUBLE
            * sqrt(a0 * (b0 - a0) / nullif(b0, 0) + 0.9603647051735314::DOUBLE)
            / (b0 + 3.8414588206941254::DOUBLE) AS half0,
        1.959963984540054::DOUBLE
            * sqrt(a1 * (b1 - a1) / nullif(b1, 0) + 0.9603647051735314::DOUBLE)
            / (b1 + 3.8414588206941254::DOUBLE) AS half1
    FROM each_group
    CROSS JOIN totals
),
moved AS (
    SELECT
        *,
        100 * (
            (a1 * all_b0 - a0 * all_b1) * all_b0 - (b1 * all_b0 - b0 * all_b1) * all_a0
        ) / (all_b1 * all_b0 * all_b0) AS total_points
    FROM bounded
)
SELECT
    dimension,
    value,
    CAST(b0 AS BIGINT) AS b0,
    CAST(a0 AS BIGINT) AS a0,
    CAST(b1 AS BIGINT) AS b1,
    CAST(a1 AS BIGINT) AS a1,
    100 * rate0 AS rate0_pct,
    100 * rate1 AS rate1_pct,
    CASE
        WHEN place > 0 AND b0 > 0 AND b1 > 0
        THEN 100 * (b1 * all_b0 - b0 * all_b1) * (a0 * all_b0 - all_a0 * b0)
            / (all_b1 * all_b0 * b0 * all_b0)
        WHEN place > 0 THEN total_points
    END AS mix_points,
    CASE
        WHEN place > 0 AND b0 > 0 AND b1 > 0 THEN 100 * (a1 * b0 - a0 * b1) / (all_b1 * b0)
        WHEN place > 0 AND total_points IS NOT NULL THEN CAST(0 AS DOUBLE)
    END AS rate_points,
    total_points,
    100 * (rate1 - rate0 - sqrt(
        power(rate1 - greatest(0, middle1 - half1), 2)
        + power(least(1, middle0 + half0) - rate0, 2)
    )) AS diff_low,
    100 * (rate1 - rate0 + sqrt(
        power(least(1, middle1 + half1) - rate1, 2)
        + power(rate0 - greatest(0, middle0 - half0), 2)
    )) AS diff_high
FROM moved
ORDER BY place, floor(abs(total_points) * 1e9 + 0.5) DESC NULLS LAST, value NULLS LAST;
