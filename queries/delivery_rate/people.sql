SELECT
    {by_then}conversation_id AS id_of_conversation,
    conversation_version AS id_of_version,
    user_phone,
    deployment_timestamp AS at,
    TRUE AS deployments,
    delivery_status = 'Delivered' AS delivered,
    delivery_status = 'Sent' AS sent,
    delivery_status = 'Failed' AS failed,
    delivery_status = 'In Process' AS in_process
FROM {deployments}
{tagged}
WHERE (:from_at IS NULL OR deployment_timestamp >= :from_at)
    AND (:until_at IS NULL OR deployment_timestamp < :until_at)
