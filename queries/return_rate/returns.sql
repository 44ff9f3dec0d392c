visits AS (
    SELECT
        user_phone,
        session_started_timestamp AS started_at,
        CAST(date_trunc('DAY', from_utc_timestamp(session_started_timestamp, :timezone)) AS DATE)
            AS started_on
    FROM sessions
    WHERE {is_visit}
),
{chosen}latest AS (
    SELECT
        max(session_started_timestamp) AS latest_at,
        max(
            CAST(
                date_trunc('DAY', from_utc_timestamp(session_started_timestamp, :timezone)) AS DATE
            )
        ) AS latest_on
    FROM sessions
),
firsts AS (
    SELECT user_phone, min(started_at) AS first_at, min(started_on) AS first_on
    FROM visits
    GROUP BY user_phone
),
people AS (
    SELECT
        {by_columns_then}{visit_then}user_phone,
        first_at,
        first_on,
        CASE :cohort
            WHEN 'day' THEN first_on
            WHEN 'week' THEN CAST(date_trunc('WEEK', CAST(first_on AS TIMESTAMP_LTZ)) AS DATE)
            WHEN 'month' THEN CAST(date_trunc('MONTH', CAST(first_on AS TIMESTAMP_LTZ)) AS DATE)
        END AS cohort,
        CASE :clock
            WHEN 'calendar' THEN CAST(datediff(latest_on, first_on) AS BIGINT)
            ELSE CAST(floor((unix_micros(latest_at) - unix_micros(first_at)) / 86400000000) AS BIGINT)
        END AS days_passed
    FROM firsts
    CROSS JOIN latest{of_chosen}
    WHERE (:from_date IS NULL OR first_on >= :from_date)
        AND (:to_date IS NULL OR first_on <= :to_date)
),
asked AS (
    SELECT explode(:days) AS day_n
),
days_visited AS (
    SELECT
        visits.user_phone,
        CASE :clock
            WHEN 'calendar' THEN CAST(datediff(visits.started_on, people.first_on) AS BIGINT)
            ELSE CAST(
                floor((unix_micros(visits.started_at) - unix_micros(people.first_at)) / 86400000000)
                AS BIGINT
            )
        END AS day
    FROM visits JOIN people ON visits.user_phone = people.user_phone
),
returns AS (
    SELECT DISTINCT days_visited.user_phone, asked.day_n
    FROM days_visited CROSS JOIN asked
    WHERE (:mode = 'on' AND day = day_n)
        OR (:mode = 'within' AND day BETWEEN 1 AND day_n)
        OR (:mode = 'on-or-after' AND day >= day_n)
)
