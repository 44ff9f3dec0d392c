-- Why do sessions end? Sessions that started in the range, by the first reason that holds.
WITH {ended},
counted AS (
    SELECT
        {by_columns_then}place,
        count(*) AS sessions,
        sum(duration) AS duration,
        count(duration) AS durations,
        sum(events) AS events
    FROM ended
    GROUP BY {by_columns_then}place
),
totals AS (
    SELECT {by_columns_then}sum(sessions) AS all_sessions
    FROM counted
    {group_by}
),
listed AS (
    SELECT
        {here_by_then}here.all_sessions,
        reasons.place,
        reasons.name,
        coalesce(there.sessions, 0) AS sessions,
        there.duration,
        there.durations,
        coalesce(there.events, 0) AS events
    FROM totals AS here
    CROSS JOIN reasons
    LEFT JOIN counted AS there ON there.place = reasons.place{and_by}
),
answer AS (
    SELECT
        {by_columns_then}place,
        CAST(name AS STRING) AS closing_reason,
        CAST(sessions AS BIGINT) AS sessions,
        CAST(sessions AS DOUBLE) * 100 / nullif(all_sessions, 0) AS share_pct,
        CAST(duration AS DOUBLE) / nullif(durations, 0) / 1000000 AS avg_duration_seconds,
        CAST(events AS BIGINT) AS webhook_events
    FROM listed
)
SELECT
    {by_columns_then}closing_reason, sessions, share_pct, avg_duration_seconds, webhook_events
FROM answer
ORDER BY {by_order_then}place
