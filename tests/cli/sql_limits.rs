//! SQL that is refused: other files, networks, statements too deep or too wide.

use super::sql::{fault, ids};
use crate::support::{Desk, LOADED, Said};

/// A suffix with which Polars itself rejects the statement, with its own message.
const UNKNOWN: &str = ".x";

#[test]
fn files_need_permission_and_networks_are_never_reached() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let server = listener.local_addr().unwrap();
    let desk = Desk::loaded();
    desk.write("vips.csv", "id\ns1\n");
    let run = |statement: &str, words: &[&str]| {
        Said::of(
            desk.command("sql --lake lake -f csv").arg(statement).args(words).output().unwrap(),
        )
    };
    let reads = |path: &str| {
        let mut reads = Vec::new();
        for reader in ["read_csv", "READ_PARQUET", "read_ipc", "\"read_json\""] {
            let file = format!("{reader}('{path}')");
            reads.extend([
                format!("SELECT * FROM {file}"),
                format!("SELECT * FROM {file}{UNKNOWN}"),
                format!("WITH v AS (SELECT * FROM {file} AS f) SELECT * FROM v"),
                format!("SELECT * FROM (SELECT * FROM {file} AS f) AS v"),
                format!("SELECT session_id FROM sessions WHERE session_id IN (SELECT id FROM {file} AS f)"),
                format!("SELECT s.session_id FROM sessions AS s JOIN {file} AS f ON s.session_id = f.id"),
                format!("SELECT session_id AS id FROM sessions UNION ALL SELECT id FROM {file} AS f"),
                format!("SELECT s.session_id FROM sessions AS s, {file} AS f"),
            ]);
        }
        reads
    };
    let local = reads("vips.csv");
    for statement in &local {
        let said = run(statement, &[]);
        assert_eq!((said.out.as_str(), said.code), ("", 2), "{statement}");
        let refused = said.err.contains("files are not allowed\n  hint: allow them in the lake's");
        assert!(refused || statement.ends_with(UNKNOWN), "{statement}: {}", said.err);
    }
    desk.write("lake/wabalake.toml", "[sql]\nfiles = true\n");
    let said = run(
        "SELECT s.session_id FROM sessions AS s JOIN read_csv('vips.csv') AS f ON s.session_id = f.id",
        &[],
    );
    assert_eq!((said.out.as_str(), said.err.as_str()), ("session_id\ns1\n", ""));
    let own = run("SELECT * FROM read_csv('sessions')", &[]);
    assert!(own.err.starts_with("error: `sessions` is the name of a table"), "{}", own.err);
    for scheme in ["http", "https", "HTTP", "s3", "hf", "gs", "file"] {
        let statements = reads(&format!("{scheme}://{server}/vips.csv"));
        for statement in statements.iter().filter(|statement| !statement.ends_with(UNKNOWN)).take(3)
        {
            let said = run(statement, &[]);
            assert_eq!((said.out.as_str(), said.code), ("", 2), "{statement}");
            assert!(said.err.contains("cannot read a URL\n  hint: "), "{}", said.err);
        }
    }
    let address = format!("file=http://{server}/vips.csv");
    let said = run("SELECT * FROM read_csv(:file) AS f", &["--param", &address]);
    assert!(said.err.contains("cannot read a URL"), "{}", said.err);
    for (statement, wrong) in [
        (
            "SELECT * FROM scan_csv('a.csv')",
            "no function `scan_csv` in FROM\n  hint: did you mean `read_csv`?",
        ),
        ("SELECT * FROM generate_series(1, 2)", "no function `generate_series` in FROM"),
        ("SELECT * FROM 'vips.csv'", "no table `"),
        ("SELECT * FROM \"http://a/vips.csv\"", "no table `"),
        ("SELECT read_csv('vips.csv') AS a", "no function `read_csv`"),
        ("TABLE vips", "error: "),
    ] {
        let said = run(statement, &[]);
        assert!(said.err.contains(wrong) && said.code == 2, "{statement}: {}", said.err);
    }
    let reached = listener.accept().map_err(|error| error.kind());
    assert_eq!(reached.map(|(_, from)| from), Err(std::io::ErrorKind::WouldBlock));
}

