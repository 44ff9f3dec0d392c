failed_at IS NOT NULL OR reason_for_failure IS NOT NULL AS failed,
sent_at IS NOT NULL OR delivered_at IS NOT NULL OR seen_at IS NOT NULL AS sent,
delivered_at IS NOT NULL OR seen_at IS NOT NULL AS delivered,
seen_at IS NOT NULL AS read
