//! Templates that wear out: Meta holds them back, or people stop marketing messages after them.

use chrono::{DateTime, NaiveDate};
use chrono_tz::Tz;
use wabalake_data::tables::messages;
use wabalake_data::words::{counted, counted_as};
use wabalake_queries::template_health::{self, TemplateHealth};

use super::{News, Notable, ROWS};
use crate::error::Result;
use crate::report::PageContext;
use crate::report::answer::QueryAnswer;
use crate::report::figures::{label, long, whole, wilson};
use crate::report::tables::{TableColumn, table};

const ID: &str = "template-health";

/// At most so many templates are named at a glance.
const NAMED: usize = 3;

/// States in which Meta does not send a template, or is about not to.
const HELD_BACK: [&str; 5] = ["PAUSED", "DISABLED", "FLAGGED", "REJECTED", "LIMIT_EXCEEDED"];

/// Qualities after which Meta pauses a template.
const POOR: [&str; 2] = ["YELLOW", "RED"];

/// The templates that wear out. `None` if none does.
pub(super) fn worn(page: &PageContext<'_>) -> Result<Option<Notable>> {
    let answer = page.ask::<TemplateHealth>(&[])?;
    let signs = Signs::of(&answer, page.period.from)?;
    let signs: Vec<String> = (0..answer.height()).map(|row| signs.of_row(row)).collect();
    let keep: Vec<bool> = signs.iter().map(|signs| !signs.is_empty()).collect();
    let names = answer.texts(messages::TEMPLATE_NAME)?.into_iter();
    let names: Vec<String> =
        names.map(|name| name.unwrap_or_else(|| "without a name".to_owned())).collect();
    let of_worn: Vec<&str> =
        names.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(name, _)| name.as_str()).collect();
    if of_worn.is_empty() {
        return Ok(None);
    }
    let what = counted_as(of_worn.len() as u64, "template wears out", "templates wear out");
    let more = match of_worn.len().saturating_sub(NAMED) {
        0 => String::new(),
        others => format!(" and {others} more"),
    };
    let listed = of_worn.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let more = format!(": {listed}{more}.");
    let columns = [
        TableColumn::texts("Template", names.iter().cloned().map(Some).collect()),
        TableColumn::texts("Signs", signs.into_iter().map(Some).collect()),
        answer.shown("Delivered", template_health::DELIVERED)?,
        answer.shown("Read", template_health::READ_PCT)?,
        answer.shown("Stops", template_health::STOPS)?,
        answer.shown("Stopped", template_health::STOP_PCT)?,
    ]
    .map(|column| column.only(&keep));
    let body = table("Templates that wear out", &columns, ROWS);
    let about = "Which templates does Meta hold back or rate low, and after which do people stop \
                 marketing messages more than after others? Stopped: of the delivered messages, those \
                 after which the person did.";
    let news = vec![News { section: ID, what, more }];
    let section = answer.section_about(ID, "Templates that wear out", about, body);
    Ok(Some(Notable { section, news }))
}

/// What the events and messages of each template say.
struct Signs {
    /// The first date of the period.
    from: NaiveDate,
    status: Vec<Option<String>>,
    status_since: Vec<Option<DateTime<Tz>>>,
    quality: Vec<Option<String>>,
    quality_since: Vec<Option<DateTime<Tz>>>,
    pauses: Vec<Option<f64>>,
    created: Vec<Option<f64>>,
    delivered: Vec<Option<f64>>,
    paused_failures: Vec<Option<f64>>,
    stops: Vec<Option<f64>>,
    /// The share, in per cent, of all delivered messages after which the person stopped.
    stopped_pct: f64,
}

impl Signs {
    fn of(answer: &QueryAnswer, from: NaiveDate) -> Result<Self> {
        let stops = answer.sum(template_health::STOPS)?;
        let delivered = answer.sum(template_health::DELIVERED)?;
        Ok(Self {
            from,
            stopped_pct: 100.0 * stops / delivered.max(1.0),
            status: answer.texts(template_health::STATUS)?,
            status_since: answer.instants(template_health::STATUS_SINCE)?,
            quality: answer.texts(template_health::QUALITY)?,
            quality_since: answer.instants(template_health::QUALITY_SINCE)?,
            pauses: answer.numbers(template_health::PAUSES)?,
            created: answer.numbers(template_health::CREATED)?,
            delivered: answer.numbers(template_health::DELIVERED)?,
            paused_failures: answer.numbers(template_health::PAUSED_FAILURES)?,
            stops: answer.numbers(template_health::STOPS)?,
        })
    }

    /// The signs that a template wears out, as a sentence; empty if there are none.
    fn of_row(&self, row: usize) -> String {
        let count = |counts: &[Option<f64>]| counts[row].unwrap_or(0.0);
        let mut signs = Vec::new();
        let is_used = count(&self.created) > 0.0;
        // An old event of a template that is not used any more is no news.
        let mut event = |what: &str, word: Option<&str>, since: Option<DateTime<Tz>>| {
            let Some((word, since)) = word.zip(since.map(|since| since.date_naive())) else {
                return;
            };
            if is_used || since >= self.from {
                let word = label(word).to_lowercase();
                signs.push(format!("{what}{word} since {}", long(since)));
            }
        };
        let (status, quality) = (self.status[row].as_deref(), self.quality[row].as_deref());
        let held_back = status.filter(|status| HELD_BACK.contains(status));
        event("", held_back, self.status_since[row]);
        event("quality ", quality.filter(|it| POOR.contains(it)), self.quality_since[row]);
        let is_paused = status == Some("PAUSED");
        let (pauses, failures) = (count(&self.pauses), count(&self.paused_failures));
        if pauses > f64::from(u8::from(is_paused)) {
            signs.push(format!("paused {} in this period", counted(whole(pauses), "time")));
        }
        if failures > 0.0 {
            let failures = counted(whole(failures), "message");
            signs.push(format!("{failures} failed because it was paused or disabled"));
        }
        let (stops, delivered) = (count(&self.stops), count(&self.delivered));
        let is_above = |(low, _): (f64, f64)| low > self.stopped_pct;
        if stops > 0.0 && wilson(stops, delivered).is_some_and(is_above) {
            signs.push("more stops than other templates".to_owned());
        }
        if signs.is_empty() { String::new() } else { label(&signs.join("; ")) }
    }
}
