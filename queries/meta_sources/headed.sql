headed AS (
    SELECT
        {keys},
        meta_source_headline,
        row_number() OVER (
            PARTITION BY {keys}
            ORDER BY session_started_timestamp DESC NULLS LAST, session_id DESC NULLS LAST
        ) AS place
    FROM sourced
    WHERE meta_source_headline IS NOT NULL
),
