SELECT session_id AS converted_session_id, converted_at, value, currency
FROM conversions
WHERE session_id IS NOT NULL
    AND (size(:event) = 0 OR array_contains(:event, lower(event)))
UNION ALL
SELECT converted_session_id, converted_at, value, currency
FROM (
    SELECT
        visits.session_id AS converted_session_id,
        named.converted_at,
        named.value,
        named.currency,
        row_number() OVER (
            PARTITION BY named.conversion_id
            ORDER BY
                visits.session_started_timestamp DESC NULLS LAST,
                visits.session_id DESC NULLS LAST
        ) AS place
    FROM conversions AS named
    INNER JOIN sessions AS visits ON visits.user_phone = named.user_phone
    WHERE named.session_id IS NULL
        AND visits.parent_session_id IS NULL
        AND visits.session_started_timestamp <= named.converted_at
        AND unix_micros(named.converted_at) - unix_micros(visits.session_started_timestamp)
            <= :conversion_window_days * 86400000000
        AND (size(:event) = 0 OR array_contains(:event, lower(named.event)))
) AS candidates
WHERE place = 1
