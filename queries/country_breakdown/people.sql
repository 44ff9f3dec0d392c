WITH {attributed},
converting AS (
    SELECT DISTINCT converted_session_id
    FROM attributed
)
SELECT
    country,
    conversation_id,
    conversation_version,
    user_phone,
    deployment_timestamp AS at,
    TRUE AS deployments,
    delivery_status = 'Delivered' AS delivered,
    delivery_status = 'Delivered' AND session_id IS NOT NULL AS sessions_created,
    delivery_status = 'Delivered' AND user_responded_timestamp IS NOT NULL AS replied,
    delivery_status = 'Delivered' AND converted_session_id IS NOT NULL AS converted_sessions
FROM {deployments}
LEFT JOIN converting ON converted_session_id = session_id
WHERE (:from_at IS NULL OR deployment_timestamp >= :from_at)
    AND (:until_at IS NULL OR deployment_timestamp < :until_at)
