//! `wabalake load [KIND] FILE…`: loads exports into a lake.

use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use chrono_tz::Tz;
use clap::Args;
use clap::builder::PossibleValuesParser;
use wabalake_data::Invalid;
use wabalake_data::cells::{DateOrder, DecimalMark};
use wabalake_data::words::{counted, nearest, plural};
use wabalake_queries::query::time::read_date;

use super::kinds::{Form, Kind, WideArguments, kind_named, kinds};
use super::output::{say, shown_path, to_file, to_stderr, to_stdout, warn};
use super::shared::{CountryOption, LakeOption, SourceZoneOption};
use super::{Run, Subcommand};
use crate::config::Config;
use crate::error::{Error, Fault, Result, in_words};
use crate::lake::{Creation, Lake, Scratch};
use crate::load::{self, LoadReport, Period, Window, Windows};
use crate::place::{Address, Remote};

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand::of::<Options>("load", "Load exports into a lake");

#[derive(Args)]
#[command(
    long_about = "Load exports into a lake, which is created if there is none. Either all files are loaded \
                  or none, unless `--per-file` makes each file a load of its own. A file that was loaded \
                  before is not loaded again, and the order of the files does not matter. Folders are read \
                  with their subfolders; a file in a folder or an archive that is not an export is skipped \
                  and listed, and so is an unfinished download (.part, .crdownload, .tmp, .filepart, ...). \
                  A pipe is copied first; files on object stores are downloaded, a few at a time. A file \
                  that changes while it is read is not loaded. A failed load leaves the lake unchanged. Rows \
                  that cannot be parsed are rejected: `wabalake \
                  rejects` lists them. Rows of persons who were erased with `wabalake erase --keep-out` \
                  are left out and counted.\n\n\
                  A load that reads nothing fails with exit code 1: a named file whose records are all \
                  rejected, or folders and archives without a single accepted row. No row is loaded then, \
                  the file stays where it is, and its rejects are kept. A file with a header and no rows \
                  is not an error.",
    override_usage = "wabalake load [KIND] FILE|DIR|'PATTERN'|URL... --lake DIR [OPTIONS]",
    after_help = after_help()
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
struct Options {
    /// Exports: csv, json, xlsx or xlsb, plain or in gz, zst or zip; folders of them; a quoted pattern
    /// such as 'exports/*.csv.gz' (`[[]` matches a bracket); a pipe; `-` for standard input; the URL of
    /// a file, folder or pattern on an object store, such as `'s3://events/exports/*.csv'`. The name of a
    /// kind before them is the same as `--kind`
    #[arg(required = true, value_name = "[KIND] FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    lake: LakeOption,

    /// Target table [default: detected from the header]
    #[arg(long, value_parser = PossibleValuesParser::new(kinds().map(|kind| kind.name)))]
    kind: Option<String>,

    #[command(flatten)]
    source_zone: SourceZoneOption,

    #[command(flatten)]
    country: CountryOption,

    /// Rename a column of the header, as FROM=TO; can be repeated
    #[arg(long, value_name = "FROM=TO", value_parser = rename)]
    rename: Vec<(String, String)>,

    /// Order of day, month and year in dates such as 01/06/2025 [default: detected for each column from
    /// all its cells]
    #[arg(long, value_parser = PossibleValuesParser::new(DateOrder::NAMES.map(|(name, _)| name)))]
    date_order: Option<String>,

    /// Decimal separator in numbers such as 1.234 [default: detected for each column from all its
    /// cells]
    #[arg(long, value_parser = PossibleValuesParser::new(DecimalMark::NAMES.map(|(name, _)| name)))]
    decimal: Option<String>,

    /// Date on which the files were exported, as YYYY-MM-DD, for `ad_spend`: of two amounts the later
    /// export's is kept, even if it is smaller [default: unknown; the amount for the shorter period is
    /// kept, then the larger one]
    #[arg(long, value_name = "DATE", value_parser = read_date)]
    exported_on: Option<NaiveDate>,

    /// First day on which a rate card of Meta's holds, as YYYY-MM-DD [default: the date in the notes above its
    /// header]
    #[arg(long, value_name = "DATE", value_parser = read_date)]
    effective_from: Option<NaiveDate>,

    /// Currency of a rate card of Meta's, where it names none that is known, as three letters
    #[arg(long, value_name = "CODE", value_parser = currency)]
    currency: Option<String>,

