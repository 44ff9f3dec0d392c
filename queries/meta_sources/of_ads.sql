{what}_of_ads AS (
    SELECT
        latest.ad_id,
        latest.{what}_id,
        CASE
            WHEN latest.{what}_id IS NULL THEN latest.{what}_name
            ELSE {what}_names.{what}_name
        END AS {what}_name
    FROM (
        SELECT
            ad_id,
            {what}_id,
            {what}_name,
            row_number() OVER (
                PARTITION BY ad_id
                ORDER BY
                    day DESC NULLS LAST,
                    currency DESC NULLS LAST,
                    {what}_name DESC NULLS LAST
            ) AS place
        FROM ad_spend
        WHERE {what}_id IS NOT NULL OR {what}_name IS NOT NULL
    ) AS latest
    LEFT JOIN {what}_names ON {what}_names.{what}_id = latest.{what}_id
    WHERE latest.place = 1
),
