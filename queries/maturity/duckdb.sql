-- Faster than the twin by outcomes that are counted by the days they took.
WITH sent AS (
    SELECT
        epoch_us(coalesce(deployment_delivered_timestamp, deployment_timestamp)) AS started,
        epoch_us(user_responded_timestamp) AS done
    FROM deployments
    WHERE delivery_status = 'Delivered'
),
latest AS (
    SELECT max(CASE WHEN done >= started THEN done ELSE started END) AS latest_at
    FROM sent
),
counted AS (
    SELECT
        started // 86400000000 AS day,
        CASE
            WHEN done >= started THEN least((done - started + 86399999999) // 86400000000, 31)
        END AS days_taken,
        latest_at - started >= 30 * 86400000000 AS is_history,
        count(*) AS units
    FROM sent
    CROSS JOIN latest
    GROUP BY ALL
),
days AS (
    SELECT
        day,
        age_days,
        sum(units) AS starts,
        coalesce(sum(units) FILTER (days_taken IS NOT NULL), 0) AS reported,
        coalesce(sum(units) FILTER (days_taken <= age_days), 0) AS in_time
    FROM (
        SELECT *, (latest_at - (day + 1) * 86400000000) // 86400000000 AS age_days
        FROM counted
        CROSS JOIN latest
        WHERE latest_at >= (day + 1) * 86400000000
    )
    WHERE age_days < 30
    GROUP BY ALL
),
known AS (
    SELECT
        days.*,
        coalesce(sum(earlier.units), 0) AS history,
        coalesce(sum(earlier.units) FILTER (earlier.days_taken <= age_days), 0) AS completed
    FROM days
    LEFT JOIN (
        SELECT days_taken, sum(units) AS units
        FROM counted
        WHERE is_history AND days_taken <= 30
        GROUP BY ALL
    ) AS earlier ON TRUE
    GROUP BY ALL
),
-- Half the width and the middle of the Wilson interval, both times 2 (n + z²).
bounded AS (
    SELECT
        *,
        1.959963984540054::DOUBLE * sqrt(
            3.8414588206941254::DOUBLE + 4.0::DOUBLE * completed * (history - completed) / history
        ) AS half,
        2.0::DOUBLE * completed + 3.8414588206941254::DOUBLE AS middle,
        2.0::DOUBLE * (history + 3.8414588206941254::DOUBLE) AS whole
    FROM known
)
SELECT
    DATE '1970-01-01' + CAST(day AS INTEGER) AS day,
    CAST(age_days AS BIGINT) AS age_days,
    CAST(starts AS BIGINT) AS starts,
    CAST(reported AS BIGINT) AS reported,
    CAST(100.0 * reported / starts AS DOUBLE) AS reported_pct,
    CAST(in_time AS BIGINT) AS "within",
    CAST(history AS BIGINT) AS history,
    CAST(100.0 * completed / nullif(history, 0) AS DOUBLE) AS completeness_pct,
    CASE
        WHEN completed > 0
        THEN least(100.0::DOUBLE, 100.0::DOUBLE * in_time * history / completed / starts)
    END AS projected_pct,
    CASE
        WHEN completed > 0
        THEN least(
            100.0::DOUBLE, 100.0::DOUBLE * in_time / least(1.0, (middle + half) / whole) / starts
        )
    END AS projected_low,
    CASE
        WHEN completed > 0
        THEN least(
            100.0::DOUBLE, 100.0::DOUBLE * in_time / greatest(0.0, (middle - half) / whole) / starts
        )
    END AS projected_high
FROM bounded
ORDER BY day;
