-- What was sent and received? The messages in the order of their creation.
WITH in_range AS (
    SELECT
        *,
        CASE
            WHEN message_direction = 'incoming' THEN NULL
            WHEN seen_at IS NOT NULL THEN 'seen'
            WHEN delivered_at IS NOT NULL THEN 'delivered'
            WHEN failed_at IS NOT NULL OR reason_for_failure IS NOT NULL THEN 'failed'
            WHEN sent_at IS NOT NULL THEN 'sent'
            ELSE 'created'
        END AS status
    FROM {messages}
    WHERE (:from_at IS NULL OR created_at >= :from_at)
        AND (:until_at IS NULL OR created_at < :until_at)
)
SELECT
    CAST(`waba_id` AS STRING) AS `waba_id`,
    CAST(`whatsapp_id` AS STRING) AS `whatsapp_id`,
    CAST(`from` AS STRING) AS `from`,
    CAST(`to` AS STRING) AS `to`,
    CAST(`message_direction` AS STRING) AS `message_direction`,
    CAST(`source` AS STRING) AS `source`,
    CAST(`format` AS STRING) AS `format`,
    CAST(`reason_for_failure` AS STRING) AS `reason_for_failure`,
    CAST(`country_name` AS STRING) AS `country_name`,
    CAST(`template_name` AS STRING) AS `template_name`,
    CAST(`message` AS STRING) AS `message`,
    CAST(`created_at` AS TIMESTAMP_LTZ) AS `created_at`,
    CAST(`failed_at` AS TIMESTAMP_LTZ) AS `failed_at`,
    CAST(`sent_at` AS TIMESTAMP_LTZ) AS `sent_at`,
    CAST(`delivered_at` AS TIMESTAMP_LTZ) AS `delivered_at`,
    CAST(`seen_at` AS TIMESTAMP_LTZ) AS `seen_at`,
    CAST(`parent_service_type` AS STRING) AS `parent_service_type`,
    CAST(`conversation_type` AS STRING) AS `conversation_type`,
    CAST(`conversation_id` AS STRING) AS `conversation_id`,
    CAST(`conversation_msg_type` AS STRING) AS `conversation_msg_type`,
    CAST(`campaign_id` AS STRING) AS `campaign_id`,
    CAST(`ref` AS STRING) AS `ref`,
    CAST(`ref1` AS STRING) AS `ref1`,
    CAST(`ref2` AS STRING) AS `ref2`,
    CAST(`line` AS STRING) AS `line`,
    CAST(`user_phone` AS STRING) AS `user_phone`,
    CAST(`country` AS STRING) AS `country`,
    CAST(`message_type` AS STRING) AS `message_type`,
    CAST(`user_id` AS STRING) AS `user_id`,
    CAST(`error_code` AS INT) AS `error_code`,
    CAST(`pricing_type` AS STRING) AS `pricing_type`,
    CAST(`pricing_category` AS STRING) AS `pricing_category`,
    CAST(`referral_type` AS STRING) AS `referral_type`,
    CAST(`referral_id` AS STRING) AS `referral_id`,
    CAST(`referral_headline` AS STRING) AS `referral_headline`,
    CAST(`ctwa_clid` AS STRING) AS `ctwa_clid`,
    CAST(`context_id` AS STRING) AS `context_id`,
    CAST(`button_payload` AS STRING) AS `button_payload`,
    CAST(`reaction` AS STRING) AS `reaction`
FROM in_range
WHERE (
        (size(:phone) = 0 AND NOT :phone_none)
        OR (:phone_none AND user_phone IS NULL)
        OR array_contains(:phone, user_phone)
        OR user_phone IN (SELECT person FROM persons WHERE array_contains(:phone, user_id))
    )
    AND (
        (size(:status) = 0 AND NOT :status_none)
        OR array_contains(:status, status)
        OR (:status_none AND status IS NULL)
    )
ORDER BY
    created_at NULLS LAST,
    whatsapp_id NULLS LAST
