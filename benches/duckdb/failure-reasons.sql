-- Why do sends fail?
WITH failures AS (
    SELECT state, status_detail, count(*) AS deployments, count(DISTINCT user_key) AS users
    FROM deployments
    WHERE delivery_status = 'Failed'
    GROUP BY ALL
),
every AS (
    SELECT count(*) AS deployments FROM deployments
)
SELECT
    state,
    status_detail,
    CAST(failures.deployments AS BIGINT) AS deployments,
    CAST(users AS BIGINT) AS users,
    CAST(100.0 * failures.deployments / sum(failures.deployments) OVER () AS DOUBLE)
        AS share_of_failures_pct,
    CAST(100.0 * failures.deployments / every.deployments AS DOUBLE) AS share_of_deployments_pct,
    CASE state
        WHEN 'active_agent_session' THEN 'ends when the agent closes the session'
        WHEN 'blocked_or_outdated' THEN 'ask the user on another channel'
        WHEN 'excluded' THEN 'leave out of sends'
        WHEN 'invalid_number' THEN 'correct the number'
        WHEN 'missing_variable' THEN 'fill or correct the template''s variables'
        WHEN 'template_paused' THEN 'review and resubmit the template'
        WHEN 'frequency_capped' THEN 'wait 24 hours between templates'
        WHEN 'capacity_limited' THEN 'spread the sends, raise the tier'
        WHEN 'system_failure' THEN 'contact support'
    END AS advice
FROM failures, every
ORDER BY failures.deployments DESC, state NULLS LAST, status_detail NULLS LAST;
