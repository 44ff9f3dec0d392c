//! `sql`: answers to a user's own statements, and errors.

use crate::support::{Desk, LOADED, Said};

/// Runs `wabalake sql` with a statement and further arguments.
fn sql(statement: &str, words: &str) -> Said {
    let mut command = LOADED.command("sql --lake lake");
    command.arg(statement).args(words.split_whitespace());
    Said::of(command.output().unwrap())
}

fn answer(statement: &str, words: &str) -> String {
    let said = sql(statement, words);
    assert_eq!((said.err.as_str(), said.code), ("", 0), "{statement} {words}");
    said.out
}

pub(super) fn fault(statement: &str, words: &str) -> String {
    let said = sql(statement, words);
    assert_eq!((said.out.as_str(), said.code), ("", 2), "{statement} {words}");
    said.err
}

/// The ids of the sessions that meet a condition.
pub(super) fn ids(condition: &str, words: &str) -> String {
    let statement = format!("SELECT session_id FROM sessions WHERE {condition} ORDER BY 1");
    answer(&statement, words).lines().skip(1).collect::<Vec<_>>().join(" ")
}

#[test]
fn statement_is_answered_in_several_formats() {
    let statement =
        "SELECT session_id, conversation_version, user_phone FROM sessions ORDER BY session_id";
    let csv = "session_id,conversation_version,user_phone\n\
               s1,2,573000000001\ns2,2,573000000002\ns3,2,573000000001\n";
    assert_eq!(answer(statement, ""), csv);
    assert_eq!(
        answer(statement, "--limit 1 -f ndjson"),
        "{\"session_id\":\"s1\",\"conversation_version\":2,\"user_phone\":\"573000000001\"}\n"
    );
    assert_eq!(answer(statement, "-o mine.csv"), "");
    assert_eq!(LOADED.read("mine.csv"), csv);
}

#[test]
fn rows_are_counted_of_one_table_and_of_several() {
    for (from, rows) in [
        ("sessions", 3),
        ("deployments", 0),
        ("(SELECT session_id FROM sessions UNION ALL SELECT session_id FROM sessions)", 6),
        ("(SELECT * FROM sessions UNION ALL SELECT * FROM sessions) WHERE session_id <> 's1'", 4),
    ] {
        let statement = format!("SELECT count(*) FROM {from}");
        assert_eq!(answer(&statement, "").lines().nth(1).unwrap(), rows.to_string(), "{from}");
    }
}

#[test]
fn helper_columns_are_hidden() {
    let header = answer("SELECT * FROM sessions LIMIT 0", "");
    let columns = wabalake_data::tables::sessions::TABLE.columns.iter().map(|column| column.name);
    assert_eq!(header.trim_end(), columns.collect::<Vec<_>>().join(","));
    for hidden in ["user_key", "session_key", "utc_day", "user_phone_valid"] {
        let said = fault(&format!("SELECT {hidden} FROM sessions"), "");
        assert!(said.contains("no column"), "{said}");
    }
}

#[test]
fn times_are_in_the_reporting_time_zone() {
    // In Bogota s1 started at 21:00 on 31 May, s2 at 7:00 on 1 June.
    let statement = "SELECT session_started_timestamp AS at, \
                     CAST(session_started_timestamp AS DATE) AS day, \
                     EXTRACT(HOUR FROM session_started_timestamp) AS hour, \
                     DATE_TRUNC('month', session_started_timestamp) AS month, \
                     STRFTIME(session_started_timestamp, '%H:%M') AS clock \
                     FROM sessions ORDER BY at LIMIT 2";
    assert_eq!(
        answer(statement, "--timezone America/Bogota"),
        "at,day,hour,month,clock\n\
         2025-05-31T21:00:00-05:00,2025-05-31,21,2025-05-01,21:00\n\
         2025-06-01T07:00:00-05:00,2025-06-01,7,2025-06-01,07:00\n"
    );
    for (condition, expected) in [
        ("session_started_timestamp >= '2025-06-01'", "s2 s3"),
        ("session_started_timestamp >= DATE '2025-06-01'", "s2 s3"),
        ("session_started_timestamp >= TIMESTAMP '2025-06-01 00:00:00'", "s2 s3"),
        ("'2025-06-01' <= session_started_timestamp", "s2 s3"),
        ("session_started_timestamp >= :since", "s2 s3"),
        ("session_started_timestamp + INTERVAL '1 day' >= :since", "s1 s2 s3"),
        ("session_started_timestamp < :since - INTERVAL '2 hours'", "s1"),
        ("CAST(session_started_timestamp AS DATE) >= :since", "s2 s3"),
        ("session_started_timestamp::date = '2025-05-31'", "s1"),
        ("session_started_timestamp > '2025-06-01T12:00:00Z'", "s3"),
        ("session_started_timestamp IN ('2025-06-01 07:00', '2025-06-02T12:00:00Z')", "s2 s3"),
        ("session_started_timestamp NOT IN ('2025-06-01 07:00')", "s1 s3"),
        ("session_started_timestamp BETWEEN '2025-05-31' AND '2025-06-01'", "s1"),
    ] {
        let since = if condition.contains(":since") { "--param since=2025-06-01" } else { "" };
        let words = format!("--timezone America/Bogota {since}");
        assert_eq!(ids(condition, &words), expected, "{condition}");
    }
    assert_eq!(ids("session_started_timestamp >= '2025-06-01'", ""), "s1 s2 s3");
}

