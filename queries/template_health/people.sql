WITH {stopped},
sent AS (
    SELECT
        template_name,
        whatsapp_id,
        user_phone,
        created_at,
        {outcomes}
    FROM {messages}
    WHERE message_type = 'template'
        AND (:from_at IS NULL OR created_at >= :from_at)
        AND (:until_at IS NULL OR created_at < :until_at)
)
SELECT
    template_name,
    whatsapp_id,
    user_phone,
    created_at AS at,
    TRUE AS created,
    delivered,
    read,
    stopped_id IS NOT NULL AS stops
FROM sent
LEFT JOIN stopped ON stopped.stopped_id = sent.whatsapp_id
