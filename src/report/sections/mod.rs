//! The sections of the page, in its order. Each names the query that it shows.

mod alerts;
mod changes;
mod comparisons;
mod costs;
mod data;
mod headline;
mod last_days;
mod sends;
mod sources;
mod users;
mod waiting;
mod worn;

use chrono::NaiveDate;
use wabalake_data::tables::sessions;

use self::changes::changes;
use self::comparisons::{templates, versions};
use self::data::{coverage, quality};
use self::headline::headline;
use self::last_days::last_days;
use self::sends::{delivery, failures, message_failures, trend};
use self::sources::{ads, channels, countries};
use self::users::{drop_off, returns, week};
use self::waiting::who_waits;
use self::worn::worn;
use super::answer::QueryAnswer;
use super::figures::short;
use super::html::Html;
use super::rates::{Outcome, Rate};
use super::{PageContext, Section, Step};
use crate::error::Result;

pub(super) use self::alerts::alerts;
pub(super) use self::comparisons::versions_of;
pub(super) use self::costs::{MATCHED, costs_of, explain, per_reply};

/// The maximum number of rows in a table; the command below it gives all.
const ROWS: usize = 25;

/// A section that exists only if it has something to say, and what it says at a glance.
struct Notable {
    section: Section,
    news: Vec<News>,
}

/// A sentence at a glance that leads to a section.
struct News {
    /// The section's anchor.
    section: &'static str,
    /// The words that link to it.
    what: String,
    /// The rest of the sentence, with its full stop.
    more: String,
}

/// All sections. Some exist only if there is something to say: what changed, who waits, the last
/// days, failed messages and templates that wear out.
pub(super) fn sections(page: &PageContext<'_>) -> Result<Vec<Section>> {
    let rates = [Rate::of(page, Outcome::Delivered)?, Rate::of(page, Outcome::Answered)?];
    let (changes, waits) = (changes(&rates)?, who_waits(page)?);
    let (worn, last_days) = (worn(page)?, last_days(&rates)?);
    let notable = [&changes, &waits, &worn, &last_days];
    let news: Vec<&News> =
        notable.into_iter().flatten().flat_map(|notable| &notable.news).collect();
    let mut sections = vec![headline(page, &rates, &news)?];
    sections.extend(changes.map(|notable| notable.section));
    sections.extend(waits.map(|notable| notable.section));
    sections.extend([trend(page)?, delivery(page, &rates[0])?]);
    sections.extend(last_days.map(|notable| notable.section));
    sections.push(failures(page)?);
    sections.extend(message_failures(page)?);
    for section in [drop_off, returns, week, countries, ads, channels] {
        sections.push(section(page)?);
    }
    sections.extend(worn.map(|notable| notable.section));
    for section in [templates, versions, coverage, quality] {
        sections.push(section(page)?);
    }
    Ok(sections)
}

/// The step, the starts and the labels of the time axis.
fn axis(page: &PageContext<'_>) -> (Step, Vec<NaiveDate>, Vec<String>) {
    let step = page.period.step();
    let starts = step.starts(page.period);
    let called = |start: &NaiveDate| match step {
        Step::Day => start.format("%a %-d %b").to_string(),
        Step::Week => format!("week of {}", short(*start)),
        Step::Month => start.format("%B %Y").to_string(),
    };
    let places = starts.iter().map(called).collect();
    (step, starts, places)
}

/// Adds a collapsed table with the numbers of a chart.
fn behind(html: &mut Html, figures: &Html) {
    html.raw("<details><summary>As a table</summary>").add(figures).raw("</details>");
}

/// The names of conversations with their versions.
fn flows(answer: &QueryAnswer) -> Result<Vec<String>> {
    let ids = answer.texts(sessions::CONVERSATION_ID)?.into_iter();
    let versions = answer.texts(sessions::CONVERSATION_VERSION)?;
    let name = |(id, version): (Option<String>, Option<String>)| {
        let id = id.unwrap_or_else(|| "without a conversation".to_owned());
        version.map_or(id.clone(), |version| format!("{id}, version {version}"))
    };
    Ok(ids.zip(versions).map(name).collect())
}
