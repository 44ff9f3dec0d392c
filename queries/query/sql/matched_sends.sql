{deliveries},
{priced_messages},
{same_sends},
-- Delivered deployments, each with the price of the message that it is paired with.
offered_sends AS (
    SELECT deployments.*, priced_messages.cost, priced_messages.charged_in
    FROM deployments
    LEFT JOIN same_sends
        ON same_sends.paired_phone = deployments.user_phone
        AND same_sends.paired_at = deployments.deployment_timestamp
        AND same_sends.paired_conversation <=> deployments.conversation_id
        AND same_sends.paired_version <=> deployments.conversation_version
    LEFT JOIN priced_messages ON priced_messages.priced_id = same_sends.paired_id
    WHERE deployments.delivery_status = 'Delivered'
),
sends AS (
    SELECT *
    FROM {offered_sends}
    WHERE (:from_at IS NULL OR deployment_timestamp >= :from_at)
        AND (:until_at IS NULL OR deployment_timestamp < :until_at)
)
