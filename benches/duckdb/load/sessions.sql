-- Treble sessions into Parquet by day: the work of `wabalake load`, as far as SQL can do it.
--
-- Variables: `files`, the exports; `typed`, a Parquet file for typed rows; `lake`, the
-- folder of the table; `rejects`, a Parquet file; `first_day` and `last_day`, the days to be written.

-- Reads cells as text and types them; `reason` says why a row is rejected.
COPY (
WITH cells AS (
    SELECT * FROM read_csv(
        getvariable('files'),
        columns = {
            session_id: 'VARCHAR', parent_session_id: 'VARCHAR',
            session_started_timestamp: 'VARCHAR', session_finished_timestamp: 'VARCHAR',
            session_type: 'VARCHAR', session_status: 'VARCHAR', conversation_id: 'VARCHAR',
            conversation_version: 'VARCHAR', user_country_code: 'VARCHAR',
            user_cellphone: 'VARCHAR', line_whatsapp_number: 'VARCHAR',
            line_whatsapp_display_name: 'VARCHAR', first_message_timestamp: 'VARCHAR',
            first_message: 'VARCHAR', last_message_timestamp: 'VARCHAR', last_message: 'VARCHAR',
            last_node_id: 'VARCHAR', meta_source_url: 'VARCHAR', meta_source_type: 'VARCHAR',
            meta_source_id: 'VARCHAR', meta_source_headline: 'VARCHAR',
            meta_source_body: 'VARCHAR', meta_source_media_type: 'VARCHAR',
            meta_source_media_url: 'VARCHAR', meta_source_thumbnail_url: 'VARCHAR',
            whatsapp_link_campaign_name: 'VARCHAR', whatsapp_link_campaign_source: 'VARCHAR'
        },
        auto_detect = false, header = true, delim = ',', quote = '"', escape = '"',
        strict_mode = false, store_rejects = true, rejects_limit = 0)
),
read_ AS (
    SELECT
        *,
        word(session_id) AS id,
        try_cast(session_started_timestamp AS TIMESTAMP) AS started,
        try_cast(session_finished_timestamp AS TIMESTAMP) AS finished,
        try_cast(first_message_timestamp AS TIMESTAMP) AS first_at,
        try_cast(last_message_timestamp AS TIMESTAMP) AS last_at,
        whole_number(conversation_version) AS version,
        phone(user_country_code) AS code,
        phone(user_cellphone) AS number
    FROM cells
),
settled_ AS (
    SELECT
        * REPLACE (
            settled(started, session_started_timestamp) AS started,
            settled(finished, session_finished_timestamp) AS finished,
            settled(first_at, first_message_timestamp) AS first_at,
            settled(last_at, last_message_timestamp) AS last_at
        ),
        person(code, number) AS person
    FROM read_
),
judged AS (
    SELECT
        *,
        -- Nearly every row passes this test, which compares nulls only.
        CASE
            WHEN id IS NOT NULL AND started IS NOT NULL
                AND (finished IS NOT NULL OR session_finished_timestamp IS NULL)
                AND (first_at IS NOT NULL OR first_message_timestamp IS NULL)
                AND (last_at IS NOT NULL OR last_message_timestamp IS NULL)
                AND (version IS NOT NULL OR conversation_version IS NULL)
                THEN NULL
            WHEN id IS NULL THEN 'session_id: missing'
            WHEN started IS NULL THEN CASE
                WHEN says_something(session_started_timestamp)
                    THEN 'session_started_timestamp: no instant'
                ELSE 'session_started_timestamp: missing'
            END
            WHEN finished IS NULL AND says_something(session_finished_timestamp)
                THEN 'session_finished_timestamp: no instant'
            WHEN version IS NULL AND word(conversation_version) IS NOT NULL
                THEN 'conversation_version: no whole number'
            WHEN first_at IS NULL AND says_something(first_message_timestamp)
                THEN 'first_message_timestamp: no instant'
            WHEN last_at IS NULL AND says_something(last_message_timestamp)
                THEN 'last_message_timestamp: no instant'
        END AS reason
    FROM settled_
)
SELECT
    id AS session_id,
    word(parent_session_id) AS parent_session_id,
    utc(started) AS session_started_timestamp,
    utc(finished) AS session_finished_timestamp,
    CASE session_type
        WHEN 'Outbound' THEN 'Outbound' WHEN 'Inbound' THEN 'Inbound'
        ELSE CASE normalised(session_type)
            WHEN 'outbound' THEN 'Outbound' WHEN 'inbound' THEN 'Inbound' ELSE word(session_type)
        END
    END AS session_type,
    CASE session_status
        WHEN 'BOT' THEN 'BOT' WHEN 'AGENTS' THEN 'AGENTS' WHEN 'RATING' THEN 'RATING'
        ELSE CASE normalised(session_status)
            WHEN 'bot' THEN 'BOT' WHEN 'ai' THEN 'BOT' WHEN 'agents' THEN 'AGENTS'
            WHEN 'humanhandover' THEN 'AGENTS' WHEN 'rating' THEN 'RATING'
            ELSE word(session_status)
        END
    END AS session_status,
    word(conversation_id) AS conversation_id,
    version AS conversation_version,
    code AS user_country_code,
    number AS user_cellphone,
    phone(line_whatsapp_number) AS line_whatsapp_number,
    line_whatsapp_display_name,
    utc(first_at) AS first_message_timestamp,
    first_message,
    utc(last_at) AS last_message_timestamp,
    last_message,
    word(last_node_id) AS last_node_id,
    word(meta_source_url) AS meta_source_url,
    CASE normalised(meta_source_type)
        WHEN 'ad' THEN 'Ad' WHEN 'post' THEN 'Post' ELSE word(meta_source_type)
    END AS meta_source_type,
    word(meta_source_id) AS meta_source_id,
    meta_source_headline,
    meta_source_body,
    CASE normalised(meta_source_media_type)
        WHEN 'image' THEN 'Image' WHEN 'video' THEN 'Video' ELSE word(meta_source_media_type)
    END AS meta_source_media_type,
    word(meta_source_media_url) AS meta_source_media_url,
    word(meta_source_thumbnail_url) AS meta_source_thumbnail_url,
    whatsapp_link_campaign_name,
    word(whatsapp_link_campaign_source) AS whatsapp_link_campaign_source,
    person AS user_phone,
    country_of(code) AS country,
    is_phone(person) AS user_phone_valid,
    text_key(id) AS session_key,
    text_key(person) AS user_key,
    CAST(started AS DATE) AS utc_day,
    reason,
    CASE WHEN reason IS NOT NULL THEN CAST(to_json(judged) AS VARCHAR) END AS raw
FROM judged
) TO (getvariable('typed')) (FORMAT parquet, COMPRESSION snappy);

