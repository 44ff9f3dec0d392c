-- Which channels bring inbound users, and the best ones? Inbound sessions by the ad, post or link
-- that led to them, with their conversions.
WITH inbound AS (
    SELECT
        {by_then}session_id,
        user_phone,
        session_status = 'AGENTS' AS with_agent,
        session_finished_timestamp,
        CASE
            WHEN session_finished_timestamp >= session_started_timestamp
                THEN unix_micros(session_finished_timestamp)
                    - unix_micros(session_started_timestamp)
        END AS duration,
        coalesce(meta_source_id, meta_source_type) IS NOT NULL AS of_meta,
        coalesce(whatsapp_link_campaign_name, whatsapp_link_campaign_source) IS NOT NULL AS of_link,
        parent_session_id IS NOT NULL AS redirected,
        coalesce(meta_source_type, 'Ad') AS meta_type,
        meta_source_id,
        whatsapp_link_campaign_name AS link_name,
        whatsapp_link_campaign_source AS link_source
    FROM {sessions}
    {tagged}
    WHERE session_type = 'Inbound'
        AND (:from_at IS NULL OR session_started_timestamp >= :from_at)
        AND (:until_at IS NULL OR session_started_timestamp < :until_at)
),
brought AS (
    SELECT
        {by_columns_then}session_id,
        user_phone,
        with_agent,
        session_finished_timestamp,
        duration,
        CASE
            WHEN of_meta AND meta_type = 'Post' THEN 'meta-post'
            WHEN of_meta THEN 'meta-ad'
            WHEN of_link THEN 'whatsapp-link'
            WHEN redirected THEN 'redirection'
            ELSE 'organic'
        END AS channel,
        CASE WHEN of_meta THEN meta_type ELSE link_source END AS source,
        CASE WHEN of_meta THEN meta_source_id ELSE link_name END AS campaign
    FROM inbound
),
{attributed},
counted AS (
    SELECT
        {by_columns_then}channel,
        source,
        campaign,
        count(*) AS sessions,
        count(DISTINCT user_phone) AS users,
        count(session_finished_timestamp) AS finished_sessions,
        CAST(sum(duration) AS DOUBLE) / nullif(count(duration), 0) / 1000000
            AS avg_duration_seconds,
        count(CASE WHEN with_agent THEN 1 END) AS agent_sessions
    FROM brought
    GROUP BY {by_columns_then}channel, source, campaign
),
matched AS (
    SELECT
        {by_columns_then}brought.channel,
        brought.source,
        brought.campaign,
        brought.session_id,
        attributed.value,
        coalesce(attributed.currency, '?') AS currency
    FROM brought
    INNER JOIN attributed ON attributed.converted_session_id = brought.session_id
),
converted AS (
    SELECT
        {by_columns_then}channel,
        source,
        campaign,
        count(*) AS conversions,
        count(DISTINCT session_id) AS converted_sessions
    FROM matched
    GROUP BY {by_columns_then}channel, source, campaign
),
sums AS (
    SELECT {by_columns_then}channel, source, campaign, currency, sum(value) AS amount
    FROM matched
    WHERE value IS NOT NULL
    GROUP BY {by_columns_then}channel, source, campaign, currency
),
earned AS (
    SELECT
        {by_columns_then}channel,
        source,
        campaign,
        CASE WHEN count(*) = 1 THEN max(amount) END AS revenue,
        nullif(array_join(sort_array(collect_list(currency)), '+'), '?') AS revenue_currency
    FROM sums
    GROUP BY {by_columns_then}channel, source, campaign
),
with_conversions AS (
    SELECT
        {here_by_then}here.channel,
        here.source,
        here.campaign,
        here.sessions,
        here.users,
        here.finished_sessions,
        here.avg_duration_seconds,
        here.agent_sessions,
        coalesce(there.conversions, 0) AS conversions,
        coalesce(there.converted_sessions, 0) AS converted_sessions
    FROM counted AS here
    LEFT JOIN converted AS there
        ON there.channel = here.channel
            AND there.source <=> here.source
            AND there.campaign <=> here.campaign{and_by}
)
SELECT
    {here_by_then}CAST(here.channel AS STRING) AS channel,
    CAST(here.source AS STRING) AS source,
    CAST(here.campaign AS STRING) AS campaign,
    CAST(here.sessions AS BIGINT) AS sessions,
    CAST(here.users AS BIGINT) AS users,
    CAST(here.finished_sessions AS BIGINT) AS finished_sessions,
    CAST(here.avg_duration_seconds AS DOUBLE) AS avg_duration_seconds,
    CAST(here.agent_sessions AS BIGINT) AS agent_sessions,
    CAST(here.agent_sessions AS DOUBLE) * 100 / here.sessions AS agent_pct,
    CAST(here.conversions AS BIGINT) AS conversions,
    CAST(here.converted_sessions AS DOUBLE) * 100 / here.sessions AS conversion_pct,
    CAST(there.revenue AS DECIMAL(38, 6)) AS revenue,
    CAST(there.revenue_currency AS STRING) AS revenue_currency
FROM with_conversions AS here
LEFT JOIN earned AS there
    ON there.channel = here.channel
        AND there.source <=> here.source
        AND there.campaign <=> here.campaign{and_by}
ORDER BY
    {by_order_then}sessions DESC NULLS LAST,
    channel NULLS LAST,
    source NULLS LAST,
    campaign NULLS LAST
