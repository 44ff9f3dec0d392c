//! The sections of the page, in its order. Each names the query that it shows.

mod alerts;
mod comparisons;
mod data;
mod headline;
mod sends;
mod sources;
mod users;

use chrono::NaiveDate;
use wabalake_data::tables::sessions;

use self::comparisons::{templates, versions};
use self::data::{coverage, quality};
use self::headline::headline;
use self::sends::{delivery, failures, message_failures, trend};
use self::sources::{ads, channels, countries};
use self::users::{drop_off, returns, week};
use super::answer::QueryAnswer;
use super::figures::short;
use super::html::Html;
use super::{PageContext, Section, Step};
use crate::error::Result;

pub(super) use self::alerts::alerts;
pub(super) use self::comparisons::versions_of;

/// The maximum number of rows in a table; the command below it gives all.
const ROWS: usize = 25;

/// All sections. That of failed messages only exists if there are any.
pub(super) fn sections(page: &PageContext<'_>) -> Result<Vec<Section>> {
    let mut sections = vec![headline(page)?, trend(page)?, delivery(page)?, failures(page)?];
    sections.extend(message_failures(page)?);
    for section in
        [drop_off, returns, week, countries, ads, channels, templates, versions, coverage, quality]
    {
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
