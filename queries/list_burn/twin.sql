-- What does a campaign cost in reach? Delivered deployments by the next one to the same person that
-- tells if the person can still be reached.
WITH {followed},
in_range AS (
    SELECT
        {by},
        sequel
    FROM {sent}
    {tagged}
    WHERE (:from_at IS NULL OR deployment_timestamp >= :from_at)
        AND (:until_at IS NULL OR deployment_timestamp < :until_at)
),
counted AS (
    SELECT
        {by_columns},
        count(*) AS delivered,
        count(sequel) AS eligible,
        count_if(sequel = 'blocked_or_outdated') AS blocked,
        count_if(sequel = 'excluded') AS excluded,
        count_if(sequel = 'invalid_number') AS invalid,
        count_if(sequel <> 'delivered') AS lost
    FROM in_range
    GROUP BY {by_columns}
)
SELECT
    {by_columns},
    CAST(delivered AS BIGINT) AS delivered,
    CAST(eligible AS BIGINT) AS eligible,
    CAST(blocked AS BIGINT) AS blocked,
    CAST(excluded AS BIGINT) AS excluded,
    CAST(invalid AS BIGINT) AS invalid,
    CAST(lost AS BIGINT) AS lost,
    CAST(lost AS DOUBLE) * 100 / nullif(eligible, 0) AS lost_pct,
    {lost_low} AS lost_low,
    {lost_high} AS lost_high
FROM counted
ORDER BY {by_order}
