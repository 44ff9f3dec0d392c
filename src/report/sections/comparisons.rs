//! Compares templates and versions of conversations.

use wabalake_data::tables::messages;
use wabalake_queries::template_performance::{self, TemplatePerformance};
use wabalake_queries::version_comparison::{self, VersionComparison};

use super::costs::{costs_of, explain, per_reply};
use super::{ROWS, flows};
use crate::error::Result;
use crate::report::answer::QueryAnswer;
use crate::report::charts::{Interval, intervals};
use crate::report::figures::{Unit, wilson};
use crate::report::html::Html;
use crate::report::tables::{TableColumn, table};
use crate::report::{PageContext, Section};

/// The maximum number of rows in a chart of intervals.
const INTERVALS: usize = 12;

pub(super) fn templates(page: &PageContext<'_>) -> Result<Section> {
    let options = costs_of(page, "--cost")?;
    let answer = page.ask::<TemplatePerformance>(&options)?;
    let names = answer.texts(messages::TEMPLATE_NAME)?;
    let (delivered, replied) = (
        answer.numbers(template_performance::DELIVERED)?,
        answer.numbers(template_performance::REPLIED)?,
    );
    let interval = |row: usize| {
        let whole = delivered[row].unwrap_or(0.0);
        let part = replied[row].unwrap_or(0.0);
        Interval {
            name: names[row].clone().unwrap_or_else(|| "without a name".to_owned()),
            share: (whole > 0.0).then_some(100.0 * part / whole),
            ends: wilson(part, whole),
            note: format!("{} delivered", Unit::Count.show(Some(whole))),
        }
    };
    let rows: Vec<Interval> = (0..answer.height().min(INTERVALS)).map(interval).collect();
    let mut body = Html::new();
    if !rows.is_empty() {
        body.add(&intervals("Answered, of those delivered", &rows));
    }
    let mut columns = vec![
        TableColumn::texts("Template", names.clone()),
        answer.shown("Created", template_performance::CREATED)?,
        answer.shown("Failed", template_performance::FAILED)?,
        answer.shown("Delivered", template_performance::DELIVERED)?,
        answer.shown("Delivered", template_performance::DELIVERED_PCT)?,
        answer.shown("Read", template_performance::READ_PCT)?,
        answer.shown("Answered", template_performance::REPLY_PCT)?,
        answer.shown("Answered after", template_performance::MEDIAN_REPLY_SECONDS)?,
    ];
    let cost = per_reply(&answer, &options)?;
    let has_cost = cost.is_some();
    columns.extend(cost);
    body.add(&table("Templates", &columns, ROWS));
    if has_cost {
        explain(&mut body);
    }
    Ok(answer.section("templates", "Templates compared", body))
}

pub(super) fn versions(page: &PageContext<'_>) -> Result<Section> {
    let answer = page.ask::<VersionComparison>(&[])?;
    let body = versions_of(&answer)?;
    Ok(answer.section("versions", "Versions of conversations compared", body))
}

/// Versions of conversations and their reply rates.
pub(in crate::report) fn versions_of(answer: &QueryAnswer) -> Result<Html> {
    let names = flows(answer)?;
    let (shares, delivered) = (
        answer.numbers(version_comparison::REPLY_PCT)?,
        answer.numbers(version_comparison::DELIVERED)?,
    );
    let ends: Vec<_> = answer
        .numbers(version_comparison::REPLY_PCT_LOW)?
        .into_iter()
        .zip(answer.numbers(version_comparison::REPLY_PCT_HIGH)?)
        .collect();
    let mut rows: Vec<usize> = (0..answer.height()).collect();
    rows.sort_by(|a, b| delivered[*b].unwrap_or(0.0).total_cmp(&delivered[*a].unwrap_or(0.0)));
    rows.truncate(INTERVALS);
    rows.sort_unstable();
    let interval = |row: &usize| Interval {
        name: names[*row].clone(),
        share: shares[*row],
        ends: ends[*row].0.zip(ends[*row].1),
        note: format!("{} delivered", Unit::Count.show(delivered[*row])),
    };
    let rows: Vec<Interval> = rows.iter().map(interval).collect();
    let mut body = Html::new();
    if !rows.is_empty() {
        body.add(&intervals("Answered, of those delivered", &rows));
    }
    let verdict = |p: Option<f64>| {
        let said = if p? < 0.05 { "differs" } else { "may be chance" };
        Some(format!("{said} (p = {:.3})", p?))
    };
    let table = table(
        "Versions",
        &[
            TableColumn::texts("Conversation", names.iter().cloned().map(Some).collect()),
            answer.shown("Sends", version_comparison::DEPLOYMENTS)?,
            answer.shown("Delivered", version_comparison::DELIVERED_PCT)?,
            TableColumn::figures("Answered", Unit::Percent, shares),
            answer.shown("Answered after", version_comparison::MEDIAN_REPLY_SECONDS)?,
            TableColumn::texts(
                "Against the version before",
                answer.numbers(version_comparison::P_VALUE)?.into_iter().map(verdict).collect(),
            ),
        ],
        ROWS,
    );
    body.add(&table);
    Ok(body)
}
