-- A conversation's metrics, as the vendor's dashboard shows them.
WITH by_conversation AS (
    SELECT
        conversation_id,
        conversation_version,
        count(DISTINCT user_key) AS total_users,
        count_if(delivery_status IN ('Sent', 'Delivered')) AS messages_sent,
        count_if(delivery_status = 'In Process') AS in_process,
        count_if(delivery_status = 'Failed') AS send_failure,
        count_if(delivery_status = 'Delivered') AS delivered,
        count_if(
            user_responded_timestamp IS NOT NULL AND delivery_status IN ('Sent', 'Delivered'))
            AS responses
    FROM deployments
    GROUP BY ALL
)
SELECT
    conversation_id,
    CAST(conversation_version AS INTEGER) AS conversation_version,
    CAST(total_users AS BIGINT) AS total_users,
    CAST(messages_sent AS BIGINT) AS messages_sent,
    CAST(in_process AS BIGINT) AS in_process,
    CAST(send_failure AS BIGINT) AS send_failure,
    CAST(delivered AS BIGINT) AS delivered,
    CAST(responses AS BIGINT) AS responses,
    CAST(100.0 * responses / nullif(messages_sent, 0) AS DOUBLE) AS response_rate_pct
FROM by_conversation
ORDER BY conversation_id NULLS LAST, conversation_version NULLS LAST;
