//! `wabalake load [KIND] FILE…`: exports in, rows of the lake out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use chrono_tz::Tz;
use clap::builder::PossibleValuesParser;
use clap::{Args, Command, FromArgMatches as _};
use wabalake_data::cells::{DateOrder, DecimalMark};
use wabalake_data::words::{counted, nearest, plural};
use wabalake_data::{TABLES, Table, table};
use wabalake_queries::query::days::read_date;
use wabalake_queries::query::zone::read_zone;

use super::output::{say, shown_path, to_file, to_stderr, to_stdout};
use super::shared::{CountryOption, LakeOption};
use super::{Asked, Subcommand, usage};
use crate::config::Config;
use crate::error::{Error, Fault, Result, in_words};
use crate::lake::{Creation, Lake, Scratch};
use crate::load::{self, LoadReport};

pub(super) const SUBCOMMAND: Subcommand = Subcommand { name: "load", define, run };

#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
struct Options {
    /// Exports: csv, xlsx or xlsb, plain or in gz, zst or zip; folders of them; a quoted pattern such
    /// as 'exports/*.csv.gz' (`[[]` is a bracket); a pipe; `-` is standard input. A table's name before them says what they are
    #[arg(required = true, value_name = "[KIND] FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    lake: LakeOption,

    /// The table that they are for [default: told from their headers]
    #[arg(long, value_parser = PossibleValuesParser::new(TABLES.iter().map(|table| table.name)))]
    kind: Option<String>,

    /// IANA zone of stamps without an offset [default: the lake's, else UTC]
    #[arg(
        long,
        value_name = "ZONE",
        env = "WABALAKE_SOURCE_TIMEZONE",
        hide_env_values = true,
        value_parser = read_zone
    )]
    source_timezone: Option<Tz>,

    #[command(flatten)]
    country: CountryOption,

    /// Read a header as another, as FROM=TO; can be given several times
    #[arg(long, value_name = "FROM=TO", value_parser = rename)]
    rename: Vec<(String, String)>,

    /// The order of day, month and year in dates such as 01/06/2025 [default: the one that fits all
    /// cells of a column]
    #[arg(long, value_parser = PossibleValuesParser::new(DateOrder::NAMES.map(|(name, _)| name)))]
    date_order: Option<String>,

    /// The sign before decimals in numbers such as 1.234 [default: the one that fits all cells of a
    /// column]
    #[arg(long, value_parser = PossibleValuesParser::new(DecimalMark::NAMES.map(|(name, _)| name)))]
    decimal: Option<String>,

    /// The date on which the files were exported, as YYYY-MM-DD, for `ad_spend`: what Meta told later
    /// stays, though it be less [default: not known; then the larger amount stays]
    #[arg(long, value_name = "DATE", value_parser = read_date)]
    exported_on: Option<NaiveDate>,

    /// The sheet of a spreadsheet [default: the one that is an export]
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,

    /// Make each file a load of its own, in archives too: one that fails does not stop the others
    #[arg(long)]
    per_file: bool,

    /// Refuse everything if one row cannot be taken
    #[arg(long)]
    strict: bool,

    /// Refuse everything if more rows than this cannot be taken [default: any number is set aside]
    #[arg(long, value_name = "ROWS")]
    max_rejects: Option<u64>,

    /// Only try: say what would be done; the lake need not be one that may be written to
    #[arg(long)]
    #[arg(
        long_help = "Only try: say what would be done. Nothing is written to the lake, which may be one that \
                     may only be read; what does not fit into memory goes to the system's temporary folder"
    )]
    dry_run: bool,

    /// Say nothing but warnings and errors
    #[arg(short, long)]
    quiet: bool,

    /// Write the report as JSON to this file, or to standard output if it is `-`
    #[arg(long, value_name = "FILE")]
    report_json: Option<PathBuf>,
}

