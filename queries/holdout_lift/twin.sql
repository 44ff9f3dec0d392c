-- What did a campaign add? People with the tag of a campaign against those with the tag of a
-- control group: conversions in the days after the start of the tag.
WITH {followed},
sizes AS (
    SELECT
        count_if(group_name = 'treated') AS n1,
        count_if(group_name = 'control') AS n0,
        count_if(group_name = 'both') AS in_both,
        count_if(group_name = 'undated') AS undated,
        count_if(group_name = 'immature') AS immature
    FROM chosen
),
sums AS (
    SELECT
        group_name,
        count(DISTINCT user_phone) AS converted,
        CASE WHEN count(DISTINCT currency) = 1 THEN sum(value) END AS revenue,
        nullif(array_join(sort_array(collect_set(currency)), '+'), '') AS currencies
    FROM earned
    GROUP BY group_name
),
measured AS (
    SELECT
        sizes.*,
        coalesce(converted1, 0) AS x1,
        coalesce(converted0, 0) AS x0,
        revenue1,
        revenue0,
        currencies1,
        currencies0,
        contaminated
    FROM sizes
    CROSS JOIN (
        SELECT
            max(CASE WHEN group_name = 'treated' THEN converted END) AS converted1,
            max(CASE WHEN group_name = 'control' THEN converted END) AS converted0,
            max(CASE WHEN group_name = 'treated' THEN revenue END) AS revenue1,
            max(CASE WHEN group_name = 'control' THEN revenue END) AS revenue0,
            max(CASE WHEN group_name = 'treated' THEN currencies END) AS currencies1,
            max(CASE WHEN group_name = 'control' THEN currencies END) AS currencies0
        FROM sums
    ) AS of_groups
    CROSS JOIN (SELECT count(*) AS contaminated FROM reached) AS reached_people
),
shares AS (
    SELECT
        measured.*,
        CAST(x1 AS DOUBLE) / nullif(n1, 0) AS p1,
        CAST(x0 AS DOUBLE) / nullif(n0, 0) AS p0
    FROM measured
),
tests AS (
    SELECT
        shares.*,
        p1 * (1E0 - p1) / nullif(n1, 0) + p0 * (1E0 - p0) / nullif(n0, 0) AS variance,
        CASE
            WHEN n1 > 0 AND n0 > 0 AND x1 + x0 > 0 AND x1 + x0 < n1 + n0
            THEN abs(p1 - p0) / sqrt(
                CAST(x1 + x0 AS DOUBLE) / nullif(n1 + n0, 0)
                * (1E0 - CAST(x1 + x0 AS DOUBLE) / nullif(n1 + n0, 0))
                * (1E0 / nullif(n1, 0) + 1E0 / nullif(n0, 0))
            ) / sqrt(2E0)
        END AS y_of_difference,
        CASE
            WHEN n1 + n0 > 0
            THEN abs(n1 - (n1 + n0) * {split})
                / sqrt((n1 + n0) * {split} * (1E0 - {split})) / sqrt(2E0)
        END AS y_of_split
    FROM shares
),
to_test AS (
    SELECT 'difference' AS tested, y_of_difference AS y FROM tests
    UNION ALL
    SELECT 'split' AS tested, y_of_split AS y FROM tests
),
-- erfc(y), by W. J. Cody's rational approximations.
found AS (
    SELECT
        tested,
        CASE
            WHEN y <= 0.46875E0
            THEN 1E0 - y * (((((1.85777706184603153E-1 * y * y + 3.16112374387056560E0) * y * y
                + 1.13864154151050156E2) * y * y + 3.77485237685302021E2) * y * y
                + 3.20937758913846947E3)
                / ((((y * y + 2.36012909523441209E1) * y * y + 2.44024637934444173E2) * y * y
                + 1.28261652607737228E3) * y * y + 2.84423683343917062E3))
            WHEN y <= 4E0
            THEN exp(-y * y) * ((((((((2.15311535474403846E-8 * y + 5.64188496988670089E-1) * y
                + 8.88314979438837594E0) * y + 6.61191906371416295E1) * y
                + 2.98635138197400131E2) * y + 8.81952221241769090E2) * y
                + 1.71204761263407058E3) * y + 2.05107837782607147E3) * y
                + 1.23033935479799725E3)
                / ((((((((y + 1.57449261107098347E1) * y + 1.17693950891312499E2) * y
                + 5.37181101862009858E2) * y + 1.62138957456669019E3) * y
                + 3.29079923573345963E3) * y + 4.36261909014324716E3) * y
                + 3.43936767414372164E3) * y + 1.23033935480374942E3)
            WHEN y > 4E0
            THEN exp(-y * y) / y * (5.6418958354775628695E-1 - (((((1.63153871373020978E-2 / (y * y)
                + 3.05326634961232344E-1) / (y * y) + 3.60344899949804439E-1) / (y * y)
                + 1.25781726111229246E-1) / (y * y) + 1.60837851487422766E-2) / (y * y)
                + 6.58749161529837803E-4)
                / (((((1E0 / (y * y) + 2.56852019228982242E0) / (y * y)
                + 1.87295284992346725E0) / (y * y) + 5.27905102951428412E-1) / (y * y)
                + 6.05183413124413191E-2) / (y * y) + 2.33520497626869185E-3)
                / (y * y))
        END AS p
    FROM to_test
),
p_values AS (
    SELECT
        max(CASE WHEN tested = 'difference' THEN p END) AS p_value,
        max(CASE WHEN tested = 'split' THEN p END) AS split_p
    FROM found
),
answer AS (
    SELECT
        1 AS place,
        'treated' AS group_name,
        n1 AS people,
        x1 AS converted,
        p1 * 100 AS rate_pct,
        {treated_low} AS rate_low,
        {treated_high} AS rate_high,
        revenue1 AS revenue,
        nullif(currencies1, '?') AS currency,
        CAST(NULL AS DOUBLE) AS extra_conversions,
        CAST(NULL AS DOUBLE) AS extra_revenue,
        CAST(NULL AS DOUBLE) AS p_value,
        CAST(NULL AS DOUBLE) AS p_always,
        CAST(NULL AS DOUBLE) AS split_p,
        CAST(NULL AS BIGINT) AS in_both,
        CAST(NULL AS BIGINT) AS undated,
        CAST(NULL AS BIGINT) AS immature,
        CAST(NULL AS BIGINT) AS contaminated
    FROM shares
    UNION ALL
    SELECT
        2 AS place,
        'control' AS group_name,
        n0 AS people,
        x0 AS converted,
        p0 * 100 AS rate_pct,
        {control_low} AS rate_low,
        {control_high} AS rate_high,
        revenue0 AS revenue,
        nullif(currencies0, '?') AS currency,
        CAST(NULL AS DOUBLE) AS extra_conversions,
        CAST(NULL AS DOUBLE) AS extra_revenue,
        CAST(NULL AS DOUBLE) AS p_value,
        CAST(NULL AS DOUBLE) AS p_always,
        CAST(NULL AS DOUBLE) AS split_p,
        CAST(NULL AS BIGINT) AS in_both,
        CAST(NULL AS BIGINT) AS undated,
        CAST(NULL AS BIGINT) AS immature,
        contaminated
    FROM shares
    UNION ALL
    SELECT
        3 AS place,
        'difference' AS group_name,
        n1 + n0 AS people,
        CAST(NULL AS BIGINT) AS converted,
        (p1 - p0) * 100 AS rate_pct,
        {difference_low} AS rate_low,
        {difference_high} AS rate_high,
        CAST(NULL AS DECIMAL(38, 6)) AS revenue,
        CAST(NULL AS STRING) AS currency,
        n1 * (p1 - p0) AS extra_conversions,
        -- Of several currencies there is no sum; of none it is 0.
        CASE
            WHEN n0 > 0
                AND (currencies1 IS NULL OR revenue1 IS NOT NULL)
                AND (currencies0 IS NULL OR revenue0 IS NOT NULL)
                AND coalesce(currencies1 = currencies0, TRUE)
            THEN coalesce(CAST(revenue1 AS DOUBLE), 0E0)
                - coalesce(CAST(revenue0 AS DOUBLE), 0E0) * n1 / nullif(n0, 0)
        END AS extra_revenue,
        p_value,
        CASE
            WHEN variance > 0
            THEN least(
                1E0,
                sqrt((variance + {mixture_sd} * {mixture_sd}) / variance)
                * exp(
                    -{mixture_sd} * {mixture_sd} * (p1 - p0) * (p1 - p0)
                    / (2E0 * variance * (variance + {mixture_sd} * {mixture_sd}))
                )
            )
        END AS p_always,
        split_p,
        in_both,
        undated,
        immature,
        CAST(NULL AS BIGINT) AS contaminated
    FROM tests
    CROSS JOIN p_values
)
SELECT
    CAST(group_name AS STRING) AS `group`,
    CAST(people AS BIGINT) AS people,
    CAST(converted AS BIGINT) AS converted,
    CAST(rate_pct AS DOUBLE) AS rate_pct,
    CAST(rate_low AS DOUBLE) AS rate_low,
    CAST(rate_high AS DOUBLE) AS rate_high,
    CAST(revenue AS DECIMAL(38, 6)) AS revenue,
    CAST(currency AS STRING) AS currency,
    CAST(extra_conversions AS DOUBLE) AS extra_conversions,
    CAST(extra_revenue AS DOUBLE) AS extra_revenue,
    CAST(p_value AS DOUBLE) AS p_value,
    CAST(p_always AS DOUBLE) AS p_always,
    CAST(split_p AS DOUBLE) AS split_p,
    CAST(in_both AS BIGINT) AS `both`,
    CAST(undated AS BIGINT) AS undated,
    CAST(immature AS BIGINT) AS immature,
    CAST(contaminated AS BIGINT) AS contaminated
FROM answer
ORDER BY place