    /// Period that the files were asked for, as FROM..TO, local dates in the source time zone; `rows`: from
    /// the day of the first row of each file to that of its last [default: unknown]
    #[arg(long, value_name = "FROM..TO|rows", value_parser = window)]
    window: Option<Window>,

    #[command(flatten)]
    wide: WideArguments,

    /// Name of the sheet in a workbook [default: the sheet that is an export]
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,

    /// Load each file, in archives too, in a load of its own: a file that fails does not stop the others
    #[arg(long)]
    per_file: bool,

    /// Load nothing if any row is rejected
    #[arg(long)]
    strict: bool,

    /// Load nothing if more rows than this are rejected [default: no limit]
    #[arg(long, value_name = "ROWS")]
    max_rejects: Option<u64>,

    /// Report what would be loaded, without writing to the lake
    #[arg(long)]
    #[arg(
        long_help = "Report what would be loaded, without writing to the lake, which may be read-only. Data \
                     that does not fit into memory goes to the system's temporary folder"
    )]
    dry_run: bool,

    /// Print only warnings and errors
    #[arg(short, long)]
    quiet: bool,

    /// File for the report as JSON; `-` for standard output
    #[arg(long, value_name = "FILE")]
    report_json: Option<PathBuf>,
}

fn after_help() -> String {
    let width = kinds().map(|kind| kind.name.len()).max().unwrap_or(0) + 2;
    let kinds = kinds().map(|kind| format!("  {:width$}{}", kind.name, kind.source));
    let kinds = kinds.collect::<Vec<_>>().join("\n");
    format!("Kinds:\n{kinds}\n\nExample:\n  wabalake load exports/*.csv --lake lake")
}

/// Parses an ISO 4217 code.
fn currency(text: &str) -> Result<String, Invalid> {
    let is_code = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    match is_code {
        true => Ok(text.to_ascii_uppercase()),
        false => Err(Invalid::new("not the code of a currency").hint("three letters, such as USD")),
    }
}

/// Parses a period, or the word for that of the rows.
fn window(text: &str) -> Result<Window, Invalid> {
    if text == Window::ROWS {
        return Ok(Window::Rows);
    }
    let Some((from, to)) = text.split_once("..") else {
        let form = "such as 2025-06-01..2025-06-30, both days included, or `rows`";
        return Err(Invalid::new("not a period").hint(form));
    };
    let period = Period::new(read_date(from)?, read_date(to)?);
    let period = period.ok_or_else(|| {
        Invalid::new("a period that ends before it begins").hint("the first date before the last")
    });
    period.map(Window::Period)
}

/// Parses `FROM=TO` at its last `=`: a header may contain one, the name of a column does not.
fn rename(text: &str) -> Result<(String, String), Invalid> {
    match text.rsplit_once('=') {
        Some((from, to)) if !from.is_empty() && !to.is_empty() => Ok((from.into(), to.into())),
        _ => Err(Invalid::new("not of the form FROM=TO")
            .hint("such as `started=session_started_timestamp`, the name in the export first")),
    }
}

impl Run for Options {
    fn run(self) -> Result<()> {
        let (kind, files) = kind_and_files(&self)?;
        self.wide.check(kind.as_ref())?;
        check_files(files, self.per_file)?;
        let creation = match self.lake.address()? {
            Address::Folder(folder) if !self.dry_run => Some(Creation::of(folder)),
            _ => None,
        };
        let loaded = load_files(&self, kind, files);
        match creation {
            Some(creation) if loaded.is_err() => creation.roll_back(),
            _ => {}
        }
        loaded
    }
}

