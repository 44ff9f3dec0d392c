-- How does a conversation do? Deployments by delivery status, and the responses to those that were
-- sent or delivered.
WITH versions AS (
    SELECT
        conversation_id,
        conversation_version,
        count(DISTINCT user_phone) AS total_users,
        count_if(delivery_status IN ('Sent', 'Delivered')) AS messages_sent,
        count_if(delivery_status = 'In Process') AS in_process,
        count_if(delivery_status = 'Failed') AS send_failure,
        count_if(delivery_status = 'Delivered') AS delivered,
        count_if(
            delivery_status IN ('Sent', 'Delivered') AND user_responded_timestamp IS NOT NULL
        ) AS responses,
        count(DISTINCT CASE
            WHEN delivery_status IN ('Sent', 'Delivered') THEN user_phone
        END) AS users_sent,
        count(DISTINCT CASE
            WHEN delivery_status IN ('Sent', 'Delivered') AND user_responded_timestamp IS NOT NULL
                THEN user_phone
        END) AS users_responded
    FROM {deployments}
    WHERE (:from_at IS NULL OR deployment_timestamp >= :from_at)
        AND (:until_at IS NULL OR deployment_timestamp < :until_at)
    GROUP BY conversation_id, conversation_version
),
ranked AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY conversation_id ORDER BY conversation_version DESC NULLS LAST
        ) AS place
    FROM versions
)
SELECT
    CAST(conversation_id AS STRING) AS conversation_id,
    CAST(conversation_version AS INT) AS conversation_version,
    CAST(total_users AS BIGINT) AS total_users,
    CAST(messages_sent AS BIGINT) AS messages_sent,
    CAST(in_process AS BIGINT) AS in_process,
    CAST(send_failure AS BIGINT) AS send_failure,
    CAST(delivered AS BIGINT) AS delivered,
    CAST(responses AS BIGINT) AS responses,
    CAST(responses AS DOUBLE) * 100 / nullif(messages_sent, 0) AS response_rate_pct,
    CAST(users_sent AS BIGINT) AS users_sent,
    CAST(users_responded AS BIGINT) AS users_responded,
    CAST(users_responded AS DOUBLE) * 100 / nullif(users_sent, 0) AS user_response_rate_pct
FROM ranked
WHERE (NOT :latest_version OR place = 1)
    AND (
        (size(:conversation_version) = 0 AND NOT :conversation_version_none)
        OR array_contains(:conversation_version, conversation_version)
        OR (:conversation_version_none AND conversation_version IS NULL)
    )
ORDER BY
    conversation_id NULLS LAST,
    conversation_version NULLS LAST
