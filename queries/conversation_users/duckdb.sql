-- Faster than the twin by two hash joins in place of a join with OR, and by DuckDB's own JSON.
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
        user_key, conversation_id, name,
        max(("at" IS NOT NULL, "at", value IS NOT NULL, value)) AS place
    FROM variables
    WHERE session_key IS NULL AND user_key IS NOT NULL AND conversation_id IS NOT NULL
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
