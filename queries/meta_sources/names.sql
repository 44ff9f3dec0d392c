{what}_names AS (
    SELECT {what}_id, {what}_name
    FROM (
        SELECT
            {what}_id,
            {what}_name,
            row_number() OVER (
                PARTITION BY {what}_id
                ORDER BY
                    day DESC NULLS LAST,
                    currency DESC NULLS LAST,
                    {what}_name DESC NULLS LAST
            ) AS place
        FROM ad_spend
        WHERE {what}_id IS NOT NULL AND {what}_name IS NOT NULL
    ) AS in_turn
    WHERE place = 1
),
