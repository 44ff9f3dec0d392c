WITH asked AS (
    SELECT *, {of} AS name
    FROM {messages}
    WHERE {counts}
),
{performance}
SELECT
    {by_then}sent_messages.name AS {of},
    sent_messages.whatsapp_id,
    user_phone,
    created_at AS at,
    TRUE AS created,
    sent_messages.failed AND NOT sent_messages.delivered AS failed,
    sent_messages.sent AS sent,
    sent_messages.delivered AS delivered,
    sent_messages.read AS read,
    replies.took IS NOT NULL AS replied
FROM sent_messages
{tagged}
LEFT JOIN replies ON replies.whatsapp_id = sent_messages.whatsapp_id
