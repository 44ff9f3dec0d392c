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
    WHERE {is_visit}
),
{chosen}numbered AS (
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
        {by_columns_then}number,
        lag(number) OVER (PARTITION BY {by_columns_then}user_phone ORDER BY number)
            AS number_before,
        lead(number) OVER (PARTITION BY {by_columns_then}user_phone ORDER BY number)
            AS number_after
    FROM numbered{of_chosen}
),
states AS (
    SELECT
        {by_columns_then}number,
        CASE
            WHEN number_before IS NULL THEN 'new'
            WHEN number_before = number - 1 THEN 'returning'
            ELSE 'resurrected'
        END AS state
    FROM beside
    UNION ALL
    SELECT
        {by_columns_then}number + 1 AS number,
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
),
grid AS (
    SELECT {by_columns_then}number, period, next_period
    FROM periods{each_group}
),
counted AS (
    SELECT
        {here_by_then}here.period,
        count(CASE WHEN there.state = 'new' THEN 1 END) AS new_users,
        count(CASE WHEN there.state = 'returning' THEN 1 END) AS returning_users,
        count(CASE WHEN there.state = 'resurrected' THEN 1 END) AS resurrected_users,
        count(CASE WHEN there.state = 'dormant' THEN 1 END) AS dormant_users
    FROM grid AS here
    LEFT JOIN states AS there ON there.number = here.number{and_by}
    WHERE (:from_date IS NULL OR here.next_period > :from_date)
        AND (:to_date IS NULL OR here.period <= :to_date)
    GROUP BY {here_by_then}here.period
)
SELECT
    {by_columns_then}CAST(period AS DATE) AS period,
    CAST(new_users AS BIGINT) AS new_users,
    CAST(returning_users AS BIGINT) AS returning_users,
    CAST(resurrected_users AS BIGINT) AS resurrected_users,
    CAST(dormant_users AS BIGINT) AS dormant_users
FROM counted
-- By an expression: Sail takes the rows of each group to be in the order of the periods.
ORDER BY {by_order_then}datediff(period, DATE '1970-01-01') NULLS LAST
