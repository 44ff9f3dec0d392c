-- What is wrong with the data? A row for each check and table. Sessions that are 64 redirections above
-- another are on a cycle, unless a chain is that long.
WITH up_1 AS (
    SELECT session_id, parent_session_id AS up
    FROM sessions
    WHERE parent_session_id IS NOT NULL
),
up_2 AS (
    SELECT low.session_id, high.up
    FROM up_1 AS low
    INNER JOIN up_1 AS high ON high.session_id = low.up
),
up_4 AS (
    SELECT low.session_id, high.up
    FROM up_2 AS low
    INNER JOIN up_2 AS high ON high.session_id = low.up
),
up_8 AS (
    SELECT low.session_id, high.up
    FROM up_4 AS low
    INNER JOIN up_4 AS high ON high.session_id = low.up
),
up_16 AS (
    SELECT low.session_id, high.up
    FROM up_8 AS low
    INNER JOIN up_8 AS high ON high.session_id = low.up
),
up_32 AS (
    SELECT low.session_id, high.up
    FROM up_16 AS low
    INNER JOIN up_16 AS high ON high.session_id = low.up
),
up_64 AS (
    SELECT low.session_id, high.up
    FROM up_32 AS low
    INNER JOIN up_32 AS high ON high.session_id = low.up
),
on_cycle AS (
    SELECT DISTINCT up_64.up AS cycles_to
    FROM up_64
    INNER JOIN up_1 ON up_1.session_id = up_64.up
),
known AS (
    SELECT session_id AS known_id, session_finished_timestamp AS finished_at
    FROM sessions
),
sessions_in_range AS (
    SELECT *
    FROM sessions
    WHERE (:from_at IS NULL OR session_started_timestamp >= :from_at)
        AND (:until_at IS NULL OR session_started_timestamp < :until_at)
),
redirected AS (
    SELECT sessions_in_range.session_id, sessions_in_range.parent_session_id, known.known_id
    FROM sessions_in_range
    LEFT JOIN known ON known.known_id = sessions_in_range.parent_session_id
),
going_round AS (
    SELECT sessions_in_range.session_id, sessions_in_range.parent_session_id, on_cycle.cycles_to
    FROM sessions_in_range
    LEFT JOIN on_cycle ON on_cycle.cycles_to = sessions_in_range.session_id
),
deployments_in_range AS (
    SELECT *
    FROM deployments
    WHERE (:from_at IS NULL OR deployment_timestamp >= :from_at)
        AND (:until_at IS NULL OR deployment_timestamp < :until_at)
),
naming AS (
    SELECT deployments_in_range.session_id, known.known_id
    FROM deployments_in_range
    LEFT JOIN known ON known.known_id = deployments_in_range.session_id
),
messages_in_range AS (
    SELECT *
    FROM messages
    WHERE (:from_at IS NULL OR created_at >= :from_at)
        AND (:until_at IS NULL OR created_at < :until_at)
),
-- Messages that two sources report, one of them under an id of Meta's.
twice AS (
    SELECT DISTINCT one.whatsapp_id AS twice_id
    FROM messages AS one
    INNER JOIN messages AS other
        ON other.user_phone = one.user_phone
        AND other.line = one.line
        AND other.message_direction = one.message_direction
        AND abs(unix_micros(other.created_at) - unix_micros(one.created_at)) <= 5000000
    WHERE (one.whatsapp_id LIKE 'wamid.%') <> (other.whatsapp_id LIKE 'wamid.%')
),
closures_in_range AS (
    SELECT closures.*, known.known_id AS session_finds, known.finished_at
    FROM closures
    LEFT JOIN known ON known.known_id = closures.session_id
    WHERE (:from_at IS NULL OR closed_at >= :from_at)
        AND (:until_at IS NULL OR closed_at < :until_at)
),
agent_chats_in_range AS (
    SELECT *
    FROM agent_chats
    WHERE (:from_at IS NULL OR created_at >= :from_at)
        AND (:until_at IS NULL OR created_at < :until_at)
),
conversions_in_range AS (
    SELECT *
    FROM conversions
    WHERE (:from_at IS NULL OR converted_at >= :from_at)
        AND (:until_at IS NULL OR converted_at < :until_at)
),
tags_in_range AS (
    SELECT *
    FROM audience_tags
    WHERE (:from_at IS NULL OR since >= :from_at)
        AND (:until_at IS NULL OR since < :until_at)
),
variables_in_range AS (
    SELECT *
    FROM variables
    WHERE (:from_at IS NULL OR variables.at >= :from_at)
        AND (:until_at IS NULL OR variables.at < :until_at)
),
ad_spend_in_range AS (
    SELECT *
    FROM ad_spend
    WHERE (:from_date IS NULL OR day >= :from_date)
        AND (:to_date IS NULL OR day <= :to_date)
),
{clock_pairs},
judged AS (
    SELECT *
    FROM clock_pairs
),
{clock_months},
modes AS (
    SELECT of_table AS mode_of, month AS mode_month, mode_minutes
    FROM clock_months
    WHERE mode_minutes IS NOT NULL
),
clocks_in_range AS (
    SELECT
        of_table,
        session_id,
        row_at,
        minutes = mode_minutes AND mode_minutes <> 0 AS is_off
    FROM clock_pairs
    INNER JOIN modes ON mode_of = of_table AND mode_month = month
    WHERE (:from_at IS NULL OR row_at >= :from_at)
        AND (:until_at IS NULL OR row_at < :until_at)
),
records AS (
    SELECT
        listed.name,
        coalesce(sum(loads.records), 0) AS records,
        coalesce(sum(loads.rejected), 0) AS rejected,
        coalesce(sum(loads.with_sentinel), 0) AS with_sentinel
    FROM (VALUES
        {tables}
    ) AS listed (name)
    LEFT JOIN loads ON loads.kind = listed.name
    GROUP BY listed.name
),
tallies AS (
    SELECT 'unknown-session-type' AS name, 'sessions' AS of_table, {tally}
    FROM (
        SELECT session_type AS example, session_type NOT IN ('Outbound', 'Inbound') AS fails
        FROM sessions_in_range
        WHERE session_type IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'unknown-session-status' AS name, 'sessions' AS of_table, {tally}
    FROM (
        SELECT session_status AS example, session_status NOT IN ('BOT', 'AGENTS', 'RATING') AS fails
        FROM sessions_in_range
        WHERE session_status IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'unknown-meta-source-type' AS name, 'sessions' AS of_table, {tally}
    FROM (
        SELECT meta_source_type AS example, meta_source_type NOT IN ('Ad', 'Post') AS fails
        FROM sessions_in_range
        WHERE meta_source_type IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'unknown-meta-source-media-type' AS name, 'sessions' AS of_table, {tally}
    FROM (
        SELECT
            meta_source_media_type AS example,
            meta_source_media_type NOT IN ('Image', 'Video') AS fails
        FROM sessions_in_range
        WHERE meta_source_media_type IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'invalid-phone' AS name, 'sessions' AS of_table, {tally}
    FROM (
        SELECT session_id AS example, NOT user_phone_valid AS fails
        FROM sessions_in_range
        WHERE user_phone_valid IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'finished-before-started' AS name, 'sessions' AS of_table, {tally}
    FROM (
        SELECT
            session_id AS example,
            session_finished_timestamp < session_started_timestamp AS fails
        FROM sessions_in_range
        WHERE session_finished_timestamp IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'parent-not-in-sessions' AS name, 'sessions' AS of_table, {tally}
    FROM (
        SELECT parent_session_id AS example, known_id IS NULL AS fails
        FROM redirected
        WHERE parent_session_id IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'parent-cycle' AS name, 'sessions' AS of_table, {tally}
    FROM (
        SELECT session_id AS example, cycles_to IS NOT NULL AS fails
        FROM going_round
        WHERE parent_session_id IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'unknown-delivery-status' AS name, 'deployments' AS of_table, {tally}
    FROM (
        SELECT
            delivery_status AS example,
            delivery_status NOT IN ('In Process', 'Sent', 'Delivered', 'Failed') AS fails
        FROM deployments_in_range
        WHERE delivery_status IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'unknown-status-detail' AS name, 'deployments' AS of_table, {tally}
    FROM (
        SELECT status_detail AS example, state = 'other_failure' AS fails
        FROM deployments_in_range
        WHERE delivery_status = 'Failed' AND status_detail IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'invalid-phone' AS name, 'deployments' AS of_table, {tally_at}
    FROM (
        SELECT deployment_timestamp AS example_at, NOT user_phone_valid AS fails
        FROM deployments_in_range
        WHERE user_phone_valid IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'delivered-before-deployed' AS name, 'deployments' AS of_table, {tally_at}
    FROM (
        SELECT
            deployment_timestamp AS example_at,
            deployment_delivered_timestamp < deployment_timestamp AS fails
        FROM deployments_in_range
        WHERE deployment_delivered_timestamp IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'responded-before-deployed' AS name, 'deployments' AS of_table, {tally_at}
    FROM (
        SELECT
            deployment_timestamp AS example_at,
            user_responded_timestamp < deployment_timestamp AS fails
        FROM deployments_in_range
        WHERE user_responded_timestamp IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'delivered-without-session' AS name, 'deployments' AS of_table, {tally_at}
    FROM (
        SELECT deployment_timestamp AS example_at, session_id IS NULL AS fails
        FROM deployments_in_range
        WHERE delivery_status = 'Delivered'
    ) AS checked
    UNION ALL
    SELECT 'failed-with-session' AS name, 'deployments' AS of_table, {tally}
    FROM (
        SELECT session_id AS example, session_id IS NOT NULL AS fails
        FROM deployments_in_range
        WHERE delivery_status = 'Failed'
    ) AS checked
    UNION ALL
    SELECT 'session-not-in-sessions' AS name, 'deployments' AS of_table, {tally}
    FROM (
        SELECT session_id AS example, known_id IS NULL AS fails
        FROM naming
        WHERE session_id IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'unknown-conversation-type' AS name, 'messages' AS of_table, {tally}
    FROM (
        SELECT
            conversation_type AS example,
            conversation_type NOT IN (
                'business_initiated', 'user_initiated', 'referral_conversion', 'referral',
                'marketing', 'utility', 'authentication', 'authentication_international',
                'service'
            ) AS fails
        FROM messages_in_range
        WHERE conversation_type IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'unknown-source' AS name, 'messages' AS of_table, {tally}
    FROM (
        SELECT source AS example, source NOT IN ('api', 'campaign', 'webhook', 'app') AS fails
        FROM messages_in_range
        WHERE source IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'unknown-format' AS name, 'messages' AS of_table, {tally}
    FROM (
        SELECT
            format AS example,
            format NOT IN (
                'template', 'text', 'image', 'media', 'contact', 'location', 'reaction', 'order'
            ) AS fails
        FROM messages_in_range
        WHERE format IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'unknown-parent-service-type' AS name, 'messages' AS of_table, {tally}
    FROM (
        SELECT
            parent_service_type AS example,
            parent_service_type NOT IN ('session_incoming', 'session_outgoing', 'template') AS fails
        FROM messages_in_range
        WHERE parent_service_type IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'unknown-conversation-msg-type' AS name, 'messages' AS of_table, {tally}
    FROM (
        SELECT
            conversation_msg_type AS example,
            conversation_msg_type NOT IN ('conversation_start', 'in_conversation') AS fails
        FROM messages_in_range
        WHERE conversation_msg_type IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'unknown-pricing-type' AS name, 'messages' AS of_table, {tally}
    FROM (
        SELECT
            pricing_type AS example,
            pricing_type NOT IN (
                'regular', 'free_entry_point', 'free_customer_service'
            ) AS fails
        FROM messages_in_range
        WHERE pricing_type IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'same-message-twice' AS name, 'messages' AS of_table, {tally}
    FROM (
        SELECT
            CASE WHEN whatsapp_id NOT LIKE 'wamid.%' THEN whatsapp_id END AS example,
            twice_id IS NOT NULL AS fails
        FROM messages_in_range
        LEFT JOIN twice ON twice.twice_id = messages_in_range.whatsapp_id
        WHERE user_phone IS NOT NULL AND line IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'invalid-phone' AS name, 'messages' AS of_table, {tally}
    FROM (
        SELECT
            CASE WHEN whatsapp_id NOT LIKE 'wamid.%' THEN whatsapp_id END AS example,
            NOT user_phone_valid AS fails
        FROM messages_in_range
        WHERE user_phone_valid IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'sent-before-created' AS name, 'messages' AS of_table, {tally}
    FROM (
        SELECT
            CASE WHEN whatsapp_id NOT LIKE 'wamid.%' THEN whatsapp_id END AS example,
            sent_at < created_at AS fails
        FROM messages_in_range
        WHERE sent_at IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'delivered-before-sent' AS name, 'messages' AS of_table, {tally}
    FROM (
        SELECT
            CASE WHEN whatsapp_id NOT LIKE 'wamid.%' THEN whatsapp_id END AS example,
            delivered_at < sent_at AS fails
        FROM messages_in_range
        WHERE delivered_at IS NOT NULL AND sent_at IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'seen-before-delivered' AS name, 'messages' AS of_table, {tally}
    FROM (
        SELECT
            CASE WHEN whatsapp_id NOT LIKE 'wamid.%' THEN whatsapp_id END AS example,
            seen_at < delivered_at AS fails
        FROM messages_in_range
        WHERE seen_at IS NOT NULL AND delivered_at IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'failed-and-delivered' AS name, 'messages' AS of_table, {tally}
    FROM (
        SELECT
            CASE WHEN whatsapp_id NOT LIKE 'wamid.%' THEN whatsapp_id END AS example,
            delivered_at IS NOT NULL OR seen_at IS NOT NULL AS fails
        FROM messages_in_range
        WHERE message_direction = 'outgoing' AND failed_at IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'closure-session-not-in-sessions' AS name, 'closures' AS of_table, {tally}
    FROM (
        SELECT session_id AS example, session_finds IS NULL AS fails
        FROM closures_in_range
        WHERE session_id IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'closure-disagrees' AS name, 'closures' AS of_table, {tally}
    FROM (
        SELECT
            session_id AS example,
            finished_at IS NULL
                OR abs(unix_micros(finished_at) - unix_micros(closed_at)) > 60000000 AS fails
        FROM closures_in_range
        WHERE session_finds IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'invalid-phone' AS name, 'closures' AS of_table, {tally}
    FROM (
        SELECT session_id AS example, NOT user_phone_valid AS fails
        FROM closures_in_range
        WHERE user_phone_valid IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'invalid-phone' AS name, 'agent_chats' AS of_table, {tally_at}
    FROM (
        SELECT created_at AS example_at, NOT user_phone_valid AS fails
        FROM agent_chats_in_range
        WHERE user_phone_valid IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'unknown-last-message-sender' AS name, 'agent_chats' AS of_table, {tally}
    FROM (
        SELECT
            last_message_sender AS example,
            last_message_sender NOT IN ('AGENT', 'USER', 'BOT') AS fails
        FROM agent_chats_in_range
        WHERE last_message_sender IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'unknown-finish-type' AS name, 'agent_chats' AS of_table, {tally}
    FROM (
        SELECT finish_type AS example, finish_type NOT IN ('AUTO', 'MANUAL') AS fails
        FROM agent_chats_in_range
        WHERE finish_type IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'invalid-phone' AS name, 'conversions' AS of_table, {tally}
    FROM (
        SELECT conversion_id AS example, NOT user_phone_valid AS fails
        FROM conversions_in_range
        WHERE user_phone_valid IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'invalid-phone' AS name, 'audience_tags' AS of_table, {tally}
    FROM (
        SELECT tag AS example, NOT user_phone_valid AS fails
        FROM tags_in_range
        WHERE user_phone_valid IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'invalid-phone' AS name, 'variables' AS of_table, {tally}
    FROM (
        SELECT name AS example, NOT user_phone_valid AS fails
        FROM variables_in_range
        WHERE user_phone_valid IS NOT NULL
    ) AS checked
    UNION ALL
    SELECT 'spend-restated' AS name, 'ad_spend' AS of_table, {tally}
    FROM (
        SELECT ad_id AS example, spend_least <> spend_greatest AS fails
        FROM ad_spend_in_range
    ) AS checked
    UNION ALL
    SELECT 'clock-off' AS name, 'sessions' AS of_table, {tally}
    FROM (
        SELECT session_id AS example, is_off AS fails
        FROM clocks_in_range
        WHERE of_table = 'sessions'
    ) AS checked
    UNION ALL
    SELECT 'clock-off' AS name, 'deployments' AS of_table, {tally_at}
    FROM (
        SELECT row_at AS example_at, is_off AS fails
        FROM clocks_in_range
        WHERE of_table = 'deployments'
    ) AS checked
    UNION ALL
    SELECT
        'rejected-row' AS name,
        name AS of_table,
        records AS about,
        rejected AS failing,
        CAST(NULL AS STRING) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM records
    UNION ALL
    SELECT
        'sentinel-stamp' AS name,
        name AS of_table,
        records AS about,
        with_sentinel AS failing,
        CAST(NULL AS STRING) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM records
),
shown AS (
    SELECT
        *,
        from_utc_timestamp(example_at, :timezone) AS local,
        pmod(unix_micros(example_at), 1000000) AS micros,
        CAST((
            unix_micros(from_utc_timestamp(example_at, :timezone)) - unix_micros(example_at)
        ) / 60000000 AS BIGINT) AS minutes
    FROM tallies
)
SELECT
    CAST(name AS STRING) AS `check`,
    CAST(of_table AS STRING) AS `table`,
    CAST(about AS BIGINT) AS `rows`,
    CAST(failing AS BIGINT) AS failing,
    CAST(failing AS DOUBLE) * 100 / nullif(about, 0) AS share_pct,
    CAST(
        CASE
            WHEN example_at IS NULL THEN example
            ELSE concat(
                date_format(local, 'yyyy-MM-dd'),
                'T',
                date_format(local, 'HH:mm:ss'),
                CASE
                    WHEN micros = 0 THEN ''
                    ELSE concat('.', lpad(CAST(micros AS STRING), 6, '0'))
                END,
                CASE
                    WHEN :timezone IN ('UTC', 'Etc/UTC') THEN 'Z'
                    ELSE concat(
                        CASE WHEN minutes < 0 THEN '-' ELSE '+' END,
                        lpad(CAST(CAST(floor(abs(minutes) / 60) AS BIGINT) AS STRING), 2, '0'),
                        ':',
                        lpad(CAST(pmod(abs(minutes), 60) AS STRING), 2, '0')
                    )
                END
            )
        END AS STRING
    ) AS example
FROM shown
ORDER BY `check` NULLS LAST, `table` NULLS LAST
