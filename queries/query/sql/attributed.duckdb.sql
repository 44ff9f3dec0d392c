-- Faster by an ASOF join: DuckDB finds the last session before a conversion without a window over all sessions.
attributed AS (
    SELECT
        session_id AS converted_session_id, session_key AS converted_session_key, converted_at, value, currency
    FROM conversions
    WHERE session_id IS NOT NULL
    UNION ALL
    SELECT
        visits.session_id, visits.session_key, unnamed.converted_at, unnamed.value, unnamed.currency
    FROM (
        SELECT user_key, converted_at, value, currency
        FROM conversions
        WHERE session_id IS NULL AND user_key IS NOT NULL
    ) AS unnamed
    -- The last session that was no redirection, of two at one instant the greater id.
    ASOF JOIN (
        SELECT user_key, session_started_timestamp, max(session_id) AS session_id,
            arg_max(session_key, session_id) AS session_key
        FROM sessions
        WHERE parent_session_id IS NULL
            AND user_key IN (SELECT user_key FROM conversions WHERE session_id IS NULL)
        GROUP BY ALL
    ) AS visits
        ON visits.user_key = unnamed.user_key
        AND visits.session_started_timestamp <= unnamed.converted_at
    WHERE unnamed.converted_at <= visits.session_started_timestamp + INTERVAL 168 HOURS
)
