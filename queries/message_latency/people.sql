SELECT
    {by_then}whatsapp_id,
    user_phone,
    created_at AS at,
    TRUE AS messages
FROM {messages}
{tagged}
WHERE message_direction = 'outgoing'
    AND (:from_at IS NULL OR created_at >= :from_at)
    AND (:until_at IS NULL OR created_at < :until_at)
