-- Parsers for the cells of exports, by the rules of `data/cells/` as far as SQL can follow them.
--
-- read_csv reads empty cells as null. Each CASE starts with the common case, since DuckDB evaluates
-- later branches only for the remaining rows.

CREATE TEMP MACRO word(cell) AS
    CASE
        WHEN strlen(cell) > 4 AND cell[1] > ' ' AND cell[-1] > ' ' THEN cell
        -- DuckDB would run an IN of five words as a join.
        ELSE CASE lower(trim(cell))
            WHEN '' THEN NULL WHEN '-' THEN NULL WHEN 'null' THEN NULL WHEN 'none' THEN NULL
            WHEN 'nan' THEN NULL ELSE trim(cell)
        END
    END;

-- The digits of a phone number, without `.0`, spaces, `+`, `-`, `(` and `)`.
CREATE TEMP MACRO phone(cell) AS
    CASE
        WHEN regexp_full_match(cell, '[0-9]+') THEN cell
        ELSE nullif(regexp_replace(
            regexp_replace(word(cell), '\.0+$', ''), '[\s+()-]+', '', 'g'), '')
    END;

CREATE TEMP MACRO whole_number(cell) AS
    CASE
        WHEN contains(cell, '.') THEN try_cast(regexp_replace(trim(cell), '\.0+$', '') AS INTEGER)
        ELSE try_cast(cell AS INTEGER)
    END;

-- Sentinels: some systems write the start of 1970 or 2000 for "never", in any time zone.
CREATE TEMP MACRO is_never(cell) AS
    regexp_full_match(
        trim(cell), '(1970|2000)-01-01[ T]00:00(:00([.,]0+)?)?\s*(Z|UTC|GMT|[+-][0-9:]+)?');

-- The instant of a stamp, null for sentinels.
CREATE TEMP MACRO settled(instant, cell) AS
    CASE
        WHEN instant > TIMESTAMP '2000-01-02' THEN instant
        WHEN is_never(cell) THEN NULL
        ELSE instant
    END;

-- True for a cell with a value that could not be parsed.
CREATE TEMP MACRO says_something(cell) AS word(cell) IS NOT NULL AND NOT is_never(cell);

-- Words of enumerations are compared without case, spaces, `_` and `-`.
CREATE TEMP MACRO normalised(cell) AS lower(regexp_replace(cell, '[\s_-]', '', 'g'));

-- The person's number as E.164 digits, with the rules for Mexico and Brazil. SQL has no numbering
-- plans to validate numbers or to resolve shared dialling codes.
CREATE TEMP MACRO full_number(digits) AS
    CASE
        WHEN strlen(digits) = 13 AND starts_with(digits, '521') THEN '52' || digits[4:]
        WHEN strlen(digits) = 12 AND starts_with(digits, '55') AND digits[5] BETWEEN '6' AND '9'
            THEN digits[:4] || '9' || digits[5:]
        ELSE digits
    END;

CREATE TEMP MACRO person(code, number) AS
    full_number(CASE
        WHEN code IS NULL OR (strlen(number) > 10 AND starts_with(number, code)) THEN number
        ELSE code || number
    END);

-- The country of a dialling code, the largest of those that share it.
CREATE TEMP MACRO country_of(code) AS
    CASE code
        WHEN '57' THEN 'CO' WHEN '52' THEN 'MX' WHEN '55' THEN 'BR' WHEN '54' THEN 'AR'
        WHEN '34' THEN 'ES' WHEN '1' THEN 'US' WHEN '91' THEN 'IN' WHEN '56' THEN 'CL'
        WHEN '51' THEN 'PE' WHEN '58' THEN 'VE' WHEN '593' THEN 'EC' WHEN '502' THEN 'GT'
        WHEN '506' THEN 'CR' WHEN '507' THEN 'PA' WHEN '591' THEN 'BO' WHEN '595' THEN 'PY'
        WHEN '598' THEN 'UY' WHEN '351' THEN 'PT' WHEN '44' THEN 'GB' WHEN '33' THEN 'FR'
        WHEN '49' THEN 'DE' WHEN '39' THEN 'IT'
    END;

CREATE TEMP MACRO is_phone(digits) AS strlen(digits) BETWEEN 8 AND 15;

-- A 64-bit hash of a text, for grouping and joining.
CREATE TEMP MACRO text_key(words) AS
    CAST(CAST(hash(words) AS HUGEINT) - 9223372036854775808 AS BIGINT);

-- The instant of a timestamp in UTC, without the rules of a time zone.
CREATE TEMP MACRO utc(stamp) AS make_timestamptz(epoch_us(stamp));

-- The state of a failed deployment, from the vendor's failure code.
CREATE TEMP MACRO state_of_code(code) AS
    CASE upper(code)
        WHEN 'FAILURE_BY_HUMAN_HANDOVER' THEN 'active_agent_session'
        WHEN 'FAILURE_BY_UNABLE_TO_CONTACT' THEN 'blocked_or_outdated'
        WHEN 'REVOKED' THEN 'blocked_or_outdated'
        WHEN 'FAILURE_BY_BLOCKED_CONTACT' THEN 'excluded'
        WHEN 'FAILURE_BY_OPTOUT_CONTACT' THEN 'excluded'
        WHEN 'INVALID_PHONE' THEN 'invalid_number'
        WHEN 'MISSING_PARAMETER' THEN 'missing_variable'
        WHEN 'PARAMETER_MISMATCH' THEN 'missing_variable'
        WHEN 'CHARACTER_LIMIT_HEADER' THEN 'missing_variable'
        WHEN 'CHARACTER_LIMIT_BODY' THEN 'missing_variable'
        WHEN 'FAILURE_BY_DISABLED_HSM' THEN 'template_paused'
        WHEN 'INVALID_POLL' THEN 'template_paused'
        WHEN 'FAILURE_BY_META_CHOSE_NOT_DELIVER' THEN 'frequency_capped'
        WHEN 'FAILURE_BY_SPAM_RATE_LIMIT' THEN 'frequency_capped'
        WHEN 'FAILURE_BY_RATE_LIMIT' THEN 'capacity_limited'
        WHEN 'COMPANY_RATE_LIMIT' THEN 'capacity_limited'
        WHEN 'FAILURE_BY_TIER_CAPACITY' THEN 'capacity_limited'
        WHEN 'FAILURE_BY_EXPERIMENT_NUMBER' THEN 'experiment'
        WHEN 'FAILURE' THEN 'system_failure'
    END;

-- The state of a failed deployment, from the sentences of the vendor's dashboard.
CREATE TEMP MACRO state_of_sentence(detail) AS
    CASE
        WHEN detail IS NULL THEN NULL
        WHEN contains(lower(detail), 'active session with an agent') THEN 'active_agent_session'
        WHEN contains(lower(detail), 'exclusion option') THEN 'excluded'
        WHEN contains(lower(detail), 'number is invalid') THEN 'invalid_number'
        WHEN contains(lower(detail), 'have a whatsapp account') THEN 'blocked_or_outdated'
        WHEN contains(lower(detail), 'variable is misspelled') THEN 'missing_variable'
        WHEN contains(lower(detail), 'hsm is paused') THEN 'template_paused'
        WHEN contains(lower(detail), 'short period to the same contact') THEN 'frequency_capped'
        WHEN contains(lower(detail), 'general system failure') THEN 'system_failure'
    END;
