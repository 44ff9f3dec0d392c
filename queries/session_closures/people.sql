WITH {ended}
SELECT
    {by_columns_then}reasons.name AS closing_reason,
    session_id,
    user_phone,
    started_at AS at,
    TRUE AS sessions
FROM ended
INNER JOIN reasons ON reasons.place = ended.place
