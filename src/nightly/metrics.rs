//! Metrics of a nightly run in Prometheus' text format, for its textfile collector.
//!
//! ```text
//! # HELP wabalake_night_rows_new Rows that the last run loaded and whose key was new.
//! # TYPE wabalake_night_rows_new gauge
//! wabalake_night_rows_new 1204
//! ```

use std::fmt::Write as _;
use std::path::Path;

use super::RunReport;
use crate::alerts::JudgedAlert;
use crate::config::AlertState;
use crate::error::{Context as _, Result};
use crate::files::{Access, write_whole};

/// The metrics of a run as text.
pub fn text(report: &RunReport) -> String {
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
    gauge("night_whole", "Whether all of the last run was done.", &one(whole));
    gauge("night_finished_timestamp_seconds", "When the last run ended.", &one(seconds));
    gauge("night_seconds", "How long the last run took.", &one(report.seconds));
    for (name, help, count) in [
        ("night_files", "Files that the last run loaded.", inbox.files),
        (
            "night_files_failed",
            "Files that the last run could not load.",
            inbox.failed.len() as u64,
        ),
        (
            "night_files_arriving",
            "Files that were still arriving, left for the next run.",
            inbox.arriving.len() as u64,
        ),
        ("night_rows_read", "Records that the last run read.", inbox.rows_read),
        ("night_rows_new", "Rows that the last run loaded and whose key was new.", inbox.rows_new),
        ("night_rows_updated", "Rows that the last run replaced.", inbox.rows_updated),
        ("night_rows_rejected", "Records that the last run rejected.", inbox.rows_rejected),
        (
            "night_marts_failed",
            "Marts that the last run could not bring up to date.",
            report.failed_marts.len() as u64,
        ),
    ] {
        gauge(name, help, &one(count as f64));
    }
    let marts = |value: &dyn Fn(&super::MartReport) -> f64| -> Vec<(String, f64)> {
        let labels = |name: &str| format!("{{mart=\"{name}\"}}");
        report.marts.iter().map(|mart| (labels(&mart.mart), value(mart))).collect()
    };
    let days = marts(&|mart| mart.days as f64);
    gauge("mart_days", "Days of a mart that the last run computed.", &days);
    let seconds = marts(&|mart| mart.seconds);
    gauge("mart_seconds", "How long a mart took in the last run.", &seconds);
    let groups = |state: AlertState| -> Vec<(String, f64)> {
        let labels = |alert: &JudgedAlert| format!("{{alert=\"{}\"}}", escaped(&alert.name));
        let count = |alert: &JudgedAlert| alert.count(state) as f64;
        report.alerts.alerts.iter().map(|alert| (labels(alert), count(alert))).collect()
    };
    let firing = groups(AlertState::Fires);
    gauge("alert_firing", "Groups in which an alert fired in the last run.", &firing);
    let unknown = groups(AlertState::Unknown);
    gauge("alert_unknown", "Groups that an alert could not judge in the last run.", &unknown);
    let versions = report.versions.iter();
    let versions: Vec<_> = versions
        .map(|(table, version)| (format!("{{table=\"{table}\"}}"), *version as f64))
        .collect();
    gauge("table_version", "The version of a table in the last run.", &versions);
    text
}

/// A text as the value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Writes the metrics, replacing the file atomically.
///
/// # Errors
/// A folder that does not exist or cannot be written.
pub fn write(path: &Path, report: &RunReport) -> Result<()> {
    let writing = || format!("writing `{}`", path.display());
    // The collector runs as another user.
    write_whole(path, Access::Everybody, |out| Ok(out.write_all(text(report).as_bytes())?))
        .context(writing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        assert_eq!(escaped("a \"b\" \\ c\nd"), r#"a \"b\" \\ c\nd"#);
    }
}
