SELECT
    {by_then}state,
    status_detail,
    conversation_id AS id_of_conversation,
    conversation_version AS id_of_version,
    user_phone,
    deployment_timestamp AS at,
    TRUE AS deployments
FROM {deployments}
{tagged}
WHERE delivery_status = 'Failed'
    AND (:from_at IS NULL OR deployment_timestamp >= :from_at)
    AND (:until_at IS NULL OR deployment_timestamp < :until_at)
