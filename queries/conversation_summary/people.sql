WITH in_range AS (
    SELECT
        conversation_id,
        conversation_version,
        user_phone,
        deployment_timestamp,
        delivery_status,
        user_responded_timestamp,
        max(conversation_version) OVER (PARTITION BY conversation_id) AS latest
    FROM {deployments}
    WHERE (:from_at IS NULL OR deployment_timestamp >= :from_at)
        AND (:until_at IS NULL OR deployment_timestamp < :until_at)
)
SELECT
    conversation_id,
    conversation_version,
    user_phone,
    deployment_timestamp AS at,
    TRUE AS total_users,
    delivery_status IN ('Sent', 'Delivered') AS messages_sent,
    delivery_status = 'In Process' AS in_process,
    delivery_status = 'Failed' AS send_failure,
    delivery_status = 'Delivered' AS delivered,
    delivery_status IN ('Sent', 'Delivered') AND user_responded_timestamp IS NOT NULL AS responses
FROM in_range
WHERE (NOT :latest_version OR conversation_version <=> latest)
    AND (
        (size(:conversation_version) = 0 AND NOT :conversation_version_none)
        OR array_contains(:conversation_version, conversation_version)
        OR (:conversation_version_none AND conversation_version IS NULL)
    )
