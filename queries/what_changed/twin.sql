-- Why did a rate move? The rows of two periods by each dimension for itself: what other shares
-- of the groups did to the rate of all, and what other rates of the groups did.
WITH {with_attributed}each_row AS (
    SELECT
        {values_then}{stamp} AS stamp,
        {outcome} AS happened
    {from_rows}
),
timed AS (
    SELECT
        *,
        (:before_from_at IS NULL OR stamp >= :before_from_at)
            AND (:before_until_at IS NULL OR stamp < :before_until_at) AS is_before,
        (:from_at IS NULL OR stamp >= :from_at)
            AND (:until_at IS NULL OR stamp < :until_at) AS is_after
    FROM each_row
),
in_periods AS (
    SELECT *
    FROM timed
    WHERE is_before OR is_after
),
by_dimension AS (
    {each_split}
),
totals AS (
    SELECT
        CAST(count_if(is_before) AS DOUBLE) AS all_b0,
        CAST(count_if(is_before AND happened) AS DOUBLE) AS all_a0,
        CAST(count_if(is_after) AS DOUBLE) AS all_b1,
        CAST(count_if(is_after AND happened) AS DOUBLE) AS all_a1
    FROM in_periods
),
each_group AS (
    SELECT
        place,
        dimension,
        value,
        CAST(count_if(is_before) AS DOUBLE) AS b0,
        CAST(count_if(is_before AND happened) AS DOUBLE) AS a0,
        CAST(count_if(is_after) AS DOUBLE) AS b1,
        CAST(count_if(is_after AND happened) AS DOUBLE) AS a1
    FROM by_dimension
    GROUP BY place, dimension, value
    -- There is always a row for the whole.
    UNION ALL
    SELECT 0, 'all', CAST(NULL AS STRING), all_b0, all_a0, all_b1, all_a1
    FROM totals
),
-- Differences are taken of whole numbers: what is equal differs by 0, and not by what floats lose.
moved AS (
    SELECT
        each_group.*,
        CASE
            WHEN place = 0 OR all_b0 = 0 OR all_b1 = 0 THEN NULL
            WHEN b0 > 0 AND b1 > 0
            THEN 100E0 * (b1 * all_b0 - b0 * all_b1) * (a0 * all_b0 - all_a0 * b0)
                / nullif(all_b1 * all_b0 * b0 * all_b0, 0)
            WHEN b1 > 0
            THEN 100E0 * (a1 * all_b0 - all_a0 * b1) / nullif(all_b1 * all_b0, 0)
            ELSE -100E0 * (a0 * all_b0 - all_a0 * b0) / nullif(all_b0 * all_b0, 0)
        END AS mix_points,
        CASE
            WHEN place = 0 OR all_b0 = 0 OR all_b1 = 0 THEN NULL
            WHEN b0 > 0 AND b1 > 0
            THEN 100E0 * (a1 * b0 - a0 * b1) / nullif(all_b1 * b0, 0)
            ELSE 0E0
        END AS rate_points,
        100E0 * (
            (a1 * all_b0 - a0 * all_b1) * all_b0 - (b1 * all_b0 - b0 * all_b1) * all_a0
        ) / nullif(all_b1 * all_b0 * all_b0, 0) AS total_points
    FROM each_group
    CROSS JOIN totals
),
answer AS (
    SELECT
        place,
        CAST(dimension AS STRING) AS dimension,
        CAST(value AS STRING) AS value,
        CAST(b0 AS BIGINT) AS b0,
        CAST(a0 AS BIGINT) AS a0,
        CAST(b1 AS BIGINT) AS b1,
        CAST(a1 AS BIGINT) AS a1,
        a0 * 100 / nullif(b0, 0) AS rate0_pct,
        a1 * 100 / nullif(b1, 0) AS rate1_pct,
        mix_points,
        rate_points,
        total_points,
        {diff_low} AS diff_low,
        {diff_high} AS diff_high
    FROM moved
)
SELECT
    dimension, value, b0, a0, b1, a1, rate0_pct, rate1_pct, mix_points, rate_points, total_points,
    diff_low, diff_high
FROM answer
ORDER BY
    place,
    floor(abs(total_points) * 1E9 + 5E-1) DESC NULLS LAST,
    value NULLS LAST
