SELECT
    {by_then}conversation_id AS id_of_conversation,
    conversation_version AS id_of_version,
    user_phone,
    deployment_timestamp AS at,
    TRUE AS delivered,
    user_responded_timestamp IS NOT NULL AS replied
FROM {deployments}
{tagged}
WHERE delivery_status = 'Delivered'
    AND (:from_at IS NULL OR deployment_timestamp >= :from_at)
    AND (:until_at IS NULL OR deployment_timestamp < :until_at)
