count(*) AS about,
count_if(fails) AS failing,
min(CASE WHEN fails THEN example END) AS example,
CAST(NULL AS TIMESTAMP_LTZ) AS example_at
