-- How fast do agents answer? Chats, with the time from their assignment to the first message.
WITH {asked},
counted AS (
    SELECT
        {by_columns},
        count(*) AS chats,
        count(answered) AS answered,
        count(response) AS responses,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY CAST(response AS DOUBLE)) / 1000000
            AS response_p50_seconds,
        percentile_cont(0.9) WITHIN GROUP (ORDER BY CAST(response AS DOUBLE)) / 1000000
            AS response_p90_seconds,
        count_if(response <= :sla_seconds * 1000000) AS within_sla,
        count(finished_at) AS finished,
        count_if(finish_type = 'AUTO') AS auto_finished,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY CAST(resolution AS DOUBLE)) / 1000000
            AS resolution_p50_seconds,
        count(last_transfer_from) AS transferred,
        count(rating) AS rated,
        sum(rating) AS ratings
    FROM asked
    GROUP BY {by_columns}
)
SELECT
    {by_columns},
    CAST(chats AS BIGINT) AS chats,
    CAST(answered AS BIGINT) AS answered,
    CAST(chats - answered AS BIGINT) AS unanswered,
    CAST(response_p50_seconds AS DOUBLE) AS response_p50_seconds,
    CAST(response_p90_seconds AS DOUBLE) AS response_p90_seconds,
    CAST(within_sla AS BIGINT) AS within_sla,
    CAST(CAST(within_sla AS DOUBLE) * 100 / nullif(responses, 0) AS DOUBLE) AS within_sla_pct,
    CAST(finished AS BIGINT) AS finished,
    CAST(auto_finished AS BIGINT) AS auto_finished,
    CAST(resolution_p50_seconds AS DOUBLE) AS resolution_p50_seconds,
    CAST(transferred AS BIGINT) AS transferred,
    CAST(rated AS BIGINT) AS rated,
    CAST(CAST(ratings AS DOUBLE) / nullif(rated, 0) AS DOUBLE) AS avg_rating
FROM counted
ORDER BY {by_order}
