-- Delivered template messages of known people, by their arrival.
arrivals AS (
    SELECT
        whatsapp_id,
        user_phone,
        unix_micros(coalesce(delivered_at, sent_at, created_at)) AS arrived
    FROM messages
    WHERE message_type = 'template'
        AND (delivered_at IS NOT NULL OR seen_at IS NOT NULL)
        AND user_phone IS NOT NULL
),
stops AS (
    SELECT user_phone, unix_micros(at) AS stopped_at
    FROM events
    WHERE event = 'marketing-preference' AND new_value = 'stop' AND user_phone IS NOT NULL
),
-- The messages that arrived in time before a stop, the last of them first.
before_stops AS (
    SELECT
        arrivals.whatsapp_id,
        row_number() OVER (
            PARTITION BY stops.user_phone, stops.stopped_at
            ORDER BY arrivals.arrived DESC, arrivals.whatsapp_id DESC
        ) AS turn
    FROM stops
    INNER JOIN arrivals ON arrivals.user_phone = stops.user_phone
    WHERE arrivals.arrived <= stops.stopped_at
        AND stops.stopped_at - arrivals.arrived < :stop_hours * 3600000000
),
stopped AS (
    SELECT DISTINCT whatsapp_id AS stopped_id
    FROM before_stops
    WHERE turn = 1
)