fn define(command: Command) -> Command {
    Options::augment_args(command)
        .long_about(
            "Load exports into a lake, which is made if there is none: all of them, or none, unless \
             --per-file makes each a load of its own. A file that the lake has is not loaded twice, \
             and the order of files makes no difference. Folders are read with their subfolders; what \
             is no export in a folder or an archive is passed over and named, and so is a file that is \
             still on its way by its name (.part, .crdownload, .tmp, .filepart, ...). A pipe is copied \
             first. A file that changes while it is read is not loaded. A load that fails leaves the \
             lake as it was, and none where there was none. Rows that cannot be \
             taken are set aside: `wabalake rejects` lists them. Rows of persons whom `wabalake erase \
             --keep-out` erased are left out and counted.\n\n\
             To read nothing is no success: a named file of whose records none can be taken fails the \
             load with exit code 1, and so do folders and archives of which nothing at all can be \
             taken. No row is loaded then, the file stays where it is, and its rejects are kept. A \
             header without rows is no fault.",
        )
        .override_usage("wabalake load [KIND] FILE|DIR|'PATTERN'... --lake DIR [OPTIONS]")
        .after_help(after_help())
}

fn after_help() -> String {
    let width = TABLES.iter().map(|table| table.name.len()).max().unwrap_or(0) + 2;
    let kinds = TABLES.iter().map(|table| format!("  {:width$}{}", table.name, table.source));
    let kinds = kinds.collect::<Vec<_>>().join("\n");
    format!("Kinds:\n{kinds}\n\nExample:\n  wabalake load exports/*.csv --lake lake")
}

/// Reads `FROM=TO`. A header may hold a `=`, the name of a column does not.
fn rename(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once('=') {
        Some((from, to)) if !from.is_empty() && !to.is_empty() => Ok((from.into(), to.into())),
        _ => Err("not of the form FROM=TO\n  hint: such as \
                  `started=session_started_timestamp`, the export's name first"
            .to_owned()),
    }
}

fn run(asked: &Asked<'_>) -> Result<()> {
    let options =
        Options::from_arg_matches(asked.matches).map_err(|e| usage::error(&e, asked.words))?;
    let (kind, files) = kind_and_files(&options)?;
    check_files(files, options.per_file)?;
    let creation = Creation::of(options.lake.path());
    let loaded = load_files(&options, kind, files);
    if loaded.is_err() && !options.dry_run {
        creation.take_back();
    }
    loaded
}

fn load_files(options: &Options, kind: Option<&'static Table>, files: &[PathBuf]) -> Result<()> {
    // A lake that is not there is tried as an empty one.
    let nowhere;
    let lake = match options.dry_run {
        true if options.lake.path().exists() => options.lake.open()?,
        true => {
            nowhere = Scratch::outside()?;
            Lake::open(&*nowhere)?
        }
        false => options.lake.create()?,
    };
    let config = Config::of(lake.root())?;
    let own = options.source_timezone;
    let default_country = options.country.of(&config);
    let source_timezones = if own.is_some() { BTreeMap::new() } else { config.source_timezones };
    let how = load::Options {
        kind,
        source_timezone: own.or(config.source_timezone).unwrap_or(Tz::UTC),
        source_timezones,
        default_country,
        renames: options.rename.clone(),
        date_order: named(options.date_order.as_deref(), &DateOrder::NAMES),
        decimal: named(options.decimal.as_deref(), &DecimalMark::NAMES),
        exported_on: options.exported_on,
        sheet: options.sheet.clone(),
        per_file: options.per_file,
        strict: options.strict,
        max_rejects: options.max_rejects,
        dry_run: options.dry_run,
        quiet: options.quiet,
        ..load::Options::default()
    };
    let report = load::load(&lake, files, &how)?;
    tell(&report, options)
}

/// What an argument is the name of.
fn named<T: Copy>(argument: Option<&str>, names: &[(&str, T)]) -> Option<T> {
    let found = names.iter().find(|(name, _)| Some(*name) == argument);
    found.map(|(_, value)| *value)
}

/// The kind is an option, or the first word where that is the name of a table.
fn kind_and_files(options: &Options) -> Result<(Option<&'static Table>, &[PathBuf])> {
    let files = options.files.as_slice();
    if let Some(kind) = &options.kind {
        return Ok((table(kind), files));
    }
    let first = files.first().and_then(|first| first.to_str());
    match (first.and_then(table), files) {
        (Some(table), [_]) if !Path::new(table.name).exists() => {
            Err(Error::usage(format!("no file of {} is named", table.name))
                .hint(format!("`wabalake load {} FILE --lake DIR`", table.name)))
        }
        (Some(table), [_, rest @ ..]) if !rest.is_empty() => Ok((Some(table), rest)),
        _ => Ok((None, files)),
    }
}

