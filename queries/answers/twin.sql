-- What do people answer? The last value of each question, by the flow and version that it was asked in.
WITH given AS (
    SELECT
        variables.session_id,
        variables.user_phone,
        variables.conversation_id,
        variables.conversation_version AS named_version,
        variables.name,
        variables.value,
        variables.at,
        coalesce(sessions.user_phone, variables.user_phone) AS person,
        sessions.conversation_id AS session_conversation_id,
        sessions.conversation_version AS session_version
    FROM variables
    LEFT JOIN sessions ON sessions.session_id = variables.session_id
    WHERE variables.value IS NOT NULL
        AND (:from_at IS NULL OR variables.at >= :from_at)
        AND (:until_at IS NULL OR variables.at < :until_at)
),
-- Moments of people in a flow, each with a deployment of it, and of the version if one is named: the last that
-- began at most 60 seconds later, else the first.
moments AS (
    SELECT DISTINCT user_phone, conversation_id, named_version, at
    FROM given
    WHERE session_id IS NULL AND at IS NOT NULL
),
searched AS (
    SELECT
        moments.user_phone,
        moments.conversation_id,
        moments.named_version,
        moments.at,
        sent.conversation_version AS sent_version,
        sent.deployment_timestamp AS began,
        unix_micros(sent.deployment_timestamp) <= unix_micros(moments.at) + 60000000 AS is_before
    FROM moments
    INNER JOIN deployments AS sent
        ON sent.user_phone = moments.user_phone
            AND sent.conversation_id = moments.conversation_id
    WHERE moments.named_version IS NULL OR moments.named_version = sent.conversation_version
),
assigned AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY user_phone, conversation_id, named_version, at
            ORDER BY
                is_before DESC NULLS LAST,
                CASE WHEN is_before THEN began END DESC NULLS LAST,
                CASE WHEN is_before THEN sent_version END DESC NULLS LAST,
                began NULLS LAST,
                sent_version NULLS FIRST
        ) AS choice
    FROM searched
),
placed AS (
    SELECT
        given.session_id,
        CASE WHEN given.session_id IS NULL THEN given.user_phone END AS own_person,
        CASE WHEN given.session_id IS NULL THEN given.conversation_id END AS own_conversation_id,
        assigned.began,
        assigned.sent_version,
        given.name,
        given.value,
        given.at,
        given.person,
        coalesce(given.session_conversation_id, given.conversation_id) AS conversation_id,
        coalesce(given.session_version, assigned.sent_version, given.named_version)
            AS conversation_version
    FROM given
    LEFT JOIN assigned
        ON given.session_id IS NULL
            AND assigned.choice = 1
            AND assigned.user_phone = given.user_phone
            AND assigned.conversation_id = given.conversation_id
            AND assigned.named_version <=> given.named_version
            AND assigned.at = given.at
),
ranked AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY
                session_id, own_person, own_conversation_id, began, sent_version, name
            ORDER BY
                at DESC NULLS LAST,
                value DESC NULLS LAST,
                conversation_id NULLS LAST,
                conversation_version NULLS LAST,
                person NULLS LAST
        ) AS place
    FROM placed
),
answers AS (
    SELECT conversation_id, conversation_version, name, value, person
    FROM ranked
    WHERE place = 1
        AND (
            (size(:conversation_id) = 0 AND NOT :conversation_id_none)
            OR array_contains(:conversation_id, conversation_id)
            OR (:conversation_id_none AND conversation_id IS NULL)
        )
        AND (
            (size(:conversation_version) = 0 AND NOT :conversation_version_none)
            OR array_contains(:conversation_version, conversation_version)
            OR (:conversation_version_none AND conversation_version IS NULL)
        )
        AND (
            (size(:name) = 0 AND NOT :name_none)
            OR array_contains(:name, name)
            OR (:name_none AND name IS NULL)
        )
),
valued AS (
    SELECT
        conversation_id,
        conversation_version,
        name,
        value,
        count(DISTINCT person) AS people
    FROM answers
    GROUP BY conversation_id, conversation_version, name, value
),
shown AS (
    SELECT
        answers.conversation_id,
        answers.conversation_version,
        answers.name,
        NOT :with_people AND valued.people < :min_people AS folded,
        CASE WHEN :with_people OR valued.people >= :min_people THEN answers.value END AS value,
        answers.person
    FROM answers
    INNER JOIN valued
        ON valued.conversation_id <=> answers.conversation_id
            AND valued.conversation_version <=> answers.conversation_version
            AND valued.name = answers.name
            AND valued.value = answers.value
),
counted AS (
    SELECT
        conversation_id,
        conversation_version,
        name,
        folded,
        value,
        count(DISTINCT person) AS people,
        count(*) AS answers
    FROM shown
    GROUP BY conversation_id, conversation_version, name, folded, value
),
totals AS (
    SELECT
        conversation_id,
        conversation_version,
        name,
        count(DISTINCT person) AS people
    FROM answers
    GROUP BY conversation_id, conversation_version, name
),
-- The nodes of each version: a node's row of the version comes before that of all versions.
known AS (
    SELECT
        totals.conversation_id,
        totals.conversation_version,
        totals.name,
        nodes.node_id,
        nodes.label,
        nodes.position,
        nodes.question,
        row_number() OVER (
            PARTITION BY
                totals.conversation_id, totals.conversation_version, totals.name, nodes.node_id
            ORDER BY nodes.conversation_version NULLS LAST
        ) AS choice
    FROM totals
    INNER JOIN nodes
        ON nodes.conversation_id = totals.conversation_id
            AND (
                nodes.conversation_version IS NULL
                OR nodes.conversation_version = totals.conversation_version
            )
),
asking AS (
    SELECT
        conversation_id,
        conversation_version,
        name,
        node_id,
        label,
        position,
        row_number() OVER (
            PARTITION BY conversation_id, conversation_version, name
            ORDER BY position NULLS LAST, node_id NULLS LAST
        ) AS place
    FROM known
    WHERE choice = 1 AND question = name
)
SELECT
    CAST(counted.conversation_id AS STRING) AS conversation_id,
    CAST(counted.conversation_version AS INT) AS conversation_version,
    CAST(counted.name AS STRING) AS name,
    CAST(asking.node_id AS STRING) AS node_id,
    CAST(asking.label AS STRING) AS label,
    CAST(asking.position AS BIGINT) AS position,
    CAST(counted.value AS STRING) AS value,
    CAST(counted.folded AS BOOLEAN) AS folded,
    CAST(counted.people AS BIGINT) AS people,
    CAST(CAST(counted.people AS DOUBLE) * 100 / nullif(totals.people, 0) AS DOUBLE) AS people_pct,
    CAST(counted.answers AS BIGINT) AS answers
FROM counted
INNER JOIN totals
    ON totals.conversation_id <=> counted.conversation_id
        AND totals.conversation_version <=> counted.conversation_version
        AND totals.name = counted.name
LEFT JOIN asking
    ON asking.place = 1
        AND asking.conversation_id <=> counted.conversation_id
        AND asking.conversation_version <=> counted.conversation_version
        AND asking.name = counted.name
ORDER BY
    conversation_id NULLS LAST,
    conversation_version NULLS LAST,
    position NULLS LAST,
    name NULLS LAST,
    folded NULLS LAST,
    people DESC NULLS LAST,
    value NULLS LAST
