//! The last days, whose rates are not final.

use chrono::NaiveDate;
use wabalake_queries::maturity;

use super::{News, Notable};
use crate::error::Result;
use crate::report::Section;
use crate::report::figures::{NOTHING, Unit, long};
use crate::report::html::Html;
use crate::report::rates::Rate;
use crate::report::tables::{TableColumn, table};

const ID: &str = "last-days";

/// The days that are not final, and what their rates will be. `None` if all days of the period are
/// final.
pub(super) fn last_days(rates: &[Rate; 2]) -> Result<Option<Notable>> {
    let open = rates.iter().filter_map(|rate| Some((rate, rate.open_from?)));
    let open: Vec<(&Rate, NaiveDate)> = open.collect();
    if open.is_empty() {
        return Ok(None);
    }
    let (mut body, mut commands, mut said) = (Html::new(), Vec::new(), Vec::new());
    body.raw("<div class=\"pair\">");
    for (rate, from) in open {
        body.add(&expected(rate, from)?);
        commands.push(rate.maturity.command.clone());
        said.push(format!("{} from {} on", rate.outcome.name(), long(from)));
    }
    body.raw("</div>");
    let about = format!(
        "More outcomes are to come: {}. Expected: the rate in the end, if outcomes take as long as they \
         took before, and where it lies as far as earlier days tell (95 %). A day that has not ended is \
         not in the table.",
        said.join(", ")
    );
    let news = News {
        section: ID,
        what: "The last days are not final".to_owned(),
        more: format!(": {}.", said.join(", ")),
    };
    let title = "The last days are not final";
    let section = Section { id: ID, title, about, commands, body };
    Ok(Some(Notable { section, news: vec![news] }))
}

/// The rates of the days that are not final. Empty if none of them has ended.
fn expected(rate: &Rate, from: NaiveDate) -> Result<Html> {
    let answer = &rate.maturity;
    let days = answer.dates(maturity::DAY)?;
    let keep: Vec<bool> = days.iter().map(|day| day.is_some_and(|day| day >= from)).collect();
    let mut html = Html::new();
    if !keep.contains(&true) {
        return Ok(html);
    }
    let ends = answer
        .numbers(maturity::PROJECTED_LOW)?
        .into_iter()
        .zip(answer.numbers(maturity::PROJECTED_HIGH)?);
    let show = |rate| Unit::Percent.show(rate);
    let projected = answer.numbers(maturity::PROJECTED_PCT)?.into_iter().zip(ends);
    let projected = projected.map(|(rate, (low, high))| {
        Some(match rate {
            Some(_) => format!("{} ({} to {})", show(rate), show(low), show(high)),
            None => NOTHING.to_owned(),
        })
    });
    let columns = [
        answer.shown("Day", maturity::DAY)?,
        answer.shown(rate.outcome.whole(), maturity::STARTS)?,
        answer.shown("So far", maturity::REPORTED_PCT)?,
        TableColumn::texts("Expected", projected.collect()),
    ]
    .map(|column| column.only(&keep));
    let title = rate.outcome.title();
    html.raw("<figure><figcaption>").text(title).raw("</figcaption>");
    html.add(&table(title, &columns, days.len())).raw("</figure>");
    Ok(html)
}
