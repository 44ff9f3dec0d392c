-- What became of Treble's sends in the message vendor's eyes? Deployments, the template messages that
-- they are paired with, and in a row of their own the template messages without a pair.
WITH {markets},
{deliveries},
{priced_messages},
{same_sends},
asked AS (
    SELECT
        conversation_id,
        conversation_version,
        delivery_status,
        user_responded_timestamp,
        paired_id
    FROM {deployments}
    LEFT JOIN same_sends
        ON paired_phone = user_phone
        AND paired_at = deployment_timestamp
        AND paired_conversation <=> conversation_id
        AND paired_version <=> conversation_version
    WHERE (:from_at IS NULL OR deployment_timestamp >= :from_at)
        AND (:until_at IS NULL OR deployment_timestamp < :until_at)
),
told AS (
    SELECT
        whatsapp_id AS told_id,
        template_name,
        {outcomes}
    FROM messages
),
alone AS (
    SELECT whatsapp_id
    FROM {messages}
    LEFT JOIN same_sends ON paired_id = whatsapp_id
    WHERE :counts_alone
        AND message_type = 'template'
        AND paired_id IS NULL
        AND (:from_at IS NULL OR created_at >= :from_at)
        AND (:until_at IS NULL OR created_at < :until_at)
),
units AS (
    SELECT
        conversation_id,
        conversation_version,
        1 AS deployments,
        0 AS unmatched_messages,
        paired_id IS NOT NULL AS matched,
        template_name,
        delivered,
        read,
        delivered AND user_responded_timestamp IS NOT NULL AS replied,
        delivery_status = 'Delivered' AND failed AND NOT delivered
            OR delivery_status = 'Failed' AND delivered AS disagree,
        cost,
        charged_in
    FROM asked
    LEFT JOIN told ON told_id = paired_id
    LEFT JOIN priced_messages ON priced_id = paired_id
    UNION ALL
    SELECT NULL, NULL, 0, 1, FALSE, NULL, FALSE, FALSE, FALSE, FALSE, NULL, NULL
    FROM alone
),
counted AS (
    SELECT
        conversation_id,
        conversation_version,
        nullif(array_join(sort_array(collect_set(template_name)), '+'), '') AS template_names,
        sum(deployments) AS deployments,
        count_if(matched) AS matched,
        sum(unmatched_messages) AS unmatched_messages,
        count_if(delivered) AS delivered,
        count_if(read) AS read,
        count_if(replied) AS replied,
        -- Null without a delivered message, and if one has no rate.
        CASE
            WHEN count_if(delivered) > 0
                AND count(cost) = count_if(delivered)
                AND count(DISTINCT charged_in) <= 1
                THEN sum(cost)
        END AS cost,
        nullif(nullif(array_join(sort_array(collect_set(charged_in)), '+'), '?'), '') AS currency,
        count_if(disagree) AS disagree
    FROM units
    GROUP BY conversation_id, conversation_version
)
SELECT
    CAST(conversation_id AS STRING) AS conversation_id,
    CAST(conversation_version AS INT) AS conversation_version,
    CAST(template_names AS STRING) AS template_names,
    CAST(deployments AS BIGINT) AS deployments,
    CAST(matched AS BIGINT) AS matched,
    CAST(matched AS DOUBLE) * 100 / nullif(deployments, 0) AS matched_pct,
    CAST(unmatched_messages AS BIGINT) AS unmatched_messages,
    CAST(delivered AS BIGINT) AS delivered,
    CAST(read AS BIGINT) AS read,
    CAST(read AS DOUBLE) * 100 / nullif(delivered, 0) AS read_pct,
    CAST(replied AS BIGINT) AS replied,
    CAST(replied AS DOUBLE) * 100 / nullif(delivered, 0) AS reply_pct,
    CAST(cost AS DECIMAL(38, 6)) AS cost,
    CAST(currency AS STRING) AS currency,
    CAST(disagree AS BIGINT) AS disagree
FROM counted
ORDER BY
    conversation_id NULLS LAST,
    conversation_version NULLS LAST
