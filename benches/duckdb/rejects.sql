-- Writes the rejected rows with their reason, after the script of the table.
COPY (
    SELECT reason, raw FROM typed WHERE reason IS NOT NULL
    UNION ALL
    -- Records that read_csv could not split; one may have several errors.
    SELECT any_value(CAST(error_type AS VARCHAR)), any_value(csv_line)
    FROM reject_errors
    GROUP BY file_id, line
) TO (getvariable('rejects')) (FORMAT parquet, COMPRESSION zstd);
