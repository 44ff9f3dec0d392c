tagged AS (
    SELECT
        user_phone,
        min(since) AS since,
        count_if(tag = :treated) AS treated_tags,
        count_if(tag = :control) AS control_tags
    FROM audience_tags
    WHERE tag = :treated OR tag = :control
    GROUP BY user_phone
),
last_conversion AS (
    SELECT max(unix_micros(converted_at)) AS latest_at
    FROM conversions
),
chosen AS (
    SELECT
        user_phone,
        since,
        CASE
            WHEN treated_tags > 0 AND control_tags > 0 THEN 'both'
            WHEN since IS NULL THEN 'undated'
            WHEN latest_at IS NULL OR unix_micros(since) + :days * 86400000000 > latest_at
                THEN 'immature'
            WHEN treated_tags > 0 THEN 'treated'
            ELSE 'control'
        END AS group_name
    FROM tagged
    CROSS JOIN last_conversion
    WHERE (treated_tags > 0 AND control_tags > 0)
        OR since IS NULL
        OR (
            (:from_at IS NULL OR since >= :from_at)
            AND (:until_at IS NULL OR since < :until_at)
        )
),
conversions_of_people AS (
    SELECT
        CASE WHEN session_id IS NULL THEN user_phone ELSE visitor END AS person,
        unix_micros(converted_at) AS happened,
        value,
        currency
    FROM conversions
    LEFT JOIN (
        SELECT session_id AS visit_id, user_phone AS visitor FROM sessions
    ) AS visits ON visit_id = session_id
    WHERE (size(:event) = 0 AND NOT :event_none)
        OR array_contains(:event, lower(event))
        OR (:event_none AND event IS NULL)
),
earned AS (
    SELECT
        chosen.user_phone,
        chosen.group_name,
        conversions_of_people.value,
        CASE
            WHEN conversions_of_people.value IS NOT NULL
            THEN coalesce(conversions_of_people.currency, '?')
        END AS currency
    FROM chosen
    INNER JOIN conversions_of_people ON conversions_of_people.person = chosen.user_phone
    WHERE chosen.group_name IN ('treated', 'control')
        AND conversions_of_people.happened >= unix_micros(chosen.since)
        AND conversions_of_people.happened < unix_micros(chosen.since) + :days * 86400000000
),
reached AS (
    SELECT DISTINCT chosen.user_phone
    FROM chosen
    INNER JOIN (
        SELECT user_phone AS sent_to, unix_micros(deployment_timestamp) AS happened
        FROM deployments
        WHERE delivery_status <> 'Failed'
            AND (
                (size(:conversation_id) = 0 AND NOT :conversation_id_none)
                OR array_contains(:conversation_id, conversation_id)
                OR (:conversation_id_none AND conversation_id IS NULL)
            )
    ) AS sent ON sent_to = chosen.user_phone
    WHERE chosen.group_name = 'control'
        AND sent.happened >= unix_micros(chosen.since)
        AND sent.happened < unix_micros(chosen.since) + :days * 86400000000
)
