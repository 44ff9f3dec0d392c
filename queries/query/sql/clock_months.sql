clock_counts AS (
    SELECT of_table, reference, month, minutes, count(*) AS pairs
    FROM judged
    GROUP BY of_table, reference, month, minutes
),
clock_places AS (
    SELECT
        clock_counts.*,
        sum(pairs) OVER (PARTITION BY of_table, month) AS month_pairs,
        row_number() OVER (
            PARTITION BY of_table, month
            ORDER BY pairs DESC NULLS LAST, abs(minutes) NULLS LAST, minutes NULLS LAST
        ) AS place
    FROM clock_counts
),
clock_months AS (
    SELECT
        of_table,
        reference,
        month,
        month_pairs,
        pairs AS pairs_at_mode,
        CASE
            WHEN month_pairs >= :min_pairs AND pairs * 100 >= month_pairs * :min_share_pct
            THEN minutes
        END AS mode_minutes
    FROM clock_places
    WHERE place = 1
)
