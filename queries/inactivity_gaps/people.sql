WITH {replied},
asked AS (
    SELECT explode(:minutes) AS minutes
)
SELECT
    {by_then}minutes,
    {id},
    user_phone,
    created_at AS at,
    TRUE AS replies_after
FROM {in_turn}
{tagged}
INNER JOIN asked ON gap > minutes * 60000000
WHERE (:from_at IS NULL OR created_at >= :from_at)
    AND (:until_at IS NULL OR created_at < :until_at)
