-- Faster than the twin by weeks as numbers, and by counting each visit once.
WITH visits AS (
    SELECT DISTINCT
        user_key,
        -- Weeks since Monday 1970-01-05.
        (epoch_us(session_started_timestamp) - 345600000000) // 604800000000 AS week
    FROM sessions
    WHERE parent_session_id IS NULL AND user_key IS NOT NULL
),
beside AS (
    SELECT week, lag(week) OVER turns AS before, lead(week) OVER turns AS after
    FROM visits
    WINDOW turns AS (PARTITION BY user_key ORDER BY week)
),
active AS (
    SELECT
        week,
        count_if(before IS NULL) AS new_users,
        count_if(before = week - 1) AS returning_users,
        count_if(before < week - 1) AS resurrected_users,
        count_if(after IS NULL OR after > week + 1) AS gone
    FROM beside
    GROUP BY week
),
weeks AS (
    SELECT unnest(range(min(week), max(week) + 1)) AS week FROM active
)
SELECT
    CAST(DATE '1970-01-05' + CAST(7 * weeks.week AS INTEGER) AS DATE) AS period,
    CAST(coalesce(active.new_users, 0) AS BIGINT) AS new_users,
    CAST(coalesce(active.returning_users, 0) AS BIGINT) AS returning_users,
    CAST(coalesce(active.resurrected_users, 0) AS BIGINT) AS resurrected_users,
    CAST(coalesce(last_week.gone, 0) AS BIGINT) AS dormant_users
FROM weeks
LEFT JOIN active USING (week)
LEFT JOIN active AS last_week ON last_week.week = weeks.week - 1
ORDER BY period;
