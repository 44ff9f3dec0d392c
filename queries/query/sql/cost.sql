CASE WHEN count(cost) = count(*) AND count(DISTINCT charged_in) <= 1 THEN sum(cost) END
