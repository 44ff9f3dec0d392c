-- Faster than the twin, which follows all people: by those alone to whom Meta capped a deployment.
WITH capped_people AS (
    SELECT DISTINCT user_key
    FROM deployments
    WHERE state = 'frequency_capped' AND user_key IS NOT NULL AND conversation_id IS NOT NULL
),
sent AS (
    SELECT
        user_key,
        conversation_id,
        conversation_version,
        epoch_us(deployment_timestamp) AS sent_at,
        epoch_us(user_responded_timestamp) AS responded_at,
        state
    FROM deployments
    SEMI JOIN capped_people USING (user_key)
),
written AS (
    SELECT user_key, responded_at AS wrote
    FROM sent
    WHERE responded_at IS NOT NULL
    UNION ALL
    SELECT user_key, unnest([epoch_us(first_message_timestamp), epoch_us(last_message_timestamp)])
    FROM sessions
    SEMI JOIN capped_people USING (user_key)
    UNION ALL
    SELECT user_key, epoch_us(created_at)
    FROM messages
    SEMI JOIN capped_people USING (user_key)
    WHERE message_direction = 'incoming' AND format IS DISTINCT FROM 'reaction'
),
-- The sends of a flow to a person at one instant. The first of them is the retry of those before.
instants AS (
    SELECT
        user_key,
        conversation_id,
        sent_at,
        count_if(state = 'frequency_capped') AS capped,
        arg_min(
            {'state': state, 'responded': responded_at IS NOT NULL},
            coalesce(conversation_version, 2147483648)
        ) AS first_sent
    FROM sent
    WHERE conversation_id IS NOT NULL
    GROUP BY user_key, conversation_id, sent_at
),
followed AS (
    SELECT
        *,
        lead(sent_at) OVER in_turn AS next_at,
        lead(first_sent) OVER in_turn AS next_sent
    FROM instants
    WINDOW in_turn AS (PARTITION BY user_key, conversation_id ORDER BY sent_at)
),
answered AS (
    SELECT
        followed.*,
        CASE WHEN next_at - sent_at <= 1209600000000 THEN next_at END AS retried_at,
        coalesce(wrote < coalesce(retried_at, sent_at + 1209600000001), false) AS is_answered
    FROM followed
    ASOF LEFT JOIN written
        ON written.user_key = followed.user_key AND written.wrote > followed.sent_at
),
linked AS (
    SELECT
        *,
        coalesce(
            lag(capped > 0 AND retried_at IS NOT NULL AND NOT is_answered) OVER in_turn, false
        ) AS is_retry,
        coalesce(lag(first_sent.state = 'frequency_capped') OVER in_turn, false) AS first_before
    FROM answered
    WINDOW in_turn AS (PARTITION BY user_key, conversation_id ORDER BY sent_at)
),
chained AS (
    SELECT
        *,
        CASE
            WHEN NOT is_retry THEN 1
            WHEN first_before AND lag(is_retry) OVER (
                PARTITION BY user_key, conversation_id ORDER BY sent_at
            ) THEN 3
            ELSE 2
        END AS attempt,
        CASE
            WHEN is_answered THEN 8
            WHEN retried_at IS NULL
            THEN CASE
                WHEN sent_at + 1209600000000 > (
                    SELECT epoch_us(max(deployment_timestamp)) FROM deployments
                ) THEN 9
                ELSE 10
            END
            ELSE 1 + len(
                list_filter(
                    [6, 12, 24, 48, 72, 168],
                    lambda hours: retried_at - sent_at >= hours * 3600000000
                )
            )
        END AS place
    FROM linked
),
-- Of several capped sends at one instant, all but the first are first attempts.
placed AS (
    SELECT place, next_sent, attempt, 1 AS sends
    FROM chained
    WHERE first_sent.state = 'frequency_capped'
    UNION ALL
    SELECT place, next_sent, 1, capped - (first_sent.state = 'frequency_capped')::INT
    FROM chained
),
counted AS (
    SELECT
        place,
        attempt,
        sum(sends) AS capped,
        coalesce(sum(sends) FILTER (place <= 7 AND next_sent.state = 'delivered'), 0) AS delivered,
        coalesce(sum(sends) FILTER (place <= 7 AND next_sent.state = 'frequency_capped'), 0)
            AS capped_again,
        coalesce(
            sum(sends) FILTER (
                place <= 7 AND next_sent.state = 'delivered' AND next_sent.responded
            ),
            0
        ) AS replied
    FROM placed
    WHERE sends > 0
    GROUP BY place, attempt
)
SELECT
    [
        '<6h', '6-12h', '12-24h', '24-48h', '48-72h', '72-168h', '168h+', 'answered', 'open',
        'never'
    ][place] AS gap,
    CAST(attempt AS BIGINT) AS attempt,
    CAST(capped AS BIGINT) AS capped,
    CAST(delivered AS BIGINT) AS delivered,
    CAST(100.0 * delivered / tried AS DOUBLE) AS delivered_pct,
    CASE WHEN tried > 0 THEN 1e2 * greatest(0, (middle - half) / (2 * (tried + square))) END
        AS delivered_low,
    CASE WHEN tried > 0 THEN 1e2 * least(1, (middle + half) / (2 * (tried + square))) END
        AS delivered_high,
    CAST(capped_again AS BIGINT) AS capped_again,
    CAST(100.0 * capped_again / tried AS DOUBLE) AS capped_again_pct,
    CAST(replied AS BIGINT) AS replied,
    CAST(100.0 * replied / nullif(delivered, 0) AS DOUBLE) AS reply_pct
FROM (
    SELECT
        *,
        CASE WHEN place <= 7 THEN CAST(capped AS DOUBLE) END AS tried,
        1.959963984540054e0 * 1.959963984540054e0 AS square,
        2 * delivered + square AS middle,
        1.959963984540054e0 * sqrt(square + 4 * delivered * (tried - delivered) / tried) AS half
    FROM counted
)
ORDER BY place, attempt;
