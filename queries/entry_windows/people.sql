WITH {entry_windows},
{answered}
SELECT
    {keys},
    click_id,
    user_phone,
    {began} AS at,
    TRUE AS clicks,
    took IS NOT NULL AS answered,
    took IS NULL AND NOT is_pending AS missed,
    is_pending AS pending
FROM answered
