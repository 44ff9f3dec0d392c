//! `mcp`: a session over standard input and output, its limits and its end. `tests/python/test_mcp.py` asks
//! with a client of the protocol.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::support::{Bench, LOADED, Said, sessions_export};

/// A server, and the client that speaks with it.
struct Session {
    server: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    asked: u64,
}

impl Session {
    fn start(bench: &Bench) -> Self {
        let mut command = bench.command("mcp --lake lake");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut server = command.spawn().unwrap();
        let input = server.stdin.take().unwrap();
        let output = BufReader::new(server.stdout.take().unwrap());
        let mut session = Self { server, input, output, asked: 0 };
        let client = json!({ "name": "test", "version": "0" });
        let ours =
            json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client });
        let theirs = session.ask("initialize", ours);
        assert_eq!(theirs["result"]["serverInfo"]["name"], "wabalake");
        session.tell(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        session
    }

    fn tell(&mut self, message: &Value) {
        writeln!(self.input, "{message}").unwrap();
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        self.tell(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the server ended");
            let message: Value = serde_json::from_str(&line).unwrap();
            if message["id"] == id {
                return message;
            }
        }
    }

    fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.ask("tools/call", json!({ "name": tool, "arguments": arguments }))["result"].take()
    }

    /// Closes standard input, and returns what is left.
    fn end(self) -> Said {
        drop(self.input);
        drop(self.output);
        Said::of(self.server.wait_with_output().unwrap())
    }
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}

#[test]
fn answer_is_that_of_the_command_line() {
    let mut session = Session::start(&LOADED);
    let answer = session.call("drop_off", json!({ "by": ["country"], "country": ["CO"] }));
    let csv = LOADED.stdout("query drop-off --by country --country CO --lake lake -f csv");
    assert_eq!(text(&answer), csv);
    let rows = &answer["structuredContent"];
    assert_eq!(rows["rows_total"], csv.lines().count() - 1);
    assert_eq!(rows["columns"][0], json!({ "name": "country", "type": "text", "unit": null }));
    assert_eq!(rows["rows"][0][0], "CO");
    let versions = json!(["sessions=0", "2025-06-02"]);
    assert_eq!(json!([rows["lake_version"], rows["freshest"]]), versions);
    let refused = session.call("drop_off", json!({ "from": "2025-06-02", "to": "2025-06-01" }));
    assert_eq!(
        text(&refused),
        "error: `from 2025-06-02` is after `to 2025-06-01`\n  hint: the range goes from the earlier \
         date to the later: `from 2025-06-01 to 2025-06-02`"
    );
    assert_eq!(refused["isError"], true);
    let sql = session.call("sql", json!({ "query": "SELECT 1" }));
    assert!(text(&sql).starts_with("error: the tool `sql` is not allowed"), "{sql}");
    let said = session.end();
    assert_eq!((said.out.as_str(), said.code), ("", 0));
    let logged: Vec<&str> =
        said.err.lines().map(|line| line.split(" in ").next().unwrap()).collect();
    assert_eq!(logged, ["drop_off: 2 rows", "drop_off: an error", "sql: an error"]);
}

#[test]
fn rows_are_limited_and_counted() {
    let bench = Bench::new();
    bench.load("sessions.csv", sessions_export(0..150));
    bench.file("lake/wabalake.toml", "[mcp]\nsql = true\nrows = 2\n");
    let mut session = Session::start(&bench);
    let ids = "SELECT session_id FROM sessions ORDER BY session_id";
    let first = session.call("sql", json!({ "query": ids }));
    assert_eq!(text(&first), "session_id\ns0\ns1\n");
    let rows = &first["structuredContent"];
    assert_eq!(json!([rows["rows_total"], rows["truncated"]]), json!([150, true]));
    let note = first["content"][1]["text"].as_str().unwrap();
    assert!(note.starts_with("These are the first 2 of 150 rows. "), "{note}");
    let people = "SELECT COUNT(DISTINCT user_phone) AS people FROM sessions";
    let counted = session.call("sql", json!({ "query": people }));
    assert_eq!(text(&counted), "people\n100\n");
    assert!(counted["content"][1].is_null());
    assert_eq!(session.end().code, 0);
}

/// The processes that a process started and that have not ended.
#[cfg(target_os = "linux")]
fn started_by(process: u32) -> usize {
    let parent_of = |entry: std::io::Result<std::fs::DirEntry>| {
        let stat = std::fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        // After the name, which may have spaces: the state, then the parent.
        let parent = stat.rsplit(')').next()?.split_whitespace().nth(1)?;
        parent.parse::<u32>().ok()
    };
    let parents = std::fs::read_dir("/proc").unwrap().filter_map(parent_of);
    parents.filter(|parent| *parent == process).count()
}

#[cfg(target_os = "linux")]
#[test]
fn answer_that_takes_too_long_is_stopped() {
    use std::time::{Duration, Instant};

    let bench = Bench::new();
    bench.load("sessions.csv", sessions_export(0..2_000));
    bench.file("lake/wabalake.toml", "[mcp]\nsql = true\nseconds = 1\n");
    let mut session = Session::start(&bench);
    // Eight thousand million rows.
    let endless = "SELECT COUNT(*) AS n FROM sessions a CROSS JOIN sessions b CROSS JOIN sessions c \
                   WHERE a.session_id || b.session_id <> c.session_id";
    let stopped = session.call("sql", json!({ "query": endless }));
    assert!(
        text(&stopped).starts_with("error: there was no answer within 1 second\n  hint: "),
        "{stopped}"
    );
    let until = Instant::now() + Duration::from_secs(20);
    while started_by(session.server.id()) > 0 {
        assert!(Instant::now() < until, "the process of the answer still runs");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(session.end().code, 0);
}

#[test]
fn session_without_a_client_ends() {
    let mut command = LOADED.command("mcp --lake lake");
    let said = Said::of(command.stdin(Stdio::null()).output().unwrap());
    assert_eq!((said.out.as_str(), said.err.as_str(), said.code), ("", "", 0));
}
