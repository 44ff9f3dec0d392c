-- How did sends end, and what does that mean? Deployments by state, with the states that are
-- empty.
WITH in_range AS (
    SELECT state
    FROM deployments
    WHERE (:from_at IS NULL OR deployment_timestamp >= :from_at)
        AND (:until_at IS NULL OR deployment_timestamp < :until_at)
        AND (
            (size(:conversation_id) = 0 AND NOT :conversation_id_none)
            OR array_contains(:conversation_id, conversation_id)
            OR (:conversation_id_none AND conversation_id IS NULL)
        )
        AND (
            (size(:conversation_version) = 0 AND NOT :conversation_version_none)
            OR array_contains(:conversation_version, conversation_version)
            OR (:conversation_version_none AND conversation_version IS NULL)
        )
),
listed AS (
    SELECT *
    FROM (VALUES
        {states}
    ) AS known (place, state, meaning)
),
states AS (
    SELECT
        listed.place,
        listed.state,
        listed.meaning,
        count(in_range.state) AS deployments
    FROM listed
    LEFT JOIN in_range ON in_range.state = listed.state
    GROUP BY listed.place, listed.state, listed.meaning
    UNION ALL
    SELECT
        CAST(NULL AS INT) AS place,
        CAST(NULL AS STRING) AS state,
        CAST(NULL AS STRING) AS meaning,
        count(*) AS deployments
    FROM in_range
    WHERE state IS NULL
    HAVING count(*) > 0
),
totals AS (
    SELECT count(*) AS deployments
    FROM in_range
)
SELECT
    CAST(states.state AS STRING) AS state,
    CAST(states.deployments AS BIGINT) AS deployments,
    CAST(states.deployments AS DOUBLE) * 100 / nullif(totals.deployments, 0) AS share_pct,
    CAST(states.meaning AS STRING) AS meaning
FROM states
CROSS JOIN totals
ORDER BY states.place NULLS LAST
