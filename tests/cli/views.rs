//! `views` as it is typed, and the file of the nightly run.

use crate::support::Desk;

const SETTINGS: &str = "\
[[marts]]
name = 'by-day'
query = 'session-duration'
params = { by = ['day'] }
[nightly]
views = 'views.sql'
";

/// A lake with sessions, a reject, nodes, a link of a user id, and settings.
fn desk() -> Desk {
    let desk = Desk::loaded();
    desk.write("lake/wabalake.toml", SETTINGS);
    desk.write("nodes.csv", "conversation_id,node_id,label\n417,size,Size\n");
    desk.write("identities.csv", "user_id,linked\nCO.1,573005550101\nCO.2,CO.1\n");
    assert_eq!(desk.run("load nodes.csv identities.csv --lake lake --quiet").code, 0);
    desk
}

/// The statement that a view stands for; empty if there is no such view.
fn view<'a>(script: &'a str, name: &str) -> &'a str {
    let begin = format!("CREATE OR REPLACE VIEW {name} AS ");
    script.lines().find_map(|line| line.strip_prefix(begin.as_str())).unwrap_or_default()
}

#[test]
fn views_have_the_columns_of_the_catalog_without_people() {
    let desk = desk();
    let said = desk.run("nightly --lake lake");
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let root = desk.path("lake").canonicalize().unwrap().display().to_string();
    let written = desk.read("lake/views.sql").replace(&root, "/lake");
    assert!(!written.contains("lake.runs"), "the first run is recorded after it was written");
    assert_eq!(desk.run("nightly --lake lake").code, 0);
    let script = desk.stdout("views --lake lake");
    assert_eq!(desk.read("lake/views.sql"), script);
    let first = "INSTALL delta; LOAD delta;\n";
    let rest = script.strip_prefix(first).unwrap();
    assert_eq!(desk.stdout("views --lake lake --no-install"), rest);

    let script = script.replace(&root, "/lake");
    let schemas = "CREATE SCHEMA IF NOT EXISTS lake;\nCREATE SCHEMA IF NOT EXISTS marts;\n";
    assert!(
        script.starts_with(&format!("{first}{schemas}CREATE OR REPLACE VIEW lake.sessions AS "))
    );
    assert_eq!(
        view(&script, "lake.nodes"),
        "SELECT \"conversation_id\", \"conversation_version\", \"node_id\", \"label\", \"position\", \
         \"is_final\", \"question\", \"revision\" FROM delta_scan('/lake/tables/nodes');"
    );
    assert_eq!(
        view(&script, "lake.identities"),
        "SELECT \"kind\", \"first_seen\", \"last_seen\" FROM delta_scan('/lake/tables/identities');"
    );
    assert_eq!(
        view(&script, "lake.rejects"),
        "SELECT \"file_id\", \"file\", \"kind\", \"record\", \"line\", \"column\", \"reason\", \
         \"rejected_at\", \"resolved\", \"resolved_by\", \"row_key\", \"header\", \"delimiter\" \
         FROM delta_scan('/lake/tables/rejects');"
    );
    assert_eq!(
        view(&script, "marts.\"by-day\""),
        "SELECT \"day\", \"sessions\", \"finished_sessions\", \"avg_duration_seconds\", \
         \"median_duration_seconds\", \"p90_duration_seconds\", \"p95_duration_seconds\", \
         \"max_duration_seconds\" FROM delta_scan('/lake/marts/by-day');"
    );
    let sessions = view(&script, "lake.sessions");
    let last = "\"country\", \"user_key\" FROM delta_scan('/lake/tables/sessions');";
    assert!(sessions.starts_with("SELECT \"session_id\", \"parent_session_id\", "), "{sessions}");
    assert!(sessions.ends_with(last), "{sessions}");
    for private in ["user_phone", "user_id", "user_cellphone", "first_message", "last_message"] {
        assert!(!sessions.contains(&format!("\"{private}\"")), "{private}");
    }
    assert!(script.contains("\nDROP VIEW IF EXISTS lake.persons;\n"), "{script}");
    assert!(!script.contains("573005550101"), "{script}");
}

#[test]
fn people_are_shown_if_the_settings_allow_it() {
    let desk = desk();
    let allowed = format!("{SETTINGS}[privacy]\npeople_in_views = true\n");
    desk.write("lake/wabalake.toml", &allowed);
    assert_eq!(desk.run("views --lake lake -o views.sql").code, 0);
    let script = desk.read("views.sql");
    let sessions = view(&script, "lake.sessions");
    for shown in ["user_phone", "user_id", "user_cellphone", "first_message", "user_key"] {
        assert!(sessions.contains(&format!("\"{shown}\"")), "{shown}");
    }
    assert_eq!(
        view(&script, "lake.persons"),
        "SELECT \"user_id\", \"person\" FROM (VALUES ('CO.1', '573005550101'), \
         ('CO.2', '573005550101')) AS links (\"user_id\", \"person\");"
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = desk.path("views.sql").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "it names people");
    }
    // Without links there is a view all the same.
    let other = Desk::loaded();
    other.write("lake/wabalake.toml", &allowed);
    let script = other.stdout("views --lake lake");
    assert!(view(&script, "lake.persons").ends_with(" WHERE false;"), "{script}");
}

#[test]
fn mart_of_sql_that_names_people_has_no_view() {
    let desk = desk();
    let own = "[[marts]]\nname = 'own'\nsql = 'own.sql'\n";
    let settings = format!("{own}{SETTINGS}[privacy]\npeople_in_marts = true\n");
    desk.write("lake/wabalake.toml", &settings);
    desk.write("lake/own.sql", "SELECT country, user_phone AS who FROM sessions");
    assert_eq!(desk.run("nightly --lake lake").code, 0);
    let script = desk.read("lake/views.sql");
    assert!(script.contains("\nDROP VIEW IF EXISTS marts.\"own\";\n"), "{script}");
    assert!(!script.contains("\"who\""), "{script}");
    desk.write("lake/own.sql", "SELECT country, COUNT(*) AS n FROM sessions GROUP BY country");
    assert_eq!(desk.run("nightly --lake lake").code, 0);
    let script = desk.read("lake/views.sql");
    let columns = "SELECT \"country\", \"n\" FROM delta_scan(";
    assert!(view(&script, "marts.\"own\"").starts_with(columns), "{script}");
}

#[test]
fn views_that_cannot_be_written_are_reported() {
    let desk = desk();
    desk.write("lake/wabalake.toml", &SETTINGS.replace("views.sql", "wabalake.toml/views.sql"));
    let said = desk.run("nightly --lake lake");
    assert_eq!(said.code, 1);
    assert!(said.err.starts_with("error: the views failed; the rest"), "{}", said.err);
    assert!(said.out.starts_with("views: "), "{}", said.out);
    assert!(said.out.contains("wabalake.toml/views.sql: error: "), "{}", said.out);
}
