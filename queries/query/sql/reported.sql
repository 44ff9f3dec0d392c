-- Meta's own points. Several responses may cover a bucket: the one with the fewest dimensions is preferred.
reported AS (
    SELECT
        *,
        dense_rank() OVER (
            PARTITION BY field, waba_id, start, `end`
            ORDER BY
                CASE WHEN dimensions IS NULL THEN 0 ELSE size(split(dimensions, ',')) END,
                dimensions NULLS LAST
        ) AS preference
    FROM meta_points
    WHERE :source = 'meta'
        AND granularity = :granularity
        AND (:first_at IS NULL OR start * 1000000 >= unix_micros(:first_at))
        AND (:until_at IS NULL OR start * 1000000 < unix_micros(:until_at))
        AND (
            (size(:waba) = 0 AND NOT :waba_none)
            OR array_contains(:waba, waba_id)
            OR (:waba_none AND waba_id IS NULL)
        ){including}
)
