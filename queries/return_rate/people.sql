WITH {returns_of_visits}
SELECT
    {by_columns_then}cohort,
    asked.day_n,
    people.session_id,
    people.user_phone,
    people.at,
    TRUE AS cohort_users,
    people.days_passed > asked.day_n AS eligible_users,
    people.days_passed > asked.day_n AND returns.user_phone IS NOT NULL AS returned_users
FROM people
CROSS JOIN asked
LEFT JOIN returns ON returns.user_phone = people.user_phone AND returns.day_n = asked.day_n
