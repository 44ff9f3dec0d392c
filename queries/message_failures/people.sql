SELECT
    {by_then}{template_then}reason_for_failure,
    error_code,
    whatsapp_id,
    user_phone,
    created_at AS at,
    TRUE AS messages
FROM {messages}
{tagged}
WHERE message_direction = 'outgoing'
    AND (failed_at IS NOT NULL OR reason_for_failure IS NOT NULL)
    AND delivered_at IS NULL
    AND seen_at IS NULL
    AND (:from_at IS NULL OR created_at >= :from_at)
    AND (:until_at IS NULL OR created_at < :until_at)
