WITH {retried}
SELECT
    gap,
    attempt,
    conversation_id AS id_of_conversation,
    conversation_version AS id_of_version,
    user_phone,
    deployment_timestamp AS at,
    TRUE AS capped,
    delivered,
    capped_again,
    replied
FROM {capped_sends}
WHERE (:from_at IS NULL OR deployment_timestamp >= :from_at)
    AND (:until_at IS NULL OR deployment_timestamp < :until_at)
