last_closures AS (
    SELECT session_id AS closed_id, max(closed_at) AS last_closed_at
    FROM closures
    WHERE session_id IS NOT NULL
    GROUP BY session_id
),
near_deliveries AS (
    SELECT
        sent.deployment_timestamp,
        sent.deployment_delivered_timestamp,
        templates.arrived_at,
        count(*) OVER (
            PARTITION BY
                sent.user_phone,
                sent.conversation_id,
                sent.conversation_version,
                sent.deployment_timestamp
        ) AS templates_near,
        count(*) OVER (PARTITION BY templates.whatsapp_id) AS sends_near
    FROM deployments AS sent
    INNER JOIN (
        SELECT whatsapp_id, user_phone, delivered_at AS arrived_at
        FROM messages
        WHERE message_type = 'template' AND delivered_at IS NOT NULL
    ) AS templates ON templates.user_phone = sent.user_phone
    WHERE abs(
        unix_micros(sent.deployment_delivered_timestamp) - unix_micros(templates.arrived_at)
    ) <= 15 * 3600000000
),
stamps AS (
    SELECT
        'sessions' AS of_table,
        'closures' AS reference,
        session_id,
        session_started_timestamp AS row_at,
        last_closed_at AS reference_at,
        unix_micros(session_finished_timestamp) - unix_micros(last_closed_at) AS apart
    FROM sessions
    INNER JOIN last_closures ON last_closures.closed_id = sessions.session_id
    WHERE session_finished_timestamp IS NOT NULL
    UNION ALL
    SELECT
        'deployments' AS of_table,
        'messages' AS reference,
        CAST(NULL AS STRING) AS session_id,
        deployment_timestamp AS row_at,
        arrived_at AS reference_at,
        unix_micros(deployment_delivered_timestamp) - unix_micros(arrived_at) AS apart
    FROM near_deliveries
    WHERE templates_near = 1 AND sends_near = 1
),
clock_pairs AS (
    SELECT
        of_table,
        reference,
        session_id,
        row_at,
        reference_at,
        CAST(date_trunc('month', from_utc_timestamp(reference_at, 'UTC')) AS DATE) AS month,
        -- To the nearest quarter of an hour; halfway to the greater.
        CAST(
            (apart + 450000000 - pmod(apart + 450000000, 900000000)) / 60000000 AS BIGINT
        ) AS minutes
    FROM stamps
)
