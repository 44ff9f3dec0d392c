{names_then}clicked AS (
    {rows}
),
latest AS (
    SELECT unix_micros(max(created_at)) AS latest_at FROM messages
),
asked AS (
    SELECT
        {keys},
        clicked.click_id,
        clicked.clicked_at,
        clicked.user_phone,
        clicked.{began}
    FROM {clicked}{ads}{tagged}
    WHERE (:asked_from IS NULL OR clicked.{began} >= :asked_from)
        AND (:asked_until IS NULL OR clicked.{began} < :asked_until)
),
answered AS (
    SELECT
        asked.*,
        unix_micros(entry_windows.opened_at) - unix_micros(asked.clicked_at) AS took,
        entry_windows.opened_at IS NULL
            AND (
                latest.latest_at IS NULL
                OR unix_micros(asked.clicked_at) + :answer_hours * 3600000000 > latest.latest_at
            ) AS is_pending
    FROM asked
    CROSS JOIN latest
    LEFT JOIN entry_windows ON entry_windows.click_id = asked.click_id
)
