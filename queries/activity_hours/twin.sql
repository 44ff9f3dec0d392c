-- When do users write? Sessions that start in the range; each event counts in the hour of its own stamp.
WITH in_range AS (
    SELECT
        {by_then}session_started_timestamp,
        first_message_timestamp,
        last_message_timestamp
    FROM {sessions}
    {tagged}
    WHERE (:from_at IS NULL OR session_started_timestamp >= :from_at)
        AND (:until_at IS NULL OR session_started_timestamp < :until_at)
),
stamps AS (
    SELECT
        {by_columns_then}from_utc_timestamp(session_started_timestamp, :timezone) AS clock,
        1 AS sessions,
        0 AS first_messages,
        0 AS last_messages
    FROM in_range
    UNION ALL
    SELECT {by_columns_then}from_utc_timestamp(first_message_timestamp, :timezone), 0, 1, 0
    FROM in_range
    WHERE first_message_timestamp IS NOT NULL
    UNION ALL
    SELECT {by_columns_then}from_utc_timestamp(last_message_timestamp, :timezone), 0, 0, 1
    FROM in_range
    WHERE last_message_timestamp IS NOT NULL
),
-- 1970-01-01 was a Thursday, 72 hours after the start of its week.
hours AS (
    SELECT
        {by_columns_then}pmod(CAST(floor(unix_micros(clock) / 3600000000) AS BIGINT) + 72, 168)
            AS hour_of_week,
        sessions,
        first_messages,
        last_messages
    FROM stamps
    UNION ALL
    SELECT {by_columns_then}CAST(each_hour AS BIGINT), 0, 0, 0
    FROM (SELECT explode(sequence(0, 167)) AS each_hour) AS week{each_group}
)
SELECT
    {by_columns_then}CAST(floor(hour_of_week / 24) + 1 AS BIGINT) AS weekday,
    CAST(pmod(hour_of_week, 24) AS BIGINT) AS hour,
    CAST(sum(sessions) AS BIGINT) AS sessions,
    CAST(sum(first_messages) AS BIGINT) AS first_messages,
    CAST(sum(last_messages) AS BIGINT) AS last_messages
FROM hours
GROUP BY {by_columns_then}hour_of_week
ORDER BY {by_order_then}weekday NULLS LAST, hour NULLS LAST
