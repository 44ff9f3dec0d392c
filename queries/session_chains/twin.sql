-- Where are users redirected? Each chain: a session to which nobody was redirected, and all below it.
WITH roots AS (
    SELECT
        session_id,
        user_phone,
        session_started_timestamp AS started_at,
        parent_session_id IS NOT NULL AS root_missing
    FROM {sessions}
    WHERE (:from_at IS NULL OR session_started_timestamp >= :from_at)
        AND (:until_at IS NULL OR session_started_timestamp < :until_at)
),
{chains},
placed AS (
    SELECT
        linked.*,
        row_number() OVER (
            PARTITION BY top
            ORDER BY session_started_timestamp DESC NULLS LAST, session_id DESC NULLS LAST
        ) AS place
    FROM linked
)
SELECT
    CAST(chains.top AS STRING) AS root_session_id,
    CAST(chains.user_phone AS STRING) AS user_phone,
    CAST(chains.sessions AS BIGINT) AS sessions,
    CAST(chains.depth AS BIGINT) AS depth,
    CAST(chains.conversation_path AS STRING) AS conversation_path,
    CAST(chains.started_at AS TIMESTAMP_LTZ) AS started_at,
    CAST(latest.session_finished_timestamp AS TIMESTAMP_LTZ) AS finished_at,
    CAST(chains.duration AS DOUBLE) / 1000000 AS total_duration_seconds,
    CAST(latest.last_node_id AS STRING) AS last_node_id,
    CAST(latest.session_status AS STRING) AS last_session_status,
    CAST(chains.root_missing AS BOOLEAN) AS root_missing
FROM chains
INNER JOIN placed AS latest ON latest.top = chains.top AND latest.place = 1
ORDER BY
    started_at NULLS LAST,
    root_session_id NULLS LAST
