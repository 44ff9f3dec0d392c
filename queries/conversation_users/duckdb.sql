-- Faster than the twin by an ASOF join, by hashed keys, and by DuckDB's own JSON.
WITH placed AS (
    SELECT
        sent.user_phone,
        sent.conversation_id,
        sent.conversation_version,
        sent.deployment_timestamp,
        sent.delivery_status,
        sent.state,
        CASE
            WHEN user_responded_timestamp IS NULL THEN NULL
            WHEN session_finished_timestamp IS NOT NULL THEN 'Finished'
            ELSE 'In Flow'
        END AS conversation_stage,
        greatest(user_responded_timestamp, first_message_timestamp, last_message_timestamp)
            AS last_activity,
        sent.session_id,
        sessions.session_status,
        sent.session_key,
        sent.user_key
    FROM deployments AS sent
    LEFT JOIN sessions USING (session_key)
),
-- The latest answer wins, and of two at one instant the greater; one without an instant loses.
of_sessions AS (
    SELECT
        session_key, name,
        max(("at" IS NOT NULL, "at", value IS NOT NULL, value)) AS place
    FROM variables
    WHERE session_key IS NOT NULL
    GROUP BY ALL
),
of_people AS (
    SELECT
        user_key, conversation_id, conversation_version AS named_version, name,
        max(("at" IS NOT NULL, "at", value IS NOT NULL, value)) AS place
    FROM variables
    WHERE session_key IS NULL AND user_key IS NOT NULL AND conversation_id IS NOT NULL
        AND "at" IS NULL
    GROUP BY ALL
),
-- An answer at a time: of the last deployment until a minute after it, else of the first; if it names a
-- version, of those of that version.
lasts AS (
    SELECT
        user_key, conversation_id, deployment_timestamp,
        max(conversation_version) AS conversation_version
    FROM deployments
    WHERE user_key IS NOT NULL AND conversation_id IS NOT NULL
    GROUP BY ALL
),
firsts AS (
    SELECT
        user_key, conversation_id, min(deployment_timestamp) AS first_timestamp,
        arg_min_null(
            conversation_version,
            (deployment_timestamp, conversation_version IS NOT NULL, conversation_version)
        ) AS first_version
    FROM deployments
    WHERE user_key IS NOT NULL AND conversation_id IS NOT NULL
    GROUP BY ALL
),
of_deployments AS (
    SELECT
        answered.user_key, answered.conversation_id,
        CASE WHEN lasts.user_key IS NULL THEN first_version ELSE lasts.conversation_version END
            AS conversation_version,
        coalesce(lasts.deployment_timestamp, first_timestamp) AS deployment_timestamp,
        name,
        max(("at" IS NOT NULL, "at", value IS NOT NULL, value)) AS place
    FROM (
        SELECT *, "at" + INTERVAL 60 SECOND AS until
        FROM variables
        WHERE session_key IS NULL AND "at" IS NOT NULL AND conversation_version IS NULL
    ) AS answered
    JOIN firsts USING (user_key, conversation_id)
    ASOF LEFT JOIN lasts
        ON lasts.user_key = answered.user_key
        AND lasts.conversation_id = answered.conversation_id
        AND lasts.deployment_timestamp <= answered.until
    GROUP BY ALL
    UNION ALL
    SELECT
        answered.user_key, answered.conversation_id, answered.conversation_version,
        coalesce(sent.deployment_timestamp, first_timestamp) AS deployment_timestamp,
        name,
        max(("at" IS NOT NULL, "at", value IS NOT NULL, value)) AS place
    FROM (
        SELECT *, "at" + INTERVAL 60 SECOND AS until
        FROM variables
        WHERE session_key IS NULL AND "at" IS NOT NULL AND conversation_version IS NOT NULL
    ) AS answered
    JOIN (
        SELECT
            user_key, conversation_id, conversation_version,
            min(deployment_timestamp) AS first_timestamp
        FROM deployments
        GROUP BY ALL
    ) AS first_of_versions USING (user_key, conversation_id, conversation_version)
    ASOF LEFT JOIN deployments AS sent
        ON sent.user_key = answered.user_key
        AND sent.conversation_id = answered.conversation_id
        AND sent.conversation_version = answered.conversation_version
        AND sent.deployment_timestamp <= answered.until
    GROUP BY ALL
),
answers AS (
    SELECT user_phone, conversation_id, conversation_version, deployment_timestamp, name, place
    FROM placed
    JOIN of_sessions USING (session_key)
    UNION ALL
    SELECT user_phone, conversation_id, conversation_version, deployment_timestamp, name, place
    FROM placed
    JOIN of_people USING (user_key, conversation_id)
    WHERE named_version IS NULL OR named_version = conversation_version
    UNION ALL
    SELECT
        user_phone, placed.conversation_id, placed.conversation_version,
        placed.deployment_timestamp, name, place
    FROM placed
    JOIN of_deployments
        ON of_deployments.user_key = placed.user_key
        AND of_deployments.conversation_id = placed.conversation_id
        AND of_deployments.conversation_version IS NOT DISTINCT FROM placed.conversation_version
        AND of_deployments.deployment_timestamp = placed.deployment_timestamp
),
objects AS (
    SELECT
        user_phone, conversation_id, conversation_version, deployment_timestamp,
        '{' || string_agg(
            to_json(name) || ':' || coalesce(to_json(place[4]), 'null'), ',' ORDER BY name
        ) || '}' AS variables
    FROM (
        SELECT
            user_phone, conversation_id, conversation_version, deployment_timestamp, name,
            max(place) AS place
        FROM answers
        GROUP BY ALL
    )
    GROUP BY ALL
)
SELECT
    placed.user_phone,
    placed.conversation_id,
    placed.conversation_version,
    placed.deployment_timestamp,
    delivery_status,
    state,
    conversation_stage,
    last_activity,
    session_id,
    session_status,
    coalesce(objects.variables, '{}') AS variables
FROM placed
LEFT JOIN objects
    ON objects.user_phone IS NOT DISTINCT FROM placed.user_phone
    AND objects.conversation_id IS NOT DISTINCT FROM placed.conversation_id
    AND objects.conversation_version IS NOT DISTINCT FROM placed.conversation_version
    AND objects.deployment_timestamp = placed.deployment_timestamp
ORDER BY
    placed.deployment_timestamp DESC, placed.user_phone NULLS LAST,
    placed.conversation_id NULLS LAST, placed.conversation_version NULLS LAST;