CREATE VIEW typed AS FROM read_parquet(getvariable('typed'), file_row_number = true);

-- Of the rows with one key, all but the one with the newest state. Most keys occur once: their hash
-- excludes them first.
CREATE TABLE behind AS
SELECT file_row_number AS row_id
FROM typed
SEMI JOIN (
    SELECT session_key FROM typed WHERE reason IS NULL GROUP BY session_key HAVING count(*) > 1
) USING (session_key)
WHERE reason IS NULL
QUALIFY row_number() OVER (
    PARTITION BY session_id
    ORDER BY
        session_finished_timestamp DESC NULLS LAST,
        last_message_timestamp DESC NULLS LAST,
        CASE session_status WHEN 'RATING' THEN 2 WHEN 'AGENTS' THEN 1 WHEN 'BOT' THEN 0 ELSE -1 END
            DESC,
        session_started_timestamp DESC
) > 1;

-- Some days at a time, so that the sort fits into memory.
COPY (
    SELECT * EXCLUDE (file_row_number, reason, raw)
    FROM typed
    ANTI JOIN behind ON typed.file_row_number = behind.row_id
    WHERE reason IS NULL AND utc_day BETWEEN getvariable('first_day') AND getvariable('last_day')
    ORDER BY utc_day, conversation_id NULLS LAST, conversation_version NULLS LAST,
        session_started_timestamp, session_id
) TO (getvariable('lake')) (
    FORMAT parquet, COMPRESSION zstd, PARTITION_BY (utc_day), ROW_GROUP_SIZE 1048576,
    OVERWRITE_OR_IGNORE);
