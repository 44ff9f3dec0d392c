//! Which rates changed since the period before, and why.

use wabalake_queries::what_changed;

use super::{News, Notable};
use crate::error::Result;
use crate::report::Section;
use crate::report::figures::{Unit, long};
use crate::report::html::Html;
use crate::report::rates::{Groups, Rate};
use crate::report::tables::{TableColumn, table};

const ID: &str = "what-changed";

/// The rates that changed by more than chance. `None` if there are none.
pub(super) fn changes(rates: &[Rate; 2]) -> Result<Option<Notable>> {
    let (mut body, mut news, mut commands) = (Html::new(), Vec::new(), Vec::new());
    let mut compared = Vec::new();
    for rate in rates {
        let Some(points) = rate.change()?.notable() else { continue };
        let groups = rate.groups()?;
        let moved = if points > 0.0 { "rose" } else { "fell" };
        let what = format!("{} {moved} by {:.1} points", rate.outcome.title(), points.abs());
        body.raw("<p class=\"verdict\">").text(if points > 0.0 { "▲ " } else { "▼ " });
        body.text(&what).text(&from_to(rate)?).raw("</p>");
        body.add(&explained(rate, &groups)?);
        let more = cause(rate, &groups)?;
        news.push(News { section: ID, what, more });
        commands.push(rate.changes.command.clone());
        compared.push(dates(rate));
    }
    if news.is_empty() {
        return Ok(None);
    }
    compared.dedup();
    let about = format!(
        "Rates that changed by more than chance: {}. Days that are not final are left out. Within the \
         countries, and within the conversations, all points add up to the change. By share: the group \
         became a larger or smaller part of the sends. By its rate: its own rate changed.",
        compared.join("; ")
    );
    let title = "What changed, and why";
    Ok(Some(Notable { section: Section { id: ID, title, about, commands, body }, news }))
}

/// The dates that are compared.
fn dates(rate: &Rate) -> String {
    let [now, before] = rate.compared;
    let span = |from, to| format!("{} to {}", long(from), long(to));
    format!("{} with {}", span(now.from, now.to), span(before.from, before.to))
}

fn from_to(rate: &Rate) -> Result<String> {
    let change = rate.change()?;
    let [before, now] = [change.before, change.now].map(|rate| Unit::Percent.show(rate));
    Ok(format!(", from {before} to {now}"))
}

/// The group that did most to the change, by its own rate or by its share, as the end of a sentence.
fn cause(rate: &Rate, groups: &Groups) -> Result<String> {
    let Some(row) = groups.main else { return Ok(".".to_owned()) };
    let name = &groups.names[row];
    let of = |column, row: usize| -> Result<Option<f64>> {
        Ok(rate.changes.numbers(column)?.get(row).copied().flatten())
    };
    let size = |column| -> Result<f64> { Ok(of(column, row)?.unwrap_or(0.0).abs()) };
    if size(what_changed::RATE_POINTS)? >= size(what_changed::MIX_POINTS)? {
        let [before, now] = [of(what_changed::RATE0_PCT, row)?, of(what_changed::RATE1_PCT, row)?]
            .map(|rate| Unit::Percent.show(rate));
        return Ok(format!(", most of it in {name}: from {before} to {now}."));
    }
    // The first row is the whole.
    let share = |column| -> Result<f64> {
        Ok(of(column, row)?.unwrap_or(0.0) / of(column, 0)?.unwrap_or(0.0).max(1.0))
    };
    let is_larger = share(what_changed::B1)? > share(what_changed::B0)?;
    let size = if is_larger { "larger" } else { "smaller" };
    Ok(format!(", most of it by the {size} share of {name}."))
}

fn explained(rate: &Rate, Groups { names, keep, .. }: &Groups) -> Result<Html> {
    let answer = &rate.changes;
    if !keep.contains(&true) {
        return Ok(Html::new());
    }
    let points = |title, name| -> Result<TableColumn> {
        Ok(TableColumn::figures(title, Unit::Points, answer.numbers(name)?))
    };
    let columns = [
        TableColumn::texts("Group", names.iter().cloned().map(Some).collect()),
        answer.shown(rate.outcome.whole_before(), what_changed::B0)?,
        answer.shown(rate.outcome.whole(), what_changed::B1)?,
        answer.shown("Rate before", what_changed::RATE0_PCT)?,
        answer.shown("Rate", what_changed::RATE1_PCT)?,
        points("By share", what_changed::MIX_POINTS)?,
        points("By its rate", what_changed::RATE_POINTS)?,
        points("Points", what_changed::TOTAL_POINTS)?,
    ]
    .map(|column| column.only(keep));
    Ok(table(rate.outcome.title(), &columns, names.len()))
}
