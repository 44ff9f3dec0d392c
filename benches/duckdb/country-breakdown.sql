-- How do countries answer?
WITH attributed AS (
    SELECT session_key, converted_at, value, currency
    FROM conversions
    WHERE session_key IS NOT NULL
    UNION ALL
    SELECT visits.session_key, owed.converted_at, owed.value, owed.currency
    FROM (
        SELECT user_key, converted_at, value, currency
        FROM conversions
        WHERE session_key IS NULL AND user_key IS NOT NULL
    ) AS owed
    -- The last session that was no redirection, of two at one instant the greater id.
    ASOF JOIN (
        SELECT
            user_key,
            session_started_timestamp,
            arg_max(session_key, session_id) AS session_key
        FROM sessions
        WHERE parent_session_id IS NULL
            AND user_key IN (SELECT user_key FROM conversions WHERE session_key IS NULL)
        GROUP BY ALL
    ) AS visits
        ON visits.user_key = owed.user_key
        AND visits.session_started_timestamp <= owed.converted_at
    WHERE owed.converted_at <= visits.session_started_timestamp + INTERVAL 168 HOURS
),
sent AS (
    SELECT country, delivery_status, session_key, user_responded_timestamp FROM deployments
),
created AS (
    SELECT country, session_key
    FROM sent
    WHERE delivery_status = 'Delivered' AND session_key IS NOT NULL
),
durations AS (
    SELECT created.country, avg(duration) AS mean_duration
    FROM created
    JOIN (
        SELECT
            session_key,
            epoch_us(session_finished_timestamp) - epoch_us(session_started_timestamp) AS duration
        FROM sessions
        WHERE session_finished_timestamp >= session_started_timestamp
    ) AS finished USING (session_key)
    GROUP BY created.country
),
earned AS (
    SELECT
        country,
        count(DISTINCT session_key) AS converted_sessions,
        CASE
            WHEN count(DISTINCT coalesce(currency, '?')) FILTER (value IS NOT NULL) = 1
            THEN sum(value)
        END AS revenue,
        nullif(
            string_agg(DISTINCT coalesce(currency, '?'), '+' ORDER BY coalesce(currency, '?'))
                FILTER (value IS NOT NULL),
            '?') AS revenue_currency
    FROM (
        SELECT created.country, session_key, value, currency
        FROM (
            SELECT DISTINCT country, session_key
            FROM created
            SEMI JOIN attributed USING (session_key)
        ) AS created
        JOIN attributed USING (session_key)
    )
    GROUP BY country
),
sends AS (
    SELECT
        country,
        count(*) AS deployments,
        count_if(delivery_status = 'Delivered') AS delivered,
        count_if(delivery_status = 'Delivered' AND session_key IS NOT NULL) AS sessions_created,
        count_if(delivery_status = 'Delivered' AND user_responded_timestamp IS NOT NULL)
            AS replied
    FROM sent
    GROUP BY country
),
inbound AS (
    SELECT country, count(*) AS inbound_sessions
    FROM sessions
    WHERE session_type = 'Inbound'
    GROUP BY country
),
names AS (
    SELECT
        split_part(line, chr(9), 1) AS country,
        split_part(line, chr(9), 2) AS country_name
    FROM (
        SELECT unnest(string_split(trim(content, chr(10)), chr(10))) AS line
        FROM read_text(getvariable('countries'))
    )
),
-- Null is a country like any other.
met AS (
    SELECT
        coalesce(sends.country, inbound.country) AS country,
        coalesce(deployments, 0) AS deployments,
        coalesce(delivered, 0) AS delivered,
        coalesce(sessions_created, 0) AS sessions_created,
        coalesce(replied, 0) AS replied,
        coalesce(inbound_sessions, 0) AS inbound_sessions
    FROM sends
    FULL JOIN inbound ON sends.country IS NOT DISTINCT FROM inbound.country
)
SELECT
    met.country,
    names.country_name,
    CAST(deployments AS BIGINT) AS deployments,
    CAST(delivered AS BIGINT) AS delivered,
    CAST(100.0 * delivered / nullif(deployments, 0) AS DOUBLE) AS delivered_pct,
    CAST(sessions_created AS BIGINT) AS sessions_created,
    CAST(100.0 * sessions_created / nullif(delivered, 0) AS DOUBLE) AS click_through_pct,
    CAST(replied AS BIGINT) AS replied,
    CAST(100.0 * replied / nullif(delivered, 0) AS DOUBLE) AS reply_pct,
    CAST(inbound_sessions AS BIGINT) AS inbound_sessions,
    CAST(mean_duration / 1e6 AS DOUBLE) AS avg_session_seconds,
    CAST(coalesce(converted_sessions, 0) AS BIGINT) AS converted_sessions,
    CAST(100.0 * coalesce(converted_sessions, 0) / nullif(sessions_created, 0) AS DOUBLE)
        AS conversion_pct,
    CAST(revenue AS DECIMAL(38, 6)) AS revenue,
    CAST(revenue_currency AS VARCHAR) AS revenue_currency
FROM met
LEFT JOIN durations ON durations.country IS NOT DISTINCT FROM met.country
LEFT JOIN earned ON earned.country IS NOT DISTINCT FROM met.country
LEFT JOIN names ON names.country = met.country
ORDER BY met.deployments DESC, met.country NULLS LAST;
