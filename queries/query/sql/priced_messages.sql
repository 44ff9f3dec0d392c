-- What each delivered message costs, in the range or not.
priced_messages AS (
    SELECT
        whatsapp_id AS priced_id,
        CASE WHEN pricing_type = 'REGULAR' THEN price ELSE 0 END AS cost,
        CASE WHEN price IS NOT NULL THEN coalesce(currency, '?') END AS charged_in
    FROM offered_deliveries
    WHERE preference = 1
)
