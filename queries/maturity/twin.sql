-- Is yesterday final? What started on each of the last days, its outcomes so far, and those that
-- are still to come, by how long earlier outcomes took.
WITH {with_attributed}every_unit AS (
    {every_unit}
),
-- Those that the filters leave.
kept_unit AS (
    {kept_unit}
),
latest AS (
    -- No outcome is before its start.
    SELECT max(unix_micros(CASE WHEN done_at >= started_at THEN done_at ELSE started_at END)) AS at
    FROM every_unit
),
units AS (
    SELECT
        CAST(date_trunc('DAY', from_utc_timestamp(started_at, :timezone)) AS DATE) AS day,
        unix_micros(started_at) AS started,
        CASE
            WHEN done_at >= started_at THEN unix_micros(done_at) - unix_micros(started_at)
        END AS took
    FROM kept_unit
),
-- The time from the end of each day until now, in microseconds.
days AS (
    SELECT
        day,
        latest.at
            - unix_micros(to_utc_timestamp(CAST(date_add(day, 1) AS TIMESTAMP), :timezone)) AS past
    FROM (SELECT DISTINCT day FROM units) AS each_day
    CROSS JOIN latest
),
aged AS (
    SELECT day, CAST(floor(past / 86400000000) AS BIGINT) AS age_days
    FROM days
    WHERE past >= 0 AND past < :horizon_days * 86400000000
),
counted AS (
    SELECT
        units.day,
        aged.age_days,
        count(*) AS starts,
        count(units.took) AS reported,
        count(CASE WHEN units.took <= aged.age_days * 86400000000 THEN 1 END) AS in_time
    FROM units
    INNER JOIN aged ON aged.day = units.day
    GROUP BY units.day, aged.age_days
),
-- Earlier outcomes within the horizon.
outcomes AS (
    SELECT units.took
    FROM units
    CROSS JOIN latest
    WHERE latest.at - units.started >= :horizon_days * 86400000000
        AND units.took <= :horizon_days * 86400000000
),
complete AS (
    SELECT
        ages.age_days,
        count(*) AS history,
        count(CASE WHEN outcomes.took <= ages.age_days * 86400000000 THEN 1 END) AS completed
    FROM (SELECT DISTINCT age_days FROM aged) AS ages
    CROSS JOIN outcomes
    GROUP BY ages.age_days
),
known AS (
    SELECT
        counted.day,
        counted.age_days,
        counted.starts,
        counted.reported,
        counted.in_time,
        coalesce(complete.history, 0) AS history,
        coalesce(complete.completed, 0) AS completed
    FROM counted
    LEFT JOIN complete ON complete.age_days = counted.age_days
),
bounded AS (
    SELECT
        known.*,
        {completeness_low} AS completeness_low,
        {completeness_high} AS completeness_high
    FROM known
)
SELECT
    day,
    CAST(age_days AS BIGINT) AS age_days,
    CAST(starts AS BIGINT) AS starts,
    CAST(reported AS BIGINT) AS reported,
    CAST(reported AS DOUBLE) * 100 / starts AS reported_pct,
    CAST(in_time AS BIGINT) AS `within`,
    CAST(history AS BIGINT) AS history,
    CAST(completed AS DOUBLE) * 100 / nullif(history, 0) AS completeness_pct,
    CASE
        WHEN completed > 0
        THEN least(100E0, CAST(in_time AS DOUBLE) * history / completed / starts * 100)
    END AS projected_pct,
    CASE
        WHEN completed > 0
        THEN least(100E0, CAST(in_time AS DOUBLE) / completeness_high / starts * 10000)
    END AS projected_low,
    CASE
        WHEN completed > 0
        THEN least(100E0, CAST(in_time AS DOUBLE) / completeness_low / starts * 10000)
    END AS projected_high
FROM bounded
WHERE (:from_date IS NULL OR day >= :from_date) AND (:to_date IS NULL OR day <= :to_date)
ORDER BY day NULLS LAST
