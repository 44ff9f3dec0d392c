-- Treble deployments into Parquet by day: the work of `wabalake load`, as far as SQL can do it.
--
-- Variables: `files`, the exports; `typed`, a Parquet file for typed rows; `lake`, the
-- folder of the table; `rejects`, a Parquet file; `first_day` and `last_day`, the days to be written.

-- Reads cells as text and types them; `reason` says why a row is rejected.
COPY (
WITH cells AS (
    SELECT * FROM read_csv(
        getvariable('files'),
        columns = {
            conversation_id: 'VARCHAR', conversation_version: 'VARCHAR',
            user_country_code: 'VARCHAR', user_cellphone: 'VARCHAR',
            deployment_timestamp: 'VARCHAR', user_responded_timestamp: 'VARCHAR',
            delivery_status: 'VARCHAR', status_detail: 'VARCHAR',
            deployment_delivered_timestamp: 'VARCHAR', session_id: 'VARCHAR'
        },
        auto_detect = false, header = true, delim = ',', quote = '"', escape = '"',
        strict_mode = false, store_rejects = true, rejects_limit = 0)
),
read_ AS (
    SELECT
        *,
        try_cast(deployment_timestamp AS TIMESTAMP) AS deployed,
        try_cast(user_responded_timestamp AS TIMESTAMP) AS responded,
        try_cast(deployment_delivered_timestamp AS TIMESTAMP) AS delivered,
        whole_number(conversation_version) AS version,
        phone(user_country_code) AS code,
        phone(user_cellphone) AS number,
        word(session_id) AS session,
        word(status_detail) AS detail,
        CASE delivery_status
            WHEN 'Delivered' THEN 'Delivered' WHEN 'Failed' THEN 'Failed'
            WHEN 'Sent' THEN 'Sent' WHEN 'In Process' THEN 'In Process'
            ELSE CASE normalised(delivery_status)
                WHEN 'delivered' THEN 'Delivered' WHEN 'failed' THEN 'Failed'
                WHEN 'sent' THEN 'Sent' WHEN 'success' THEN 'Sent'
                WHEN 'inprocess' THEN 'In Process' ELSE word(delivery_status)
            END
        END AS status
    FROM cells
),
settled_ AS (
    SELECT
        * REPLACE (
            settled(deployed, deployment_timestamp) AS deployed,
            settled(responded, user_responded_timestamp) AS responded,
            settled(delivered, deployment_delivered_timestamp) AS delivered,
            -- Some exports have the failure code in the column of the status.
            CASE WHEN state_of_code(status) IS NULL THEN status ELSE 'Failed' END AS status,
            CASE WHEN state_of_code(status) IS NULL THEN detail ELSE coalesce(detail, status) END
                AS detail
        ),
        person(code, number) AS person
    FROM read_
),
judged AS (
    SELECT
        *,
        -- Nearly every row passes this test, which compares nulls only.
        CASE
            WHEN deployed IS NOT NULL AND number IS NOT NULL AND status IS NOT NULL
                AND (responded IS NOT NULL OR user_responded_timestamp IS NULL)
                AND (delivered IS NOT NULL OR deployment_delivered_timestamp IS NULL)
                AND (version IS NOT NULL OR conversation_version IS NULL)
                THEN NULL
            WHEN deployed IS NULL THEN CASE
                WHEN says_something(deployment_timestamp) THEN 'deployment_timestamp: no instant'
                ELSE 'deployment_timestamp: missing'
            END
            WHEN number IS NULL THEN 'user_cellphone: missing'
            WHEN status IS NULL THEN 'delivery_status: missing'
            WHEN responded IS NULL AND says_something(user_responded_timestamp)
                THEN 'user_responded_timestamp: no instant'
            WHEN delivered IS NULL AND says_something(deployment_delivered_timestamp)
                THEN 'deployment_delivered_timestamp: no instant'
            WHEN version IS NULL AND word(conversation_version) IS NOT NULL
                THEN 'conversation_version: no whole number'
        END AS reason
    FROM settled_
)
SELECT
    word(conversation_id) AS conversation_id,
    version AS conversation_version,
    code AS user_country_code,
    number AS user_cellphone,
    utc(deployed) AS deployment_timestamp,
    utc(responded) AS user_responded_timestamp,
    status AS delivery_status,
    detail AS status_detail,
    utc(delivered) AS deployment_delivered_timestamp,
    session AS session_id,
    person AS user_phone,
    country_of(code) AS country,
    CASE status
        WHEN 'Delivered' THEN 'delivered' WHEN 'Sent' THEN 'sent'
        WHEN 'In Process' THEN 'in_process'
        WHEN 'Failed' THEN coalesce(state_of_code(detail), state_of_sentence(detail), 'other_failure')
    END AS state,
    is_phone(person) AS user_phone_valid,
    text_key(session) AS session_key,
    text_key(person) AS user_key,
    CAST(deployed AS DATE) AS utc_day,
    -- Only to find rows with one key; not written to the lake.
    hash(person, conversation_id, version, deployed) AS row_key,
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
    SELECT row_key FROM typed WHERE reason IS NULL GROUP BY row_key HAVING count(*) > 1
) USING (row_key)
WHERE reason IS NULL
QUALIFY row_number() OVER (
    PARTITION BY user_phone, conversation_id, conversation_version, deployment_timestamp
    ORDER BY
        CASE delivery_status
            WHEN 'Delivered' THEN 2 WHEN 'Failed' THEN 2 WHEN 'Sent' THEN 1
            WHEN 'In Process' THEN 0 ELSE -1
        END DESC,
        user_responded_timestamp IS NOT NULL DESC,
        session_id IS NOT NULL DESC,
        user_responded_timestamp DESC NULLS LAST,
        session_id DESC NULLS LAST
) > 1;

-- Some days at a time, so that the sort fits into memory.
COPY (
    SELECT * EXCLUDE (file_row_number, row_key, reason, raw)
    FROM typed
    ANTI JOIN behind ON typed.file_row_number = behind.row_id
    WHERE reason IS NULL AND utc_day BETWEEN getvariable('first_day') AND getvariable('last_day')
    ORDER BY utc_day, conversation_id NULLS LAST, conversation_version NULLS LAST,
        deployment_timestamp, user_phone NULLS LAST
) TO (getvariable('lake')) (
    FORMAT parquet, COMPRESSION zstd, PARTITION_BY (utc_day), ROW_GROUP_SIZE 1048576,
    OVERWRITE_OR_IGNORE);
