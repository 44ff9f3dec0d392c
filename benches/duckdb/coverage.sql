-- How much of the time does each table cover, and what is to be exported next? On 2026-07-01.
WITH RECURSIVE placed AS (
    SELECT 'ad_spend' AS name, utc_day AS day FROM ad_spend
    UNION ALL
    SELECT 'audience_tags' AS name, utc_day AS day FROM audience_tags
    UNION ALL
    SELECT 'closures' AS name, utc_day AS day FROM closures
    UNION ALL
    SELECT 'conversions' AS name, utc_day AS day FROM conversions
    UNION ALL
    SELECT 'deployments' AS name, utc_day AS day FROM deployments
    UNION ALL
    SELECT 'message_summaries' AS name, utc_day AS day FROM message_summaries
    UNION ALL
    SELECT 'messages' AS name, utc_day AS day FROM messages
    UNION ALL
    SELECT 'meta_points' AS name, utc_day AS day FROM meta_points
    UNION ALL
    SELECT 'rates' AS name, utc_day AS day FROM rates
    UNION ALL
    SELECT 'session_summaries' AS name, utc_day AS day FROM session_summaries
    UNION ALL
    SELECT 'sessions' AS name, utc_day AS day FROM sessions
    UNION ALL
    SELECT 'variables' AS name, utc_day AS day FROM variables
),
covered AS (
    SELECT
        name, min(day) AS first_day, max(day) AS last_day, count(DISTINCT day) AS days,
        count(*) AS total
    FROM placed
    GROUP BY name
),
lacking AS (
    SELECT name, list_sort(list(day)) AS days
    FROM (
        SELECT
            unnest(range(DATE '2025-04-15', DATE '2026-07-01', INTERVAL 1 DAY))::DATE AS day, name
        FROM (VALUES ('sessions'), ('deployments')) AS exported (name)
    )
    ANTI JOIN (SELECT DISTINCT name, day FROM placed) AS there USING (name, day)
    GROUP BY name
),
-- A window is of thirty days at most, and the next one begins at the first day after that is lacking.
windows AS (
    SELECT name, days[1] AS opens, days FROM lacking
    UNION ALL
    SELECT name, list_filter(days, lambda day: day >= opens + 30)[1], days
    FROM windows
    WHERE len(list_filter(days, lambda day: day >= opens + 30)) > 0
),
next AS (
    SELECT name, next_from, windows_left, list_filter(
        days, lambda day: day < next_from + 30)[-1] AS next_to
    FROM (
        SELECT name, days, min(opens) AS next_from, count(*) AS windows_left
        FROM windows
        GROUP BY ALL
    )
),
loaded AS (
    SELECT kind, max(loaded_at) AS last_loaded_at FROM loads GROUP BY kind
)
SELECT
    listed.name AS "table",
    first_day,
    last_day,
    CAST(coalesce(days, 0) AS BIGINT) AS days,
    CAST(CASE WHEN listed.name NOT IN ('rates', 'audience_tags')
        THEN coalesce(last_day - first_day + 1 - days, 0) END AS BIGINT) AS missing_days,
    CAST(coalesce(total, 0) AS BIGINT) AS "rows",
    last_loaded_at,
    next_from,
    next_to,
    CAST(CASE WHEN listed.name IN ('sessions', 'deployments')
        THEN coalesce(windows_left, 0) END AS BIGINT) AS windows_left
FROM (VALUES
    ('ad_spend'), ('audience_tags'), ('closures'), ('conversions'), ('deployments'),
    ('message_summaries'), ('messages'), ('meta_points'), ('rates'), ('session_summaries'), ('sessions'), ('variables')
) AS listed (name)
LEFT JOIN covered ON covered.name = listed.name
LEFT JOIN next ON next.name = listed.name
LEFT JOIN loaded ON loaded.kind = listed.name
ORDER BY "table";
