WITH in_range AS (
    SELECT
        {by_then}conversation_id AS id_of_conversation,
        conversation_version AS id_of_version,
        user_phone,
        deployment_timestamp,
        user_responded_timestamp,
        delivery_status,
        state
    FROM {deployments}
    {tagged}
    WHERE user_phone IS NOT NULL
        AND (:from_at IS NULL OR deployment_timestamp >= :from_at)
        AND (:until_at IS NULL OR deployment_timestamp < :until_at)
),
-- As in the twin: from the microsecond after a deployment until its answer, or the end of the window.
lasting AS (
    SELECT
        user_phone,
        unix_micros(deployment_timestamp) + 1 AS begins,
        least(
            unix_micros(deployment_timestamp) + 1 + :window_hours * 3600000000,
            coalesce(
                unix_micros(user_responded_timestamp),
                unix_micros(deployment_timestamp) + 1 + :window_hours * 3600000000
            )
        ) AS ends
    FROM deployments
    WHERE user_phone IS NOT NULL AND delivery_status <> 'Failed'
),
in_turn AS (
    SELECT
        {by_columns_then}user_phone,
        unix_micros(deployment_timestamp) AS instant,
        0 AS change,
        TRUE AS counts,
        id_of_conversation,
        id_of_version,
        deployment_timestamp,
        user_responded_timestamp,
        delivery_status,
        state
    FROM in_range
    UNION ALL
    SELECT {no_by_then}user_phone, begins, 1, FALSE, NULL, NULL, NULL, NULL, NULL, NULL
    FROM lasting
    WHERE begins < ends
    UNION ALL
    SELECT {no_by_then}user_phone, ends, -1, FALSE, NULL, NULL, NULL, NULL, NULL, NULL
    FROM lasting
    WHERE begins < ends
),
with_earlier AS (
    SELECT
        *,
        -- All changes up to that instant.
        sum(change) OVER (PARTITION BY user_phone ORDER BY instant) AS earlier
    FROM in_turn
)
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
