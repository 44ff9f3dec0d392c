-- Kaleyra messages into Parquet by day: the work of `wabalake load`, as far as SQL can do it.
--
-- Variables: `files`, the exports; `countries`, the file of country names; `typed`, a Parquet file for
-- typed rows; `lake`, the folder of the table; `rejects`, a Parquet file; `first_day` and
-- `last_day`, the days to be written.

-- Country codes by the names that exports use.
CREATE TABLE named_countries AS
WITH lines AS (
    SELECT string_split(unnest(string_split(trim(content, chr(10)), chr(10))), chr(9)) AS names
    FROM read_text(getvariable('countries'))
)
SELECT DISTINCT names[1] AS code, lower(unnest(names)) AS name FROM lines;

-- Reads cells as text and types them; `reason` says why a row is rejected.
COPY (
WITH cells AS (
    SELECT * FROM read_csv(
        getvariable('files'),
        columns = {
            waba_id: 'VARCHAR', whatsapp_id: 'VARCHAR', "from": 'VARCHAR', "to": 'VARCHAR',
            message_direction: 'VARCHAR', source: 'VARCHAR', format: 'VARCHAR',
            reason_for_failure: 'VARCHAR', country_name: 'VARCHAR', template_name: 'VARCHAR',
            message: 'VARCHAR', created_at: 'VARCHAR', failed_at: 'VARCHAR', sent_at: 'VARCHAR',
            delivered_at: 'VARCHAR', seen_at: 'VARCHAR', parent_service_type: 'VARCHAR',
            conversation_type: 'VARCHAR', conversation_id: 'VARCHAR',
            conversation_msg_type: 'VARCHAR', campaign_id: 'VARCHAR', ref: 'VARCHAR',
            ref1: 'VARCHAR', ref2: 'VARCHAR'
        },
        auto_detect = false, header = true, delim = ',', quote = '"', escape = '"',
        strict_mode = false, store_rejects = true, rejects_limit = 0)
),
read_ AS (
    SELECT
        *,
        word(whatsapp_id) AS id,
        try_cast(created_at AS TIMESTAMP) AS created,
        try_cast(failed_at AS TIMESTAMP) AS failed,
        try_cast(sent_at AS TIMESTAMP) AS sent,
        try_cast(delivered_at AS TIMESTAMP) AS delivered,
        try_cast(seen_at AS TIMESTAMP) AS seen,
        phone("from") AS sender,
        phone("to") AS receiver,
        word(country_name) AS country_word,
        word(template_name) AS template_word,
        CASE message_direction
            WHEN 'true' THEN 'incoming' WHEN 'false' THEN 'outgoing'
            ELSE CASE normalised(message_direction)
                WHEN 'incoming' THEN 'incoming' WHEN 'true' THEN 'incoming'
                WHEN '1' THEN 'incoming' WHEN 'yes' THEN 'incoming'
                WHEN 'outgoing' THEN 'outgoing' WHEN 'false' THEN 'outgoing'
                WHEN '0' THEN 'outgoing' WHEN 'no' THEN 'outgoing'
            END
        END AS direction,
        CASE source
            WHEN 'api' THEN 'api' WHEN 'campaign' THEN 'campaign' WHEN 'webhook' THEN 'webhook'
            ELSE CASE normalised(source)
                WHEN 'api' THEN 'api' WHEN 'campaign' THEN 'campaign' WHEN 'webhook' THEN 'webhook'
                ELSE word(source)
            END
        END AS source_word,
        CASE format
            WHEN 'template' THEN 'template' WHEN 'text' THEN 'text'
            ELSE CASE normalised(format)
                WHEN 'template' THEN 'template' WHEN 'text' THEN 'text' WHEN 'image' THEN 'image'
                WHEN 'media' THEN 'media' WHEN 'contact' THEN 'contact'
                WHEN 'location' THEN 'location' ELSE word(format)
            END
        END AS format_word,
        CASE parent_service_type
            WHEN 'session_incoming' THEN 'session_incoming'
            WHEN 'session_outgoing' THEN 'session_outgoing' WHEN 'template' THEN 'template'
            ELSE CASE normalised(parent_service_type)
                WHEN 'sessionincoming' THEN 'session_incoming'
                WHEN 'sessionoutgoing' THEN 'session_outgoing' WHEN 'template' THEN 'template'
                ELSE word(parent_service_type)
            END
        END AS service
    FROM cells
),
settled_ AS (
    SELECT
        * REPLACE (
            settled(created, created_at) AS created,
            settled(failed, failed_at) AS failed,
            settled(sent, sent_at) AS sent,
            settled(delivered, delivered_at) AS delivered,
            settled(seen, seen_at) AS seen
        ),
        full_number(CASE direction WHEN 'incoming' THEN sender ELSE receiver END) AS person,
        CASE direction WHEN 'incoming' THEN receiver ELSE sender END AS line
    FROM read_
),
judged AS (
    SELECT
        *,
        -- Nearly every row passes this test, which compares nulls only.
        CASE
            WHEN id IS NOT NULL AND created IS NOT NULL AND direction IS NOT NULL
                AND (failed IS NOT NULL OR failed_at IS NULL)
                AND (sent IS NOT NULL OR sent_at IS NULL)
                AND (delivered IS NOT NULL OR delivered_at IS NULL)
                AND (seen IS NOT NULL OR seen_at IS NULL)
                THEN NULL
            WHEN id IS NULL THEN 'whatsapp_id: missing'
            WHEN direction IS NULL THEN CASE
                WHEN word(message_direction) IS NULL THEN 'message_direction: missing'
                ELSE 'message_direction: no direction'
            END
            WHEN created IS NULL THEN CASE
                WHEN says_something(created_at) THEN 'created_at: no instant'
                ELSE 'created_at: missing'
            END
            WHEN failed IS NULL AND says_something(failed_at) THEN 'failed_at: no instant'
            WHEN sent IS NULL AND says_something(sent_at) THEN 'sent_at: no instant'
            WHEN delivered IS NULL AND says_something(delivered_at) THEN 'delivered_at: no instant'
            WHEN seen IS NULL AND says_something(seen_at) THEN 'seen_at: no instant'
        END AS reason
    FROM settled_
)
SELECT
    word(waba_id) AS waba_id,
    id AS whatsapp_id,
    sender AS "from",
    receiver AS "to",
    direction AS message_direction,
    source_word AS source,
    format_word AS format,
    word(reason_for_failure) AS reason_for_failure,
    country_word AS country_name,
    template_word AS template_name,
    message,
    utc(created) AS created_at,
    utc(failed) AS failed_at,
    utc(sent) AS sent_at,
    utc(delivered) AS delivered_at,
    utc(seen) AS seen_at,
    service AS parent_service_type,
    CASE conversation_type
        WHEN 'business_initiated' THEN 'business_initiated'
        WHEN 'user_initiated' THEN 'user_initiated'
        ELSE CASE normalised(conversation_type)
            WHEN 'businessinitiated' THEN 'business_initiated'
            WHEN 'userinitiated' THEN 'user_initiated'
            WHEN 'referralconversion' THEN 'referral_conversion'
            WHEN 'authenticationinternational' THEN 'authentication_international'
            WHEN 'referral' THEN 'referral' WHEN 'marketing' THEN 'marketing'
            WHEN 'utility' THEN 'utility' WHEN 'authentication' THEN 'authentication'
            WHEN 'service' THEN 'service' ELSE word(conversation_type)
        END
    END AS conversation_type,
    word(conversation_id) AS conversation_id,
    CASE conversation_msg_type
        WHEN 'Conversation start' THEN 'conversation_start'
        WHEN 'In Conversation' THEN 'in_conversation'
        ELSE CASE normalised(conversation_msg_type)
            WHEN 'conversationstart' THEN 'conversation_start'
            WHEN 'inconversation' THEN 'in_conversation' ELSE word(conversation_msg_type)
        END
    END AS conversation_msg_type,
    word(campaign_id) AS campaign_id,
    word(ref) AS ref,
    word(ref1) AS ref1,
    word(ref2) AS ref2,
    line,
    person AS user_phone,
    named_countries.code AS country,
    CASE
        WHEN direction = 'incoming' THEN 'incoming'
        WHEN service = 'template' OR format_word = 'template' OR template_word IS NOT NULL
            THEN 'template'
        ELSE 'outgoing'
    END AS message_type,
    is_phone(person) AS user_phone_valid,
    text_key(id) AS message_key,
    text_key(person) AS user_key,
    CAST(created AS DATE) AS utc_day,
    reason,
    CASE WHEN reason IS NOT NULL THEN CAST(to_json(judged) AS VARCHAR) END AS raw
FROM judged
LEFT JOIN named_countries ON lower(judged.country_word) = named_countries.name
) TO (getvariable('typed')) (FORMAT parquet, COMPRESSION snappy);

