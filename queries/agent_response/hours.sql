-- Quarters of an hour from the first begin of a response to the last end: no change of a clock cuts
-- one.
bounds AS (
    SELECT
        CAST((min(begins) - pmod(min(begins), 900000000)) / 900000000 AS BIGINT) AS first_step,
        CAST((max(answered) - pmod(max(answered), 900000000)) / 900000000 AS BIGINT) AS last_step
    FROM chats
    WHERE answered >= begins
),
steps AS (
    SELECT explode(sequence(first_step, last_step)) AS step
    FROM bounds
),
clocks AS (
    SELECT
        step * 900000000 AS tick,
        unix_micros(from_utc_timestamp(timestamp_micros(step * 900000000), :timezone)) AS shown
    FROM steps
),
-- The time since midnight, and the days since 1970-01-01, a Thursday.
ticks AS (
    SELECT
        tick,
        pmod(shown, 86400000000) AS since_midnight,
        CAST((shown - pmod(shown, 86400000000)) / 86400000000 AS BIGINT) AS local_day
    FROM clocks
),
openings AS (
    SELECT *
    FROM (VALUES
        {openings}
    ) AS listed (weekday, opens, closes)
),
-- The part of each quarter that is open, or several.
worked AS (
    SELECT
        ticks.tick,
        greatest(openings.opens - ticks.since_midnight, CAST(0 AS BIGINT)) AS opens,
        least(openings.closes - ticks.since_midnight, CAST(900000000 AS BIGINT)) AS closes
    FROM ticks
    INNER JOIN openings
        ON openings.weekday = pmod(ticks.local_day + 3, 7)
            AND openings.opens < ticks.since_midnight + 900000000
            AND openings.closes > ticks.since_midnight
    WHERE NOT array_contains(:holidays, ticks.local_day)
),
sums AS (
    SELECT tick, sum(closes - opens) AS open_micros
    FROM worked
    GROUP BY tick
),
running AS (
    SELECT
        ticks.tick,
        coalesce(
            sum(sums.open_micros) OVER (
                ORDER BY ticks.tick
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ),
            0
        ) AS open_before
    FROM ticks
    LEFT JOIN sums ON sums.tick = ticks.tick
),
moments AS (
    SELECT begins AS moment FROM chats WHERE answered >= begins
    UNION
    SELECT answered AS moment FROM chats WHERE answered >= begins
),
inside AS (
    SELECT
        moments.moment,
        sum(
            greatest(
                least(moments.moment - worked.tick, worked.closes) - worked.opens,
                CAST(0 AS BIGINT)
            )
        ) AS open_micros
    FROM moments
    INNER JOIN worked ON worked.tick = moments.moment - pmod(moments.moment, 900000000)
    GROUP BY moments.moment
),
-- How long it was open until each moment: in the quarters before it, and in its own.
reached AS (
    SELECT
        moments.moment,
        running.open_before + coalesce(inside.open_micros, 0) AS open_until
    FROM moments
    INNER JOIN running ON running.tick = moments.moment - pmod(moments.moment, 900000000)
    LEFT JOIN inside ON inside.moment = moments.moment
),
timed AS (
    SELECT
        chats.*,
        CASE
            WHEN chats.answered >= chats.begins THEN ends.open_until - starts.open_until
        END AS response
    FROM chats
    LEFT JOIN reached AS starts ON starts.moment = chats.begins
    LEFT JOIN reached AS ends ON ends.moment = chats.answered
)
