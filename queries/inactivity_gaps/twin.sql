-- What would automatic closing do? Replies by the minutes since the message before.
WITH {replied},
replies AS (
    SELECT
        {by_then}user_phone,
        gap
    FROM {in_turn}
    {tagged}
    WHERE (:from_at IS NULL OR created_at >= :from_at)
        AND (:until_at IS NULL OR created_at < :until_at)
),
totals AS (
    SELECT {by_columns_then}count(*) AS replies
    FROM replies
    {group_by}
),
asked AS (
    SELECT explode(:minutes) AS minutes
),
counted AS (
    SELECT
        {here_by_then}here.replies,
        asked.minutes,
        count(there.gap) AS replies_after,
        count(DISTINCT there.user_phone) AS users
    FROM totals AS here
    CROSS JOIN asked
    LEFT JOIN replies AS there ON there.gap > asked.minutes * 60000000{and_by}
    GROUP BY {here_by_then}here.replies, asked.minutes
)
SELECT
    {by_columns_then}CAST(minutes AS BIGINT) AS minutes,
    CAST(replies_after AS BIGINT) AS replies_after,
    CAST(replies_after AS DOUBLE) * 100 / nullif(replies, 0) AS share_pct,
    CAST(users AS BIGINT) AS users
FROM counted
-- By an expression: Sail takes the rows of each group to be in the order of the array.
ORDER BY
    {by_order_then}CAST(minutes AS BIGINT) + 0 NULLS LAST
