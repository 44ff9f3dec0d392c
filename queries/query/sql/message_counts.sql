CASE WHEN message_type <> 'incoming' THEN count(*) END AS created,
CASE WHEN message_type <> 'incoming' THEN count_if(failed AND NOT delivered) END AS failed,
CASE WHEN message_type <> 'incoming' THEN count_if(sent) END AS sent,
CASE WHEN message_type <> 'incoming' THEN count_if(delivered) END AS delivered,
CASE WHEN message_type <> 'incoming' THEN count_if(read) END AS read,
CASE WHEN message_type = 'incoming' THEN count(*) END AS received
