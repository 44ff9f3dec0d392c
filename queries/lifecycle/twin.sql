-- How many users are new, come back, or stay away? A person is new in the first period
-- with a visit, returning if the previous period had one, otherwise resurrected; and dormant in a
-- period without a visit that follows one with.
WITH visits AS (
    SELECT DISTINCT
        user_phone,
        CASE :period
            WHEN 'week' THEN CAST(
                date_trunc('WEEK', from_utc_timestamp(session_started_timestamp, :timezone)) AS DATE
            )
            ELSE CAST(
                date_trunc('MONTH', from_utc_timestamp(session_started_timestamp, :timezone)) AS DATE
            )
        END AS period
    FROM sessions
    WHERE parent_session_id IS NULL
        AND user_phone IS NOT NULL
),
numbered AS (
    SELECT
        user_phone,
        period,
        CAST(
            CASE :period
                WHEN 'week' THEN floor(datediff(period, DATE '1970-01-05') / 7)
                ELSE year(period) * 12 + month(period)
            END AS BIGINT
        ) AS number
    FROM visits
),
beside AS (
    SELECT
        number,
        lag(number) OVER (PARTITION BY user_phone ORDER BY number) AS number_before,
        lead(number) OVER (PARTITION BY user_phone ORDER BY number) AS number_after
    FROM numbered
),
states AS (
    SELECT
        number,
        CASE
            WHEN number_before IS NULL THEN 'new'
            WHEN number_before = number - 1 THEN 'returning'
            ELSE 'resurrected'
        END AS state
    FROM beside
    UNION ALL
    SELECT
        number + 1 AS number,
        'dormant' AS state
    FROM beside
    WHERE number_after IS NULL OR number_after > number + 1
),
span AS (
    SELECT
        min(period) AS first_period,
        min(number) AS first_number,
        max(number) AS last_number
    FROM numbered
),
steps AS (
    SELECT
        first_period,
        first_number,
        explode(sequence(CAST(0 AS BIGINT), last_number - first_number)) AS step
    FROM span
),
periods AS (
    SELECT
        first_number + step AS number,
        CAST(
            CASE :period
                WHEN 'week' THEN date_add(first_period, CAST(7 * step AS INT))
                ELSE add_months(first_period, CAST(step AS INT))
            END AS DATE
        ) AS period,
        CAST(
            CASE :period
                WHEN 'week' THEN date_add(first_period, CAST(7 * step + 7 AS INT))
                ELSE add_months(first_period, CAST(step + 1 AS INT))
            END AS DATE
        ) AS next_period
    FROM steps
)
SELECT
    CAST(periods.period AS DATE) AS period,
    CAST(count(CASE WHEN states.state = 'new' THEN 1 END) AS BIGINT) AS new_users,
    CAST(count(CASE WHEN states.state = 'returning' THEN 1 END) AS BIGINT) AS returning_users,
    CAST(count(CASE WHEN states.state = 'resurrected' THEN 1 END) AS BIGINT) AS resurrected_users,
    CAST(count(CASE WHEN states.state = 'dormant' THEN 1 END) AS BIGINT) AS dormant_users
FROM periods
LEFT JOIN states ON states.number = periods.number
WHERE (:from_date IS NULL OR periods.next_period > :from_date)
    AND (:to_date IS NULL OR periods.period <= :to_date)
GROUP BY periods.period
ORDER BY period NULLS LAST
