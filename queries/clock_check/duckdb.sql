-- Faster than the twin by the hashes of sessions, and by windows over integers: two sends at one instant are
-- both near what either is near, so the person and the instant stand for one.
WITH near AS (
    SELECT
        sent.at AS sent_at,
        templates.at AS template_at,
        count(*) OVER (PARTITION BY user_key, sent.at) AS templates,
        count(*) OVER (PARTITION BY user_key, templates.at) AS sends
    FROM (
        SELECT user_key, epoch_us(deployment_delivered_timestamp) AS at
        FROM deployments
        WHERE deployment_delivered_timestamp IS NOT NULL
    ) AS sent
    JOIN (
        SELECT user_key, epoch_us(delivered_at) AS at
        FROM messages
        WHERE message_type = 'template' AND delivered_at IS NOT NULL
    ) AS templates USING (user_key)
    WHERE abs(sent.at - templates.at) <= 54000000000
),
pairs AS (
    SELECT
        'sessions' AS of_table,
        'closures' AS reference,
        closed AS reference_at,
        finished - closed AS apart
    FROM (
        SELECT session_key, epoch_us(session_finished_timestamp) AS finished
        FROM sessions
        WHERE session_finished_timestamp IS NOT NULL
    ) AS finishes
    JOIN (
        SELECT session_key, epoch_us(max(closed_at)) AS closed
        FROM closures
        WHERE session_key IS NOT NULL
        GROUP BY session_key
    ) AS last_closures USING (session_key)
    UNION ALL
    SELECT 'deployments', 'messages', template_at, sent_at - template_at
    FROM near
    WHERE templates = 1 AND sends = 1
),
counts AS (
    SELECT
        of_table,
        reference,
        CAST(date_trunc('month', make_timestamp(reference_at)) AS DATE) AS month,
        CAST(floor((apart + 450000000) / 900000000) * 15 AS BIGINT) AS minutes,
        count(*) AS pairs
    FROM pairs
    GROUP BY ALL
),
months AS (
    SELECT
        of_table,
        reference,
        month,
        CAST(sum(pairs) AS BIGINT) AS pairs,
        CASE
            WHEN sum(pairs) >= 30 AND max(pairs) * 100 >= sum(pairs) * 60
            THEN list(minutes ORDER BY pairs DESC, abs(minutes), minutes)[1]
        END AS mode_minutes,
        CAST(100.0 * max(pairs) / sum(pairs) AS DOUBLE) AS share_at_mode_pct,
        make_timestamptz(epoch_us(month + INTERVAL '14 days 12 hours')) AS noon
    FROM counts
    GROUP BY of_table, reference, month
),
matching AS (
    SELECT of_table, month, zone
    FROM months
    CROSS JOIN unnest([
        'UTC', 'America/Argentina/Buenos_Aires', 'America/Bogota', 'America/Lima',
        'America/Los_Angeles', 'America/Mexico_City', 'America/New_York', 'America/Santiago',
        'America/Sao_Paulo', 'Europe/Madrid'
    ]) AS candidates (zone)
    WHERE epoch_us(noon AT TIME ZONE zone) - epoch_us(noon) = mode_minutes * 60000000
),
answer AS (
    SELECT
        of_table, reference, month, pairs, mode_minutes, share_at_mode_pct,
        string_agg(zone, '+' ORDER BY zone) AS zones
    FROM months
    LEFT JOIN matching USING (of_table, month)
    GROUP BY ALL
    UNION ALL
    SELECT of_table, reference, NULL, pairs, NULL, NULL, zones
    FROM (
        SELECT
            of_table, reference, CAST(sum(pairs) AS BIGINT) AS pairs, count(mode_minutes) AS modes
        FROM months
        GROUP BY of_table, reference
    ) AS totals
    LEFT JOIN (
        SELECT of_table, months AS modes, string_agg(zone, '+' ORDER BY zone) AS zones
        FROM (SELECT of_table, zone, count(*) AS months FROM matching GROUP BY of_table, zone)
        GROUP BY of_table, months
    ) AS of_all USING (of_table, modes)
)
SELECT
    of_table AS "table", reference, month, pairs, mode_minutes, share_at_mode_pct, zones
FROM answer
ORDER BY of_table, month NULLS LAST;
