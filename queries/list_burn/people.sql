WITH {followed}
SELECT
    {by_then}conversation_id AS id_of_conversation,
    conversation_version AS id_of_version,
    user_phone,
    deployment_timestamp AS at,
    TRUE AS delivered,
    sequel IS NOT NULL AS eligible,
    sequel <> 'delivered' AS lost
FROM {sent}
{tagged}
WHERE (:from_at IS NULL OR deployment_timestamp >= :from_at)
    AND (:until_at IS NULL OR deployment_timestamp < :until_at)