/// Polars plans each nested SELECT separately.
#[test]
fn times_are_local_in_subqueries_and_ctes() {
    let day = "CAST(session_started_timestamp AS DATE)";
    for statement in [
        format!(
            "WITH d AS (SELECT {day} AS day FROM sessions) SELECT day, COUNT(*) AS n FROM d GROUP BY day ORDER BY day"
        ),
        format!(
            "SELECT day, COUNT(*) AS n FROM (SELECT {day} AS day FROM sessions) AS d GROUP BY day ORDER BY day"
        ),
        format!(
            "WITH d(day, one) AS (SELECT {day}, 1 FROM sessions) SELECT day, SUM(one) AS n FROM d GROUP BY day ORDER BY day"
        ),
        format!(
            "SELECT {day} AS day, COUNT(*) AS n FROM sessions WHERE {day} <= '2025-05-31' GROUP BY day \
             UNION ALL SELECT {day} AS day, COUNT(*) AS n FROM sessions WHERE {day} > '2025-05-31' \
             GROUP BY day ORDER BY day"
        ),
        format!(
            "WITH d AS (SELECT {day} AS day FROM sessions), \
             e AS (SELECT day, COUNT(*) AS n FROM (SELECT day FROM d) AS f GROUP BY day) \
             SELECT * FROM e ORDER BY day"
        ),
    ] {
        let reported = answer(&statement, "--timezone America/Bogota");
        assert_eq!(reported, "day,n\n2025-05-31,1\n2025-06-01,1\n2025-06-02,1\n", "{statement}");
    }
    for condition in [
        "session_id IN (SELECT session_id FROM sessions WHERE session_started_timestamp >= '2025-06-01')",
        "session_id NOT IN (SELECT session_id FROM sessions WHERE CAST(session_started_timestamp AS DATE) < '2025-06-01')",
    ] {
        assert_eq!(ids(condition, "--timezone America/Bogota"), "s2 s3", "{condition}");
    }
}

#[test]
fn times_are_local_within_exists() {
    let desk = Desk::loaded();
    // In Bogota 20:00 on 31 May and 1:00 on 1 June.
    desk.write(
        "conversions.csv",
        "conversion_id,event,converted_at,session_id\n\
         c1,paid,2025-06-01 01:00:00,s1\nc2,paid,2025-06-01 06:00:00,s2\n",
    );
    desk.stdout("load conversions.csv --lake lake --quiet");
    let mut command = desk.command("sql --lake lake --timezone America/Bogota");
    command.arg(
        "SELECT session_id FROM sessions s WHERE EXISTS (SELECT 1 FROM conversions c \
         WHERE c.session_id = s.session_id AND c.converted_at >= '2025-06-01')",
    );
    let said = Said::of(command.output().unwrap());
    assert_eq!((said.out.as_str(), said.err.as_str()), ("session_id\ns2\n", ""));
}

