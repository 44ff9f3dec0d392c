-- Deployments that tell if a person can be reached. Of those at one instant, the first may be a
-- sequel.
settled AS (
    SELECT
        user_phone,
        country,
        conversation_id,
        conversation_version,
        deployment_timestamp,
        delivery_status,
        state,
        row_number() OVER (
            PARTITION BY user_phone, deployment_timestamp
            ORDER BY conversation_id NULLS LAST, conversation_version NULLS LAST
        ) AS turn
    FROM deployments
    WHERE user_phone IS NOT NULL
        AND state IN ('delivered', 'blocked_or_outdated', 'excluded', 'invalid_number')
),
instants AS (
    SELECT
        user_phone AS met_phone,
        deployment_timestamp AS met_at,
        lead(deployment_timestamp) OVER (
            PARTITION BY user_phone ORDER BY deployment_timestamp
        ) AS next_at,
        lead(state) OVER (PARTITION BY user_phone ORDER BY deployment_timestamp) AS next_state
    FROM settled
    WHERE turn = 1
),
sent AS (
    SELECT
        settled.*,
        CASE
            WHEN unix_micros(next_at) - unix_micros(deployment_timestamp) <= :days * 86400000000
            THEN next_state
        END AS sequel,
        CAST(
            least(
                row_number() OVER (
                    PARTITION BY user_phone
                    ORDER BY
                        deployment_timestamp,
                        conversation_id NULLS LAST,
                        conversation_version NULLS LAST
                ),
                3
            ) AS BIGINT
        ) AS exposure
    FROM settled
    INNER JOIN instants ON met_phone = user_phone AND met_at = deployment_timestamp
    WHERE state = 'delivered'
)
