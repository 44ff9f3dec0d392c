//! User behaviour: drop-off, return rates, hours of activity.

use chrono::Days;
use wabalake_data::tables::sessions;
use wabalake_queries::activity_hours::{self, ActivityHours};
use wabalake_queries::drop_off::{self, DropOff};
use wabalake_queries::return_rate::{self, ReturnRate};

use super::{ROWS, flows};
use crate::error::Result;
use crate::report::charts::{Bar, bars, hours};
use crate::report::figures::{Unit, long};
use crate::report::html::Html;
use crate::report::tables::{TableColumn, table};
use crate::report::{PageContext, Period, Section};

pub(super) fn drop_off(page: &PageContext<'_>) -> Result<Section> {
    const FLOWS: usize = 6;
    const NODES: usize = 8;
    let answer = page.ask::<DropOff>(&[])?;
    let names = flows(&answer)?;
    let sessions = answer.numbers(drop_off::SESSIONS)?;
    let shares = answer.numbers(drop_off::SHARE_PCT)?;
    let nodes = answer.texts(sessions::LAST_NODE_ID)?;
    let mut by_flow: Vec<(&String, f64, Vec<usize>)> = Vec::new();
    for (row, name) in names.iter().enumerate() {
        let count = sessions[row].unwrap_or(0.0);
        match by_flow.last_mut().filter(|flow| flow.0 == name) {
            Some((_, all, rows)) => {
                *all += count;
                rows.push(row);
            }
            None => by_flow.push((name, count, vec![row])),
        }
    }
    // A stable sort keeps the order of the answer for equal counts.
    by_flow.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut body = Html::new();
    body.raw("<div class=\"flows\">");
    for (name, all, rows) in by_flow.iter().take(FLOWS) {
        let bar = |row: &usize| Bar {
            name: nodes[*row].clone().unwrap_or_else(|| "before any node".to_owned()),
            figure: sessions[*row].unwrap_or(0.0),
            shown: Unit::Percent.show(shares[*row]),
            note: None,
        };
        body.raw("<figure><figcaption>Conversation ").text(name).raw(" <small>");
        body.text(&Unit::Count.show(Some(*all))).raw(" sessions</small></figcaption>");
        body.add(&bars(&rows.iter().take(NODES).map(bar).collect::<Vec<_>>()));
        if rows.len() > NODES {
            body.raw("<p class=\"note\">and ").text(&(rows.len() - NODES).to_string());
            body.raw(" more nodes</p>");
        }
        body.raw("</figure>");
    }
    body.raw("</div>");
    if by_flow.is_empty() {
        body.raw("<p class=\"none\">Nothing in this period.</p>");
    } else if by_flow.len() > FLOWS {
        body.raw("<p class=\"note\">The busiest ").text(&FLOWS.to_string()).raw(" of ");
        body.text(&by_flow.len().to_string()).raw(".</p>");
    }
    Ok(answer.section("drop-off", "Where users leave the busiest flows", body))
}

pub(super) fn returns(page: &PageContext<'_>) -> Result<Section> {
    const WEEKS: u64 = 12;
    const DAYS: [&str; 6] = ["1", "3", "7", "14", "21", "28"];
    const TITLES: [&str; 6] = ["1 day", "3 days", "7 days", "14 days", "21 days", "28 days"];
    let to = page.period.to;
    let from = to.checked_sub_days(Days::new(7 * WEEKS - 1)).unwrap_or(to);
    let period = Period { from, ..page.period };
    let days = format!("--days={}", DAYS.join(","));
    let options = ["--cohort=week", "--mode=within", &days];
    let answer = page.ask_about::<ReturnRate>(period, &options)?;
    let cohorts = answer.texts(return_rate::COHORT)?;
    let (day, eligible) =
        (answer.texts(return_rate::DAY_N)?, answer.numbers(return_rate::ELIGIBLE_USERS)?);
    let (rates, people) =
        (answer.numbers(return_rate::RETURN_RATE_PCT)?, answer.numbers(return_rate::COHORT_USERS)?);
    let mut weeks: Vec<&Option<String>> = cohorts.iter().collect();
    weeks.dedup();
    let of = |week: &Option<String>, n: &str| {
        let mut rows = 0..answer.height();
        let row = rows.find(|row| cohorts[*row] == *week && day[*row].as_deref() == Some(n))?;
        rates[row].filter(|_| eligible[row].unwrap_or(0.0) > 0.0)
    };
    let size = |week: &Option<String>| {
        (0..answer.height()).find(|row| cohorts[*row] == *week).and_then(|row| people[row])
    };
    let said = |week: &Option<String>| {
        let date = week.as_deref()?.parse().ok()?;
        Some(format!("Week of {}", long(date)))
    };
    let most = rates.iter().flatten().copied().fold(0.0, f64::max);
    let mut columns = vec![
        TableColumn::texts("First visit", weeks.iter().map(|week| said(week)).collect()),
        TableColumn::figures("People", Unit::Count, weeks.iter().map(|week| size(week)).collect()),
    ];
    for (n, title) in DAYS.iter().zip(TITLES) {
        let rates = weeks.iter().map(|week| of(week, n)).collect();
        columns.push(TableColumn::figures(title, Unit::Percent, rates).shaded(most));
    }
    let body = table("Came back within", &columns, ROWS);
    let about = format!(
        "Of the people who first came in a week, the share that came again within so many days. \
         Only people for whom these days are over count; a redirection is no visit. {}.",
        period.words()
    );
    Ok(answer.section_about("returns", "Do users come back?", &about, body))
}

pub(super) fn week(page: &PageContext<'_>) -> Result<Section> {
    let answer = page.ask::<ActivityHours>(&[])?;
    let (days, of_day) =
        (answer.numbers(activity_hours::WEEKDAY)?, answer.numbers(activity_hours::HOUR)?);
    let field = |name: &str| -> Result<_> {
        let mut field = [[0.0; 24]; 7];
        for ((day, hour), figure) in days.iter().zip(&of_day).zip(answer.numbers(name)?) {
            let at = |number: &Option<f64>, first: f64, count: usize| {
                (0..count).find(|place| *number == Some(*place as f64 + first))
            };
            if let (Some(day), Some(hour)) = (at(day, 1.0, 7), at(hour, 0.0, 24)) {
                field[day][hour] = figure.unwrap_or(0.0);
            }
        }
        Ok(field)
    };
    let mut body = Html::new();
    body.raw("<div class=\"pair\">")
        .add(&hours("Sessions that begin", &field(activity_hours::SESSIONS)?));
    body.add(&hours("First messages of users", &field(activity_hours::FIRST_MESSAGES)?))
        .raw("</div>");
    let about = "When do users write? Sessions that begin in the period; each count stands in the \
                 hour in which it happened.";
    Ok(answer.section_about("hours", "Hours of the week", about, body))
}
