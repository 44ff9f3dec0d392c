-- Was the clock of an export the one that the load took it for? Differences between the stamps of
-- one event in two tables, by month, and the zones whose offset explains the most frequent one.
WITH {clock_pairs},
judged AS (
    SELECT *
    FROM clock_pairs
    WHERE (:from_at IS NULL OR reference_at >= :from_at)
        AND (:until_at IS NULL OR reference_at < :until_at)
),
{clock_months},
noons AS (
    SELECT
        of_table,
        month,
        mode_minutes,
        -- Of the 15th, UTC.
        timestamp_micros(
            CAST(datediff(month, DATE '1970-01-01') + 14 AS BIGINT) * 86400000000 + 43200000000
        ) AS noon
    FROM clock_months
    WHERE mode_minutes IS NOT NULL
),
in_zones AS (
    {candidates}
),
matching AS (
    SELECT of_table, month, zone
    FROM in_zones
    WHERE unix_micros(local_noon) - unix_micros(noon) = mode_minutes * 60000000
),
zones_of_month AS (
    SELECT of_table, month, array_join(sort_array(collect_list(zone)), '+') AS zones
    FROM matching
    GROUP BY of_table, month
),
zones_of_all AS (
    SELECT
        of_table,
        array_join(sort_array(collect_list(zone)), '+') AS zones
    FROM (
        SELECT of_table, zone, count(*) AS months
        FROM matching
        GROUP BY of_table, zone
    ) AS each_zone
    INNER JOIN (
        SELECT of_table AS noons_of, count(*) AS all_months
        FROM noons
        GROUP BY of_table
    ) AS all_noons ON noons_of = of_table AND all_months = months
    GROUP BY of_table
),
answer AS (
    SELECT
        clock_months.of_table,
        clock_months.reference,
        clock_months.month,
        clock_months.month_pairs AS pairs,
        clock_months.mode_minutes,
        CAST(clock_months.pairs_at_mode AS DOUBLE) * 100 / clock_months.month_pairs
            AS share_at_mode_pct,
        zones_of_month.zones
    FROM clock_months
    LEFT JOIN zones_of_month
        ON zones_of_month.of_table = clock_months.of_table
            AND zones_of_month.month = clock_months.month
    UNION ALL
    SELECT
        totals.of_table,
        totals.reference,
        CAST(NULL AS DATE) AS month,
        totals.pairs,
        CAST(NULL AS BIGINT) AS mode_minutes,
        CAST(NULL AS DOUBLE) AS share_at_mode_pct,
        zones_of_all.zones
    FROM (
        SELECT of_table, reference, sum(month_pairs) AS pairs
        FROM clock_months
        GROUP BY of_table, reference
    ) AS totals
    LEFT JOIN zones_of_all ON zones_of_all.of_table = totals.of_table
)
SELECT
    CAST(of_table AS STRING) AS `table`,
    CAST(reference AS STRING) AS reference,
    month,
    CAST(pairs AS BIGINT) AS pairs,
    CAST(mode_minutes AS BIGINT) AS mode_minutes,
    CAST(share_at_mode_pct AS DOUBLE) AS share_at_mode_pct,
    CAST(zones AS STRING) AS zones
FROM answer
ORDER BY `table` NULLS LAST, month NULLS LAST
