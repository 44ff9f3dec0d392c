//! Responses of Meta's analytics API: each data point is a record.
//!
//! ```text
//! {"conversation_analytics":{"data":[{"data_points":[
//!   {"start":1685602800,"end":1688194800,"conversation":1558,"country":"US","cost":15.58},  record 1
//!   {"start":1685602800,"end":1688194800,"conversation":2636,"country":"US","cost":26.36}   record 2
//! ]}]},"id":"102290129340398"}
//! ```
//!
//! The account and the dimensions of points are known only after the whole response, so it is read
//! twice, point by point: memory holds one point.
//!
//! Programs that fetch responses may wrap them ([`WRAPPERS`](crate::load::json_value::WRAPPERS)),
//! nested or as a string. An object is a response if it has one of [`table::FIELDS`], or `data`
//! with `data_points`.
//!
//! A measure that cannot be read is left empty, and counted.

mod counted;
mod literals;
mod measure;
mod response;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, mpsc};

use serde_json::Value;
use wabalake_data::tables::meta_points as table;

use self::counted::CountedText;
use self::measure::{Unreadable, dimension, measure, of_clicks};
use self::response::{PointGroup, Summary};
pub(crate) use self::walk::is_response;
use self::walk::walk;
use super::chunk::Chunk;
use super::json_value::{text_of, where_records_are, without_place};
use super::reader::{CHUNK, CsvBuffer, Reader};
use super::source::{Source, Survey};
use super::text::DecodedText;
use crate::error::{Error, Result};

/// Reads the data points of all responses in a source.
pub(crate) struct PointReader {
    parts: mpsc::Receiver<Result<Chunk>>,
    unknown: Vec<String>,
    faults: Arc<Mutex<UnreadableCounts>>,
}

/// Counts of unreadable values by measure.
type UnreadableCounts = BTreeMap<&'static str, u64>;

impl PointReader {
    /// Reads the source once for the accounts and dimensions, and starts the second reading.
    pub(super) fn open(source: &Source, survey: &Survey, text: DecodedText) -> Result<Self> {
        let skipped = text.skipped;
        let text = CountedText::new(text);
        let added = text.text.added_in_line();
        let summary = walk(text, &mut |_, _| Ok(()));
        let summary =
            summary.map_err(|e| fault(source, e, skipped, added.load(Ordering::Relaxed)))?;
        if let Some(answer) = &summary.fault {
            return Err(of_meta(source, answer));
        }
        if !summary.is_answer && !summary.is_empty {
            return Err(Error::data(format!("`{}` has no response of Meta's API", source.name))
                .hint(format!(
                    "{}: one of {}, or `data` with `data_points`",
                    where_records_are(),
                    table::FIELDS.join(", ")
                ))
                .no_export());
        }
        for group in &summary.groups {
            if group.field().is_none() && !group.columns.is_empty() {
                return Err(Error::data(format!(
                    "`{}` does not say which of {} its points are",
                    source.name,
                    table::FIELDS.join(", ")
                ))
                .hint("save the whole response, with the name of the field around its data"));
            }
        }
        // If no key is known, they may be data.
        let is_known = summary.groups.iter().any(|group| !group.columns.is_empty());
        let unknown = if is_known { summary.unknown.clone() } else { Vec::new() };
        let text = DecodedText::open(source, survey)?;
        let name = source.name.clone();
        let (sender, parts) = mpsc::sync_channel(2);
        let faults = Arc::new(Mutex::new(UnreadableCounts::new()));
        let counted = Arc::clone(&faults);
        std::thread::spawn(move || {
            if let Err(e) = give(text, &summary, &sender, &counted) {
                // The receiver is gone if the load has ended.
                let read = "changed while it was read";
                let _ = sender.send(Err(Error::data(format!("`{name}` {read}: {e}"))));
            }
        });
        Ok(Self { parts, unknown, faults })
    }
}

impl Reader for PointReader {
    fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        self.parts.recv().ok().transpose()
    }

    fn unknown_columns(&self) -> Vec<String> {
        self.unknown.clone()
    }

    fn unreadable_measures(&self) -> BTreeMap<&'static str, u64> {
        self.faults.lock().map(|faults| faults.clone()).unwrap_or_default()
    }
}