#[test]
fn durations_are_seconds() {
    let duration = "session_finished_timestamp - session_started_timestamp";
    let statement = format!("SELECT {duration} AS d FROM sessions ORDER BY session_id");
    assert_eq!(answer(&statement, ""), "d\n100.0\n10.0\n\"\"\n");
    let statement = format!(
        "SELECT AVG({duration}) AS a, PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY {duration}) AS m \
         FROM sessions"
    );
    assert_eq!(answer(&statement, ""), "a,m\n55.0,55.0\n");
}

#[test]
fn parameters_take_the_type_of_the_compared_column() {
    for (condition, words, expected) in [
        ("conversation_id = :flow", "--param flow=417", "s1 s2 s3"),
        ("conversation_version = :v AND session_id = :id", "--param v=2 --param id=s2", "s2"),
        ("user_phone = :phone", "--param phone=573000000002", "s2"),
        ("session_id IN (:ids)", "--param ids=s2 --param ids=s9", "s2"),
        ("session_id LIKE :p", "--param p=%2", "s2"),
        ("session_id <> ':p' AND :yes", "--param yes=true", "s1 s2 s3"),
    ] {
        assert_eq!(ids(condition, words), expected, "{condition}");
    }
    assert_eq!(
        answer("SELECT :a AS a, :b AS b, :c AS c", "--param a=7 --param b=7.5 --param c:text=7"),
        "a,b,c\n7,7.5,7\n"
    );
    let mut command = LOADED.command("sql --lake lake");
    command.args(["SELECT :x AS x, 'o''clock' AS y, 'a''''b' AS z", "--param"]);
    let said = Said::of(command.arg("x=it's a ''quote''").output().unwrap());
    assert_eq!(said.out, "x,y,z\nit's a ''quote'',o'clock,a''b\n", "{}", said.err);
}

#[test]
fn sql_file_is_answered_in_place_of_a_query_name() {
    let desk = Desk::loaded();
    let text = "-- ours\nSELECT COUNT(*) AS n\nFROM sessions\nWHERE session_id <> :not;\n";
    desk.write("mine.sql", text);
    for file in ["mine.sql", "./mine.sql"] {
        let line = format!("query {file} --lake lake --param not=s1");
        assert_eq!(desk.stdout(&line), "n\n2\n");
    }
    let plan = desk.stdout("explain mine.sql --lake lake --param not=s1");
    assert!(plan.contains("Parquet SCAN") && plan.contains("PROJECT 1/"), "{plan}");
    desk.write("wrong.sql", "SELECT COUNT(*) AS n\nFROM sesions\n");
    assert_eq!(
        desk.failure("query ./wrong.sql --lake lake").0,
        "error: `./wrong.sql`: line 2, column 6: no table `sesions`\n  \
         hint: did you mean `sessions`?\n"
    );
    let (said, code) = desk.failure("query none.sql --lake lake");
    assert!(said.contains("there is no file `none.sql`"), "{said}");
    assert_eq!(code, 2);
}

#[test]
fn condition_on_time_skips_files_of_other_days() {
    let explained = |since: &str| {
        let mut command = LOADED.command("explain sql --lake lake --timezone America/Bogota");
        command.arg(format!(
            "SELECT country FROM sessions WHERE session_started_timestamp >= '{since}'"
        ));
        Said::of(command.output().unwrap()).out
    };
    let both = explained("2025-05-31");
    assert!(both.contains("utc_day=2025-06-01") && both.contains("utc_day=2025-06-02"), "{both}");
    let one = explained("2025-06-02");
    assert!(!one.contains("utc_day=2025-06-01") && one.contains("utc_day=2025-06-02"), "{one}");
}

#[test]
fn table_that_was_never_loaded_is_empty() {
    let statement = "SELECT country, COUNT(*) AS n FROM messages GROUP BY country";
    assert_eq!(answer(statement, ""), "country,n\n");
    let statement = "SELECT s.session_id, c.value FROM sessions s \
                     LEFT JOIN conversions c ON s.session_id = c.session_id ORDER BY 1 LIMIT 1";
    assert_eq!(answer(statement, ""), "session_id,value\ns1,\n");
}

