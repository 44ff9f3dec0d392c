-- Do users come back? Of the people whose first visit is in the range, those who visit again on
-- day N.
WITH {returns},
cohorts AS (
    SELECT
        {by_columns_then}people.cohort,
        asked.day_n,
        count(*) AS cohort_users,
        count_if(people.days_passed > asked.day_n) AS eligible_users,
        count_if(people.days_passed > asked.day_n AND returns.user_phone IS NOT NULL)
            AS returned_users
    FROM people
    CROSS JOIN asked
    LEFT JOIN returns ON returns.user_phone = people.user_phone AND returns.day_n = asked.day_n
    GROUP BY {by_columns_then}people.cohort, asked.day_n
)
SELECT
    {by_columns_then}CAST(cohort AS DATE) AS cohort,
    CAST(day_n AS BIGINT) AS day_n,
    CAST(cohort_users AS BIGINT) AS cohort_users,
    CAST(eligible_users AS BIGINT) AS eligible_users,
    CAST(returned_users AS BIGINT) AS returned_users,
    CASE
        WHEN eligible_users > 0 THEN CAST(returned_users AS DOUBLE) * 100 / eligible_users
    END AS return_rate_pct
FROM cohorts
ORDER BY {by_order_then}cohort NULLS LAST, day_n NULLS LAST
