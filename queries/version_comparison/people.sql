SELECT
    {by_then}conversation_id,
    conversation_version,
    user_phone,
    deployment_timestamp AS at,
    TRUE AS deployments,
    delivery_status = 'Delivered' AS delivered,
    delivery_status = 'Delivered' AND user_responded_timestamp IS NOT NULL AS replied
FROM {deployments}
{tagged}
WHERE (:from_at IS NULL OR deployment_timestamp >= :from_at)
    AND (:until_at IS NULL OR deployment_timestamp < :until_at)
