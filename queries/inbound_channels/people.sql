WITH {attributed},
converting AS (
    SELECT DISTINCT converted_session_id
    FROM attributed
)
SELECT
    {by_then}CASE
        WHEN meta_source_type = 'Post' THEN 'meta-post'
        WHEN coalesce(meta_source_id, meta_source_type) IS NOT NULL THEN 'meta-ad'
        WHEN coalesce(whatsapp_link_campaign_name, whatsapp_link_campaign_source) IS NOT NULL
            THEN 'whatsapp-link'
        WHEN parent_session_id IS NOT NULL THEN 'redirection'
        ELSE 'organic'
    END AS channel,
    CASE
        WHEN coalesce(meta_source_id, meta_source_type) IS NOT NULL
            THEN coalesce(meta_source_type, 'Ad')
        ELSE whatsapp_link_campaign_source
    END AS source,
    CASE
        WHEN coalesce(meta_source_id, meta_source_type) IS NOT NULL THEN meta_source_id
        ELSE whatsapp_link_campaign_name
    END AS campaign,
    session_id,
    user_phone,
    session_started_timestamp AS at,
    TRUE AS sessions,
    session_status = 'AGENTS' AS agent_sessions,
    session_finished_timestamp IS NOT NULL AS finished_sessions,
    converted_session_id IS NOT NULL AS converted_sessions
FROM {sessions}
{tagged}
LEFT JOIN converting ON converted_session_id = session_id
WHERE session_type = 'Inbound'
    AND (:from_at IS NULL OR session_started_timestamp >= :from_at)
    AND (:until_at IS NULL OR session_started_timestamp < :until_at)
