//! What the tests share: a lake with a place for exports, commands as they are typed, files as they
//! are packed.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use ::zip::write::SimpleFileOptions;
use polars::prelude::*;
use tempfile::TempDir;
use wabalake::error::Error;
use wabalake::lake::Lake;
use wabalake::lake::rejects::{self, Which};
use wabalake::load::{LoadReport, Options, load};
use wabalake_data::Table;
use wabalake_data::tables::UTC_DAY;

/// A lake and a place for exports, gone with the test.
pub(super) struct Bench {
    pub(super) folder: TempDir,
    /// How files are loaded where a test does not say it.
    pub(super) options: Options,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), options: Options::default() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and the folders that it is in.
    pub(super) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub(super) fn lake(&self) -> Lake {
        self.lake_at("lake")
    }

    /// One of several lakes.
    pub(super) fn lake_at(&self, name: &str) -> Lake {
        Lake::create(self.path(name)).unwrap()
    }

    pub(super) fn load_with(
        &self,
        files: &[PathBuf],
        options: &Options,
    ) -> Result<LoadReport, Error> {
        load(&self.lake(), files, options)
    }

    pub(super) fn load_files(&self, files: &[PathBuf]) -> Result<LoadReport, Error> {
        self.load_with(files, &self.options)
    }

    /// Loads what is there already.
    pub(super) fn load_path(&self, name: &str) -> Result<LoadReport, Error> {
        self.load_files(&[self.path(name)])
    }

    pub(super) fn try_load(&self, name: &str, text: impl AsRef<[u8]>) -> Result<LoadReport, Error> {
        self.load_files(&[self.file(name, text)])
    }

    pub(super) fn load(&self, name: &str, text: impl AsRef<[u8]>) -> LoadReport {
        self.try_load(name, text).unwrap()
    }

    /// Loads a file of which nothing can be taken: its rejects are kept.
    pub(super) fn refused(&self, file: PathBuf) {
        let error = self.load_files(&[file]).unwrap_err();
        assert!(error.to_string().ends_with("valid: nothing was loaded"), "{error}");
    }

    pub(super) fn frame(&self, table: &'static Table) -> DataFrame {
        self.lake().snapshot(table).unwrap().scan().unwrap().collect().unwrap()
    }

    pub(super) fn count(&self, table: &'static Table) -> u64 {
        self.lake().snapshot(table).unwrap().rows()
    }

    /// Each row's columns in their order, then its UTC day, with `|` between; nothing for a null.
    pub(super) fn rows(&self, table: &'static Table) -> Vec<String> {
        let columns = table.columns.iter().map(|column| column.name);
        self.columns(table, &columns.chain([UTC_DAY]).collect::<Vec<_>>(), "|")
    }

    /// Some columns of a table's rows, in an order of their own; nothing for a null.
    pub(super) fn columns(
        &self,
        table: &'static Table,
        names: &[&str],
        between: &str,
    ) -> Vec<String> {
        let scan = self.lake().snapshot(table).unwrap().scan().unwrap();
        let text = |name: &&str| {
            let text = col(*name).cast(DataType::String).fill_null(lit(""));
            text.str().replace(lit("+00:00"), lit("Z"), true).name().keep()
        };
        let found = scan.select(names.iter().map(text).collect::<Vec<_>>()).collect().unwrap();
        let columns: Vec<_> = found.columns().iter().map(|c| c.str().unwrap()).collect();
        let row = |row| {
            let cells = columns.iter().map(|column| column.get(row).unwrap());
            cells.collect::<Vec<_>>().join(between)
        };
        let mut rows: Vec<String> = (0..found.height()).map(row).collect();
        rows.sort();
        rows
    }

    /// All that is stored of a table.
    pub(super) fn stored(&self, table: &'static Table) -> Vec<String> {
        stored(&self.lake(), table)
    }

    pub(super) fn open_rejects(&self) -> DataFrame {
        rejects::read(&self.lake(), Which::Open).unwrap().collect().unwrap()
    }

    /// Where open rejects were, and why.
    pub(super) fn rejects(&self) -> Vec<String> {
        let open = self.open_rejects();
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

    pub(super) fn run(&self, line: &str) -> Said {
        Said::of(wabalake(self.folder.path()).args(line.split_whitespace()).output().unwrap())
    }
}

/// Every column of a table's rows.
pub(super) fn stored(lake: &Lake, table: &'static Table) -> Vec<String> {
    let scan = lake.snapshot(table).unwrap().scan().unwrap();
    let names: Vec<Expr> = table.schema().iter_names().map(|name| col(name.clone())).collect();
    texts(&scan.select(names).collect().unwrap())
}

/// Rows as text, in an order of their own.
pub(super) fn texts(rows: &DataFrame) -> Vec<String> {
    let row = |row| {
        let cells = rows.get_row(row).unwrap().0;
        cells.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    };
    let mut texts: Vec<String> = (0..rows.height()).map(row).collect();
    texts.sort();
    texts
}

/// Read, new, updated, unchanged, rejected, left out, spread.
pub(super) fn total(report: &LoadReport) -> [u64; 7] {
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

/// Files that were passed over, and why.
pub(super) fn passed_over(report: &LoadReport) -> Vec<String> {
    report.passed_over.iter().map(|file| format!("{}: {}", file.file, file.reason)).collect()
}

pub(super) fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

pub(super) fn archive(files: &[(&str, &[u8])], options: SimpleFileOptions) -> Vec<u8> {
    let mut zip = ::zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Every file below a folder.
pub(super) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

/// Copies all that is in a folder.
pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
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
        fs::write(&path, text).unwrap();
        path
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(super) fn exists(&self, name: &str) -> bool {
        self.folder.path().join(name).exists()
    }

    pub(super) fn command(&self, line: &str) -> Command {
        let mut command = wabalake(self.folder.path());
        command.args(line.split_whitespace());
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

/// The program, to be run in a folder, with nothing of the environment that it would heed.
pub(super) fn wabalake(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wabalake"));
    command.current_dir(folder);
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
