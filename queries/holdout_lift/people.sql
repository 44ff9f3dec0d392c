WITH {followed},
converted_people AS (
    SELECT DISTINCT user_phone AS converted_phone
    FROM earned
)
SELECT
    user_phone,
    since AS at,
    CASE WHEN in_both THEN 'difference' ELSE group_name END AS `group`,
    TRUE AS people,
    NOT in_both AND converted_phone IS NOT NULL AS converted,
    NOT in_both AND reached_phone IS NOT NULL AS contaminated
FROM chosen
CROSS JOIN (SELECT explode(array(FALSE, TRUE)) AS in_both) AS rows_of_answer
LEFT JOIN converted_people ON converted_phone = user_phone
LEFT JOIN (SELECT user_phone AS reached_phone FROM reached) AS reached_people
    ON reached_phone = user_phone
WHERE group_name IN ('treated', 'control')
