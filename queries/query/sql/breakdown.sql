looked_up AS (
    SELECT
        sent.name,
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
        name,
        count(*) AS deployments,
        count_if(arrived) AS delivered,
        count(created_id) AS sessions_created,
        count_if(arrived AND user_responded_timestamp IS NOT NULL) AS replied,
        CAST(sum(duration) AS DOUBLE) / nullif(count(duration), 0) / 1000000
            AS avg_session_seconds
    FROM looked_up
    GROUP BY name
),
writing AS (
    SELECT name, count(*) AS inbound_sessions
    FROM inbound
    GROUP BY name
),
{attributed},
matched AS (
    SELECT
        created.name,
        created.created_id,
        attributed.value,
        CASE WHEN attributed.value IS NOT NULL THEN coalesce(attributed.currency, '?') END
            AS currency
    FROM (SELECT DISTINCT name, created_id FROM looked_up WHERE created_id IS NOT NULL) AS created
    INNER JOIN attributed ON attributed.converted_session_id = created.created_id
),
earned AS (
    SELECT
        name,
        count(DISTINCT created_id) AS converted_sessions,
        CASE WHEN count(DISTINCT currency) = 1 THEN sum(value) END AS revenue,
        nullif(nullif(array_join(sort_array(collect_set(currency)), '+'), '?'), '')
            AS revenue_currency
    FROM matched
    GROUP BY name
),
met AS (
    SELECT name FROM measured
    UNION
    SELECT name FROM writing
),
breakdown AS (
    SELECT
        CAST(met.name AS STRING) AS name,
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
    -- Null is a group, too, so the joins are null-safe.
    LEFT JOIN measured ON measured.name <=> met.name
    LEFT JOIN earned ON earned.name <=> met.name
    LEFT JOIN writing ON writing.name <=> met.name
)
