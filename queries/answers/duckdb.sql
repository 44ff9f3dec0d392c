-- Faster than the twin by the hashes of people and sessions, by an ASOF join, and by the greatest value in place
-- of ranks.
WITH given AS (
    SELECT
        session_key,
        variables.user_key,
        variables.conversation_id,
        variables.conversation_version AS own_version,
        coalesce(variables.conversation_version, -1) AS named_version,
        name,
        value,
        "at",
        coalesce(sessions.user_key, variables.user_key) AS person,
        sessions.conversation_id AS session_conversation_id,
        sessions.conversation_version AS session_version
    FROM variables
    LEFT JOIN sessions USING (session_key)
    WHERE value IS NOT NULL
),
moments AS (
    SELECT DISTINCT
        user_key, conversation_id, named_version, "at", "at" + INTERVAL 60 SECOND AS until
    FROM given
    WHERE session_key IS NULL AND "at" IS NOT NULL
        AND user_key IS NOT NULL AND conversation_id IS NOT NULL
),
sent AS (
    SELECT user_key, conversation_id, conversation_version, deployment_timestamp AS began
    FROM deployments
    SEMI JOIN moments USING (user_key, conversation_id)
),
-- Each deployment under no version, and under its own.
lasts AS (
    SELECT
        user_key,
        conversation_id,
        named_version,
        began,
        max(conversation_version) AS last_version,
        CASE WHEN count(*) = count(conversation_version) THEN min(conversation_version) END
            AS first_version
    FROM (
        SELECT *, -1 AS named_version FROM sent
        UNION ALL
        SELECT *, conversation_version FROM sent WHERE conversation_version IS NOT NULL
    )
    GROUP BY user_key, conversation_id, named_version, began
),
firsts AS (
    SELECT
        user_key,
        conversation_id,
        named_version,
        min(began) AS first_began,
        arg_min_null(first_version, began) AS first_version
    FROM lasts
    GROUP BY user_key, conversation_id, named_version
),
placed AS (
    SELECT
        moments.user_key,
        moments.conversation_id,
        moments.named_version,
        moments."at",
        coalesce(lasts.began, first_began) AS began,
        CASE WHEN lasts.began IS NULL THEN firsts.first_version ELSE last_version END AS sent_version
    FROM moments
    JOIN firsts USING (user_key, conversation_id, named_version)
    ASOF LEFT JOIN lasts
        ON lasts.user_key = moments.user_key
        AND lasts.conversation_id = moments.conversation_id
        AND lasts.named_version = moments.named_version
        AND lasts.began <= moments.until
),
answers AS (
    SELECT
        name,
        arg_max(
            {
                'conversation_id': coalesce(session_conversation_id, given.conversation_id),
                'conversation_version': coalesce(session_version, sent_version, own_version),
                'value': value,
                'person': person
            },
            ("at" IS NOT NULL, "at", value)
        ) AS last
    FROM given
    LEFT JOIN placed USING (user_key, conversation_id, named_version, "at")
    GROUP BY
        session_key,
        CASE WHEN session_key IS NULL THEN given.user_key END,
        CASE WHEN session_key IS NULL THEN given.conversation_id END,
        CASE WHEN session_key IS NULL THEN began END,
        CASE WHEN session_key IS NULL THEN sent_version END,
        name
),
valued AS (
    SELECT
        last.conversation_id AS conversation_id,
        last.conversation_version AS conversation_version,
        name,
        last.value AS value,
        list(DISTINCT last.person) FILTER (last.person IS NOT NULL) AS persons,
        count(*) AS answers
    FROM answers
    GROUP BY ALL
),
counted AS (
    SELECT
        conversation_id,
        conversation_version,
        name,
        coalesce(len(persons), 0) < 5 AS folded,
        CASE WHEN len(persons) >= 5 THEN value END AS shown,
        coalesce(len(list_distinct(flatten(list(persons)))), 0) AS people,
        sum(answers) AS answers
    FROM valued
    GROUP BY conversation_id, conversation_version, name, folded, shown
),
totals AS (
    SELECT
        last.conversation_id AS conversation_id,
        last.conversation_version AS conversation_version,
        name,
        count(DISTINCT last.person) AS all_people
    FROM answers
    GROUP BY ALL
),
asking AS (
    SELECT
        conversation_id,
        conversation_version,
        name,
        arg_min((node_id, label, position), (position IS NULL, position, node_id)) AS node
    FROM (
        SELECT
            totals.conversation_id,
            totals.conversation_version,
            totals.name,
            nodes.node_id,
            arg_min((label, position, question), nodes.conversation_version IS NULL) AS of_node
        FROM totals
        JOIN nodes
            ON nodes.conversation_id = totals.conversation_id
                AND (
                    nodes.conversation_version IS NULL
                    OR nodes.conversation_version = totals.conversation_version
                )
        GROUP BY ALL
    )
    CROSS JOIN LATERAL (
        SELECT of_node[1] AS label, of_node[2] AS position, of_node[3] AS question
    )
    WHERE question = name
    GROUP BY conversation_id, conversation_version, name
)
SELECT
    counted.conversation_id,
    counted.conversation_version,
    counted.name,
    node[1] AS node_id,
    node[2] AS label,
    CAST(node[3] AS BIGINT) AS position,
    shown AS value,
    folded,
    CAST(people AS BIGINT) AS people,
    CAST(100.0 * people / nullif(all_people, 0) AS DOUBLE) AS people_pct,
    CAST(answers AS BIGINT) AS answers
FROM counted
JOIN totals
    ON totals.conversation_id IS NOT DISTINCT FROM counted.conversation_id
    AND totals.conversation_version IS NOT DISTINCT FROM counted.conversation_version
    AND totals.name = counted.name
LEFT JOIN asking
    ON asking.conversation_id = counted.conversation_id
    AND asking.conversation_version IS NOT DISTINCT FROM counted.conversation_version
    AND asking.name = counted.name
ORDER BY
    counted.conversation_id NULLS LAST, counted.conversation_version NULLS LAST,
    position NULLS LAST, counted.name, folded, people DESC, value NULLS LAST;
