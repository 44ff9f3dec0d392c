WITH {attributed},
converting AS (
    SELECT DISTINCT converted_session_id
    FROM attributed
)
SELECT
    {by_then}conversation_id AS id_of_conversation,
    conversation_version AS id_of_version,
    user_phone,
    deployment_timestamp AS at,
    TRUE AS deployed,
    delivery_status = 'Delivered' AS delivered,
    delivery_status = 'Delivered' AND session_id IS NOT NULL AS session,
    delivery_status = 'Delivered'
        AND session_id IS NOT NULL
        AND user_responded_timestamp IS NOT NULL AS replied,
    delivery_status = 'Delivered'
        AND session_id IS NOT NULL
        AND user_responded_timestamp IS NOT NULL
        AND converted_session_id IS NOT NULL AS converted
FROM {deployments}
{tagged}
LEFT JOIN converting ON converted_session_id = session_id
WHERE (:from_at IS NULL OR deployment_timestamp >= :from_at)
    AND (:until_at IS NULL OR deployment_timestamp < :until_at)
