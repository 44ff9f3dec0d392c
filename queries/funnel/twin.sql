-- How far do sends get? Each step counts the deployments that passed it and all before it.
WITH {attributed},
first_conversions AS (
    SELECT converted_session_id, min(converted_at) AS converted_at
    FROM attributed
    GROUP BY converted_session_id
),
starts AS (
    SELECT session_id AS started_id, session_started_timestamp
    FROM sessions
),
furthest AS (
    SELECT
        deployment_timestamp,
        deployment_delivered_timestamp,
        session_started_timestamp,
        user_responded_timestamp,
        converted_at,
        CASE
            WHEN delivery_status <> 'Delivered' THEN 1
            WHEN session_id IS NULL THEN 2
            WHEN user_responded_timestamp IS NULL THEN 3
            WHEN converted_at IS NULL THEN 4
            ELSE 5
        END AS furthest_step{then_by}
    FROM {deployments}
    {tagged}
    LEFT JOIN starts ON started_id = session_id
    LEFT JOIN first_conversions ON converted_session_id = session_id
    WHERE (:from_at IS NULL OR deployment_timestamp >= :from_at)
        AND (:until_at IS NULL OR deployment_timestamp < :until_at)
),
steps AS (
    SELECT *
    FROM (VALUES
        (1, 'deployed'), (2, 'delivered'), (3, 'session'), (4, 'replied'), (5, 'converted')
    ) AS listed (step, step_name)
),
taken AS (
    SELECT
        {by_columns_then}step,
        step_name,
        furthest_step,
        CASE step
            WHEN 2 THEN unix_micros(deployment_delivered_timestamp)
                - unix_micros(deployment_timestamp)
            WHEN 3 THEN unix_micros(session_started_timestamp)
                - unix_micros(deployment_delivered_timestamp)
            WHEN 4 THEN unix_micros(user_responded_timestamp)
                - unix_micros(session_started_timestamp)
            WHEN 5 THEN unix_micros(converted_at) - unix_micros(user_responded_timestamp)
        END AS took
    FROM steps
    LEFT JOIN furthest ON 1 = 1
),
counted AS (
    SELECT
        {by_columns_then}step,
        step_name,
        count(CASE WHEN furthest_step >= step THEN step END) AS deployments,
        count(CASE WHEN furthest_step >= step - 1 THEN step END) AS of_previous,
        count(furthest_step) AS of_first,
        percentile_cont(0.5) WITHIN GROUP (
            ORDER BY CASE WHEN furthest_step >= step AND took >= 0 THEN CAST(took AS DOUBLE) END
        ) AS median_took
    FROM taken
    GROUP BY {by_columns_then}step, step_name
    -- Without a split, the funnel has its steps even if nothing was sent.
    HAVING NOT :split OR count(furthest_step) > 0
)
SELECT
    {by_columns_then}CAST(step AS BIGINT) AS step,
    CAST(step_name AS STRING) AS step_name,
    CAST(deployments AS BIGINT) AS deployments,
    CAST(deployments AS DOUBLE) * 100 / nullif(of_first, 0) AS pct_of_first,
    CASE WHEN step > 1 THEN CAST(deployments AS DOUBLE) * 100 / nullif(of_previous, 0) END
        AS pct_of_previous,
    CAST(median_took AS DOUBLE) / 1000000 AS median_seconds_from_previous
FROM counted
ORDER BY {by_order_then}step NULLS LAST