CREATE VIEW typed AS FROM read_parquet(getvariable('typed'), file_row_number = true);

-- Rows with one key are folded column by column. Most keys occur once: their hash excludes them first.
CREATE TABLE several AS
FROM typed
SEMI JOIN (
    SELECT message_key FROM typed WHERE reason IS NULL GROUP BY message_key HAVING count(*) > 1
) USING (message_key)
WHERE reason IS NULL;

CREATE TABLE folded AS
WITH columns_of_keys AS (
    SELECT
        whatsapp_id,
        max(COLUMNS('^(waba_id|from|to|message_direction|source|reason_for_failure|country_name|template_name|message|parent_service_type|conversation_type|conversation_id|conversation_msg_type|campaign_id|ref|ref1|ref2)$')),
        CASE WHEN bool_or(format = 'template') THEN 'template' ELSE max(format) END AS format,
        min(COLUMNS('^(created_at|failed_at|sent_at|delivered_at|seen_at)$')),
        any_value(message_key) AS message_key,
        CAST(min(created_at) AS DATE) AS utc_day
    FROM several
    GROUP BY whatsapp_id
),
derived AS (
    SELECT
        *,
        CASE message_direction WHEN 'incoming' THEN "to" ELSE "from" END AS line,
        full_number(CASE message_direction WHEN 'incoming' THEN "from" ELSE "to" END) AS user_phone,
        CASE
            WHEN message_direction = 'incoming' THEN 'incoming'
            WHEN parent_service_type = 'template' OR format = 'template'
                OR template_name IS NOT NULL
                THEN 'template'
            ELSE 'outgoing'
        END AS message_type
    FROM columns_of_keys
)
SELECT
    derived.*,
    named_countries.code AS country,
    is_phone(user_phone) AS user_phone_valid,
    text_key(user_phone) AS user_key
FROM derived
LEFT JOIN named_countries ON lower(derived.country_name) = named_countries.name;

-- Some days at a time, so that the sort fits into memory.
COPY (
    FROM (
        SELECT * EXCLUDE (file_row_number, reason, raw)
        FROM typed
        ANTI JOIN several ON typed.file_row_number = several.file_row_number
        WHERE reason IS NULL
        UNION ALL BY NAME
        FROM folded
    )
    WHERE utc_day BETWEEN getvariable('first_day') AND getvariable('last_day')
    ORDER BY utc_day, conversation_id NULLS LAST, created_at, whatsapp_id
) TO (getvariable('lake')) (
    FORMAT parquet, COMPRESSION zstd, PARTITION_BY (utc_day), ROW_GROUP_SIZE 1048576,
    OVERWRITE_OR_IGNORE);
