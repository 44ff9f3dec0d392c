sent AS (
    SELECT
        user_phone,
        deployment_timestamp,
        user_responded_timestamp,
        delivery_status,
        state
    FROM deployments
    WHERE user_phone IS NOT NULL
),
-- The deployments that are counted, by tag several times; those in `sent` are looked back to.
in_range AS (
    SELECT
        {by_then}{id_then}user_phone,
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
-- A deployment counts from the microsecond after it until its answer, or the end of the window.
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
    FROM sent
    WHERE delivery_status <> 'Failed'
),
in_turn AS (
    SELECT
        {by_columns_then}{id_columns_then}user_phone,
        unix_micros(deployment_timestamp) AS at,
        0 AS change,
        TRUE AS counts,
        user_responded_timestamp,
        delivery_status,
        state
    FROM in_range
    UNION ALL
    SELECT {no_by_then}{no_id_then}user_phone, begins, 1, FALSE, NULL, NULL, NULL
    FROM lasting
    WHERE begins < ends
    UNION ALL
    SELECT {no_by_then}{no_id_then}user_phone, ends, -1, FALSE, NULL, NULL, NULL
    FROM lasting
    WHERE begins < ends
),
with_earlier AS (
    SELECT
        *,
        -- All changes up to that instant.
        sum(change) OVER (PARTITION BY user_phone ORDER BY at) AS earlier
    FROM in_turn
)
