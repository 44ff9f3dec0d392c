-- Whom was a conversation sent to, and how far did each of them get? Each deployment with its
-- session and the variables answered in it.
WITH placed AS (
    SELECT
        deployments.user_phone,
        deployments.conversation_id,
        deployments.conversation_version,
        deployments.deployment_timestamp,
        deployments.delivery_status,
        deployments.state,
        deployments.session_id,
        sessions.session_status,
        CASE
            WHEN deployments.user_responded_timestamp IS NULL THEN NULL
            WHEN sessions.session_finished_timestamp IS NOT NULL THEN 'Finished'
            ELSE 'In Flow'
        END AS conversation_stage,
        greatest(
            deployments.user_responded_timestamp,
            sessions.first_message_timestamp,
            sessions.last_message_timestamp
        ) AS last_activity
    FROM {deployments}
    LEFT JOIN sessions ON sessions.session_id = deployments.session_id
    WHERE (:from_at IS NULL OR deployments.deployment_timestamp >= :from_at)
        AND (:until_at IS NULL OR deployments.deployment_timestamp < :until_at)
),
users AS (
    SELECT *
    FROM placed
    WHERE (
        (size(:stage) = 0 AND NOT :stage_none)
        OR array_contains(:stage, conversation_stage)
        OR (:stage_none AND conversation_stage IS NULL)
    )
        AND (
            (size(:session_status) = 0 AND NOT :session_status_none)
            OR array_contains(:session_status, session_status)
            OR (:session_status_none AND session_status IS NULL)
        )
),
-- Answers that name no session, each with a deployment of its person and conversation, and of its version
-- if it names one: the last that began at most 60 seconds after it, else the first.
searched AS (
    SELECT
        variables.user_phone,
        variables.conversation_id,
        variables.conversation_version AS named_version,
        variables.name,
        variables.value,
        variables.at,
        sent.conversation_version,
        sent.deployment_timestamp,
        unix_micros(sent.deployment_timestamp) <= unix_micros(variables.at) + 60000000 AS is_before
    FROM variables
    INNER JOIN deployments AS sent
        ON sent.user_phone = variables.user_phone
        AND sent.conversation_id = variables.conversation_id
    WHERE variables.session_id IS NULL AND variables.at IS NOT NULL
        AND (
            variables.conversation_version IS NULL
            OR variables.conversation_version = sent.conversation_version
        )
),
assigned AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY user_phone, conversation_id, named_version, name, value, at
            ORDER BY
                is_before DESC NULLS LAST,
                CASE WHEN is_before THEN deployment_timestamp END DESC NULLS LAST,
                CASE WHEN is_before THEN conversation_version END DESC NULLS LAST,
                deployment_timestamp NULLS LAST,
                conversation_version NULLS FIRST
        ) AS choice
    FROM searched
),
given AS (
    SELECT
        users.user_phone, users.conversation_id, users.conversation_version,
        users.deployment_timestamp, variables.name, variables.value, variables.at
    FROM users
    INNER JOIN variables ON variables.session_id = users.session_id
    UNION ALL
    SELECT
        users.user_phone, users.conversation_id, users.conversation_version,
        users.deployment_timestamp, variables.name, variables.value, variables.at
    FROM users
    INNER JOIN variables
        ON variables.user_phone = users.user_phone
        AND variables.conversation_id = users.conversation_id
    WHERE variables.session_id IS NULL AND variables.at IS NULL
        AND (
            variables.conversation_version IS NULL
            OR variables.conversation_version = users.conversation_version
        )
    UNION ALL
    SELECT
        users.user_phone, users.conversation_id, users.conversation_version,
        users.deployment_timestamp, assigned.name, assigned.value, assigned.at
    FROM users
    INNER JOIN assigned
        ON assigned.user_phone = users.user_phone
        AND assigned.conversation_id = users.conversation_id
        AND assigned.conversation_version <=> users.conversation_version
        AND assigned.deployment_timestamp = users.deployment_timestamp
    WHERE assigned.choice = 1
),
answers AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY
                user_phone, conversation_id, conversation_version, deployment_timestamp, name
            ORDER BY at DESC NULLS LAST, value DESC NULLS LAST
        ) AS place
    FROM given
),
members AS (
    SELECT
        user_phone,
        conversation_id,
        conversation_version,
        deployment_timestamp,
        name,
        concat({json_name}, ':', {json_value}) AS member
    FROM answers
    WHERE place = 1
),
objects AS (
    SELECT
        user_phone,
        conversation_id,
        conversation_version,
        deployment_timestamp,
        concat(chr(123), listagg(member, ',') WITHIN GROUP (ORDER BY name), chr(125))
            AS variables
    FROM members
    GROUP BY user_phone, conversation_id, conversation_version, deployment_timestamp
)
SELECT
    CAST(users.user_phone AS STRING) AS user_phone,
    CAST(users.conversation_id AS STRING) AS conversation_id,
    CAST(users.conversation_version AS INT) AS conversation_version,
    CAST(users.deployment_timestamp AS TIMESTAMP_LTZ) AS deployment_timestamp,
    CAST(users.delivery_status AS STRING) AS delivery_status,
    CAST(users.state AS STRING) AS state,
    CAST(users.conversation_stage AS STRING) AS conversation_stage,
    CAST(users.last_activity AS TIMESTAMP_LTZ) AS last_activity,
    CAST(users.session_id AS STRING) AS session_id,
    CAST(users.session_status AS STRING) AS session_status,
    CAST(coalesce(objects.variables, concat(chr(123), chr(125))) AS STRING) AS variables
FROM users
LEFT JOIN objects
    ON objects.user_phone <=> users.user_phone
    AND objects.conversation_id <=> users.conversation_id
    AND objects.conversation_version <=> users.conversation_version
    AND objects.deployment_timestamp = users.deployment_timestamp
ORDER BY
    deployment_timestamp DESC NULLS LAST,
    user_phone NULLS LAST,
    conversation_id NULLS LAST,
    conversation_version NULLS LAST
