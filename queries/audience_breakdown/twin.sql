-- How do the audiences compare? Deployments by the tags that their person has at the time, what the
-- delivered ones sparked, and the inbound sessions beside them.
WITH sent AS (
    SELECT
        tags.tag,
        deployments.delivery_status = 'Delivered' AS arrived,
        deployments.user_responded_timestamp,
        deployments.session_id
    FROM deployments
    LEFT JOIN audience_tags AS tags
        ON tags.user_phone = deployments.user_phone
        AND coalesce(tags.since, deployments.deployment_timestamp)
            <= deployments.deployment_timestamp
    WHERE (:from_at IS NULL OR deployments.deployment_timestamp >= :from_at)
        AND (:until_at IS NULL OR deployments.deployment_timestamp < :until_at)
),
looked_up AS (
    SELECT
        sent.tag,
        sent.arrived,
        sent.user_responded_timestamp,
        CASE WHEN sent.arrived THEN sent.session_id END AS created_id,
        CASE
            WHEN sent.arrived
                AND sessions.session_finished_timestamp >= sessions.session_started_timestamp
            THEN unix_micros(sessions.session_finished_timestamp)
                - unix_micros(sessions.session_started_timestamp)
        END AS duration
    FROM sent
    LEFT JOIN sessions ON sessions.session_id = sent.session_id
),
measured AS (
    SELECT
        tag,
        count(*) AS deployments,
        count_if(arrived) AS delivered,
        count(created_id) AS sessions_created,
        count_if(arrived AND user_responded_timestamp IS NOT NULL) AS replied,
        CAST(sum(duration) AS DOUBLE) / nullif(count(duration), 0) / 1000000
            AS avg_session_seconds
    FROM looked_up
    GROUP BY tag
),
writing AS (
    SELECT
        tags.tag,
        count(*) AS inbound_sessions
    FROM sessions
    LEFT JOIN audience_tags AS tags
        ON tags.user_phone = sessions.user_phone
        AND coalesce(tags.since, sessions.session_started_timestamp)
            <= sessions.session_started_timestamp
    WHERE sessions.session_type = 'Inbound'
        AND (:from_at IS NULL OR sessions.session_started_timestamp >= :from_at)
        AND (:until_at IS NULL OR sessions.session_started_timestamp < :until_at)
    GROUP BY tags.tag
),
attributed AS (
    {attributed}
),
owed AS (
    SELECT
        created.tag,
        created.created_id,
        attributed.value,
        CASE WHEN attributed.value IS NOT NULL THEN coalesce(attributed.currency, '?') END
            AS currency
    FROM (SELECT DISTINCT tag, created_id FROM looked_up WHERE created_id IS NOT NULL) AS created
    INNER JOIN attributed ON attributed.converted_session_id = created.created_id
),
earned AS (
    SELECT
        tag,
        count(DISTINCT created_id) AS converted_sessions,
        CASE WHEN count(DISTINCT currency) = 1 THEN sum(value) END AS revenue,
        nullif(nullif(array_join(sort_array(collect_set(currency)), '+'), '?'), '')
            AS revenue_currency
    FROM owed
    GROUP BY tag
),
met AS (
    SELECT tag FROM measured
    UNION
    SELECT tag FROM writing
)
SELECT
    CAST(met.tag AS STRING) AS tag,
    CAST(coalesce(measured.deployments, 0) AS BIGINT) AS deployments,
    CAST(coalesce(measured.delivered, 0) AS BIGINT) AS delivered,
    CAST(measured.delivered AS DOUBLE) * 100 / measured.deployments AS delivered_pct,
    CAST(coalesce(measured.sessions_created, 0) AS BIGINT) AS sessions_created,
    CAST(measured.sessions_created AS DOUBLE) * 100 / nullif(measured.delivered, 0)
        AS click_through_pct,
    CAST(coalesce(measured.replied, 0) AS BIGINT) AS replied,
    CAST(measured.replied AS DOUBLE) * 100 / nullif(measured.delivered, 0) AS reply_pct,
    CAST(coalesce(writing.inbound_sessions, 0) AS BIGINT) AS inbound_sessions,
    CAST(measured.avg_session_seconds AS DOUBLE) AS avg_session_seconds,
    CAST(coalesce(earned.converted_sessions, 0) AS BIGINT) AS converted_sessions,
    CAST(coalesce(earned.converted_sessions, 0) AS DOUBLE) * 100
        / nullif(measured.sessions_created, 0) AS conversion_pct,
    CAST(earned.revenue AS DECIMAL(38, 6)) AS revenue,
    CAST(earned.revenue_currency AS STRING) AS revenue_currency
FROM met
-- People without a tag are an audience, too, so the joins are null-safe.
LEFT JOIN measured ON measured.tag <=> met.tag
LEFT JOIN earned ON earned.tag <=> met.tag
LEFT JOIN writing ON writing.tag <=> met.tag
ORDER BY
    deployments DESC NULLS LAST,
    tag NULLS LAST
