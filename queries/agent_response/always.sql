timed AS (
    SELECT
        *,
        CASE WHEN answered >= begins THEN answered - begins END AS response
    FROM chats
)
