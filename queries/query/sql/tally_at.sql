count(*) AS about,
count_if(fails) AS failing,
CAST(NULL AS STRING) AS example,
min(CASE WHEN fails THEN example_at END) AS example_at
