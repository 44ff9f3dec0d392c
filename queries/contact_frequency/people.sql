WITH {earlier_with_id}
SELECT
    {by_columns_then}id_of_conversation,
    id_of_version,
    user_phone,
    deployment_timestamp AS at,
    least(earlier, 3) AS unanswered_before,
    TRUE AS deployments,
    delivery_status = 'Delivered' AS delivered,
    state = 'frequency_capped' AS frequency_capped,
    delivery_status = 'Delivered' AND user_responded_timestamp IS NOT NULL AS replied
FROM with_earlier
WHERE counts
