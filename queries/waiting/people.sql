WITH {asked}
SELECT
    {by_columns_then}whatsapp_id,
    user_phone,
    created_at AS at,
    TRUE AS started,
    is_answered AS answered,
    is_given_up AS unanswered
FROM asked
WHERE (:from_at IS NULL OR created_at >= :from_at)
    AND (:until_at IS NULL OR created_at < :until_at)
