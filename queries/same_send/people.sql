WITH {same_sends},
told AS (
    SELECT
        whatsapp_id AS told_id,
        {outcomes}
    FROM messages
)
SELECT
    conversation_id,
    conversation_version,
    user_phone,
    deployment_timestamp AS at,
    TRUE AS deployments,
    paired_id IS NOT NULL AS matched,
    delivered,
    read,
    delivered AND user_responded_timestamp IS NOT NULL AS replied,
    delivery_status = 'Delivered' AND failed AND NOT delivered
        OR delivery_status = 'Failed' AND delivered AS disagree
FROM {deployments}
LEFT JOIN same_sends
    ON paired_phone = user_phone
    AND paired_at = deployment_timestamp
    AND paired_conversation <=> conversation_id
    AND paired_version <=> conversation_version
LEFT JOIN told ON told_id = paired_id
WHERE (:from_at IS NULL OR deployment_timestamp >= :from_at)
    AND (:until_at IS NULL OR deployment_timestamp < :until_at)
