-- How do the countries compare? Deployments by the country of their person, the sessions and
-- conversions that the delivered ones led to, and inbound sessions.
WITH sent AS (
    SELECT
        country AS name,
        delivery_status = 'Delivered' AS arrived,
        user_responded_timestamp,
        session_id
    FROM deployments
    WHERE (:from_at IS NULL OR deployment_timestamp >= :from_at)
        AND (:until_at IS NULL OR deployment_timestamp < :until_at)
),
inbound AS (
    SELECT country AS name
    FROM sessions
    WHERE session_type = 'Inbound'
        AND (:from_at IS NULL OR session_started_timestamp >= :from_at)
        AND (:until_at IS NULL OR session_started_timestamp < :until_at)
),
{breakdown},
named AS (
    SELECT *
    FROM (VALUES
        {countries}
    ) AS listed (code, country_name)
)
SELECT
    name AS country, CAST(country_name AS STRING) AS country_name, deployments, delivered,
    delivered_pct, sessions_created, click_through_pct, replied, reply_pct, inbound_sessions,
    avg_session_seconds, converted_sessions, conversion_pct, revenue, revenue_currency
FROM breakdown
LEFT JOIN named ON named.code = breakdown.name
ORDER BY
    deployments DESC NULLS LAST,
    country NULLS LAST
