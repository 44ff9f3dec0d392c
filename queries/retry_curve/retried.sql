-- When people wrote.
written AS (
    SELECT user_phone, unix_micros(created_at) AS wrote
    FROM messages
    WHERE message_direction = 'incoming'
        AND coalesce(format, '') <> 'reaction'
        AND user_phone IS NOT NULL
    UNION ALL
    SELECT user_phone, unix_micros(first_message_timestamp)
    FROM sessions
    WHERE user_phone IS NOT NULL AND first_message_timestamp IS NOT NULL
    UNION ALL
    SELECT user_phone, unix_micros(last_message_timestamp)
    FROM sessions
    WHERE user_phone IS NOT NULL AND last_message_timestamp IS NOT NULL
    UNION ALL
    SELECT user_phone, unix_micros(user_responded_timestamp)
    FROM deployments
    WHERE user_phone IS NOT NULL AND user_responded_timestamp IS NOT NULL
),
sent AS (
    SELECT
        user_phone,
        country,
        conversation_id,
        conversation_version,
        deployment_timestamp,
        user_responded_timestamp,
        delivery_status,
        state,
        unix_micros(deployment_timestamp) AS sent_at,
        row_number() OVER (
            PARTITION BY user_phone, conversation_id, deployment_timestamp
            ORDER BY conversation_version NULLS LAST
        ) AS turn,
        max(CASE WHEN state = 'frequency_capped' THEN 1 ELSE 0 END) OVER (
            PARTITION BY user_phone, conversation_id, deployment_timestamp
        ) AS any_capped
    FROM deployments
    WHERE user_phone IS NOT NULL AND conversation_id IS NOT NULL
),
-- The instants of the sends of a flow to a person. The next send is the first of the next instant.
instants AS (
    SELECT
        user_phone,
        conversation_id,
        sent_at,
        any_capped,
        CASE WHEN state = 'frequency_capped' THEN 1 ELSE 0 END AS first_capped,
        lead(sent_at) OVER (PARTITION BY user_phone, conversation_id ORDER BY sent_at) AS next_at,
        lead(state) OVER (PARTITION BY user_phone, conversation_id ORDER BY sent_at) AS next_state,
        lead(user_responded_timestamp) OVER (
            PARTITION BY user_phone, conversation_id ORDER BY sent_at
        ) AS next_responded
    FROM sent
    WHERE turn = 1
),
-- What a person wrote later than an instant counts from the next microsecond on.
in_turn AS (
    SELECT
        user_phone,
        conversation_id,
        sent_at,
        sent_at + 1 AS moment,
        CAST(NULL AS BIGINT) AS wrote
    FROM instants
    UNION ALL
    SELECT user_phone, NULL, NULL, wrote, wrote
    FROM written
),
told AS (
    SELECT
        user_phone,
        conversation_id,
        sent_at,
        min(wrote) OVER (PARTITION BY user_phone ORDER BY moment DESC) AS wrote_next
    FROM in_turn
),
answered AS (
    SELECT
        instants.*,
        instants.next_at - instants.sent_at <= :days * 86400000000 AS in_time,
        coalesce(
            told.wrote_next < CASE
                WHEN instants.next_at - instants.sent_at <= :days * 86400000000
                THEN instants.next_at
                ELSE instants.sent_at + :days * 86400000000 + 1
            END,
            FALSE
        ) AS is_answered
    FROM instants
    INNER JOIN told
        ON told.user_phone = instants.user_phone
            AND told.conversation_id = instants.conversation_id
            AND told.sent_at = instants.sent_at
),
-- Whether the first send of an instant is the retry of one before, and whether that one is.
linked AS (
    SELECT
        answered.*,
        lag(CASE WHEN any_capped = 1 AND in_time AND NOT is_answered THEN 1 ELSE 0 END) OVER (
            PARTITION BY user_phone, conversation_id ORDER BY sent_at
        ) AS is_retry,
        lag(first_capped) OVER (
            PARTITION BY user_phone, conversation_id ORDER BY sent_at
        ) AS first_before_capped
    FROM answered
),
chained AS (
    SELECT
        linked.*,
        lag(is_retry) OVER (
            PARTITION BY user_phone, conversation_id ORDER BY sent_at
        ) AS is_retry_before
    FROM linked
),
latest AS (
    SELECT max(unix_micros(deployment_timestamp)) AS latest_at
    FROM deployments
),
placed AS (
    SELECT
        sent.*,
        CASE
            WHEN sent.turn > 1 OR coalesce(chained.is_retry, 0) = 0 THEN 1
            WHEN chained.first_before_capped = 1 AND chained.is_retry_before = 1 THEN 3
            ELSE 2
        END AS attempt,
        CASE
            WHEN chained.is_answered THEN 8
            WHEN NOT coalesce(chained.in_time, FALSE)
            THEN CASE
                WHEN sent.sent_at + :days * 86400000000 > latest.latest_at THEN 9
                ELSE 10
            END
            WHEN chained.next_at - sent.sent_at < 6 * 3600000000 THEN 1
            WHEN chained.next_at - sent.sent_at < 12 * 3600000000 THEN 2
            WHEN chained.next_at - sent.sent_at < 24 * 3600000000 THEN 3
            WHEN chained.next_at - sent.sent_at < 48 * 3600000000 THEN 4
            WHEN chained.next_at - sent.sent_at < 72 * 3600000000 THEN 5
            WHEN chained.next_at - sent.sent_at < 168 * 3600000000 THEN 6
            ELSE 7
        END AS place,
        chained.next_state,
        chained.next_responded
    FROM sent
    INNER JOIN chained
        ON chained.user_phone = sent.user_phone
            AND chained.conversation_id = sent.conversation_id
            AND chained.sent_at = sent.sent_at
    CROSS JOIN latest
    WHERE sent.state = 'frequency_capped'
),
gaps AS (
    SELECT *
    FROM (VALUES
        (1, '<6h'),
        (2, '6-12h'),
        (3, '12-24h'),
        (4, '24-48h'),
        (5, '48-72h'),
        (6, '72-168h'),
        (7, '168h+'),
        (8, 'answered'),
        (9, 'open'),
        (10, 'never')
    ) AS named (number, gap)
),
capped_sends AS (
    SELECT
        placed.*,
        gaps.gap,
        place <= 7 AND coalesce(next_state = 'delivered', FALSE) AS delivered,
        place <= 7 AND coalesce(next_state = 'frequency_capped', FALSE) AS capped_again,
        place <= 7
            AND coalesce(next_state = 'delivered', FALSE)
            AND next_responded IS NOT NULL AS replied
    FROM placed
    INNER JOIN gaps ON gaps.number = placed.place
)
