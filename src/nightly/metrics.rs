//! What a night did, as a text file for Prometheus: its textfile collector, or whatever serves it.
//!
//! ```text
//! # HELP wabalake_night_rows_new Rows that the last night loaded and whose key was new.
//! # TYPE wabalake_night_rows_new gauge
//! wabalake_night_rows_new 1204
//! ```

use std::fmt::Write as _;
use std::path::Path;

use super::Report;
use crate::error::{Context as _, Result};
use crate::files::{Access, write_whole};

/// The text.
pub fn text(report: &Report) -> String {
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, values: &[(String, f64)]| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "# HELP wabalake_{name} {help}\n# TYPE wabalake_{name} gauge");
        for (labels, value) in values {
            let _ = writeln!(text, "wabalake_{name}{labels} {value}");
        }
    };
    let one = |value: f64| vec![(String::new(), value)];
    let inbox = &report.inbox;
    let seconds = report.finished_at.timestamp_micros() as f64 / 1e6;
    let whole = f64::from(u8::from(report.is_whole()));
    gauge("night_whole", "Whether all of the last night was done.", &one(whole));
    gauge("night_finished_timestamp_seconds", "When the last night was over.", &one(seconds));
    gauge("night_seconds", "How long the last night took.", &one(report.seconds));
    for (name, help, count) in [
        ("night_files", "Files that the last night loaded.", inbox.files),
        (
            "night_files_failed",
            "Files that the last night could not load.",
            inbox.failed.len() as u64,
        ),
        (
            "night_files_arriving",
            "Files that were still arriving, left for the next night.",
            inbox.arriving.len() as u64,
        ),
        ("night_rows_read", "Records that the last night read.", inbox.rows_read),
        (
            "night_rows_new",
            "Rows that the last night loaded and whose key was new.",
            inbox.rows_new,
        ),
        ("night_rows_updated", "Rows that the last night replaced.", inbox.rows_updated),
        ("night_rows_rejected", "Records that the last night could not take.", inbox.rows_rejected),
        (
            "night_marts_failed",
            "Marts that the last night could not bring up to date.",
            report.failed_marts.len() as u64,
        ),
    ] {
        gauge(name, help, &one(count as f64));
    }
    let marts = |value: &dyn Fn(&super::Refreshed) -> f64| -> Vec<(String, f64)> {
        let labels = |name: &str| format!("{{mart=\"{name}\"}}");
        report.marts.iter().map(|mart| (labels(&mart.mart), value(mart))).collect()
    };
    let days = marts(&|mart| mart.days as f64);
    gauge("mart_days", "Days of a mart that the last night worked out.", &days);
    let seconds = marts(&|mart| mart.seconds);
    gauge("mart_seconds", "How long a mart took in the last night.", &seconds);
    let versions = report.versions.iter();
    let versions: Vec<_> = versions
        .map(|(table, version)| (format!("{{table=\"{table}\"}}"), *version as f64))
        .collect();
    gauge("table_version", "The version of a table in the last night.", &versions);
    text
}

/// Writes the file, at once.
///
/// # Errors
/// A folder that is not there or cannot be written to.
pub fn write(path: &Path, report: &Report) -> Result<()> {
    let writing = || format!("writing `{}`", path.display());
    // The collector is somebody else.
    write_whole(path, Access::Everybody, |out| Ok(out.write_all(text(report).as_bytes())?))
        .context(writing)
}
