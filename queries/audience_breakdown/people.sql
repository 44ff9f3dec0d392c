WITH {attributed},
converting AS (
    SELECT DISTINCT converted_session_id
    FROM attributed
),
sent AS (
    SELECT
        tags.tag,
        deployments.conversation_id,
        deployments.conversation_version,
        deployments.user_phone,
        deployments.deployment_timestamp,
        deployments.delivery_status,
        deployments.session_id,
        deployments.user_responded_timestamp
    FROM {deployments}
    LEFT JOIN audience_tags AS tags
        ON tags.user_phone = deployments.user_phone
        AND coalesce(tags.since, deployments.deployment_timestamp)
            <= deployments.deployment_timestamp
    WHERE (:from_at IS NULL OR deployments.deployment_timestamp >= :from_at)
        AND (:until_at IS NULL OR deployments.deployment_timestamp < :until_at)
)
SELECT
    tag,
    conversation_id,
    conversation_version,
    user_phone,
    deployment_timestamp AS at,
    TRUE AS deployments,
    delivery_status = 'Delivered' AS delivered,
    delivery_status = 'Delivered' AND session_id IS NOT NULL AS sessions_created,
    delivery_status = 'Delivered' AND user_responded_timestamp IS NOT NULL AS replied,
    delivery_status = 'Delivered' AND converted_session_id IS NOT NULL AS converted_sessions
FROM sent
LEFT JOIN converting ON converted_session_id = session_id
