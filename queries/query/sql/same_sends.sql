-- Deployments and template messages of one person that are each other's nearest.
near_sends AS (
    SELECT
        deployments.user_phone AS paired_phone,
        deployments.deployment_timestamp AS paired_at,
        deployments.conversation_id AS paired_conversation,
        deployments.conversation_version AS paired_version,
        messages.whatsapp_id AS paired_id,
        row_number() OVER (
            PARTITION BY
                deployments.user_phone,
                deployments.deployment_timestamp,
                deployments.conversation_id,
                deployments.conversation_version
            ORDER BY
                abs(
                    unix_micros(messages.created_at)
                    - unix_micros(deployments.deployment_timestamp)
                ) NULLS LAST,
                messages.created_at NULLS LAST,
                messages.whatsapp_id NULLS LAST
        ) AS place_of_message,
        row_number() OVER (
            PARTITION BY messages.whatsapp_id
            ORDER BY
                abs(
                    unix_micros(messages.created_at)
                    - unix_micros(deployments.deployment_timestamp)
                ) NULLS LAST,
                deployments.deployment_timestamp NULLS LAST,
                deployments.conversation_id NULLS LAST,
                deployments.conversation_version NULLS LAST
        ) AS place_of_deployment
    FROM deployments
    INNER JOIN messages
        ON messages.user_phone = deployments.user_phone
        AND abs(
            unix_micros(messages.created_at) - unix_micros(deployments.deployment_timestamp)
        ) <= :tolerance_seconds * 1000000
    WHERE messages.message_type = 'template'
),
same_sends AS (
    SELECT paired_phone, paired_at, paired_conversation, paired_version, paired_id
    FROM near_sends
    WHERE place_of_message = 1 AND place_of_deployment = 1
)
