//! Shared by the tests: a lake with a folder for exports, commands as they are typed, packed files.

use std::fs::{self, File};
use std::io::{Cursor, Write as _};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use ::zip::ZipWriter;
use ::zip::write::SimpleFileOptions;
use bytes::Bytes;
use object_store::memory::InMemory;
use polars::prelude::*;
use rust_xlsxwriter::Workbook;
use tempfile::TempDir;
use wabalake::config::Config;
use wabalake::error::Error;
use wabalake::lake::rejects::{self, Which};
use wabalake::lake::{AsOf, Lake, marts};
use wabalake::load::{LoadReport, Options, load};
use wabalake::marts::{Definition, Mart, PinnedTables};
use wabalake::nightly;
use wabalake::place::{Key, Place};
use wabalake::run::polars::collect;
use wabalake_data::Table;
use wabalake_data::tables::UTC_DAY;

/// A lake, its settings and a folder for exports, deleted when the test ends.
pub(super) struct Bench {
    pub(super) folder: TempDir,
    /// Options of every load that names none.
    pub(super) options: Options,
    /// Settings of every nightly run that names none.
    pub(super) config: Config,
}

impl Bench {
    pub(super) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        Self { folder, options: Options::default(), config: Config::default() }
    }

    /// A lake with these settings, and an inbox beside it.
    pub(super) fn with_settings(settings: &str) -> Self {
        let bench = Self { config: Config::read(settings).unwrap(), ..Self::new() };
        bench.lake();
        fs::create_dir(bench.path("inbox")).unwrap();
        bench
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file and the folders that it is in.
    pub(super) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(super) fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
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

    /// Loads a file or folder that exists.
    pub(super) fn load_path(&self, name: &str) -> Result<LoadReport, Error> {
        self.load_files(&[self.path(name)])
    }

    pub(super) fn try_load(&self, name: &str, text: impl AsRef<[u8]>) -> Result<LoadReport, Error> {
        self.load_files(&[self.file(name, text)])
    }

    pub(super) fn load(&self, name: &str, text: impl AsRef<[u8]>) -> LoadReport {
        self.try_load(name, text).unwrap()
    }

    /// Loads a file whose records are all rejected: the load fails, its rejects are stored.
    pub(super) fn load_rejected(&self, file: PathBuf) {
        let error = self.load_files(&[file]).unwrap_err();
        assert!(error.to_string().ends_with("valid: nothing was loaded"), "{error}");
    }

    pub(super) fn run_nightly(&self) -> nightly::RunReport {
        self.run_nightly_with(&nightly::Options::default())
    }

    pub(super) fn run_nightly_with(&self, options: &nightly::Options) -> nightly::RunReport {
        nightly::run(&self.lake(), &self.config, options, None).unwrap()
    }

    /// The rows of each mart: as stored, and as its query or SQL answers now. Those of SQL are sorted.
    pub(super) fn marts(&self) -> Vec<(Mart, DataFrame, DataFrame)> {
        let lake = self.lake();
        let sources = PinnedTables::of(&lake, AsOf::Now);
        let rows = |mart: Mart| {
            let stored = marts::rows(&lake.snapshot(&mart.layout).unwrap(), Vec::new()).unwrap();
            let (stored, answer) = match &mart.definition {
                Definition::Query(asked) => {
                    let question = &asked.question;
                    let plan = question.plan(&sources.tables(question).unwrap()).unwrap();
                    let stored = question.in_order(stored).collect().unwrap();
                    (stored, collect(plan, question).unwrap())
                }
                Definition::Sql(sql) => {
                    (sorted(stored), sorted(sql.rows(&sources).unwrap().lazy()))
                }
            };
            (mart, stored, answer)
        };
        Mart::all(&lake, &self.config).unwrap().into_iter().map(rows).collect()
    }

    pub(super) fn frame(&self, table: &'static Table) -> DataFrame {
        self.lake().snapshot(table).unwrap().scan().unwrap().collect().unwrap()
    }

    pub(super) fn count(&self, table: &'static Table) -> u64 {
        self.lake().snapshot(table).unwrap().rows()
    }

    /// Each row as text: its columns, then its UTC day, with `|` between; empty for a null.
    pub(super) fn rows(&self, table: &'static Table) -> Vec<String> {
        let columns = table.columns.iter().map(|column| column.name);
        self.columns(table, &columns.chain([UTC_DAY]).collect::<Vec<_>>(), "|")
    }

    /// Some columns of each row as text, sorted; empty for a null.
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

    /// Every stored column of each row as text, sorted.
    pub(super) fn stored(&self, table: &'static Table) -> Vec<String> {
        stored(&self.lake(), table)
    }

    pub(super) fn open_rejects(&self) -> DataFrame {
        rejects::read(&self.lake(), Which::Open).unwrap().collect().unwrap()
    }

    /// Each open reject as `RECORD@LINE COLUMN: REASON`.
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

    /// The CSV of the open rejects, as `rejects --export --exact` writes it.
    pub(super) fn exported_rejects(&self) -> String {
        let mut text = Vec::new();
        wabalake::load::export_rejects(&self.open_rejects(), true, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    /// The program with these arguments, in this folder.
    pub(super) fn command(&self, line: &str) -> Command {
        let mut command = wabalake(self.folder.path());
        command.args(line.split_whitespace());
        command
    }

    pub(super) fn run(&self, line: &str) -> Said {
        Said::of(self.command(line).output().unwrap())
    }

    /// Standard output of a command that succeeds and prints nothing on standard error.
    pub(super) fn stdout(&self, line: &str) -> String {
        let said = self.run(line);
        assert_eq!((said.err.as_str(), said.code), ("", 0), "wabalake {line}");
        said.out
    }

    /// Standard error and exit code of a command that fails and prints nothing on standard output.
    pub(super) fn failure(&self, line: &str) -> (String, i32) {
        let said = self.run(line);
        assert_eq!(said.out, "", "wabalake {line}");
        assert_ne!(said.code, 0, "wabalake {line}");
        (said.err, said.code)
    }
}

/// Rows in the order of all their columns.
pub(super) fn sorted(rows: LazyFrame) -> DataFrame {
    let rows = rows.collect().unwrap();
    let columns = rows.get_column_names_owned();
    rows.sort(columns, SortMultipleOptions::default()).unwrap()
}

/// Every stored column of each row as text, sorted.
pub(super) fn stored(lake: &Lake, table: &'static Table) -> Vec<String> {
    let scan = lake.snapshot(table).unwrap().scan().unwrap();
    let names: Vec<Expr> = table.schema().iter_names().map(|name| col(name.clone())).collect();
    texts(&scan.select(names).collect().unwrap())
}

/// Rows as text with `,` between cells, sorted.
pub(super) fn texts(rows: &DataFrame) -> Vec<String> {
    let row = |row| {
        let cells = rows.get_row(row).unwrap().0;
        cells.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    };
    let mut texts: Vec<String> = (0..rows.height()).map(row).collect();
    texts.sort();
    texts
}

/// Rows of a load: read, new, updated, unchanged, rejected, left out, spread over days.
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

/// Each skipped file as `FILE: REASON`.
pub(super) fn passed_over(report: &LoadReport) -> Vec<String> {
    report.passed_over.iter().map(|file| format!("{}: {}", file.file, file.reason)).collect()
}

pub(super) fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

pub(super) fn archive(files: &[(&str, &[u8])], options: SimpleFileOptions) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

pub(super) const SESSIONS_HEADER: &str =
    "session_id,session_started_timestamp,user_country_code,user_cellphone\n";

/// A row of the export that [`sessions_export`] makes.
pub(super) fn session_row(number: usize) -> String {
    format!("s{number},2025-06-01 10:{:02}:00,57,30055501{:02}\n", number % 60, number % 100)
}

/// An export of sessions with these numbers.
pub(super) fn sessions_export(numbers: impl IntoIterator<Item = usize>) -> String {
    SESSIONS_HEADER.to_owned() + &numbers.into_iter().map(session_row).collect::<String>()
}

/// A workbook whose first sheet is a title and whose second holds these comma-separated lines;
/// cells that look like numbers are numbers.
pub(super) fn workbook(lines: &str) -> Vec<u8> {
    let mut book = Workbook::new();
    book.add_worksheet().write(0, 0, "June").unwrap();
    let sheet = book.add_worksheet();
    for (row, line) in (0..).zip(lines.lines()) {
        for (column, cell) in (0..).zip(line.split(',')) {
            match cell.parse::<f64>() {
                Ok(number) => sheet.write(row, column, number).unwrap(),
                Err(_) => sheet.write(row, column, cell).unwrap(),
            };
        }
    }
    book.save_to_buffer().unwrap()
}

/// Sets the time of a file's last change to so many seconds ago; negative is in the future.
pub(super) fn set_age(file: &Path, seconds: i64) {
    let now = SystemTime::now();
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let at = if seconds < 0 { now + distance } else { now - distance };
    File::options().write(true).open(file).unwrap().set_modified(at).unwrap();
}

/// Every file and folder below a folder, sorted.
pub(super) fn entries_below(folder: &Path) -> Vec<PathBuf> {
    let mut entries = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            entries.extend(entries_below(&path));
        }
        entries.push(path);
    }
    entries.sort();
    entries
}

