-- The first message to a person after a click on an ad opens a window.
{prefix}ad_clicks AS (
    {clicks}
),
{prefix}served AS (
    SELECT whatsapp_id, user_phone, line, created_at
    FROM {messages}
    WHERE message_direction = 'outgoing'
        AND (delivered_at IS NOT NULL OR seen_at IS NOT NULL)
        AND user_phone IS NOT NULL
),
{prefix}entry_windows AS (
    SELECT click_id, clicked_at, user_phone, line, opened_at
    FROM (
        SELECT
            clicks.click_id,
            clicks.clicked_at,
            answers.user_phone,
            answers.line,
            answers.created_at AS opened_at,
            row_number() OVER (
                PARTITION BY clicks.click_id
                ORDER BY answers.created_at NULLS LAST, answers.whatsapp_id NULLS LAST
            ) AS place
        FROM {prefix}ad_clicks AS clicks
        INNER JOIN {prefix}served AS answers
            ON answers.user_phone = clicks.user_phone
            AND answers.created_at >= clicks.clicked_at
            AND unix_micros(answers.created_at) - unix_micros(clicks.clicked_at)
                <= :answer_hours * 3600000000
        -- A click without a line is answered on any.
        WHERE clicks.line IS NULL OR answers.line = clicks.line
    ) AS in_turn
    WHERE place = 1
),
{prefix}in_entry_windows AS (
    SELECT whatsapp_id, click_id
    FROM (
        SELECT
            inside.whatsapp_id,
            opened.click_id,
            row_number() OVER (
                PARTITION BY inside.whatsapp_id
                ORDER BY
                    opened.opened_at DESC NULLS LAST,
                    opened.clicked_at DESC NULLS LAST,
                    opened.click_id DESC NULLS LAST
            ) AS place
        FROM {prefix}served AS inside
        INNER JOIN {prefix}entry_windows AS opened
            ON opened.user_phone = inside.user_phone
            AND opened.line <=> inside.line
            AND inside.created_at >= opened.opened_at
            AND unix_micros(inside.created_at) - unix_micros(opened.opened_at)
                < :window_hours * 3600000000
    ) AS in_turn
    WHERE place = 1
)
