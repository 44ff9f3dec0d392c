-- Which ads and posts start sessions, how long do they last, what do they earn? What ads cost is
-- summed before it is joined with sessions.
WITH {names_then}sourced AS (
    SELECT
        {keys_of_sessions},
        sessions.session_id,
        sessions.user_phone,
        sessions.session_started_timestamp,
        sessions.session_finished_timestamp,
        sessions.meta_source_headline,
        coalesce(sessions.meta_source_type, 'Ad') = 'Ad' AS is_of_ad,
        CASE
            WHEN session_finished_timestamp >= session_started_timestamp
                THEN unix_micros(session_finished_timestamp)
                    - unix_micros(session_started_timestamp)
        END AS duration
    FROM {sessions}{ads_of_sessions}
    WHERE sessions.meta_source_id IS NOT NULL
        AND (:from_at IS NULL OR session_started_timestamp >= :from_at)
        AND (:until_at IS NULL OR session_started_timestamp < :until_at)
),
counted AS (
    SELECT
        {keys},
        count(*) AS sessions,
        count(CASE WHEN is_of_ad THEN 1 END) AS ad_sessions,
        count(DISTINCT user_phone) AS users,
        count(session_finished_timestamp) AS finished_sessions,
        CAST(sum(duration) AS DOUBLE) / nullif(count(duration), 0) / 1000000
            AS avg_duration_seconds,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY CAST(duration AS DOUBLE)) / 1000000
            AS median_duration_seconds
    FROM sourced
    GROUP BY {keys}
),
{headed_then}{attributed},
matched AS (
    SELECT
        sourced.*,
        attributed.event,
        attributed.value,
        coalesce(attributed.currency, '?') AS currency
    FROM sourced
    INNER JOIN attributed ON attributed.converted_session_id = sourced.session_id
),
converted AS (
    SELECT {groups}, count(*) AS conversions
    FROM matched
    GROUP BY {groups}
),
earned_in AS (
    SELECT {groups}, currency, sum(value) AS amount
    FROM matched
    WHERE value IS NOT NULL
    GROUP BY {groups}, currency
),
earned AS (
    SELECT
        {groups},
        CASE WHEN count(*) = 1 THEN max(amount) END AS revenue,
        array_join(sort_array(collect_list(currency)), '+') AS revenue_currency
    FROM earned_in
    GROUP BY {groups}
),
advertised AS (
    SELECT
        {keys_of_spend},
        coalesce(ad_spend.currency, '?') AS currency,
        ad_spend.spend,
        ad_spend.impressions,
        ad_spend.clicks
    FROM ad_spend{ads_of_spend}
    WHERE :with_spend
        AND (:from_date IS NULL OR ad_spend.day >= :from_date)
        AND (:to_date IS NULL OR ad_spend.day <= :to_date)
),
spent_in AS (
    SELECT
        {keys},
        currency,
        sum(spend) AS amount,
        sum(impressions) AS impressions,
        sum(clicks) AS clicks
    FROM advertised
    GROUP BY {keys}, currency
),
spent AS (
    SELECT
        {keys},
        CASE WHEN count(*) = 1 THEN max(amount) END AS spend,
        array_join(sort_array(collect_list(currency)), '+') AS spend_currency,
        sum(impressions) AS impressions,
        sum(clicks) AS clicks
    FROM spent_in
    GROUP BY {keys}
),
met AS (
    SELECT {keys} FROM counted
    UNION
    SELECT {keys} FROM spent
),
known AS (
    SELECT count(*) AS conversions FROM conversions
)
SELECT
    {answer_then}CAST(coalesce(counted.sessions, 0) AS BIGINT) AS sessions,
    CAST(coalesce(counted.users, 0) AS BIGINT) AS users,
    CAST(coalesce(counted.finished_sessions, 0) AS BIGINT) AS finished_sessions,
    CAST(counted.avg_duration_seconds AS DOUBLE) AS avg_duration_seconds,
    CAST(counted.median_duration_seconds AS DOUBLE) AS median_duration_seconds,
    CAST(spent.spend AS DECIMAL(38, 6)) AS spend,
    CAST(nullif(spent.spend_currency, '?') AS STRING) AS spend_currency,
    CAST(coalesce(converted.conversions, 0) AS BIGINT) AS conversions,
    CAST(earned.revenue AS DECIMAL(38, 6)) AS revenue,
    CAST(nullif(earned.revenue_currency, '?') AS STRING) AS revenue_currency,
    CAST(spent.spend AS DOUBLE) / counted.sessions AS cost_per_session,
    CASE
        WHEN known.conversions = 0 OR spent.spend = 0 THEN NULL
        WHEN earned.revenue_currency IS NULL THEN 0 * CAST(spent.spend AS DOUBLE)
        WHEN earned.revenue_currency = spent.spend_currency
            THEN CAST(earned.revenue AS DOUBLE) / CAST(spent.spend AS DOUBLE)
    END AS roas,
    CAST(spent.impressions AS BIGINT) AS impressions,
    CAST(spent.clicks AS BIGINT) AS clicks,
    CAST(coalesce(counted.ad_sessions, 0) AS DOUBLE) * 100 / nullif(spent.clicks, 0)
        AS chat_rate_pct
FROM met
CROSS JOIN known
LEFT JOIN counted
    ON {is_counted}{join_headed}
LEFT JOIN converted
    ON {is_converted}
LEFT JOIN earned
    ON {is_earned}
LEFT JOIN spent
    ON {is_spent}
ORDER BY
    {order}