/// Reads the points and sends them as records.
fn give(
    text: DecodedText,
    summary: &Summary,
    sender: &mpsc::SyncSender<Result<Chunk>>,
    faults: &Mutex<UnreadableCounts>,
) -> serde_json::Result<()> {
    let first_line = 1 + text.skipped;
    let text = CountedText::new(text);
    let count = Arc::clone(&text.count);
    let groups: Vec<BTreeMap<&str, String>> =
        summary.groups.iter().map(|g| columns_of_group(g, summary)).collect();
    let mut written = CsvBuffer::default();
    let mut number = 0;
    let gone = || io::Error::other("the load has ended");
    walk(text, &mut |group, point| {
        number += 1;
        let group = &groups[group];
        let mut cells = Vec::new();
        for column in table::TABLE.exported() {
            let of_group = group.get(column.name);
            let cell = match (of_group, point.get(column.name)) {
                (_, Some(value)) if column.name == table::PRODUCT_TYPE => {
                    Ok(dimension(column.kind, value))
                }
                (Some(text), _) => Ok(text.clone()),
                (None, _) if table::OF_CLICKS.contains(&column.name) => {
                    of_clicks(column.name, point.get(table::CLICKED))
                }
                (None, None) => Ok(String::new()),
                (None, Some(value)) if table::MEASURES.contains(&column.name) => {
                    measure(column.name, value)
                }
                (None, Some(value)) => Ok(dimension(column.kind, value)),
            };
            let cell = cell.unwrap_or_else(|Unreadable| {
                if let Ok(mut faults) = faults.lock() {
                    *faults.entry(column.name).or_default() += 1;
                }
                String::new()
            });
            cells.push(cell);
        }
        let line = first_line + count.lines.load(Ordering::Relaxed);
        written.push(number, line, cells.iter().map(String::as_str));
        if written.len() >= CHUNK
            && let Some(chunk) = written.take(count.bytes.swap(0, Ordering::Relaxed))
        {
            sender.send(Ok(chunk)).map_err(|_| gone())?;
        }
        Ok(())
    })?;
    if let Some(chunk) = written.take(count.bytes.load(Ordering::Relaxed)) {
        // The receiver is gone if the load has ended.
        let _ = sender.send(Ok(chunk));
    }
    Ok(())
}

/// Returns the columns that all points of a group share.
fn columns_of_group(group: &PointGroup, summary: &Summary) -> BTreeMap<&'static str, String> {
    let account = summary.account(group).cloned();
    [
        (table::WABA_ID, account),
        (table::FIELD, group.field().map(str::to_owned)),
        (table::GRANULARITY, group.granularity.clone()),
        (table::DIMENSIONS, group.dimensions()),
        (table::PHONE_NUMBERS, group.phone_numbers.clone()),
        (table::COUNTRY_CODES, group.country_codes.clone()),
        (table::PRODUCT_TYPE, group.product_type.clone()),
    ]
    .map(|(name, text)| (name, text.unwrap_or_default()))
    .into()
}

/// Creates the error for an invalid response. `added` is the number of quotes added before the
/// error on its line.
fn fault(source: &Source, e: serde_json::Error, skipped: u64, added: u64) -> Error {
    if e.is_io() {
        return source.read_error(&e.into());
    }
    let (line, column) = (e.line() as u64 + skipped, (e.column() as u64).saturating_sub(added));
    let reason = without_place(&e);
    let name = &source.name;
    let what = if e.is_data() { "is not a response of Meta's API" } else { "is not valid JSON" };
    let error = Error::data(format!("`{name}` {what}: {reason} at line {line}, column {column}"));
    error.hint(
        "fix it there, or save the response again: comments, `…` and curly quotes are not valid JSON",
    )
}

/// Creates the error for a response that is an error, in Meta's words. Words that may be tokens are
/// left out.
fn of_meta(source: &Source, answer: &Value) -> Error {
    let text = |key: &str| answer.get(key).and_then(text_of).filter(|text| !text.is_empty());
    let message = text("message").or_else(|| text_of(answer)).unwrap_or_default();
    let without_tokens = |text: &str| {
        let words = text.split(' ').map(|word| if word.len() > 40 { "…" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    let message = without_tokens(&message);
    let error = Error::data(format!("`{}` is an error of Meta's API: {message}", source.name));
    let details = [("type", text("type")), ("code", text("code"))];
    let details =
        details.into_iter().filter_map(|(name, detail)| Some(format!("{name} {}", detail?)));
    let details = details.collect::<Vec<_>>().join(", ");
    let error = if details.is_empty() { error } else { error.found(details) };
    error.hint(match text("error_user_msg") {
        Some(advice) => without_tokens(&advice),
        None => "fix the request, and save its response again".to_owned(),
    })
}
