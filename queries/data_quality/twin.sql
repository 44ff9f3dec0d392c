-- What is wrong with the data? A row for each check and table. A cycle of redirections is found by
-- going up 64 times: who is met then is on one, unless a chain is so long.
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
closures_in_range AS (
    SELECT closures.*, known.known_id AS session_finds, known.finished_at
    FROM closures
    LEFT JOIN known ON known.known_id = closures.session_id
    WHERE (:from_at IS NULL OR closed_at >= :from_at)
        AND (:until_at IS NULL OR closed_at < :until_at)
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
    SELECT
        'unknown-session-type' AS name,
        'sessions' AS of_table,
        count_if(session_type IS NOT NULL) AS about,
        count_if(session_type IS NOT NULL AND session_type NOT IN ('Outbound', 'Inbound')) AS failing,
        min(CASE WHEN session_type IS NOT NULL AND session_type NOT IN ('Outbound', 'Inbound') THEN session_type END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM sessions_in_range
    UNION ALL
    SELECT
        'unknown-session-status' AS name,
        'sessions' AS of_table,
        count_if(session_status IS NOT NULL) AS about,
        count_if(session_status IS NOT NULL AND session_status NOT IN ('BOT', 'AGENTS', 'RATING')) AS failing,
        min(CASE WHEN session_status IS NOT NULL AND session_status NOT IN ('BOT', 'AGENTS', 'RATING') THEN session_status END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM sessions_in_range
    UNION ALL
    SELECT
        'unknown-meta-source-type' AS name,
        'sessions' AS of_table,
        count_if(meta_source_type IS NOT NULL) AS about,
        count_if(meta_source_type IS NOT NULL AND meta_source_type NOT IN ('Ad', 'Post')) AS failing,
        min(CASE WHEN meta_source_type IS NOT NULL AND meta_source_type NOT IN ('Ad', 'Post') THEN meta_source_type END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM sessions_in_range
    UNION ALL
    SELECT
        'unknown-meta-source-media-type' AS name,
        'sessions' AS of_table,
        count_if(meta_source_media_type IS NOT NULL) AS about,
        count_if(meta_source_media_type IS NOT NULL AND meta_source_media_type NOT IN ('Image', 'Video')) AS failing,
        min(CASE WHEN meta_source_media_type IS NOT NULL AND meta_source_media_type NOT IN ('Image', 'Video') THEN meta_source_media_type END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM sessions_in_range
    UNION ALL
    SELECT
        'invalid-phone' AS name,
        'sessions' AS of_table,
        count_if(user_phone IS NOT NULL) AS about,
        count_if(user_phone IS NOT NULL AND NOT user_phone_valid) AS failing,
        min(CASE WHEN user_phone IS NOT NULL AND NOT user_phone_valid THEN session_id END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM sessions_in_range
    UNION ALL
    SELECT
        'finished-before-started' AS name,
        'sessions' AS of_table,
        count_if(session_finished_timestamp IS NOT NULL) AS about,
        count_if(session_finished_timestamp IS NOT NULL AND session_finished_timestamp < session_started_timestamp) AS failing,
        min(CASE WHEN session_finished_timestamp IS NOT NULL AND session_finished_timestamp < session_started_timestamp THEN session_id END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM sessions_in_range
    UNION ALL
    SELECT
        'parent-not-in-sessions' AS name,
        'sessions' AS of_table,
        count_if(parent_session_id IS NOT NULL) AS about,
        count_if(parent_session_id IS NOT NULL AND known_id IS NULL) AS failing,
        min(CASE WHEN parent_session_id IS NOT NULL AND known_id IS NULL THEN parent_session_id END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM redirected
    UNION ALL
    SELECT
        'parent-cycle' AS name,
        'sessions' AS of_table,
        count_if(parent_session_id IS NOT NULL) AS about,
        count_if(parent_session_id IS NOT NULL AND cycles_to IS NOT NULL) AS failing,
        min(CASE WHEN parent_session_id IS NOT NULL AND cycles_to IS NOT NULL THEN session_id END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM going_round
    UNION ALL
    SELECT
        'unknown-delivery-status' AS name,
        'deployments' AS of_table,
        count_if(delivery_status IS NOT NULL) AS about,
        count_if(delivery_status IS NOT NULL AND delivery_status NOT IN ('In Process', 'Sent', 'Delivered', 'Failed')) AS failing,
        min(CASE WHEN delivery_status IS NOT NULL AND delivery_status NOT IN ('In Process', 'Sent', 'Delivered', 'Failed') THEN delivery_status END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM deployments_in_range
    UNION ALL
    SELECT
        'unknown-status-detail' AS name,
        'deployments' AS of_table,
        count_if(delivery_status = 'Failed' AND status_detail IS NOT NULL) AS about,
        count_if(delivery_status = 'Failed' AND status_detail IS NOT NULL AND state = 'other_failure') AS failing,
        min(CASE WHEN delivery_status = 'Failed' AND status_detail IS NOT NULL AND state = 'other_failure' THEN status_detail END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM deployments_in_range
    UNION ALL
    SELECT
        'invalid-phone' AS name,
        'deployments' AS of_table,
        count_if(user_phone IS NOT NULL) AS about,
        count_if(user_phone IS NOT NULL AND NOT user_phone_valid) AS failing,
        CAST(NULL AS STRING) AS example,
        min(CASE WHEN user_phone IS NOT NULL AND NOT user_phone_valid THEN deployment_timestamp END) AS example_at
    FROM deployments_in_range
    UNION ALL
    SELECT
        'delivered-before-deployed' AS name,
        'deployments' AS of_table,
        count_if(deployment_delivered_timestamp IS NOT NULL) AS about,
        count_if(deployment_delivered_timestamp IS NOT NULL AND deployment_delivered_timestamp < deployment_timestamp) AS failing,
        CAST(NULL AS STRING) AS example,
        min(CASE WHEN deployment_delivered_timestamp IS NOT NULL AND deployment_delivered_timestamp < deployment_timestamp THEN deployment_timestamp END) AS example_at
    FROM deployments_in_range
    UNION ALL
    SELECT
        'responded-before-deployed' AS name,
        'deployments' AS of_table,
        count_if(user_responded_timestamp IS NOT NULL) AS about,
        count_if(user_responded_timestamp IS NOT NULL AND user_responded_timestamp < deployment_timestamp) AS failing,
        CAST(NULL AS STRING) AS example,
        min(CASE WHEN user_responded_timestamp IS NOT NULL AND user_responded_timestamp < deployment_timestamp THEN deployment_timestamp END) AS example_at
    FROM deployments_in_range
    UNION ALL
    SELECT
        'delivered-without-session' AS name,
        'deployments' AS of_table,
        count_if(delivery_status = 'Delivered') AS about,
        count_if(delivery_status = 'Delivered' AND session_id IS NULL) AS failing,
        CAST(NULL AS STRING) AS example,
        min(CASE WHEN delivery_status = 'Delivered' AND session_id IS NULL THEN deployment_timestamp END) AS example_at
    FROM deployments_in_range
    UNION ALL
    SELECT
        'failed-with-session' AS name,
        'deployments' AS of_table,
        count_if(delivery_status = 'Failed') AS about,
        count_if(delivery_status = 'Failed' AND session_id IS NOT NULL) AS failing,
        min(CASE WHEN delivery_status = 'Failed' AND session_id IS NOT NULL THEN session_id END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM deployments_in_range
    UNION ALL
    SELECT
        'session-not-in-sessions' AS name,
        'deployments' AS of_table,
        count_if(session_id IS NOT NULL) AS about,
        count_if(session_id IS NOT NULL AND known_id IS NULL) AS failing,
        min(CASE WHEN session_id IS NOT NULL AND known_id IS NULL THEN session_id END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM naming
    UNION ALL
    SELECT
        'unknown-conversation-type' AS name,
        'messages' AS of_table,
        count_if(conversation_type IS NOT NULL) AS about,
        count_if(conversation_type IS NOT NULL AND conversation_type NOT IN ('business_initiated', 'user_initiated', 'referral_conversion', 'referral', 'marketing', 'utility', 'authentication', 'authentication_international', 'service')) AS failing,
        min(CASE WHEN conversation_type IS NOT NULL AND conversation_type NOT IN ('business_initiated', 'user_initiated', 'referral_conversion', 'referral', 'marketing', 'utility', 'authentication', 'authentication_international', 'service') THEN conversation_type END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM messages_in_range
    UNION ALL
    SELECT
        'unknown-source' AS name,
        'messages' AS of_table,
        count_if(source IS NOT NULL) AS about,
        count_if(source IS NOT NULL AND source NOT IN ('api', 'campaign', 'webhook')) AS failing,
        min(CASE WHEN source IS NOT NULL AND source NOT IN ('api', 'campaign', 'webhook') THEN source END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM messages_in_range
    UNION ALL
    SELECT
        'unknown-format' AS name,
        'messages' AS of_table,
        count_if(format IS NOT NULL) AS about,
        count_if(format IS NOT NULL AND format NOT IN ('template', 'text', 'image', 'media', 'contact', 'location')) AS failing,
        min(CASE WHEN format IS NOT NULL AND format NOT IN ('template', 'text', 'image', 'media', 'contact', 'location') THEN format END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM messages_in_range
    UNION ALL
    SELECT
        'unknown-parent-service-type' AS name,
        'messages' AS of_table,
        count_if(parent_service_type IS NOT NULL) AS about,
        count_if(parent_service_type IS NOT NULL AND parent_service_type NOT IN ('session_incoming', 'session_outgoing', 'template')) AS failing,
        min(CASE WHEN parent_service_type IS NOT NULL AND parent_service_type NOT IN ('session_incoming', 'session_outgoing', 'template') THEN parent_service_type END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM messages_in_range
    UNION ALL
    SELECT
        'unknown-conversation-msg-type' AS name,
        'messages' AS of_table,
        count_if(conversation_msg_type IS NOT NULL) AS about,
        count_if(conversation_msg_type IS NOT NULL AND conversation_msg_type NOT IN ('conversation_start', 'in_conversation')) AS failing,
        min(CASE WHEN conversation_msg_type IS NOT NULL AND conversation_msg_type NOT IN ('conversation_start', 'in_conversation') THEN conversation_msg_type END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM messages_in_range
    UNION ALL
    SELECT
        'invalid-phone' AS name,
        'messages' AS of_table,
        count_if(user_phone IS NOT NULL) AS about,
        count_if(user_phone IS NOT NULL AND NOT user_phone_valid) AS failing,
        min(CASE WHEN user_phone IS NOT NULL AND NOT user_phone_valid THEN whatsapp_id END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM messages_in_range
    UNION ALL
    SELECT
        'sent-before-created' AS name,
        'messages' AS of_table,
        count_if(sent_at IS NOT NULL) AS about,
        count_if(sent_at IS NOT NULL AND sent_at < created_at) AS failing,
        min(CASE WHEN sent_at IS NOT NULL AND sent_at < created_at THEN whatsapp_id END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM messages_in_range
    UNION ALL
    SELECT
        'delivered-before-sent' AS name,
        'messages' AS of_table,
        count_if(delivered_at IS NOT NULL AND sent_at IS NOT NULL) AS about,
        count_if(delivered_at IS NOT NULL AND sent_at IS NOT NULL AND delivered_at < sent_at) AS failing,
        min(CASE WHEN delivered_at IS NOT NULL AND sent_at IS NOT NULL AND delivered_at < sent_at THEN whatsapp_id END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM messages_in_range
    UNION ALL
    SELECT
        'seen-before-delivered' AS name,
        'messages' AS of_table,
        count_if(seen_at IS NOT NULL AND delivered_at IS NOT NULL) AS about,
        count_if(seen_at IS NOT NULL AND delivered_at IS NOT NULL AND seen_at < delivered_at) AS failing,
        min(CASE WHEN seen_at IS NOT NULL AND delivered_at IS NOT NULL AND seen_at < delivered_at THEN whatsapp_id END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM messages_in_range
    UNION ALL
    SELECT
        'failed-and-delivered' AS name,
        'messages' AS of_table,
        count_if(message_direction = 'outgoing' AND failed_at IS NOT NULL) AS about,
        count_if(message_direction = 'outgoing' AND failed_at IS NOT NULL AND (delivered_at IS NOT NULL OR seen_at IS NOT NULL)) AS failing,
        min(CASE WHEN message_direction = 'outgoing' AND failed_at IS NOT NULL AND (delivered_at IS NOT NULL OR seen_at IS NOT NULL) THEN whatsapp_id END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM messages_in_range
    UNION ALL
    SELECT
        'closure-session-not-in-sessions' AS name,
        'closures' AS of_table,
        count_if(session_id IS NOT NULL) AS about,
        count_if(session_id IS NOT NULL AND session_finds IS NULL) AS failing,
        min(CASE WHEN session_id IS NOT NULL AND session_finds IS NULL THEN session_id END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM closures_in_range
    UNION ALL
    SELECT
        'closure-disagrees' AS name,
        'closures' AS of_table,
        count_if(session_finds IS NOT NULL) AS about,
        count_if(session_finds IS NOT NULL AND (
            finished_at IS NULL
            OR abs(unix_micros(finished_at) - unix_micros(closed_at)) > 60000000
        )) AS failing,
        min(CASE WHEN session_finds IS NOT NULL AND (
            finished_at IS NULL
            OR abs(unix_micros(finished_at) - unix_micros(closed_at)) > 60000000
        ) THEN session_id END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM closures_in_range
    UNION ALL
    SELECT
        'invalid-phone' AS name,
        'closures' AS of_table,
        count_if(user_phone IS NOT NULL) AS about,
        count_if(user_phone IS NOT NULL AND NOT user_phone_valid) AS failing,
        min(CASE WHEN user_phone IS NOT NULL AND NOT user_phone_valid THEN session_id END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM closures_in_range
    UNION ALL
    SELECT
        'invalid-phone' AS name,
        'conversions' AS of_table,
        count_if(user_phone IS NOT NULL) AS about,
        count_if(user_phone IS NOT NULL AND NOT user_phone_valid) AS failing,
        min(CASE WHEN user_phone IS NOT NULL AND NOT user_phone_valid THEN conversion_id END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM conversions_in_range
    UNION ALL
    SELECT
        'invalid-phone' AS name,
        'audience_tags' AS of_table,
        count_if(user_phone IS NOT NULL) AS about,
        count_if(user_phone IS NOT NULL AND NOT user_phone_valid) AS failing,
        min(CASE WHEN user_phone IS NOT NULL AND NOT user_phone_valid THEN tag END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM tags_in_range
    UNION ALL
    SELECT
        'invalid-phone' AS name,
        'variables' AS of_table,
        count_if(user_phone IS NOT NULL) AS about,
        count_if(user_phone IS NOT NULL AND NOT user_phone_valid) AS failing,
        min(CASE WHEN user_phone IS NOT NULL AND NOT user_phone_valid THEN name END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM variables_in_range
    UNION ALL
    SELECT
        'spend-restated' AS name,
        'ad_spend' AS of_table,
        count(*) AS about,
        count_if(spend_least <> spend_greatest) AS failing,
        min(CASE WHEN spend_least <> spend_greatest THEN ad_id END) AS example,
        CAST(NULL AS TIMESTAMP_LTZ) AS example_at
    FROM ad_spend_in_range
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