/// Finds what is not there before a lake is made for it. Where each file is a load of its own, one that
/// is not there does not stop those that are.
fn check_files(files: &[PathBuf], per_file: bool) -> Result<()> {
    let some_are_there = per_file && files.iter().any(|file| file.exists());
    for file in files.iter().filter(|file| file.as_os_str() != "-") {
        let Err(error) = file.metadata() else { continue };
        match load::matches(file) {
            Ok(None) => {}
            Err(error) if some_are_there && error.fault() == Fault::Data => continue,
            matched => {
                matched?;
                continue;
            }
        }
        let wrong =
            Error::data(format!("`{}` cannot be read: {}", file.display(), in_words(&error)));
        let tables = TABLES.iter().map(|table| table.name);
        let kind = file.to_str().filter(|_| files.len() > 1).and_then(|name| nearest(name, tables));
        if some_are_there && kind.is_none() {
            continue;
        }
        return Err(match kind {
            Some(kind) => wrong.hint(format!("if it is to say what the files are: `{kind}`")),
            None => wrong.hint("name a file that is there, or `-` for standard input"),
        });
    }
    Ok(())
}

fn tell(report: &LoadReport, options: &Options) -> Result<()> {
    let to_pipe = options.report_json.as_deref() == Some(Path::new("-"));
    if !options.quiet {
        let text = report.text();
        if to_pipe {
            to_stderr(&text);
        } else {
            say(&text)?;
        }
    }
    if let Some(path) = &options.report_json {
        let json = serde_json::to_string_pretty(report)
            .map_err(|error| Error::bug(format!("the report: {error}")))?;
        if to_pipe {
            to_stdout(|out| Ok(writeln!(out, "{json}")?))?;
        } else {
            to_file(path, |out| Ok(writeln!(out, "{json}")?))?;
        }
    }
    let rejected = report.total(|file| file.rows_rejected);
    if rejected > 0 {
        let (were, them) = (plural(rejected, "was", "were"), plural(rejected, "it", "them"));
        let hint = if report.dry_run {
            "a load would set them aside".to_owned()
        } else {
            let lake = shown_path(options.lake.path());
            format!("`wabalake rejects --lake {lake}` shows {them}")
        };
        let rows = counted(rejected, "row");
        to_stderr(&format!("warning: {rows} {were} rejected\n  hint: {hint}\n"));
    }
    let at_fault = report.total(|file| file.measures_at_fault.values().sum());
    if at_fault > 0 {
        let (were, them) = (plural(at_fault, "was", "were"), plural(at_fault, "it", "them"));
        let values = counted(at_fault, "value");
        to_stderr(&format!(
            "warning: {values} of measures could not be read and {were} left empty\n  \
             hint: the report names {them} by column; ask for the figures again, and load the answer\n"
        ));
    }
    failures(report, options)
}

/// Where each file is a load of its own, those that failed are an error once all is told.
fn failures(report: &LoadReport, options: &Options) -> Result<()> {
    let failed = report.failed.len();
    if failed == 0 {
        return Ok(());
    }
    let all = failed + report.files.len();
    let were = plural(failed as u64, "was", "were");
    let files = counted(all as u64, "file");
    let error = Error::data(format!("{failed} of {files} {were} not loaded"));
    Err(if options.quiet {
        let names: Vec<&str> = report.failed.iter().map(|failure| failure.file.as_str()).collect();
        error
            .found(names.join(", "))
            .hint("load them again without `--quiet` to see what is wrong with each")
    } else {
        error.hint("the report says what is wrong with each; the others are loaded")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rename_is_cut_at_its_last_sign() {
        assert_eq!(rename("a=b"), Ok(("a".into(), "b".into())));
        assert_eq!(rename("x=y=session_id"), Ok(("x=y".into(), "session_id".into())));
        for wrong in ["", "a", "=b", "a="] {
            assert!(rename(wrong).is_err(), "{wrong}");
        }
    }
}
