begun AS (
    SELECT
        user_phone,
        line_whatsapp_number AS line,
        country,
        session_id,
        session_started_timestamp AS created_at,
        unix_micros(first_message_timestamp) AS first_at,
        unix_micros(last_message_timestamp) AS last_at
    FROM sessions
    WHERE user_phone IS NOT NULL
),
written AS (
    SELECT user_phone, line, session_id, created_at, first_at AS at
    FROM begun
    WHERE first_at IS NOT NULL
    UNION ALL
    SELECT user_phone, line, session_id, created_at, last_at
    FROM begun
    WHERE last_at IS NOT NULL
),
in_turn AS (
    SELECT
        begun.user_phone,
        begun.line,
        begun.country,
        begun.session_id,
        begun.created_at,
        begun.first_at - max(written.at) AS gap
    FROM begun
    INNER JOIN written
        ON written.user_phone = begun.user_phone
            AND written.line <=> begun.line
            AND written.at <= begun.first_at
            AND (
                written.created_at < begun.created_at
                OR (written.created_at = begun.created_at AND written.session_id < begun.session_id)
            )
    GROUP BY
        begun.user_phone,
        begun.line,
        begun.country,
        begun.session_id,
        begun.created_at,
        begun.first_at
)
