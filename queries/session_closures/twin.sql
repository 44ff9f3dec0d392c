-- Why do sessions end? Sessions that started in the range, by the first reason that holds.
WITH in_range AS (
    SELECT
        session_id,
        user_phone,
        session_status,
        unix_micros(session_started_timestamp) AS started,
        unix_micros(session_finished_timestamp) AS finished,
        unix_micros(last_message_timestamp) AS wrote
    FROM sessions
    WHERE (:from_at IS NULL OR session_started_timestamp >= :from_at)
        AND (:until_at IS NULL OR session_started_timestamp < :until_at)
),
begun AS (
    SELECT
        session_id,
        user_phone,
        unix_micros(session_started_timestamp) AS began
    FROM sessions
    UNION ALL
    SELECT
        session_id,
        user_phone,
        unix_micros(deployment_timestamp) AS began
    FROM deployments
    WHERE delivery_status <> 'Failed'
),
replaced AS (
    SELECT DISTINCT in_range.session_id
    FROM in_range
    INNER JOIN begun ON begun.user_phone = in_range.user_phone
    WHERE begun.session_id IS DISTINCT FROM in_range.session_id
        AND begun.began > in_range.started
        AND begun.began BETWEEN in_range.finished - :tolerance_seconds * 1000000
            AND in_range.finished + :tolerance_seconds * 1000000
),
parents AS (
    SELECT DISTINCT parent_session_id AS session_id
    FROM sessions
    WHERE parent_session_id IS NOT NULL
),
webhooks AS (
    SELECT session_id, count(*) AS events
    FROM closures
    WHERE session_id IS NOT NULL
    GROUP BY session_id
),
ended AS (
    SELECT
        CASE
            WHEN in_range.finished IS NULL THEN 1
            WHEN parents.session_id IS NOT NULL THEN 2
            WHEN in_range.session_status IN ('AGENTS', 'RATING') THEN 3
            WHEN replaced.session_id IS NOT NULL THEN 4
            WHEN in_range.finished
                >= coalesce(in_range.wrote, in_range.started) + :inactivity_minutes * 60000000 THEN 5
            WHEN abs(in_range.finished - in_range.wrote) <= :tolerance_seconds * 1000000 THEN 6
            ELSE 7
        END AS place,
        CASE
            WHEN in_range.finished >= in_range.started THEN in_range.finished - in_range.started
        END AS duration,
        webhooks.events
    FROM in_range
    LEFT JOIN parents ON parents.session_id = in_range.session_id
    LEFT JOIN replaced ON replaced.session_id = in_range.session_id
    LEFT JOIN webhooks ON webhooks.session_id = in_range.session_id
),
counted AS (
    SELECT
        place,
        count(*) AS sessions,
        sum(duration) AS duration,
        count(duration) AS durations,
        sum(events) AS events
    FROM ended
    GROUP BY place
),
reasons AS (
    SELECT *
    FROM (VALUES
        (1, 'open'),
        (2, 'redirected'),
        (3, 'agent'),
        (4, 'replaced'),
        (5, 'inactivity'),
        (6, 'final-block'),
        (7, 'unknown')
    ) AS named (place, name)
),
listed AS (
    SELECT
        reasons.place,
        reasons.name,
        coalesce(counted.sessions, 0) AS sessions,
        counted.duration,
        counted.durations,
        coalesce(counted.events, 0) AS events
    FROM reasons
    LEFT JOIN counted ON counted.place = reasons.place
),
answer AS (
    SELECT
        place,
        CAST(name AS STRING) AS closing_reason,
        CAST(sessions AS BIGINT) AS sessions,
        CAST(sessions AS DOUBLE) * 100 / nullif(sum(sessions) OVER (), 0) AS share_pct,
        CAST(duration AS DOUBLE) / nullif(durations, 0) / 1000000 AS avg_duration_seconds,
        CAST(events AS BIGINT) AS webhook_events
    FROM listed
)
SELECT closing_reason, sessions, share_pct, avg_duration_seconds, webhook_events
FROM answer
ORDER BY place
