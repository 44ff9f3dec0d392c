-- Faster than the twin by the hashes of sessions: the twin also joins by parents, which have none.
WITH ended AS (
    SELECT
        session_key,
        session_id,
        user_key,
        session_status,
        epoch_us(session_started_timestamp) AS started,
        epoch_us(session_finished_timestamp) AS finished,
        epoch_us(last_message_timestamp) AS wrote
    FROM sessions
),
begun AS (
    SELECT user_key, session_key, started AS began FROM ended WHERE user_key IS NOT NULL
    UNION ALL
    SELECT user_key, session_key, epoch_us(deployment_timestamp)
    FROM deployments
    WHERE delivery_status <> 'Failed' AND user_key IS NOT NULL
),
replaced AS (
    SELECT DISTINCT ended.session_key
    FROM ended
    JOIN begun USING (user_key)
    WHERE begun.session_key IS DISTINCT FROM ended.session_key
        AND began > started
        AND began BETWEEN finished - 60000000 AND finished + 60000000
),
parents AS (
    SELECT DISTINCT parent_session_id AS session_id
    FROM sessions
    WHERE parent_session_id IS NOT NULL
),
told AS (
    SELECT session_key, count(*) AS events
    FROM closures
    WHERE session_key IS NOT NULL
    GROUP BY session_key
),
placed AS (
    SELECT
        CASE
            WHEN finished IS NULL THEN 1
            WHEN parents.session_id IS NOT NULL THEN 2
            WHEN session_status IN ('AGENTS', 'RATING') THEN 3
            WHEN replaced.session_key IS NOT NULL THEN 4
            WHEN abs(finished - wrote) <= 60000000 THEN 6
            ELSE 7
        END AS place,
        CASE WHEN finished >= started THEN finished - started END AS duration,
        events
    FROM ended
    LEFT JOIN parents ON parents.session_id = ended.session_id
    LEFT JOIN replaced ON replaced.session_key = ended.session_key
    LEFT JOIN told ON told.session_key = ended.session_key
),
counted AS (
    SELECT
        place, count(*) AS sessions, avg(duration) AS mean_duration, sum(events) AS webhook_events
    FROM placed
    GROUP BY place
)
SELECT
    [
        'open', 'redirected', 'agent', 'replaced', 'inactivity', 'final-block', 'unknown'
    ][number] AS closing_reason,
    CAST(coalesce(sessions, 0) AS BIGINT) AS sessions,
    CAST(100.0 * coalesce(sessions, 0) / sum(sessions) OVER () AS DOUBLE) AS share_pct,
    CAST(mean_duration / 1e6 AS DOUBLE) AS avg_duration_seconds,
    CAST(coalesce(webhook_events, 0) AS BIGINT) AS webhook_events
FROM range(1, 8) AS numbers (number)
LEFT JOIN counted ON counted.place = number
ORDER BY number;
