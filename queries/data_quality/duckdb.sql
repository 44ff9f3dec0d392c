-- Faster than the twin by all checks of a table in one scan, and joins by the hashes of sessions.
WITH RECURSIVE redirected AS MATERIALIZED (
    SELECT session_id, parent_session_id FROM sessions WHERE parent_session_id IS NOT NULL
),
parents AS MATERIALIZED (
    SELECT session_id, parent_session_id
    FROM sessions
    SEMI JOIN (SELECT parent_session_id AS session_id FROM redirected) AS named USING (session_id)
),
-- Who is below one without a parent is on no cycle; of the others, who reaches themselves.
rooted AS (
    SELECT session_id
    FROM redirected
    WHERE parent_session_id NOT IN (SELECT session_id FROM parents WHERE parent_session_id IS NOT NULL)
    UNION ALL
    SELECT redirected.session_id
    FROM redirected
    JOIN rooted ON redirected.parent_session_id = rooted.session_id
),
unrooted AS MATERIALIZED (
    SELECT session_id, parent_session_id FROM redirected ANTI JOIN rooted USING (session_id)
),
reached AS (
    SELECT session_id, parent_session_id AS above FROM unrooted
    UNION
    SELECT reached.session_id, unrooted.parent_session_id
    FROM reached
    JOIN unrooted ON unrooted.session_id = reached.above
),
-- Rows of the same person, line and direction within five seconds, one of them with an id of Meta's.
by_source AS MATERIALIZED (
    SELECT whatsapp_id, user_key, line, message_direction, created_at,
        whatsapp_id LIKE 'wamid.%' AS is_wamid
    FROM messages
    WHERE user_key IS NOT NULL AND line IS NOT NULL
),
both_sources AS MATERIALIZED (
    SELECT *
    FROM by_source
    SEMI JOIN (
        SELECT user_key FROM by_source GROUP BY user_key
        HAVING bool_or(is_wamid) AND NOT bool_and(is_wamid)
    ) AS people USING (user_key)
),
twice AS (
    SELECT one.whatsapp_id
    FROM both_sources AS one
    ASOF JOIN both_sources AS other
        ON other.user_key = one.user_key AND other.line = one.line
        AND other.message_direction = one.message_direction
        AND other.is_wamid = NOT one.is_wamid AND other.created_at >= one.created_at
    WHERE other.created_at <= one.created_at + INTERVAL 5 SECONDS
    UNION
    SELECT one.whatsapp_id
    FROM both_sources AS one
    ASOF JOIN both_sources AS other
        ON other.user_key = one.user_key AND other.line = one.line
        AND other.message_direction = one.message_direction
        AND other.is_wamid = NOT one.is_wamid AND other.created_at <= one.created_at
    WHERE other.created_at >= one.created_at - INTERVAL 5 SECONDS
),
-- Two sends at one instant are both near what either is near, so the person and the instant stand for one.
near AS (
    SELECT
        deployment_timestamp,
        sent.at AS sent_at,
        templates.at AS template_at,
        count(*) OVER (PARTITION BY user_key, sent.at) AS templates,
        count(*) OVER (PARTITION BY user_key, templates.at) AS sends
    FROM (
        SELECT user_key, deployment_timestamp, epoch_us(deployment_delivered_timestamp) AS at
        FROM deployments
        WHERE deployment_delivered_timestamp IS NOT NULL
    ) AS sent
    JOIN (
        SELECT user_key, epoch_us(delivered_at) AS at
        FROM messages
        WHERE message_type = 'template' AND delivered_at IS NOT NULL
    ) AS templates USING (user_key)
    WHERE abs(sent.at - templates.at) <= 54000000000
),
clock_pairs AS (
    SELECT
        'sessions' AS of_table,
        session_id AS example,
        closed AS reference,
        finished - closed AS apart
    FROM (
        SELECT session_key, session_id, epoch_us(session_finished_timestamp) AS finished
        FROM sessions
        WHERE session_finished_timestamp IS NOT NULL
    ) AS finishes
    JOIN (
        SELECT session_key, epoch_us(max(closed_at)) AS closed
        FROM closures
        WHERE session_key IS NOT NULL
        GROUP BY session_key
    ) AS last_closures USING (session_key)
    UNION ALL
    SELECT
        'deployments', CAST(deployment_timestamp AS VARCHAR), template_at, sent_at - template_at
    FROM near
    WHERE templates = 1 AND sends = 1
),
clock_counts AS (
    SELECT
        of_table,
        date_trunc('month', make_timestamp(reference)) AS month,
        floor((apart + 450000000) / 900000000) * 15 AS minutes,
        count(*) AS pairs,
        min(example) AS example
    FROM clock_pairs
    GROUP BY ALL
),
clock_months AS (
    SELECT
        of_table,
        month,
        list(minutes ORDER BY pairs DESC, abs(minutes), minutes)[1] AS mode
    FROM clock_counts
    GROUP BY of_table, month
    HAVING sum(pairs) >= 30 AND max(pairs) * 100 >= sum(pairs) * 60
),
tallies AS (
    SELECT 'sessions' AS of_table, unnest([
            {
                name: 'unknown-session-type',
                about: count_if(session_type IS NOT NULL),
                failing: count_if((session_type IS NOT NULL) AND (session_type NOT IN ('Outbound', 'Inbound'))),
                example: min(session_type) FILTER ((session_type IS NOT NULL) AND (session_type NOT IN ('Outbound', 'Inbound')))
            },
            {
                name: 'unknown-session-status',
                about: count_if(session_status IS NOT NULL),
                failing: count_if((session_status IS NOT NULL) AND (session_status NOT IN ('BOT', 'AGENTS', 'RATING'))),
                example: min(session_status) FILTER ((session_status IS NOT NULL) AND (session_status NOT IN ('BOT', 'AGENTS', 'RATING')))
            },
            {
                name: 'unknown-meta-source-type',
                about: count_if(meta_source_type IS NOT NULL),
                failing: count_if((meta_source_type IS NOT NULL) AND (meta_source_type NOT IN ('Ad', 'Post'))),
                example: min(meta_source_type) FILTER ((meta_source_type IS NOT NULL) AND (meta_source_type NOT IN ('Ad', 'Post')))
            },
            {
                name: 'unknown-meta-source-media-type',
                about: count_if(meta_source_media_type IS NOT NULL),
                failing: count_if((meta_source_media_type IS NOT NULL) AND (meta_source_media_type NOT IN ('Image', 'Video'))),
                example: min(meta_source_media_type) FILTER ((meta_source_media_type IS NOT NULL) AND (meta_source_media_type NOT IN ('Image', 'Video')))
            },
            {
                name: 'invalid-phone',
                about: count(user_phone_valid),
                failing: count(*) FILTER (NOT user_phone_valid),
                example: min(session_id) FILTER (NOT user_phone_valid)
            },
            {
                name: 'finished-before-started',
                about: count_if(session_finished_timestamp IS NOT NULL),
                failing: count_if((session_finished_timestamp IS NOT NULL) AND (session_finished_timestamp < session_started_timestamp)),
                example: min(session_id) FILTER ((session_finished_timestamp IS NOT NULL) AND (session_finished_timestamp < session_started_timestamp))
            }
        ], recursive := true)
    FROM sessions
    UNION ALL
    SELECT 'deployments' AS of_table, unnest([
            {
                name: 'unknown-delivery-status',
                about: count_if(delivery_status IS NOT NULL),
                failing: count_if((delivery_status IS NOT NULL) AND (delivery_status NOT IN ('In Process', 'Sent', 'Delivered', 'Failed'))),
                example: min(delivery_status) FILTER ((delivery_status IS NOT NULL) AND (delivery_status NOT IN ('In Process', 'Sent', 'Delivered', 'Failed')))
            },
            {
                name: 'unknown-status-detail',
                about: count_if(delivery_status = 'Failed' AND status_detail IS NOT NULL),
                failing: count_if((delivery_status = 'Failed' AND status_detail IS NOT NULL) AND (state = 'other_failure')),
                example: min(status_detail) FILTER ((delivery_status = 'Failed' AND status_detail IS NOT NULL) AND (state = 'other_failure'))
            },
            {
                name: 'invalid-phone',
                about: count(user_phone_valid),
                failing: count(*) FILTER (NOT user_phone_valid),
                example: CAST(min(deployment_timestamp) FILTER (NOT user_phone_valid) AS VARCHAR)
            },
            {
                name: 'delivered-before-deployed',
                about: count_if(deployment_delivered_timestamp IS NOT NULL),
                failing: count_if((deployment_delivered_timestamp IS NOT NULL) AND (deployment_delivered_timestamp < deployment_timestamp)),
                example: CAST(min(deployment_timestamp) FILTER ((deployment_delivered_timestamp IS NOT NULL) AND (deployment_delivered_timestamp < deployment_timestamp)) AS VARCHAR)
            },
            {
                name: 'responded-before-deployed',
                about: count_if(user_responded_timestamp IS NOT NULL),
                failing: count_if((user_responded_timestamp IS NOT NULL) AND (user_responded_timestamp < deployment_timestamp)),
                example: CAST(min(deployment_timestamp) FILTER ((user_responded_timestamp IS NOT NULL) AND (user_responded_timestamp < deployment_timestamp)) AS VARCHAR)
            },
            {
                name: 'delivered-without-session',
                about: count_if(delivery_status = 'Delivered'),
                failing: count_if((delivery_status = 'Delivered') AND (session_key IS NULL)),
                example: CAST(min(deployment_timestamp) FILTER ((delivery_status = 'Delivered') AND (session_key IS NULL)) AS VARCHAR)
            },
            {
                name: 'failed-with-session',
                about: count_if(delivery_status = 'Failed'),
                failing: count_if((delivery_status = 'Failed') AND (session_key IS NOT NULL)),
                example: min(session_id) FILTER ((delivery_status = 'Failed') AND (session_key IS NOT NULL))
            }
        ], recursive := true)
    FROM deployments
    UNION ALL
    SELECT 'messages' AS of_table, unnest([
            {
                name: 'unknown-conversation-type',
                about: count_if(conversation_type IS NOT NULL),
                failing: count_if((conversation_type IS NOT NULL) AND (conversation_type NOT IN ('business_initiated', 'user_initiated', 'referral_conversion', 'referral', 'marketing', 'utility', 'authentication', 'authentication_international', 'service'))),
                example: min(conversation_type) FILTER ((conversation_type IS NOT NULL) AND (conversation_type NOT IN ('business_initiated', 'user_initiated', 'referral_conversion', 'referral', 'marketing', 'utility', 'authentication', 'authentication_international', 'service')))
            },
            {
                name: 'unknown-source',
                about: count_if(source IS NOT NULL),
                failing: count_if((source IS NOT NULL) AND (source NOT IN ('api', 'campaign', 'webhook', 'app'))),
                example: min(source) FILTER ((source IS NOT NULL) AND (source NOT IN ('api', 'campaign', 'webhook', 'app')))
            },
            {
                name: 'unknown-format',
                about: count_if(format IS NOT NULL),
                failing: count_if((format IS NOT NULL) AND (format NOT IN ('template', 'text', 'image', 'media', 'contact', 'location', 'reaction', 'order'))),
                example: min(format) FILTER ((format IS NOT NULL) AND (format NOT IN ('template', 'text', 'image', 'media', 'contact', 'location', 'reaction', 'order')))
            },
            {
                name: 'unknown-parent-service-type',
                about: count_if(parent_service_type IS NOT NULL),
                failing: count_if((parent_service_type IS NOT NULL) AND (parent_service_type NOT IN ('session_incoming', 'session_outgoing', 'template'))),
                example: min(parent_service_type) FILTER ((parent_service_type IS NOT NULL) AND (parent_service_type NOT IN ('session_incoming', 'session_outgoing', 'template')))
            },
            {
                name: 'unknown-conversation-msg-type',
                about: count_if(conversation_msg_type IS NOT NULL),
                failing: count_if((conversation_msg_type IS NOT NULL) AND (conversation_msg_type NOT IN ('conversation_start', 'in_conversation'))),
                example: min(conversation_msg_type) FILTER ((conversation_msg_type IS NOT NULL) AND (conversation_msg_type NOT IN ('conversation_start', 'in_conversation')))
            },
            {
                name: 'unknown-pricing-type',
                about: count_if(pricing_type IS NOT NULL),
                failing: count_if((pricing_type IS NOT NULL) AND (pricing_type NOT IN ('regular', 'free_entry_point', 'free_customer_service'))),
                example: min(pricing_type) FILTER ((pricing_type IS NOT NULL) AND (pricing_type NOT IN ('regular', 'free_entry_point', 'free_customer_service')))
            },
            {
                name: 'invalid-phone',
                about: count(user_phone_valid),
                failing: count(*) FILTER (NOT user_phone_valid),
                example: min(whatsapp_id) FILTER (whatsapp_id NOT LIKE 'wamid.%' AND NOT user_phone_valid)
            },
            {
                name: 'sent-before-created',
                about: count_if(sent_at IS NOT NULL),
                failing: count_if((sent_at IS NOT NULL) AND (sent_at < created_at)),
                example: min(whatsapp_id) FILTER (whatsapp_id NOT LIKE 'wamid.%' AND (sent_at IS NOT NULL) AND (sent_at < created_at))
            },
            {
                name: 'delivered-before-sent',
                about: count_if(delivered_at IS NOT NULL AND sent_at IS NOT NULL),
                failing: count_if((delivered_at IS NOT NULL AND sent_at IS NOT NULL) AND (delivered_at < sent_at)),
                example: min(whatsapp_id) FILTER (whatsapp_id NOT LIKE 'wamid.%' AND (delivered_at IS NOT NULL AND sent_at IS NOT NULL) AND (delivered_at < sent_at))
            },
            {
                name: 'seen-before-delivered',
                about: count_if(seen_at IS NOT NULL AND delivered_at IS NOT NULL),
                failing: count_if((seen_at IS NOT NULL AND delivered_at IS NOT NULL) AND (seen_at < delivered_at)),
                example: min(whatsapp_id) FILTER (whatsapp_id NOT LIKE 'wamid.%' AND (seen_at IS NOT NULL AND delivered_at IS NOT NULL) AND (seen_at < delivered_at))
            },
            {
                name: 'failed-and-delivered',
                about: count_if(message_direction = 'outgoing' AND failed_at IS NOT NULL),
                failing: count_if((message_direction = 'outgoing' AND failed_at IS NOT NULL) AND (delivered_at IS NOT NULL OR seen_at IS NOT NULL)),
                example: min(whatsapp_id) FILTER (whatsapp_id NOT LIKE 'wamid.%' AND (message_direction = 'outgoing' AND failed_at IS NOT NULL) AND (delivered_at IS NOT NULL OR seen_at IS NOT NULL))
            }
        ], recursive := true)
    FROM messages
    UNION ALL
    SELECT
        'messages', 'same-message-twice', count(*),
        count_if(twice.whatsapp_id IS NOT NULL),
        min(known.whatsapp_id) FILTER (
            known.whatsapp_id NOT LIKE 'wamid.%' AND twice.whatsapp_id IS NOT NULL)
    FROM (
        SELECT whatsapp_id FROM messages WHERE user_key IS NOT NULL AND line IS NOT NULL
    ) AS known
    LEFT JOIN twice USING (whatsapp_id)
    UNION ALL
    SELECT
        'sessions', 'parent-not-in-sessions', count(*),
        count_if(parents.session_id IS NULL),
        min(redirected.parent_session_id) FILTER (parents.session_id IS NULL)
    FROM redirected
    LEFT JOIN parents ON parents.session_id = redirected.parent_session_id
    UNION ALL
    SELECT
        'sessions', 'parent-cycle', (SELECT count(*) FROM redirected), count(*), min(session_id)
    FROM (SELECT DISTINCT session_id FROM reached WHERE above = session_id)
    UNION ALL
    SELECT
        'deployments', 'session-not-in-sessions', count(*),
        count_if(known.session_key IS NULL),
        min(session_id) FILTER (known.session_key IS NULL)
    FROM (SELECT session_key, session_id FROM deployments WHERE session_key IS NOT NULL) AS sent
    LEFT JOIN (SELECT session_key FROM sessions) AS known USING (session_key)
    UNION ALL
    SELECT
        'closures',
        unnest([
            {
                name: 'closure-session-not-in-sessions',
                about: count(*),
                failing: count_if(known.session_key IS NULL),
                example: min(session_id) FILTER (known.session_key IS NULL)
            },
            {
                name: 'closure-disagrees',
                about: count(known.session_key),
                failing: count_if(known.session_key IS NOT NULL AND (
                    finished IS NULL OR abs(finished - epoch_us(closed_at)) > 60000000)),
                example: min(session_id) FILTER (known.session_key IS NOT NULL AND (
                    finished IS NULL OR abs(finished - epoch_us(closed_at)) > 60000000))
            }
        ], recursive := true)
    FROM (SELECT session_key, session_id, closed_at FROM closures WHERE session_key IS NOT NULL)
    LEFT JOIN (
        SELECT session_key, epoch_us(session_finished_timestamp) AS finished FROM sessions
    ) AS known USING (session_key)
    UNION ALL
    SELECT
        'closures', 'invalid-phone', count(user_phone_valid),
        count(*) FILTER (NOT user_phone_valid),
        min(session_id) FILTER (NOT user_phone_valid)
    FROM closures
    UNION ALL
    SELECT
        'agent_chats', 'invalid-phone', count(user_phone_valid),
        count(*) FILTER (NOT user_phone_valid),
        CAST(min(created_at) FILTER (NOT user_phone_valid) AS VARCHAR)
    FROM agent_chats
    UNION ALL
    SELECT
        'agent_chats', 'unknown-last-message-sender', count(last_message_sender),
        count_if(last_message_sender NOT IN ('AGENT', 'USER', 'BOT')),
        min(last_message_sender) FILTER (last_message_sender NOT IN ('AGENT', 'USER', 'BOT'))
    FROM agent_chats
    UNION ALL
    SELECT
        'agent_chats', 'unknown-finish-type', count(finish_type),
        count_if(finish_type NOT IN ('AUTO', 'MANUAL')),
        min(finish_type) FILTER (finish_type NOT IN ('AUTO', 'MANUAL'))
    FROM agent_chats
    UNION ALL
    SELECT
        'conversions', 'invalid-phone', count(user_phone_valid),
        count(*) FILTER (NOT user_phone_valid),
        min(conversion_id) FILTER (NOT user_phone_valid)
    FROM conversions
    UNION ALL
    SELECT
        'audience_tags', 'invalid-phone', count(user_phone_valid),
        count(*) FILTER (NOT user_phone_valid),
        min(tag) FILTER (NOT user_phone_valid)
    FROM audience_tags
    UNION ALL
    SELECT
        'variables', 'invalid-phone', count(user_phone_valid),
        count(*) FILTER (NOT user_phone_valid),
        min(name) FILTER (NOT user_phone_valid)
    FROM variables
    UNION ALL
    SELECT
        'ad_spend', 'spend-restated', count(*),
        count_if(spend_least <> spend_greatest),
        min(ad_id) FILTER (spend_least <> spend_greatest)
    FROM ad_spend
    UNION ALL
    SELECT
        listed.name,
        'clock-off',
        coalesce(sum(pairs) FILTER (mode IS NOT NULL), 0),
        coalesce(sum(pairs) FILTER (mode = minutes AND mode <> 0), 0),
        min(example) FILTER (mode = minutes AND mode <> 0)
    FROM (VALUES ('deployments'), ('sessions')) AS listed (name)
    LEFT JOIN clock_counts ON clock_counts.of_table = listed.name
    LEFT JOIN clock_months USING (of_table, month)
    GROUP BY listed.name
    UNION ALL
    SELECT
        listed.name,
        unnest(['rejected-row', 'sentinel-stamp']),
        coalesce(sum(records), 0),
        unnest([coalesce(sum(rejected), 0), coalesce(sum(with_sentinel), 0)]),
        NULL
    FROM (VALUES
        ('ad_spend'), ('agent_chats'), ('audience_tags'), ('closures'), ('conversions'), ('deployments'), ('events'),
        ('identities'), ('markets'), ('message_summaries'), ('messages'), ('meta_points'), ('nodes'), ('rates'),
        ('session_summaries'), ('sessions'), ('variables')
    ) AS listed (name)
    LEFT JOIN loads ON kind = listed.name
    GROUP BY listed.name
)
SELECT
    name AS "check",
    of_table AS "table",
    CAST(about AS BIGINT) AS "rows",
    CAST(failing AS BIGINT) AS failing,
    CAST(100.0 * failing / nullif(about, 0) AS DOUBLE) AS share_pct,
    CAST(example AS VARCHAR) AS example
FROM tallies
ORDER BY name, of_table;
