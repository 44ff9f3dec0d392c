WITH {replies}
SELECT
    {by_then}whatsapp_id,
    user_phone,
    created_at AS at,
    TRUE AS service_messages,
    is_mergeable AS mergeable
FROM {messages}
{tagged}
INNER JOIN replies ON replies.reply_id = whatsapp_id
WHERE (:from_at IS NULL OR created_at >= :from_at)
    AND (:until_at IS NULL OR created_at < :until_at)
