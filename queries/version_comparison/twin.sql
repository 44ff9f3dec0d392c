-- Is a new version of a flow better than the one before? Reply rate of each version's
-- delivered deployments, its Wilson interval, and a pooled z test against the next lower version.
WITH versions AS (
    SELECT
        {by_then}conversation_id,
        conversation_version,
        count(*) AS deployments,
        count_if(delivery_status = 'Delivered') AS delivered,
        CAST(count_if(delivery_status = 'Delivered') AS DOUBLE) AS n,
        CAST(
            count_if(delivery_status = 'Delivered' AND user_responded_timestamp IS NOT NULL)
            AS DOUBLE
        ) AS x,
        percentile_cont(0.5) WITHIN GROUP (
            ORDER BY CASE
                WHEN delivery_status = 'Delivered'
                    AND user_responded_timestamp >= deployment_delivered_timestamp
                THEN CAST(
                    unix_micros(user_responded_timestamp)
                        - unix_micros(deployment_delivered_timestamp)
                    AS DOUBLE
                )
            END
        ) AS reply_time
    FROM {deployments}
    {tagged}
    WHERE (:from_at IS NULL OR deployment_timestamp >= :from_at)
        AND (:until_at IS NULL OR deployment_timestamp < :until_at)
    GROUP BY {by_columns_then}conversation_id, conversation_version
),
beside AS (
    SELECT
        versions.*,
        lag(n) OVER (
            PARTITION BY {by_columns_then}conversation_id ORDER BY conversation_version NULLS LAST
        ) AS n0,
        lag(x) OVER (
            PARTITION BY {by_columns_then}conversation_id ORDER BY conversation_version NULLS LAST
        ) AS x0,
        -- Half the width and the middle of the Wilson interval, both times 2 (n + z²).
        1.959963984540054E0
            * sqrt(3.8414588206941254E0 + 4E0 * n * (x / nullif(n, 0)) * (1E0 - x / nullif(n, 0)))
            AS half,
        2E0 * x + 3.8414588206941254E0 AS middle
    FROM versions
),
tested AS (
    SELECT
        beside.*,
        CASE
            WHEN conversation_version IS NOT NULL AND n > 0 AND n0 > 0
                AND x + x0 > 0 AND x + x0 < n + n0
            THEN abs(x / n - x0 / n0)
                / sqrt((x + x0) / (n + n0) * (1E0 - (x + x0) / (n + n0)) * (1E0 / n + 1E0 / n0))
                / sqrt(2E0)
        END AS y
    FROM beside
)
SELECT
    {by_columns_then}CAST(conversation_id AS STRING) AS conversation_id,
    CAST(conversation_version AS INT) AS conversation_version,
    CAST(deployments AS BIGINT) AS deployments,
    CAST(delivered AS BIGINT) AS delivered,
    CAST(delivered AS DOUBLE) * 100 / deployments AS delivered_pct,
    CAST(x AS BIGINT) AS replied,
    x * 100 / nullif(n, 0) AS reply_pct,
    CASE
        WHEN n > 0
        THEN greatest(0E0, (middle - half) * 100 / (2E0 * (n + 3.8414588206941254E0)))
    END AS reply_pct_low,
    CASE
        WHEN n > 0
        THEN least(100E0, (middle + half) * 100 / (2E0 * (n + 3.8414588206941254E0)))
    END AS reply_pct_high,
    CAST(reply_time AS DOUBLE) / 1000000 AS median_reply_seconds,
    -- erfc(y), by W. J. Cody's rational approximations.
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
    END AS p_value
FROM tested
ORDER BY
    {by_order_then}conversation_id NULLS LAST,
    conversation_version NULLS LAST
