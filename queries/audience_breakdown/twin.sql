-- How do the audiences compare? Deployments by the tags of their person at the time, the sessions and
-- conversions that the delivered ones led to, and inbound sessions.
WITH sent AS (
    SELECT
        tags.tag AS name,
        deployments.delivery_status = 'Delivered' AS arrived,
        deployments.user_responded_timestamp,
        deployments.session_id
    FROM {deployments}
    LEFT JOIN audience_tags AS tags
        ON tags.user_phone = deployments.user_phone
        AND coalesce(tags.since, deployments.deployment_timestamp)
            <= deployments.deployment_timestamp
    WHERE (:from_at IS NULL OR deployments.deployment_timestamp >= :from_at)
        AND (:until_at IS NULL OR deployments.deployment_timestamp < :until_at)
),
inbound AS (
    SELECT tags.tag AS name
    FROM {sessions}
    LEFT JOIN audience_tags AS tags
        ON tags.user_phone = sessions.user_phone
        AND coalesce(tags.since, sessions.session_started_timestamp)
            <= sessions.session_started_timestamp
    WHERE sessions.session_type = 'Inbound'
        AND (:from_at IS NULL OR sessions.session_started_timestamp >= :from_at)
        AND (:until_at IS NULL OR sessions.session_started_timestamp < :until_at)
),
{breakdown}
SELECT
    name AS tag, deployments, delivered, delivered_pct, sessions_created, click_through_pct,
    replied, reply_pct, inbound_sessions, avg_session_seconds, converted_sessions, conversion_pct,
    revenue, revenue_currency
FROM breakdown
ORDER BY
    deployments DESC NULLS LAST,
    tag NULLS LAST
