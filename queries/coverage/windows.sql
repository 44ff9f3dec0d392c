-- Which windows are to be exported, new or again, and which calls of Meta's API fetch its figures?
WITH placed AS (
    SELECT
        'sessions' AS name,
        CAST(date_trunc('DAY', from_utc_timestamp(session_started_timestamp, :timezone)) AS DATE) AS day,
        session_finished_timestamp IS NULL AS may_change
    FROM sessions
    UNION ALL
    SELECT
        'deployments' AS name,
        CAST(date_trunc('DAY', from_utc_timestamp(deployment_timestamp, :timezone)) AS DATE) AS day,
        delivery_status IN ('In Process', 'Sent')
            AND deployment_timestamp < :now - INTERVAL '24' HOUR AS may_change
    FROM deployments
),
calendar AS (
    SELECT explode(sequence(:since, greatest(:since, :today), INTERVAL '1' DAY)) AS day
),
exported AS (
    SELECT *
    FROM (VALUES
        ('sessions', 'open sessions'),
        ('deployments', 'in process')
    ) AS listed (name, why)
),
covered AS (
    SELECT name, day
    FROM placed
    WHERE day IS NOT NULL
    UNION
    SELECT loads.kind AS name, calendar.day
    FROM loads
    INNER JOIN calendar
        ON calendar.day >= loads.window_from
            AND calendar.day <= loads.window_to
            AND calendar.day < CAST(
                date_trunc('DAY', from_utc_timestamp(loads.loaded_at, :timezone)) AS DATE
            )
),
asked AS (
    SELECT exported.name, 'new' AS action, 'no rows' AS reason, calendar.day
    FROM exported
    CROSS JOIN calendar
    LEFT JOIN covered ON covered.name = exported.name AND covered.day = calendar.day
    WHERE calendar.day < :today AND covered.day IS NULL
    UNION ALL
    SELECT DISTINCT exported.name, 'again' AS action, exported.why AS reason, placed.day
    FROM placed
    INNER JOIN exported ON exported.name = placed.name
    WHERE placed.may_change AND placed.day < :today AND datediff(:today, placed.day) <= :again_days
),
-- A window opens at a day that the one before does not reach.
openings AS (
    SELECT
        name,
        action,
        reason,
        explode(
            aggregate(
                sort_array(collect_list(CAST(datediff(day, DATE '1970-01-01') AS BIGINT))),
                named_struct(
                    'opened', CAST(-1000 AS BIGINT), 'openings', CAST(array() AS ARRAY<BIGINT>)
                ),
                (state, number) -> CASE
                    WHEN number - state.opened >= 30 THEN named_struct(
                        'opened', number, 'openings', concat(state.openings, array(number))
                    )
                    ELSE state
                END
            ).openings
        ) AS opened
    FROM asked
    GROUP BY name, action, reason
),
exports AS (
    SELECT
        asked.name,
        asked.action,
        asked.reason,
        min(asked.day) AS first_day,
        max(asked.day) AS last_day,
        count(*) AS days
    FROM openings
    INNER JOIN asked
        ON asked.name = openings.name
            AND asked.action = openings.action
            AND datediff(asked.day, DATE '1970-01-01') - openings.opened BETWEEN 0 AND 29
    -- By the names of the days: of an opening, Sail takes them to be unique, for it was grouped by them.
    GROUP BY asked.name, asked.action, asked.reason, openings.opened
),
of_points AS (
    SELECT DISTINCT waba_id
    FROM meta_points
    WHERE waba_id IS NOT NULL
),
accounts AS (
    SELECT explode(:waba) AS waba_id
    UNION
    SELECT waba_id
    FROM of_points
    WHERE size(:waba) = 0
    UNION
    SELECT messages.waba_id
    FROM messages
    CROSS JOIN (SELECT count(*) AS accounts FROM of_points) AS known
    WHERE size(:waba) = 0 AND known.accounts = 0 AND messages.waba_id IS NOT NULL
),
fields AS (
    SELECT *
    FROM (VALUES
        {fields}
    ) AS listed (name, granularity, dimensions, first_days)
),
stored AS (
    SELECT
        waba_id,
        field,
        max(
            CAST(
                date_trunc(
                    'DAY',
                    CASE
                        WHEN field = 'template_analytics'
                            THEN from_utc_timestamp(timestamp_micros(`end` * 1000000), 'UTC')
                        ELSE from_utc_timestamp(timestamp_micros(`end` * 1000000), :timezone)
                    END
                ) AS DATE
            )
        ) AS stored_until
    FROM meta_points
    WHERE waba_id IS NOT NULL
    GROUP BY waba_id, field
),
templates AS (
    SELECT waba_id, template_id
    FROM meta_points
    WHERE waba_id IS NOT NULL AND template_id IS NOT NULL
    UNION
    SELECT waba_id, template_id
    FROM events
    WHERE waba_id IS NOT NULL AND template_id IS NOT NULL
),
numbered AS (
    SELECT
        waba_id,
        template_id,
        floor((row_number() OVER (PARTITION BY waba_id ORDER BY template_id) - 1) / 10) AS part
    FROM templates
),
parts AS (
    SELECT
        waba_id,
        part,
        concat('.template_ids(["', array_join(sort_array(collect_list(template_id)), '","'), '"])')
            AS template_ids
    FROM numbered
    GROUP BY waba_id, part
),
missing AS (
    SELECT
        accounts.waba_id,
        fields.name,
        fields.granularity,
        fields.dimensions,
        'new' AS action,
        fields.name AS reason,
        coalesce(stored.stored_until, date_sub(:today, fields.first_days)) AS first_day
    FROM accounts
    CROSS JOIN fields
    LEFT JOIN stored ON stored.waba_id = accounts.waba_id AND stored.field = fields.name
    UNION ALL
    SELECT
        accounts.waba_id,
        fields.name,
        fields.granularity,
        fields.dimensions,
        'again' AS action,
        'still counting' AS reason,
        date_sub(:today, 7) AS first_day
    FROM accounts
    CROSS JOIN fields
    WHERE fields.name = 'template_analytics'
),
bounded AS (
    SELECT
        missing.*,
        CASE
            WHEN name = 'template_analytics'
                THEN to_utc_timestamp(CAST(first_day AS TIMESTAMP_LTZ), 'UTC')
            ELSE to_utc_timestamp(CAST(first_day AS TIMESTAMP_LTZ), :timezone)
        END AS starts,
        CASE
            WHEN name = 'template_analytics'
                THEN to_utc_timestamp(CAST(:today AS TIMESTAMP_LTZ), 'UTC')
            ELSE to_utc_timestamp(CAST(:today AS TIMESTAMP_LTZ), :timezone)
        END AS ends
    FROM missing
    WHERE first_day < :today
),
called AS (
    SELECT
        bounded.action,
        bounded.reason,
        bounded.first_day,
        bounded.name,
        concat(
            '/', bounded.waba_id, '?fields=', bounded.name,
            '.start(', CAST(CAST(floor(unix_micros(bounded.starts) / 1000000) AS BIGINT) AS STRING),
            ').end(', CAST(CAST(floor(unix_micros(bounded.ends) / 1000000) AS BIGINT) AS STRING),
            ').granularity(', bounded.granularity, ')', bounded.dimensions,
            coalesce(parts.template_ids, '')
        ) AS call
    FROM bounded
    LEFT JOIN parts
        ON parts.waba_id = bounded.waba_id AND bounded.name = 'template_analytics'
    WHERE bounded.name <> 'template_analytics' OR parts.template_ids IS NOT NULL
),
listed AS (
    SELECT
        name AS `table`,
        action,
        first_day AS `from`,
        last_day AS `to`,
        days,
        reason,
        CAST(NULL AS STRING) AS call,
        CAST(NULL AS DATE) AS expires_on
    FROM exports
    UNION ALL
    SELECT
        'meta_points' AS `table`,
        action,
        first_day AS `from`,
        date_sub(:today, 1) AS `to`,
        datediff(:today, first_day) AS days,
        reason,
        call,
        CASE
            WHEN name = 'template_analytics'
                THEN date_add(first_day, CAST(:keeps_template_days AS INT))
            ELSE date_add(first_day, CAST(:keeps_days AS INT))
        END AS expires_on
    FROM called
)
SELECT
    CAST(`table` AS STRING) AS `table`,
    CAST(action AS STRING) AS action,
    CAST(`from` AS DATE) AS `from`,
    CAST(`to` AS DATE) AS `to`,
    CAST(days AS BIGINT) AS days,
    CAST(reason AS STRING) AS reason,
    CAST(call AS STRING) AS call,
    CAST(expires_on AS DATE) AS expires_on
FROM listed
ORDER BY
    `table` NULLS LAST,
    CASE action WHEN 'new' THEN 0 ELSE 1 END,
    `from` NULLS LAST,
    call NULLS LAST
