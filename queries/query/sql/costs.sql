-- What the units of each row cost, beside the answer.
WITH {markets},
{priced},
costs AS (
    SELECT
        {of_group_then}{cost} AS cost,
        nullif(nullif(array_join(sort_array(collect_set(charged_in)), '+'), '?'), '')
            AS cost_currency
    FROM (
        {units}
    ) AS units
    {group_units}
),
answer AS (
    {answer}
)
SELECT
    here.*,
    CAST(there.cost AS DOUBLE) AS cost,
    CAST(there.cost_currency AS STRING) AS cost_currency{per}
FROM answer AS here
LEFT JOIN costs AS there
    ON {matches}
ORDER BY{order}