/// Statements whose depth or width is `size`.
fn statements(size: usize) -> Vec<String> {
    const FROM: &str = "FROM sessions";
    let repeat = |text: &str| text.repeat(size);
    let chain = |part: &str, between: &str| vec![part; size].join(between);
    let list = |part: &dyn Fn(usize) -> String, between: &str| {
        (0..size).map(part).collect::<Vec<_>>().join(between)
    };
    let select = |what: String| format!("SELECT {what} AS a {FROM}");
    let filter = |condition: String| format!("SELECT session_id {FROM} WHERE {condition}");
    let all = format!("SELECT session_id {FROM}");
    let mut statements = vec![
        filter(chain("conversation_version = 2", " OR ")),
        filter(chain("session_id LIKE 'a%'", " AND ")),
        filter(format!("{} TRUE", repeat("NOT "))),
        filter(format!("session_id IN ({})", list(&|n| format!("'s{n}'"), ", "))),
        filter(format!("conversation_version NOT IN ({})", list(&|n| format!("-{n}"), ", "))),
        filter(format!(
            "session_started_timestamp > '2025-01-01'{}",
            repeat(" + INTERVAL '1 day'")
        )),
        format!(
            "{all}{}{}",
            repeat(" WHERE session_id IN (SELECT session_id FROM sessions"),
            repeat(")")
        ),
        select(chain("conversation_version", " + ")),
        select(chain("session_id", " || ")),
        select(chain("TRUE", " = ")),
        select(format!("{}1{}", repeat("("), repeat(")"))),
        select(format!("{}1", repeat("- "))),
        select(format!("{}'1 day'", repeat("INTERVAL "))),
        select(format!("{}session_id{}", repeat("LOWER("), repeat(")"))),
        select(format!("session_id{}", repeat(" IS NULL"))),
        select(format!("session_id{}", repeat(" LIKE 'a'"))),
        select(format!("session_id{}", repeat(" ISNULL"))),
        select(format!("conversation_version{}", repeat("::VARCHAR"))),
        select(format!("conversation_version{}", repeat("[1]"))),
        select(format!("a{}", repeat(".b"))),
        select(format!("CAST(1 AS {}INT{})", repeat("ARRAY<"), repeat(">"))),
        select(format!("{}0{}", repeat("CASE WHEN TRUE THEN 1 ELSE "), repeat(" END"))),
        select(format!(
            "CASE {} END",
            list(&|n| format!("WHEN conversation_version = {n} THEN {n}"), " ")
        )),
        select(format!("COALESCE({})", chain("session_id", ", "))),
        select(chain("COUNT(*) OVER ()", " + ")),
        select("(".repeat(size)),
        format!(
            "SELECT COUNT(*) AS n FROM (VALUES {}) AS v (a, b)",
            list(&|n| format!("({n}, 'x')"), ", ")
        ),
        format!("SELECT {} {FROM}", list(&|n| format!("session_id AS a{n}"), ", ")),
        format!("SELECT * FROM {}{all}{}", repeat("("), list(&|n| format!(") AS t{n}"), "")),
        format!("SELECT 1 AS a FROM {}sessions{}", repeat("("), repeat(")")),
        format!("{} SELECT 1 AS a", list(&|n| format!("WITH c{n} AS (SELECT 1 AS a)"), " ")),
        format!("WITH c AS ({all}){} {all}", list(&|n| format!(", c{n} AS (SELECT * FROM c)"), "")),
        format!(
            "SELECT a.session_id FROM sessions AS a{}",
            list(&|n| format!(" JOIN sessions AS a{n} ON a.session_id = a{n}.session_id"), "")
        ),
        format!("{}{all}", repeat("EXPLAIN ")),
        format!("{}{all}", repeat(";")),
    ];
    for operation in [" UNION ALL ", " UNION ", " EXCEPT ", " INTERSECT "] {
        statements.push(chain(&all, operation));
    }
    // Its rows grow exponentially with the size.
    if size > 50 {
        statements
            .push(format!("SELECT 1 AS a FROM {}", list(&|n| format!("sessions AS a{n}"), ", ")));
    }
    statements
}

