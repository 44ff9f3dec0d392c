-- Do users come back on day 1, 7 and 30? By the date of their first visit.
WITH visits AS (
    SELECT DISTINCT
        user_key,
        CAST(make_timestamp(epoch_us(session_started_timestamp)) AS DATE) AS day
    FROM sessions
    WHERE parent_session_id IS NULL AND user_key IS NOT NULL
),
users AS (
    SELECT user_key, min(day) AS cohort FROM visits GROUP BY user_key
),
latest AS (
    SELECT CAST(make_timestamp(max(epoch_us(session_started_timestamp))) AS DATE) AS day
    FROM sessions
),
cohorts AS (
    SELECT cohort, count(*) AS users FROM users GROUP BY cohort
),
-- A day is visited once, so a user who came back on day N is one row.
returned AS (
    SELECT cohort, day - cohort AS day_n, count(*) AS users
    FROM visits
    JOIN users USING (user_key)
    WHERE day - cohort IN (1, 7, 30)
    GROUP BY ALL
),
asked AS (
    SELECT
        cohort,
        day_n,
        cohorts.users AS cohort_users,
        -- On the calendar a whole cohort becomes eligible at once.
        CASE WHEN latest.day > cohort + day_n THEN cohorts.users ELSE 0 END AS eligible_users
    FROM cohorts, latest, (VALUES (1), (7), (30)) AS days (day_n)
)
SELECT
    cohort,
    CAST(day_n AS BIGINT) AS day_n,
    CAST(cohort_users AS BIGINT) AS cohort_users,
    CAST(eligible_users AS BIGINT) AS eligible_users,
    CAST(CASE WHEN eligible_users > 0 THEN coalesce(returned.users, 0) ELSE 0 END AS BIGINT)
        AS returned_users,
    CAST(CASE WHEN eligible_users > 0
        THEN 100.0 * coalesce(returned.users, 0) / eligible_users END AS DOUBLE) AS return_rate_pct
FROM asked
LEFT JOIN returned USING (cohort, day_n)
ORDER BY cohort, day_n;
