WITH {asked}
SELECT
    {by_columns_then}user_phone,
    created_at AS at,
    TRUE AS chats,
    answered IS NOT NULL AS answered,
    answered IS NULL AS unanswered,
    response <= :sla_seconds * 1000000 AS within_sla
FROM asked
