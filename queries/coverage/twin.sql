-- Which days does each table cover, and which are to be exported next?
WITH placed AS (
    SELECT
        'ad_spend' AS name,
        day AS day,
        CAST(NULL AS TIMESTAMP_LTZ) AS stamp
    FROM ad_spend
    UNION ALL
    SELECT
        'agent_chats' AS name,
        CAST(date_trunc('DAY', from_utc_timestamp(created_at, :timezone)) AS DATE) AS day,
        created_at AS stamp
    FROM agent_chats
    UNION ALL
    SELECT
        'audience_tags' AS name,
        CAST(date_trunc('DAY', from_utc_timestamp(since, :timezone)) AS DATE) AS day,
        since AS stamp
    FROM audience_tags
    UNION ALL
    SELECT
        'closures' AS name,
        CAST(date_trunc('DAY', from_utc_timestamp(closed_at, :timezone)) AS DATE) AS day,
        closed_at AS stamp
    FROM closures
    UNION ALL
    SELECT
        'conversions' AS name,
        CAST(date_trunc('DAY', from_utc_timestamp(converted_at, :timezone)) AS DATE) AS day,
        converted_at AS stamp
    FROM conversions
    UNION ALL
    SELECT
        'deployments' AS name,
        CAST(date_trunc('DAY', from_utc_timestamp(deployment_timestamp, :timezone)) AS DATE) AS day,
        deployment_timestamp AS stamp
    FROM deployments
    UNION ALL
    SELECT
        'events' AS name,
        CAST(date_trunc('DAY', from_utc_timestamp(at, :timezone)) AS DATE) AS day,
        at AS stamp
    FROM events
    UNION ALL
    SELECT
        'identities' AS name,
        CAST(date_trunc('DAY', from_utc_timestamp(first_seen, :timezone)) AS DATE) AS day,
        first_seen AS stamp
    FROM identities
    UNION ALL
    SELECT
        'message_summaries' AS name,
        date AS day,
        CAST(NULL AS TIMESTAMP_LTZ) AS stamp
    FROM message_summaries
    UNION ALL
    SELECT
        'messages' AS name,
        CAST(date_trunc('DAY', from_utc_timestamp(created_at, :timezone)) AS DATE) AS day,
        created_at AS stamp
    FROM messages
    UNION ALL
    SELECT
        'meta_points' AS name,
        CAST(date_trunc('DAY', from_utc_timestamp(timestamp_micros(start * 1000000), :timezone)) AS DATE) AS day,
        timestamp_micros(start * 1000000) AS stamp
    FROM meta_points
    UNION ALL
    SELECT
        'nodes' AS name,
        CAST(NULL AS DATE) AS day,
        CAST(NULL AS TIMESTAMP_LTZ) AS stamp
    FROM nodes
    UNION ALL
    SELECT
        'rates' AS name,
        effective_from AS day,
        CAST(NULL AS TIMESTAMP_LTZ) AS stamp
    FROM rates
    UNION ALL
    SELECT
        'session_summaries' AS name,
        date AS day,
        CAST(NULL AS TIMESTAMP_LTZ) AS stamp
    FROM session_summaries
    UNION ALL
    SELECT
        'sessions' AS name,
        CAST(date_trunc('DAY', from_utc_timestamp(session_started_timestamp, :timezone)) AS DATE) AS day,
        session_started_timestamp AS stamp
    FROM sessions
    UNION ALL
    SELECT
        'variables' AS name,
        CAST(date_trunc('DAY', from_utc_timestamp(at, :timezone)) AS DATE) AS day,
        at AS stamp
    FROM variables
),
covered AS (
    SELECT
        name,
        min(day) AS first_day,
        max(day) AS last_day,
        count(DISTINCT day) AS days,
        max(stamp) AS latest,
        count(*) AS total
    FROM placed
    GROUP BY name
),
loaded AS (
    SELECT kind, max(loaded_at) AS last_loaded_at
    FROM loads
    GROUP BY kind
),
calendar AS (
    SELECT explode(sequence(:since, greatest(:since, :today), INTERVAL '1' DAY)) AS day
),
exported AS (
    SELECT *
    FROM (VALUES
        ('sessions'),
        ('deployments')
    ) AS listed (name)
),
full_days AS (
    SELECT name, day
    FROM placed
    UNION
    -- A file that was asked for the day, and loaded after its end.
    SELECT loads.kind AS name, calendar.day
    FROM loads
    INNER JOIN calendar
        ON calendar.day >= loads.window_from
            AND calendar.day <= loads.window_to
            AND calendar.day < CAST(
                date_trunc('DAY', from_utc_timestamp(loads.loaded_at, :timezone)) AS DATE
            )
),
lacking AS (
    SELECT exported.name, calendar.day
    FROM exported
    CROSS JOIN calendar
    LEFT JOIN full_days ON full_days.name = exported.name AND full_days.day = calendar.day
    WHERE calendar.day < :today AND full_days.day IS NULL
),
next_from AS (
    SELECT name, min(day) AS first_lacking
    FROM lacking
    GROUP BY name
),
next_to AS (
    SELECT lacking.name, max(lacking.day) AS last_reached
    FROM lacking
    INNER JOIN next_from ON next_from.name = lacking.name
    WHERE datediff(lacking.day, next_from.first_lacking) < 30
    GROUP BY lacking.name
),
windows AS (
    -- Counts export windows of 30 days: a day beyond the last window opens the next one.
    SELECT
        name,
        aggregate(
            sort_array(collect_list(CAST(datediff(day, DATE '1970-01-01') AS BIGINT))),
            named_struct('opened', CAST(-1000 AS BIGINT), 'windows', CAST(0 AS BIGINT)),
            (state, number) -> CASE
                WHEN number - state.opened >= 30 THEN named_struct(
                    'opened', number, 'windows', state.windows + CAST(1 AS BIGINT)
                )
                ELSE state
            END
        ) AS counted
    FROM lacking
    GROUP BY name
),
listed AS (
    SELECT *
    FROM (VALUES
        ('ad_spend'),
        ('agent_chats'),
        ('audience_tags'),
        ('closures'),
        ('conversions'),
        ('deployments'),
        ('events'),
        ('identities'),
        ('message_summaries'),
        ('messages'),
        ('meta_points'),
        ('nodes'),
        ('rates'),
        ('session_summaries'),
        ('sessions'),
        ('variables')
    ) AS tables (name)
)
SELECT
    CAST(listed.name AS STRING) AS `table`,
    CAST(covered.first_day AS DATE) AS first_day,
    CAST(covered.last_day AS DATE) AS last_day,
    CAST(coalesce(covered.days, 0) AS BIGINT) AS days,
    CAST(
        CASE
            WHEN listed.name NOT IN ('rates', 'audience_tags', 'identities', 'nodes')
                THEN coalesce(datediff(covered.last_day, covered.first_day) + 1 - covered.days, 0)
        END AS BIGINT
    ) AS missing_days,
    CAST(coalesce(covered.total, 0) AS BIGINT) AS `rows`,
    CAST(loaded.last_loaded_at AS TIMESTAMP_LTZ) AS last_loaded_at,
    CAST(next_from.first_lacking AS DATE) AS next_from,
    CAST(next_to.last_reached AS DATE) AS next_to,
    CAST(
        CASE WHEN exported.name IS NOT NULL THEN coalesce(windows.counted.windows, 0) END AS BIGINT
    ) AS windows_left,
    CAST(unix_micros(:now) - unix_micros(covered.latest) AS DOUBLE) / 3600000000 AS lag_hours
FROM listed
LEFT JOIN covered ON covered.name = listed.name
LEFT JOIN loaded ON loaded.kind = listed.name
LEFT JOIN exported ON exported.name = listed.name
LEFT JOIN next_from ON next_from.name = listed.name
LEFT JOIN next_to ON next_to.name = listed.name
LEFT JOIN windows ON windows.name = listed.name
ORDER BY `table` NULLS LAST
