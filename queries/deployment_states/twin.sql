-- How did sends end, and what does that mean? Deployments by state, with the states that are
-- empty.
WITH in_range AS (
    SELECT {by_then}state
    FROM {deployments}
    {tagged}
    WHERE (:from_at IS NULL OR deployment_timestamp >= :from_at)
        AND (:until_at IS NULL OR deployment_timestamp < :until_at)
),
listed AS (
    SELECT *
    FROM (VALUES
        {states}
    ) AS known (place, state, meaning)
),
counted AS (
    SELECT
        {by_columns_then}state,
        count(*) AS deployments
    FROM in_range
    GROUP BY {by_columns_then}state
),
-- A row for each group; without a split one row, even if nothing was sent.
totals AS (
    SELECT {by_columns_then}count(*) AS deployments
    FROM in_range
    {group_by}
),
states AS (
    SELECT
        {here_by_then}listed.place,
        listed.state,
        listed.meaning,
        coalesce(there.deployments, 0) AS deployments,
        here.deployments AS of_group
    FROM totals AS here
    CROSS JOIN listed
    LEFT JOIN counted AS there ON there.state = listed.state{and_by}
    UNION ALL
    SELECT
        {here_by_then}CAST(NULL AS INT) AS place,
        CAST(NULL AS STRING) AS state,
        CAST(NULL AS STRING) AS meaning,
        here.deployments,
        there.deployments AS of_group
    FROM counted AS here
    INNER JOIN totals AS there ON 1 = 1{and_by}
    WHERE here.state IS NULL
)
SELECT
    {by_columns_then}CAST(state AS STRING) AS state,
    CAST(deployments AS BIGINT) AS deployments,
    CAST(deployments AS DOUBLE) * 100 / nullif(of_group, 0) AS share_pct,
    CAST(meaning AS STRING) AS meaning
FROM states
ORDER BY {by_order_then}states.place NULLS LAST