#[test]
fn errors_have_line_column_and_hint() {
    for (statement, words, lines) in [
        (
            "SELECT sesion_id FROM sessions",
            "",
            "error: line 1, column 8: no column `sesion_id`\n  hint: did you mean `session_id`?\n",
        ),
        (
            "SELECT 1 FRM sessions x",
            "",
            "error: line 1, column 14: expected end of statement, found `sessions`\n  \
             hint: a query is a SELECT, such as: SELECT COUNT(*) AS n FROM sessions\n",
        ),
        (
            "SELECT COUNT(*) AS n\nFROM sessions\nWHERE session_id = :id",
            "--param ids=s1",
            "error: line 3, column 20: `:id` has no value\n  \
             hint: give it with `--param id=…`; `:ids` has one\n",
        ),
        (
            "SELECT 1 AS n",
            "--param id=s1",
            "error: the query has no `:id`\n  \
             hint: leave `--param` out, or use it in the query\n",
        ),
        (
            "SELECT session_id FROM sessions WHERE conversation_version = :v",
            "--param v=two",
            "error: line 1, column 62: `:v` is not a whole number\n  \
             hint: give a value of the type that it is compared with\n",
        ),
        (
            "SELECT session_id FROM sessions WHERE conversation_id = 417",
            "",
            "error: line 1, column 57: the number 417 is compared with a text\n  \
             hint: ids and phones are texts: write '417'\n",
        ),
        (
            "SELECT NOW() AS at",
            "",
            "error: line 1, column 8: no function `now`\n  hint: an answer depends on the lake \
             only: pass the time as a parameter, `--param now=…`\n",
        ),
        (
            "DELETE FROM sessions",
            "",
            "error: only SELECT is supported, with or without a WITH\n  \
             hint: tables are only changed by commands such as `wabalake load` and `wabalake undo`\n",
        ),
        (
            "SELECT 1 AS a; SELECT 2 AS b",
            "",
            "error: line 1, column 16: only one statement is allowed\n  \
             hint: put each statement into a file of its own\n",
        ),
    ] {
        assert_eq!(fault(statement, words), lines, "{statement}");
    }
}

#[test]
fn statements_that_polars_misreads_are_refused() {
    for (statement, what) in [
        ("WITH sessions AS (SELECT 1 AS a) SELECT * FROM sessions", "is the name of a table"),
        ("SELECT sessions.user_phone FROM deployments AS sessions", "is the name of a table"),
        (
            "WITH d AS (SELECT session_id FROM sessions) \
             SELECT d.user_phone FROM deployments AS d JOIN d AS e ON e.session_id = d.session_id",
            "is the name of a WITH",
        ),
        (
            "SELECT country, RANK() OVER (ORDER BY COUNT(*)) AS r FROM sessions GROUP BY country",
            "a window function together with GROUP BY",
        ),
    ] {
        let said = fault(statement, "");
        assert!(said.contains(what) && said.contains("hint: "), "{said}");
    }
}

#[test]
fn unsupported_sql_suggests_a_supported_form() {
    for (statement, hint) in [
        (
            "WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM r) SELECT * FROM r",
            "session-chains",
        ),
        (
            "SELECT session_id FROM sessions \
             WHERE conversation_version = (SELECT MAX(conversation_version) FROM sessions)",
            "CROSS JOIN",
        ),
        ("SELECT country, COUNT(*) AS n FROM sessions GROUP BY ROLLUP(country)", "UNION ALL"),
        ("SELECT CAST(session_id AS BIGINT) AS n FROM sessions", "TRY_CAST"),
        (
            "SELECT DATEDIFF(session_finished_timestamp, session_started_timestamp) AS d \
             FROM sessions",
            "later - earlier",
        ),
        (
            "SELECT session_id FROM sessions s WHERE EXISTS (SELECT 1 FROM deployments d \
             WHERE d.session_id = s.session_id AND d.country = 'CO')",
            "write it with IN",
        ),
        ("SELECT ARRAY_AGG(session_id) AS l FROM sessions", "ARRAY_TO_STRING"),
        ("SELECT session_id FROM sessions WHERE session_started_timestamp > 'soon'", "2025-06-01"),
        (
            "SELECT DATE_TRUNC('year', session_started_timestamp) AS y FROM sessions",
            "EXTRACT(YEAR FROM",
        ),
    ] {
        let said = fault(statement, "");
        assert!(said.contains(hint), "{said}");
    }
}

#[test]
fn errors_show_no_value() {
    let said = fault("SELECT CAST(last_node_id AS BIGINT) AS n FROM sessions", "");
    assert!(!said.contains("colour") && !said.contains("size"), "{said}");
}
