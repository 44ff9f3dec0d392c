//! Quality of the data: days with rows, and the results of the checks.

use wabalake_data::tables::meta_points;
use wabalake_queries::coverage::{self, Coverage, windows};
use wabalake_queries::data_quality::{self, DataQuality};

use crate::error::Result;
use crate::report::charts::strip;
use crate::report::figures::{Unit, label, long};
use crate::report::html::Html;
use crate::report::tables::{TableColumn, table};
use crate::report::{PageContext, Period, Section, Step};

pub(super) fn coverage(page: &PageContext<'_>) -> Result<Section> {
    let Period { from, to, .. } = page.period;
    let after = to.succ_opt().unwrap_or(to);
    let options = [format!("--since={from}"), format!("--today={after}")];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let answer = page.ask::<Coverage>(&options)?;
    let (names, rows) = (answer.texts(coverage::TABLE)?, answer.numbers(coverage::ROWS)?);
    let missing = answer.numbers(coverage::MISSING_DAYS)?;
    let (first, last) = (answer.dates(coverage::FIRST_DAY)?, answer.dates(coverage::LAST_DAY)?);
    let (next_from, next_to) =
        (answer.dates(coverage::NEXT_FROM)?, answer.dates(coverage::NEXT_TO)?);
    let mut body = Html::new();
    body.raw(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Coverage\"><table>",
    );
    body.raw("<caption>Days with rows</caption><thead><tr><th scope=\"col\">Table</th>");
    body.raw("<th scope=\"col\">This period</th><th scope=\"col\">In the lake</th>");
    body.raw("<th scope=\"col\" class=\"n\">Rows</th><th scope=\"col\">To export next</th></tr></thead><tbody>");
    let days = Step::Day.starts(page.period);
    for (row, name) in names.iter().enumerate() {
        let Some(known) = name.as_deref().and_then(wabalake_data::table) else { continue };
        if rows[row].unwrap_or(0.0) == 0.0 {
            continue;
        }
        let files = page.lake.snapshot(known)?.files;
        let has: Vec<bool> =
            days.iter().map(|day| files.iter().any(|file| file.day == Some(*day))).collect();
        let full = has.iter().filter(|has| **has).count();
        let said = match (full, days.len()) {
            (full, all) if full == all => "every day".to_owned(),
            (full, all) => format!("{full} of {all} days"),
        };
        let name = label(known.name);
        body.raw("<tr><th scope=\"row\">").text(&name).raw("</th><td>");
        // In a table whose rows are valid from a day on, a day without rows is no gap.
        if missing[row].is_some() {
            body.add(&strip(&has, &format!("{name}: rows on {said}"))).raw("<small>").text(&said);
            body.raw("</small>");
        }
        body.raw("</td><td>");
        match first[row].zip(last[row]) {
            Some((first, last)) => body.text(&format!("{} to {}", long(first), long(last))),
            None => body.raw("without a time"),
        };
        body.raw("</td><td class=\"n\">").text(&Unit::Count.show(rows[row]));
        body.raw("</td><td>");
        match next_from[row].zip(next_to[row]) {
            Some((first, last)) if first == last => body.text(&long(first)),
            Some((first, last)) => body.text(&format!("{} to {}", long(first), long(last))),
            None => body.raw("–"),
        };
        body.raw("</td></tr>");
    }
    body.raw("</tbody></table></div>");
    body.add(&to_export_again(page, &options)?);
    let about = "Which days are there? A day without rows is a gap in the exports, or a day on \
                 which nothing happened. Marks stand for UTC days.";
    Ok(answer.section_about("coverage", "Coverage", about, body))
}

/// The exports of which rows may still change.
fn to_export_again(page: &PageContext<'_>, options: &[&str]) -> Result<Html> {
    let answer = page.ask::<Coverage>(&[options, &["--windows"]].concat())?;
    let (tables, actions) = (answer.texts(coverage::TABLE)?, answer.texts(windows::ACTION)?);
    let (from, to) = (answer.dates(windows::FROM)?, answer.dates(windows::TO)?);
    let reasons = answer.texts(windows::REASON)?;
    let mut items = Vec::new();
    for (row, table) in tables.iter().enumerate() {
        let is_export = table.as_deref() != Some(meta_points::NAME);
        let (Some(table), Some(from), Some(to)) = (table, from[row], to[row]) else { continue };
        if !is_export || actions[row].as_deref() != Some(windows::AGAIN) {
            continue;
        }
        let days = if from == to { long(from) } else { format!("{} to {}", long(from), long(to)) };
        let reason = reasons[row].as_deref().unwrap_or_default();
        items.push(format!("{}: {days} ({reason})", label(table)));
    }
    let mut body = Html::new();
    if !items.is_empty() {
        body.raw("<p>Export again, for rows of these days may still change:</p><ul>");
        for item in &items {
            body.raw("<li>").text(item).raw("</li>");
        }
        body.raw("</ul>");
    }
    Ok(body)
}

pub(super) fn quality(page: &PageContext<'_>) -> Result<Section> {
    let answer = page.ask::<DataQuality>(&[])?;
    let failing = answer.numbers(data_quality::FAILING)?;
    let some: Vec<bool> = failing.iter().map(|count| count.unwrap_or(0.0) > 0.0).collect();
    let found = some.iter().filter(|some| **some).count();
    let mut body = Html::new();
    body.raw("<p class=\"verdict\">").text(&match found {
        0 => format!("✓ All {} checks are passed.", some.len()),
        found => format!("! {found} of {} checks find something.", some.len()),
    });
    body.raw("</p>");
    if found > 0 {
        body.add(&table(
            "What the checks find",
            &[
                TableColumn::texts("Check", answer.labels(data_quality::CHECK)?),
                TableColumn::texts("Table", answer.labels(data_quality::TABLE)?),
                answer.shown("Rows", data_quality::FAILING)?,
                answer.shown("Of", data_quality::ROWS)?,
                answer.shown("Share", data_quality::SHARE_PCT)?,
                answer.shown("Such as", data_quality::EXAMPLE)?,
            ]
            .map(|column| column.only(&some)),
            100,
        ));
    }
    Ok(answer.section("quality", "Data quality", body))
}