/// Every file below a folder, sorted.
pub(super) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut entries = entries_below(folder);
    entries.retain(|path| !path.is_dir());
    entries
}

/// Copies a folder with everything in it.
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

/// A [`Bench`] with an export, `sessions.csv`, of three sessions and a record that is rejected.
pub(super) struct Desk {
    bench: Bench,
}

impl Deref for Desk {
    type Target = Bench;

    fn deref(&self) -> &Bench {
        &self.bench
    }
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
        let desk = Self { bench: Bench::new() };
        desk.write("sessions.csv", SESSIONS);
        desk
    }

    /// Loads the sessions into a lake, `lake`.
    pub(super) fn loaded() -> Self {
        let desk = Self::new();
        assert_eq!(desk.run("load sessions.csv --lake lake --quiet").code, 0);
        desk
    }

    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        self.file(name, text)
    }
}

/// The program, to be run in a folder, without the environment variables that it reads.
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

/// What a command printed, and its exit code.
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

/// A loaded lake that many tests read and none changes.
pub(super) static LOADED: LazyLock<Desk> = LazyLock::new(Desk::loaded);

/// A copy of a lake on a store in memory, without what is of use on one machine only.
pub(super) fn on_store(lake: &Lake) -> Lake {
    let place = Place::over(Arc::new(InMemory::new()), "a b/lake").unwrap();
    for file in files_below(lake.root()) {
        let key = file.strip_prefix(lake.root()).unwrap().to_str().unwrap();
        if !key.starts_with(".wabalake/locks/") && !key.starts_with(".wabalake/scratch/") {
            place.put(&Key::parse(key).unwrap(), Bytes::from(fs::read(&file).unwrap())).unwrap();
        }
    }
    Lake::at(place)
}

/// A copy of a lake on a store, in a folder.
pub(super) fn in_folder(stored: &Lake, folder: &Path) -> Lake {
    let lake = Lake::create(folder).unwrap();
    for file in stored.place().list(&Key::root(), None).unwrap() {
        let path = folder.join(file.key.as_str());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, stored.place().read(&file.key).unwrap().unwrap()).unwrap();
    }
    lake
}
