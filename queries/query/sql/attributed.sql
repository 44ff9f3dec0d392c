attributed AS (
    SELECT session_id AS converted_session_id, converted_at, value, currency, event
    FROM conversions
    WHERE session_id IS NOT NULL
        AND (
            (size(:event) = 0 AND NOT :event_none)
            OR array_contains(:event, lower(event))
            OR (:event_none AND event IS NULL)
        )
    UNION ALL
    SELECT
        visits.session_id AS converted_session_id,
        named.converted_at,
        named.value,
        named.currency,
        named.event
    FROM (
        SELECT
            user_phone,
            converted_at,
            value,
            currency,
            event,
            counts,
            -- The last session at or before that instant.
            max(started) OVER (PARTITION BY user_phone ORDER BY at) AS started
        FROM (
            SELECT
                user_phone,
                converted_at,
                value,
                currency,
                event,
                TRUE AS counts,
                unix_micros(converted_at) AS at,
                CAST(NULL AS BIGINT) AS started
            FROM conversions
            WHERE session_id IS NULL
                AND user_phone IS NOT NULL
                AND (
                    (size(:event) = 0 AND NOT :event_none)
                    OR array_contains(:event, lower(event))
                    OR (:event_none AND event IS NULL)
                )
            UNION ALL
            SELECT
                user_phone,
                NULL,
                NULL,
                NULL,
                NULL,
                FALSE,
                unix_micros(session_started_timestamp),
                unix_micros(session_started_timestamp)
            FROM sessions
            WHERE parent_session_id IS NULL AND user_phone IS NOT NULL
        ) AS in_turn
    ) AS named
    INNER JOIN (
        SELECT
            user_phone,
            unix_micros(session_started_timestamp) AS started,
            max(session_id) AS session_id
        FROM sessions
        WHERE parent_session_id IS NULL
        GROUP BY user_phone, unix_micros(session_started_timestamp)
    ) AS visits
        ON visits.user_phone = named.user_phone
        AND visits.started = named.started
    WHERE named.counts
        AND unix_micros(named.converted_at) - named.started
            <= :conversion_window_days * 86400000000
)