fn load_files(options: &Options, kind: Option<Kind>, files: &[PathBuf]) -> Result<()> {
    // A dry run on a lake that does not exist reads an empty temporary one.
    let nowhere;
    let lake = match options.lake.address()? {
        _ if !options.dry_run => options.lake.create()?,
        Address::Folder(folder) if !folder.exists() => {
            nowhere = Scratch::outside()?;
            Lake::open(&*nowhere)?
        }
        _ => options.lake.open_to_change()?,
    };
    let mut config = Config::of(&lake)?;
    options.source_zone.apply(&mut config);
    let load_options = load::Options {
        kind: kind.as_ref().and_then(|kind| kind.table),
        is_webhooks: kind.as_ref().is_some_and(|kind| kind.form == Form::Webhooks),
        is_rate_card: kind.as_ref().is_some_and(|kind| kind.form == Form::RateCard),
        wide: options.wide.options(kind.as_ref(), &config)?,
        effective_from: options.effective_from,
        currency: options.currency.clone(),
        source_timezone: config.source_timezone.unwrap_or(Tz::UTC),
        default_country: options.country.of(&config),
        source_timezones: config.source_timezones,
        windows: Windows { otherwise: options.window.unwrap_or_default(), ..Windows::default() },
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
    let report = load::load(&lake, files, &load_options)?;
    print_report(&report, options)
}

/// Returns the value that an argument names.
fn named<T: Copy>(argument: Option<&str>, names: &[(&str, T)]) -> Option<T> {
    let found = names.iter().find(|(name, _)| Some(*name) == argument);
    found.map(|(_, value)| *value)
}

/// Returns the kind of the files, and the files. The kind is `--kind`, or the first argument if that is the
/// name of a kind.
fn kind_and_files(options: &Options) -> Result<(Option<Kind>, &[PathBuf])> {
    let files = options.files.as_slice();
    if let Some(kind) = &options.kind {
        return Ok((kind_named(kind), files));
    }
    let first = files.first().and_then(|first| first.to_str());
    match (first.and_then(kind_named), files) {
        (Some(kind), [_]) if !Path::new(kind.name).exists() => {
            Err(Error::usage(format!("no file for {} is given", kind.name))
                .hint(format!("`wabalake load {} FILE --lake DIR`", kind.name)))
        }
        (Some(kind), [_, rest @ ..]) if !rest.is_empty() => Ok((Some(kind), rest)),
        _ => Ok((None, files)),
    }
}

/// Checks that the files exist, before a lake is created for them. With `per_file` a missing file is an
/// error only if all are missing.
fn check_files(files: &[PathBuf], per_file: bool) -> Result<()> {
    let some_are_there = per_file && files.iter().any(|file| file.exists());
    let is_here = |file: &&PathBuf| file.as_os_str() != "-" && !Remote::is_url(file);
    for file in files.iter().filter(is_here) {
        let Err(error) = file.metadata() else { continue };
        match load::matches(file) {
            Ok(None) => {}
            Err(error) if some_are_there && error.fault() == Fault::Data => continue,
            matched => {
                matched?;
                continue;
            }
        }
        let error =
            Error::data(format!("`{}` cannot be read: {}", file.display(), in_words(&error)));
        let names = kinds().map(|kind| kind.name);
        let kind = file.to_str().filter(|_| files.len() > 1).and_then(|name| nearest(name, names));
        if some_are_there && kind.is_none() {
            continue;
        }
        return Err(match kind {
            Some(kind) => error.hint(format!("if it names the table of the files: `{kind}`")),
            None => error.hint("name an existing file, or `-` for standard input"),
        });
    }
    Ok(())
}

fn print_report(report: &LoadReport, options: &Options) -> Result<()> {
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
            "a load would keep them as rejects".to_owned()
        } else {
            let lake = shown_path(options.lake.path());
            format!("`wabalake rejects --lake {lake}` shows {them}")
        };
        let rows = counted(rejected, "row");
        warn(&format!("{rows} {were} rejected"), Some(&hint));
    }
    let at_fault = report.total(|file| file.measures_at_fault.values().sum());
    if at_fault > 0 {
        let (were, them) = (plural(at_fault, "was", "were"), plural(at_fault, "it", "them"));
        let values = counted(at_fault, "value");
        warn(
            &format!("{values} of measures could not be read and {were} left empty"),
            Some(&format!(
                "the report lists {them} by column; export these numbers again and load them"
            )),
        );
    }
    failures(report, options)
}

/// Returns an error if `--per-file` loads failed, once the report is printed.
fn failures(report: &LoadReport, options: &Options) -> Result<()> {
    let failed = report.failed.len();
    if failed == 0 {
        return Ok(());
    }
    let all = failed + report.each_file().count();
    let were = plural(failed as u64, "was", "were");
    let files = counted(all as u64, "file");
    let error = Error::data(format!("{failed} of {files} {were} not loaded"));
    Err(if options.quiet {
        let names: Vec<&str> = report.failed.iter().map(|failure| failure.file.as_str()).collect();
        error
            .found(names.join(", "))
            .hint("load them again without `--quiet` to see what is wrong with each")
    } else {
        error.hint("the report says what is wrong with each; the other files are loaded")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renames_split_at_the_last_equals_sign() {
        assert_eq!(rename("a=b"), Ok(("a".into(), "b".into())));
        assert_eq!(rename("x=y=session_id"), Ok(("x=y".into(), "session_id".into())));
        for wrong in ["", "a", "=b", "a="] {
            assert!(rename(wrong).is_err(), "{wrong}");
        }
    }
}
