chats AS (
    -- Without the chat's tag, which is not the person's.
    SELECT
        user_phone,
        country,
        agent,
        created_at,
        unix_micros(CASE WHEN :clock_from = 'created' THEN created_at ELSE assigned_at END)
            AS begins,
        unix_micros(agent_first_message_at) AS answered,
        CASE
            WHEN finished_at >= created_at THEN unix_micros(finished_at) - unix_micros(created_at)
        END AS resolution,
        finished_at,
        finish_type,
        last_transfer_from,
        rating
    FROM agent_chats
    WHERE (:from_at IS NULL OR created_at >= :from_at)
        AND (:until_at IS NULL OR created_at < :until_at)
),
{with_response},
asked AS (
    SELECT
        {by_then}user_phone,
        created_at,
        answered,
        response,
        resolution,
        finished_at,
        finish_type,
        last_transfer_from,
        rating
    FROM {timed}
    {tagged}
)
