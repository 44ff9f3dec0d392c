-- Which templates wear out? Template messages by template, with the stops that belong to them, and
-- the latest events of each template.
WITH {stopped},
codes AS (
    SELECT *
    FROM (VALUES
        {codes}
    ) AS listed (code, state)
),
sent AS (
    SELECT
        template_name,
        whatsapp_id,
        error_code,
        {outcomes}
    FROM {messages}
    WHERE message_type = 'template'
        AND (:from_at IS NULL OR created_at >= :from_at)
        AND (:until_at IS NULL OR created_at < :until_at)
),
counted AS (
    SELECT
        template_name,
        count(*) AS created,
        count_if(delivered) AS delivered,
        count_if(read) AS read,
        count_if(failed AND NOT delivered AND codes.state = 'template_paused') AS paused_failures,
        count(stopped_id) AS stops
    FROM sent
    LEFT JOIN codes ON codes.code = sent.error_code
    LEFT JOIN stopped ON stopped.stopped_id = sent.whatsapp_id
    GROUP BY template_name
),
-- The latest event of each kind first; those without a new value come last.
told AS (
    SELECT
        template_name,
        event,
        at,
        new_value,
        row_number() OVER (
            PARTITION BY template_name, event
            ORDER BY CASE WHEN new_value IS NULL THEN 1 ELSE 0 END, at DESC, new_value DESC
        ) AS turn
    FROM {events}
    WHERE event IN ('template-status', 'template-quality', 'template-category')
        AND (:until_at IS NULL OR at < :until_at)
),
reported AS (
    SELECT
        template_name,
        max(CASE WHEN event = 'template-status' AND turn = 1 THEN new_value END) AS status,
        max(
            CASE
                WHEN event = 'template-status' AND turn = 1 AND new_value IS NOT NULL THEN at
            END
        ) AS status_since,
        max(CASE WHEN event = 'template-quality' AND turn = 1 THEN new_value END) AS quality,
        max(
            CASE
                WHEN event = 'template-quality' AND turn = 1 AND new_value IS NOT NULL THEN at
            END
        ) AS quality_since,
        max(CASE WHEN event = 'template-category' AND turn = 1 THEN new_value END) AS category,
        count_if(
            event = 'template-status'
            AND new_value = 'PAUSED'
            AND (:from_at IS NULL OR at >= :from_at)
        ) AS pauses
    FROM told
    GROUP BY template_name
),
templates AS (
    SELECT template_name FROM counted
    UNION
    SELECT template_name FROM reported
),
answer AS (
    SELECT
        CAST(templates.template_name AS STRING) AS template_name,
        CAST(reported.status AS STRING) AS status,
        CAST(reported.status_since AS TIMESTAMP_LTZ) AS status_since,
        CAST(reported.quality AS STRING) AS quality,
        CAST(reported.quality_since AS TIMESTAMP_LTZ) AS quality_since,
        CAST(reported.category AS STRING) AS category,
        CAST(coalesce(reported.pauses, 0) AS BIGINT) AS pauses,
        CAST(coalesce(counted.created, 0) AS BIGINT) AS created,
        CAST(coalesce(counted.delivered, 0) AS BIGINT) AS delivered,
        CAST(counted.delivered AS DOUBLE) * 100 / nullif(counted.created, 0) AS delivered_pct,
        CAST(coalesce(counted.read, 0) AS BIGINT) AS read,
        CAST(counted.read AS DOUBLE) * 100 / nullif(counted.delivered, 0) AS read_pct,
        CAST(coalesce(counted.paused_failures, 0) AS BIGINT) AS paused_failures,
        CAST(coalesce(counted.stops, 0) AS BIGINT) AS stops,
        CAST(counted.stops AS DOUBLE) * 100 / nullif(counted.delivered, 0) AS stop_pct
    FROM templates
    LEFT JOIN counted ON counted.template_name <=> templates.template_name
    LEFT JOIN reported ON reported.template_name <=> templates.template_name
)
SELECT
    template_name, status, status_since, quality, quality_since, category, pauses, created,
    delivered, delivered_pct, read, read_pct, paused_failures, stops, stop_pct
FROM answer
ORDER BY
    delivered DESC NULLS LAST,
    template_name NULLS LAST
