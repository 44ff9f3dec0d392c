-- What did the ad's free hours bring? The first message after a click opens a window, in which messages would
-- have cost something. What ads cost is summed before it is joined with their clicks.
WITH {markets},
{deliveries},
{entry_windows},
{answered},
counted AS (
    SELECT
        {keys},
        count(*) AS clicks,
        count_if(is_pending) AS pending,
        count(took) AS answered,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY CAST(took AS DOUBLE)) / 1000000
            AS median_answer_seconds
    FROM answered
    GROUP BY {keys}
),
units AS (
    SELECT answered.*, deliveries.cost, deliveries.charged_in
    FROM answered
    INNER JOIN in_entry_windows ON in_entry_windows.click_id = answered.click_id
    INNER JOIN deliveries ON deliveries.whatsapp_id = in_entry_windows.whatsapp_id
),
inside AS (
    SELECT
        {keys},
        count(*) AS messages_inside,
        {cost} AS cost,
        array_join(sort_array(collect_set(charged_in)), '+') AS charged
    FROM units
    GROUP BY {keys}
),
advertised AS (
    SELECT
        {keys_of_spend},
        coalesce(ad_spend.currency, '?') AS currency,
        ad_spend.spend
    FROM ad_spend{ads_of_spend}
    WHERE :with_spend
        AND (:from_date IS NULL OR ad_spend.day >= :from_date)
        AND (:to_date IS NULL OR ad_spend.day <= :to_date)
),
spent_in AS (
    SELECT {keys}, currency, sum(spend) AS amount
    FROM advertised
    GROUP BY {keys}, currency
),
spent AS (
    SELECT
        {keys},
        CASE WHEN count(*) = 1 THEN max(amount) END AS spend,
        array_join(sort_array(collect_list(currency)), '+') AS spend_currency
    FROM spent_in
    GROUP BY {keys}
),
met AS (
    SELECT {keys} FROM counted
    UNION
    SELECT {keys} FROM spent
)
SELECT
    {answer_then}CAST(coalesce(counted.clicks, 0) AS BIGINT) AS clicks,
    CAST(coalesce(counted.pending, 0) AS BIGINT) AS pending,
    CAST(coalesce(counted.answered, 0) AS BIGINT) AS answered,
    CAST(counted.answered AS DOUBLE) * 100 / nullif(counted.clicks - counted.pending, 0)
        AS answered_pct,
    CAST(counted.median_answer_seconds AS DOUBLE) AS median_answer_seconds,
    CAST(coalesce(counted.clicks - counted.pending - counted.answered, 0) AS BIGINT) AS missed,
    CAST(coalesce(inside.messages_inside, 0) AS BIGINT) AS messages_inside,
    CAST(inside.cost AS DECIMAL(38, 6)) AS would_have_cost,
    CAST(nullif(nullif(inside.charged, '?'), '') AS STRING) AS currency,
    CAST(spent.spend AS DECIMAL(38, 6)) AS spend,
    CAST(nullif(spent.spend_currency, '?') AS STRING) AS spend_currency,
    CASE
        WHEN inside.messages_inside IS NULL THEN CAST(spent.spend AS DOUBLE) / counted.clicks
        WHEN coalesce(inside.charged, '') IN ('', spent.spend_currency)
            THEN CAST(spent.spend - inside.cost AS DOUBLE) / counted.clicks
    END AS net_per_click
FROM met
LEFT JOIN counted
    ON {is_counted}
LEFT JOIN inside
    ON {is_inside}
LEFT JOIN spent
    ON {is_spent}
ORDER BY
    {order}