/// Checks that a statement is answered, or refused with a hint.
fn check_ends(statement: &str, name: &str) {
    let file = LOADED.write(name, statement);
    let line = format!("query {} --lake lake -f csv", file.display());
    let said = LOADED.command(&line).output().unwrap();
    let err = String::from_utf8_lossy(&said.stderr);
    let begins = statement.chars().take(60).collect::<String>();
    let code = said.status.code();
    let is_answer = code == Some(0) && err.is_empty();
    let is_refusal = code == Some(2) && err.contains("error: ") && err.contains("hint: ");
    assert!(is_answer || is_refusal, "{begins}, {} bytes: {code:?}: {err}", statement.len());
}

#[test]
fn deep_and_wide_statements_are_answered_or_refused() {
    std::thread::scope(|scope| {
        for size in [20, 10_000] {
            scope.spawn(move || {
                for statement in statements(size) {
                    check_ends(&statement, &format!("deep-{size}.sql"));
                }
            });
        }
        // The deepest statements allowed, evaluated by the code that needs the most stack.
        scope.spawn(|| {
            let nulls = " IS NULL".repeat(29);
            check_ends(&format!("SELECT session_id{nulls} AS a FROM sessions"), "nulls.sql");
            let sum = vec!["conversation_version"; 300].join(" + ");
            check_ends(&format!("SELECT {sum} AS a FROM sessions"), "sum.sql");
        });
    });
}

#[test]
fn lists_of_thousands_are_answered() {
    let list =
        |value: &dyn Fn(usize) -> String| (0..5_000).map(value).collect::<Vec<_>>().join(", ");
    assert_eq!(ids(&format!("session_id IN ({})", list(&|n| format!("'s{n}'"))), ""), "s1 s2 s3");
    assert_eq!(
        ids(&format!("conversation_version NOT IN ({})", list(&|n| format!("-{n}"))), ""),
        "s1 s2 s3"
    );
    // s1 started at 2:00, s2 at 12:00, s3 a day later.
    let minute = |n: usize| format!("'2025-06-01 {:02}:{:02}:00'", n / 60 % 24, n % 60);
    let minutes = list(&minute);
    assert_eq!(ids(&format!("session_started_timestamp IN ({minutes})"), ""), "s1 s2");
    assert_eq!(ids(&format!("session_started_timestamp NOT IN ({minutes})"), ""), "s3");
    for few in [15, 16, 17, 40] {
        let hours = (0..few).map(|n| minute(n * 60)).collect::<Vec<_>>().join(", ");
        let within = if few > 12 { "s1 s2" } else { "s1" };
        assert_eq!(ids(&format!("session_started_timestamp IN ({hours})"), ""), within);
        assert_eq!(ids(&format!("NOT session_started_timestamp IN ({hours})"), ""), "s3");
        let bogota = format!("session_started_timestamp IN ({hours}, '2025-05-31 21:00:00')");
        assert_eq!(ids(&bogota, "--timezone America/Bogota"), "s1 s2");
    }
    let values = list(&|n| format!("('s{n}', {n})"));
    let joined = format!(
        "SELECT SUM(v.n) AS n FROM sessions AS s JOIN (VALUES {values}) AS v (id, n) ON s.session_id = v.id"
    );
    let file = LOADED.write("values.sql", &joined);
    let said = LOADED.stdout(&format!("query {} --lake lake -f csv", file.display()));
    assert_eq!(said, "n\n6\n");
    let nodes = list(&|n| format!("n{n}")).replace(", ", ",");
    let said =
        LOADED.stdout(&format!("query drop-off --lake lake -f csv --conversation-id {nodes},417"));
    assert_eq!(said.lines().count(), 3, "{said}");
}

#[test]
fn errors_of_large_statements_name_the_limit() {
    let chain = vec!["conversation_version = 2"; 5_000].join(" OR ");
    let file = LOADED.write("terms.sql", &format!("SELECT session_id FROM sessions WHERE {chain}"));
    let (said, code) = LOADED.failure(&format!("query {} --lake lake", file.display()));
    assert!(said.contains("operators and keywords without a comma between\n  hint: "), "{said}");
    assert_eq!(code, 2);
    let unions = vec!["SELECT session_id FROM sessions"; 1_000].join(" UNION ALL ");
    let said = fault(&unions, "");
    assert!(said.contains("more than 500 SELECTs, VALUES and set operations\n  hint: "), "{said}");
}
