//! What the tests share: a lake with a place for exports, and commands as they are typed.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::LazyLock;

use polars::prelude::*;
use tempfile::TempDir;
use wabalake::error::Error;
use wabalake::lake::Lake;
use wabalake::lake::rejects::{self, Which};
use wabalake::load::{Options, Report, load};
use wabalake_data::Table;
use wabalake_data::tables::UTC_DAY;

/// A lake, and a place for the files that it is to load.
pub(super) struct Bench {
    folder: TempDir,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    pub(super) fn lake(&self) -> Lake {
        Lake::create(self.folder.path().join("lake")).unwrap()
    }

    pub(super) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(super) fn try_load(&self, name: &str, text: impl AsRef<[u8]>) -> Result<Report, Error> {
        load(&self.lake(), &[self.file(name, text)], &Options::default())
    }

    pub(super) fn load(&self, name: &str, text: impl AsRef<[u8]>) -> Report {
        self.try_load(name, text).unwrap()
    }

    /// Each row's columns in their order, then its UTC day; nothing for a null.
    pub(super) fn rows(&self, table: &'static Table) -> Vec<String> {
        let scan = self.lake().snapshot(table).unwrap().scan().unwrap();
        let columns = table.columns.iter().map(|column| col(column.name));
        let texts = columns.chain([col(UTC_DAY)]).map(|column| {
            let text = column.clone().cast(DataType::String).fill_null(lit(""));
            text.str().replace(lit("+00:00"), lit("Z"), true).name().keep()
        });
        let found = scan.select(texts.collect::<Vec<_>>()).collect().unwrap();
        let columns: Vec<_> = found.columns().iter().map(|c| c.str().unwrap().clone()).collect();
        let row = |row| {
            let cells = columns.iter().map(|column| column.get(row).unwrap_or_default());
            cells.collect::<Vec<_>>().join("|")
        };
        let mut rows: Vec<String> = (0..found.height()).map(row).collect();
        rows.sort();
        rows
    }

    /// Where open rejects were, and why.
    pub(super) fn rejects(&self) -> Vec<String> {
        let open = rejects::read(&self.lake(), Which::Open).unwrap().collect().unwrap();
        let number = |name, row| open.column(name).unwrap().i64().unwrap().get(row).unwrap();
        let text = |name, row: usize| {
            open.column(name).unwrap().str().unwrap().get(row).unwrap_or("-").to_owned()
        };
        let reject = |row| {
            let (record, line) = (number(rejects::RECORD, row), number(rejects::LINE, row));
            format!(
                "{record}@{line} {}: {}",
                text(rejects::COLUMN, row),
                text(rejects::REASON, row)
            )
        };
        (0..open.height()).map(reject).collect()
    }
}

/// Read, new, updated, unchanged, rejected, left out, spread.
pub(super) fn total(report: &Report) -> [u64; 7] {
    [
        report.total(|file| file.rows_read),
        report.total(|file| file.rows_new),
        report.total(|file| file.rows_updated),
        report.total(|file| file.rows_unchanged),
        report.total(|file| file.rows_rejected),
        report.total(|file| file.rows_left_out),
        report.total(|file| file.rows_spread),
    ]
}

/// A folder with a few exports, in which commands are run.
pub(super) struct Desk {
    pub(super) folder: TempDir,
}

pub(super) const SESSIONS: &str = "\
session_id,session_started_timestamp,session_finished_timestamp,session_type,session_status,\
conversation_id,conversation_version,user_country_code,user_cellphone,last_node_id
s1,2025-06-01 02:00:00,2025-06-01 02:01:40,Inbound,BOT,417,2,57,3000000001,size
s2,2025-06-01 12:00:00,2025-06-01 12:00:10,Inbound,AGENTS,417,2,57,3000000002,size
s3,2025-06-02 12:00:00,,Outbound,BOT,417,2,57,3000000001,\"colour, then\"
s4,2025-06-02 25:00:00,,Outbound,BOT,417,2,57,3000000003,size
";

impl Desk {
    pub(super) fn new() -> Self {
        let desk = Self { folder: TempDir::new().unwrap() };
        desk.write("sessions.csv", SESSIONS);
        desk
    }

    /// One where the sessions are loaded.
    pub(super) fn loaded() -> Self {
        let desk = Self::new();
        assert_eq!(desk.run("load sessions.csv --lake lake --quiet").code, 0);
        desk
    }

    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub(super) fn exists(&self, name: &str) -> bool {
        self.folder.path().join(name).exists()
    }

    pub(super) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wabalake"));
        command.current_dir(self.folder.path()).args(line.split_whitespace());
        for name in [
            "WABALAKE_LAKE",
            "WABALAKE_TIMEZONE",
            "WABALAKE_SOURCE_TIMEZONE",
            "WABALAKE_DEFAULT_COUNTRY",
            "WABALAKE_METRICS",
            "WABALAKE_NOTIFY_COMMAND",
            "WABALAKE_REMOTE",
            "WABALAKE_TOKEN",
            "RUST_BACKTRACE",
        ] {
            command.env_remove(name);
        }
        command.env("COLUMNS", "100");
        command
    }

    pub(super) fn run(&self, line: &str) -> Said {
        Said::of(self.command(line).output().unwrap())
    }

    /// Standard output of a command that must succeed without a word on standard error.
    pub(super) fn told(&self, line: &str) -> String {
        let said = self.run(line);
        assert_eq!((said.err.as_str(), said.code), ("", 0), "wabalake {line}");
        said.out
    }

    /// Standard error of a command that must fail without a word on standard output.
    pub(super) fn refused(&self, line: &str) -> (String, i32) {
        let said = self.run(line);
        assert_eq!(said.out, "", "wabalake {line}");
        (said.err, said.code)
    }
}

pub(super) struct Said {
    pub(super) out: String,
    pub(super) err: String,
    pub(super) code: i32,
}

impl Said {
    pub(super) fn of(output: Output) -> Self {
        Self {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code().unwrap(),
        }
    }
}

/// Read by many tests, written to by none.
pub(super) static LOADED: LazyLock<Desk> = LazyLock::new(Desk::loaded);
