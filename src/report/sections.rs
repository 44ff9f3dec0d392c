//! The sections of the page, in the order that it shows them. Each names its query.

use chrono::{Days, NaiveDate};

use super::charts::{Bar, Draw, Interval, Series, Trend, bars, hours, intervals, spark, strip};
use super::figures::{Unit, label, long, short, wilson};
use super::html::Html;
use super::tables::{Shown, table};
use super::{Answered, Asking, Period, Section, Step};
use crate::error::Result;

/// So many rows of a table are on the page; the command under it gives the others.
const ROWS: usize = 25;

/// Every section of which there is a query.
pub(super) fn sections(asking: &Asking<'_>) -> Result<Vec<Section>> {
    let all = [
        headline,
        trend,
        delivery,
        failures,
        message_failures,
        drop_off,
        returns,
        week,
        countries,
        ads,
        channels,
        templates,
        versions,
        coverage,
        quality,
    ];
    let mut sections = Vec::new();
    for section in all {
        sections.extend(section(asking)?);
    }
    Ok(sections)
}

/// A figure of the period and of the one before.
struct Headline {
    title: &'static str,
    unit: Unit,
    now: Option<f64>,
    before: Option<f64>,
    /// Whether more of it is good news; none if it is neither.
    more_is_good: Option<bool>,
    along: Vec<Option<f64>>,
}

fn headline(asking: &Asking<'_>) -> Result<Option<Section>> {
    let (step, starts, _) = axis(asking);
    let by = format!("--by={}", step.name());
    let both = |name: &str, options: &[&str]| -> Result<Option<[Answered; 2]>> {
        let now = asking.ask(name, options)?;
        let before = asking.ask_about(asking.period.before(), name, options)?;
        Ok(now.zip(before).map(|(now, before)| [now, before]))
    };
    let mut figures = Vec::new();
    let part = |answer: &Answered, part: &str, whole: &str| {
        let whole = answer.sum(whole);
        (whole > 0.0).then(|| 100.0 * answer.sum(part) / whole)
    };
    if let Some([now, before]) = both("session-duration", &[&by])? {
        figures.push(Headline {
            title: "Sessions",
            unit: Unit::Count,
            now: Some(now.sum("sessions")),
            before: Some(before.sum("sessions")),
            more_is_good: Some(true),
            along: now.along(step.name(), &starts, "sessions"),
        });
    }
    if let Some([now, before]) = both("drop-off", &[])? {
        figures.push(Headline {
            title: "Sessions with an agent",
            unit: Unit::Percent,
            now: part(&now, "agent_sessions", "sessions"),
            before: part(&before, "agent_sessions", "sessions"),
            more_is_good: None,
            along: Vec::new(),
        });
    }
    if let Some([now, before]) = both("delivery-rate", &[&by])? {
        figures.push(Headline {
            title: "Sends",
            unit: Unit::Count,
            now: Some(now.sum("deployments")),
            before: Some(before.sum("deployments")),
            more_is_good: None,
            along: now.along(step.name(), &starts, "deployments"),
        });
        figures.push(Headline {
            title: "Sends delivered",
            unit: Unit::Percent,
            now: part(&now, "delivered", "deployments"),
            before: part(&before, "delivered", "deployments"),
            more_is_good: Some(true),
            along: now.along(step.name(), &starts, "delivered_pct"),
        });
    }
    if let Some([now, before]) = both("conversation-summary", &[])? {
        figures.push(Headline {
            title: "Sends answered",
            unit: Unit::Percent,
            now: part(&now, "responses", "messages_sent"),
            before: part(&before, "responses", "messages_sent"),
            more_is_good: Some(true),
            along: Vec::new(),
        });
    }
    if let Some([now, before]) = both("message-summary", &[])? {
        figures.push(Headline {
            title: "Messages received",
            unit: Unit::Count,
            now: Some(now.sum("received")),
            before: Some(before.sum("received")),
            more_is_good: Some(true),
            along: Vec::new(),
        });
    }
    let mut body = Html::new();
    body.raw("<div class=\"tiles\">");
    for figure in &figures {
        body.add(&tile(figure));
    }
    body.raw("</div>");
    let before = asking.period.before();
    let about = format!(
        "Beside each figure: how it changed against the period before, {} to {}.",
        long(before.from),
        long(before.to)
    );
    Ok(Some(Section { id: "at-a-glance", title: "At a glance", about, command: None, body }))
}

fn tile(figure: &Headline) -> Html {
    let mut html = Html::new();
    let (change, tone) = change(figure);
    html.raw("<div class=\"tile\"><h3>").text(figure.title).raw("</h3><p class=\"big\">");
    html.text(&figure.unit.show(figure.now)).raw("</p><p class=\"").raw(tone).raw("\">");
    html.text(&change).raw("</p>").add(&spark(&figure.along)).raw("</div>");
    html
}

/// How a figure changed, in words, and in what colour.
fn change(figure: &Headline) -> (String, &'static str) {
    let (Some(now), Some(before)) = (figure.now, figure.before) else {
        return ("nothing to compare with".to_owned(), "change");
    };
    let difference = match figure.unit {
        Unit::Percent => now - before,
        _ if before == 0.0 => return ("none before".to_owned(), "change"),
        _ => 100.0 * (now - before) / before,
    };
    let of = if figure.unit == Unit::Percent { "points" } else { "%" };
    let size = format!("{:.1} {of}", difference.abs());
    let was = format!("from {}", figure.unit.show(Some(before)));
    if difference.abs() < 0.05 {
        return (format!("= as before, {was}"), "change");
    }
    let tone = match figure.more_is_good {
        None => "change",
        Some(good) if good == (difference > 0.0) => "change good",
        Some(_) => "change bad",
    };
    let arrow = if difference > 0.0 { "▲ up" } else { "▼ down" };
    (format!("{arrow} {size}, {was}"), tone)
}

/// The places of an axis, and what they are called.
fn axis(asking: &Asking<'_>) -> (Step, Vec<NaiveDate>, Vec<String>) {
    let step = asking.period.step();
    let starts = step.starts(asking.period);
    let called = |start: &NaiveDate| match step {
        Step::Day => start.format("%a %-d %b").to_string(),
        Step::Week => format!("week of {}", short(*start)),
        Step::Month => start.format("%B %Y").to_string(),
    };
    let places = starts.iter().map(called).collect();
    (step, starts, places)
}

/// A table that is there for whoever wants the figures of a chart.
fn behind(html: &mut Html, figures: &Html) {
    html.raw("<details><summary>As a table</summary>").add(figures).raw("</details>");
}

fn trend(asking: &Asking<'_>) -> Result<Option<Section>> {
    let (step, starts, places) = axis(asking);
    let by = format!("--by={}", step.name());
    let Some(answer) = asking.ask("session-duration", &[&by])? else { return Ok(None) };
    let along = |name: &str| answer.along(step.name(), &starts, name);
    let mut body = Html::new();
    body.raw("<div class=\"pair\">");
    let series = vec![Series { name: "Sessions", draw: Draw::Columns, figures: along("sessions") }];
    let title = format!("Sessions by {}", step.name());
    body.add(&Trend { title, unit: Unit::Count, places: &places, series }.html());
    let (median, nine) = ("median_duration_seconds", "p90_duration_seconds");
    let series = vec![
        Series { name: "Median", draw: Draw::Line, figures: along(median) },
        Series { name: "9 in 10 are shorter", draw: Draw::Dashes, figures: along(nine) },
    ];
    let title = format!("How long they last, by {}", step.name());
    body.add(&Trend { title, unit: Unit::Seconds, places: &places, series }.html());
    body.raw("</div>");
    let rows = table(
        "Sessions and how long they last",
        &[
            Shown::texts("From", answer.texts(step.name())),
            Shown::figures("Sessions", Unit::Count, answer.numbers("sessions")),
            Shown::figures("Finished", Unit::Count, answer.numbers("finished_sessions")),
            Shown::figures("Average", Unit::Seconds, answer.numbers("avg_duration_seconds")),
            Shown::figures("Median", Unit::Seconds, answer.numbers(median)),
            Shown::figures("9 in 10", Unit::Seconds, answer.numbers(nine)),
            Shown::figures("Longest", Unit::Seconds, answer.numbers("max_duration_seconds")),
        ],
        400,
    );
    behind(&mut body, &rows);
    let about = "How many sessions begin, and how long do they last? Times are of those that have \
                 ended.";
    Ok(Some(answer.section_about("sessions", "Sessions", about, body)))
}

fn delivery(asking: &Asking<'_>) -> Result<Option<Section>> {
    let (step, starts, places) = axis(asking);
    let by = format!("--by={}", step.name());
    let Some(answer) = asking.ask("delivery-rate", &[&by])? else { return Ok(None) };
    let along = |name: &str| answer.along(step.name(), &starts, name);
    let mut body = Html::new();
    body.raw("<div class=\"pair\">");
    let series = vec![Series { name: "Sends", draw: Draw::Columns, figures: along("deployments") }];
    let title = format!("Sends by {}", step.name());
    body.add(&Trend { title, unit: Unit::Count, places: &places, series }.html());
    let series = vec![
        Series { name: "of all", draw: Draw::Line, figures: along("delivered_pct") },
        Series {
            name: "of those delivered or failed",
            draw: Draw::Dashes,
            figures: along("delivered_of_settled_pct"),
        },
    ];
    body.add(
        &Trend { title: "Delivered".to_owned(), unit: Unit::Percent, places: &places, series }
            .html(),
    );
    body.raw("</div>");
    let count = |title, name: &str| Shown::figures(title, Unit::Count, answer.numbers(name));
    let rows = table(
        "Sends and how far they came",
        &[
            Shown::texts("From", answer.texts(step.name())),
            count("Sends", "deployments"),
            count("People", "users"),
            count("Delivered", "delivered"),
            count("Sent", "sent"),
            count("Failed", "failed"),
            count("In process", "in_process"),
            Shown::figures("Delivered", Unit::Percent, answer.numbers("delivered_pct")),
        ],
        400,
    );
    behind(&mut body, &rows);
    let about = "How many sends arrive? By day of the send, whenever it was delivered.";
    Ok(Some(answer.section_about("delivery", "Delivery", about, body)))
}

fn failures(asking: &Asking<'_>) -> Result<Option<Section>> {
    let Some(answer) = asking.ask("failure-reasons", &[])? else { return Ok(None) };
    let mut body = Html::new();
    let states = answer.texts("state").into_iter().map(Option::unwrap_or_default);
    let counts = answer.numbers("deployments");
    let mut by_state: Vec<Bar> = Vec::new();
    let advice = answer.texts("advice");
    let all: f64 = answer.sum("deployments");
    for ((state, count), advice) in states.zip(counts).zip(advice) {
        let (name, count) = (label(&state), count.unwrap_or(0.0));
        let note = advice.map(|advice| format!("→ {advice}"));
        match by_state.iter_mut().find(|bar| bar.name == name) {
            Some(bar) => bar.figure += count,
            None => by_state.push(Bar { name, figure: count, shown: String::new(), note }),
        }
    }
    by_state.sort_by(|a, b| b.figure.total_cmp(&a.figure));
    for bar in &mut by_state {
        let share = Unit::Percent.show(Some(100.0 * bar.figure / all));
        bar.shown = format!("{} · {share}", Unit::Count.show(Some(bar.figure)));
    }
    if by_state.is_empty() {
        body.raw("<p class=\"none\">No send failed in this period.</p>");
    } else {
        body.add(&bars(&by_state));
        let rows = table(
            "Why sends failed",
            &[
                Shown::labels("State", answer.texts("state")),
                Shown::texts("Detail", answer.texts("status_detail")),
                Shown::figures("Sends", Unit::Count, answer.numbers("deployments")),
                Shown::figures("People", Unit::Count, answer.numbers("users")),
                Shown::figures(
                    "Of failures",
                    Unit::Percent,
                    answer.numbers("share_of_failures_pct"),
                ),
                Shown::figures(
                    "Of all sends",
                    Unit::Percent,
                    answer.numbers("share_of_deployments_pct"),
                ),
                Shown::texts("What to do", answer.texts("advice")),
            ],
            ROWS,
        );
        behind(&mut body, &rows);
    }
    Ok(Some(answer.section("failed-sends", "Why sends fail, and what to do", body)))
}

fn message_failures(asking: &Asking<'_>) -> Result<Option<Section>> {
    let Some(answer) = asking.ask("message-failures", &[])? else { return Ok(None) };
    if answer.height() == 0 {
        return Ok(None);
    }
    let body = table(
        "Why messages failed",
        &[
            Shown::texts("Reason", answer.texts("reason_for_failure")),
            Shown::texts("Template", answer.texts("template_name")),
            Shown::figures("Messages", Unit::Count, answer.numbers("messages")),
            Shown::figures("People", Unit::Count, answer.numbers("users")),
            Shown::figures("Of failures", Unit::Percent, answer.numbers("share_pct")),
        ],
        ROWS,
    );
    Ok(Some(answer.section("failed-messages", "Why messages fail", body)))
}

/// A conversation and its version, as one name.
fn flows(answer: &Answered) -> Vec<String> {
    let ids = answer.texts("conversation_id").into_iter();
    let versions = answer.texts("conversation_version");
    let name = |(id, version): (Option<String>, Option<String>)| {
        let id = id.unwrap_or_else(|| "without a conversation".to_owned());
        version.map_or(id.clone(), |version| format!("{id}, version {version}"))
    };
    ids.zip(versions).map(name).collect()
}

fn drop_off(asking: &Asking<'_>) -> Result<Option<Section>> {
    const FLOWS: usize = 6;
    const NODES: usize = 8;
    let Some(answer) = asking.ask("drop-off", &[])? else { return Ok(None) };
    let names = flows(&answer);
    let sessions = answer.numbers("sessions");
    let shares = answer.numbers("share_pct");
    let nodes = answer.texts("last_node_id");
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
    // Of equal ones the first, as the answer has them.
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
    Ok(Some(answer.section("drop-off", "Where users leave the busiest flows", body)))
}

fn returns(asking: &Asking<'_>) -> Result<Option<Section>> {
    const WEEKS: u64 = 12;
    const DAYS: [&str; 6] = ["1", "3", "7", "14", "21", "28"];
    const TITLES: [&str; 6] = ["1 day", "3 days", "7 days", "14 days", "21 days", "28 days"];
    let to = asking.period.to;
    let from = to.checked_sub_days(Days::new(7 * WEEKS - 1)).unwrap_or(to);
    let period = Period { from, ..asking.period };
    let days = format!("--days={}", DAYS.join(","));
    let options = ["--cohort=week", "--mode=within", &days];
    let Some(answer) = asking.ask_about(period, "return-rate", &options)? else { return Ok(None) };
    let cohorts = answer.texts("cohort");
    let (day, eligible) = (answer.texts("day_n"), answer.numbers("eligible_users"));
    let (rates, people) = (answer.numbers("return_rate_pct"), answer.numbers("cohort_users"));
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
        Shown::texts("First visit", weeks.iter().map(|week| said(week)).collect()),
        Shown::figures("People", Unit::Count, weeks.iter().map(|week| size(week)).collect()),
    ];
    for (n, title) in DAYS.iter().zip(TITLES) {
        let rates = weeks.iter().map(|week| of(week, n)).collect();
        columns.push(Shown::figures(title, Unit::Percent, rates).shaded(most));
    }
    let body = table("Came back within", &columns, ROWS);
    let mut section = answer.section("returns", "Do users come back?", body);
    section.about = format!(
        "Of the people who first came in a week, the share that came again within so many days. \
         Only people for whom these days are over count; a redirection is no visit. {}.",
        period.words()
    );
    Ok(Some(section))
}

fn week(asking: &Asking<'_>) -> Result<Option<Section>> {
    let Some(answer) = asking.ask("activity-hours", &[])? else { return Ok(None) };
    let (days, of_day) = (answer.numbers("weekday"), answer.numbers("hour"));
    let field = |name: &str| {
        let mut field = [[0.0; 24]; 7];
        for ((day, hour), figure) in days.iter().zip(&of_day).zip(answer.numbers(name)) {
            let at = |number: &Option<f64>, first: f64, count: usize| {
                (0..count).find(|place| *number == Some(*place as f64 + first))
            };
            if let (Some(day), Some(hour)) = (at(day, 1.0, 7), at(hour, 0.0, 24)) {
                field[day][hour] = figure.unwrap_or(0.0);
            }
        }
        field
    };
    let mut body = Html::new();
    body.raw("<div class=\"pair\">").add(&hours("Sessions that begin", &field("sessions")));
    body.add(&hours("First messages of users", &field("first_messages"))).raw("</div>");
    let about = "When do users write? Sessions that begin in the period; each count stands in the \
                 hour in which it happened.";
    Ok(Some(answer.section_about("hours", "Hours of the week", about, body)))
}

fn countries(asking: &Asking<'_>) -> Result<Option<Section>> {
    let Some(answer) = asking.ask("country-breakdown", &[])? else { return Ok(None) };
    let count = |title, name: &str| Shown::figures(title, Unit::Count, answer.numbers(name));
    let share = |title, name: &str| Shown::figures(title, Unit::Percent, answer.numbers(name));
    let countries = answer.texts("country_name").into_iter().zip(answer.texts("country"));
    let names = countries.map(|(name, code)| name.or(code).or(Some("Unknown".to_owned())));
    let body = table(
        "Countries",
        &[
            Shown::texts("Country", names.collect()),
            count("Sends", "deployments").shaded(largest(&answer, "deployments")),
            share("Delivered", "delivered_pct"),
            share("Opened a session", "click_through_pct"),
            share("Answered", "reply_pct"),
            count("Inbound sessions", "inbound_sessions"),
            Shown::figures("Session", Unit::Seconds, answer.numbers("avg_session_seconds")),
            share("Converted", "conversion_pct"),
            Shown::money("Revenue", answer.amounts("revenue"), answer.texts("revenue_currency")),
        ],
        ROWS,
    );
    Ok(Some(answer.section("countries", "Countries", body)))
}

fn largest(answer: &Answered, name: &str) -> f64 {
    answer.numbers(name).into_iter().flatten().fold(0.0, f64::max)
}

fn ads(asking: &Asking<'_>) -> Result<Option<Section>> {
    let Some(answer) = asking.ask("meta-sources", &[])? else { return Ok(None) };
    let count = |title, name: &str| Shown::figures(title, Unit::Count, answer.numbers(name));
    let headlines = answer.texts("meta_source_headline").into_iter();
    let named = headlines.zip(answer.texts("meta_source_id"));
    let body = table(
        "Ads and posts",
        &[
            Shown::texts("Headline", named.map(|(headline, id)| headline.or(id)).collect()),
            Shown::texts("Type", answer.texts("meta_source_type")),
            count("Sessions", "sessions").shaded(largest(&answer, "sessions")),
            count("People", "users"),
            Shown::figures("Session", Unit::Seconds, answer.numbers("avg_duration_seconds")),
            Shown::money("Spend", answer.amounts("spend"), answer.texts("spend_currency")),
            Shown::figures("Per session", Unit::Number, answer.numbers("cost_per_session")),
            count("Conversions", "conversions"),
            Shown::money("Revenue", answer.amounts("revenue"), answer.texts("revenue_currency")),
            Shown::figures("ROAS", Unit::Number, answer.numbers("roas")),
        ],
        ROWS,
    );
    Ok(Some(answer.section("ads", "Ads and posts, and what they earn", body)))
}

fn channels(asking: &Asking<'_>) -> Result<Option<Section>> {
    let Some(answer) = asking.ask("inbound-channels", &[])? else { return Ok(None) };
    let count = |title, name: &str| Shown::figures(title, Unit::Count, answer.numbers(name));
    let body = table(
        "Channels",
        &[
            Shown::labels("Channel", answer.texts("channel")),
            Shown::texts("Source", answer.texts("source")),
            Shown::texts("Campaign", answer.texts("campaign")),
            count("Sessions", "sessions").shaded(largest(&answer, "sessions")),
            count("People", "users"),
            Shown::figures("Session", Unit::Seconds, answer.numbers("avg_duration_seconds")),
            Shown::figures("With an agent", Unit::Percent, answer.numbers("agent_pct")),
            Shown::figures("Converted", Unit::Percent, answer.numbers("conversion_pct")),
            Shown::money("Revenue", answer.amounts("revenue"), answer.texts("revenue_currency")),
        ],
        ROWS,
    );
    Ok(Some(answer.section("channels", "Channels of inbound users", body)))
}

/// The most rows of a chart of intervals.
const INTERVALS: usize = 12;

fn templates(asking: &Asking<'_>) -> Result<Option<Section>> {
    let Some(answer) = asking.ask("template-performance", &[])? else { return Ok(None) };
    let names = answer.texts("template_name");
    let (delivered, replied) = (answer.numbers("delivered"), answer.numbers("replied"));
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
    let share = |title, name: &str| Shown::figures(title, Unit::Percent, answer.numbers(name));
    let count = |title, name: &str| Shown::figures(title, Unit::Count, answer.numbers(name));
    body.add(&table(
        "Templates",
        &[
            Shown::texts("Template", names.clone()),
            count("Created", "created"),
            count("Failed", "failed"),
            count("Delivered", "delivered"),
            share("Delivered", "delivered_pct"),
            share("Read", "read_pct"),
            share("Answered", "reply_pct"),
            Shown::figures("Answered after", Unit::Seconds, answer.numbers("median_reply_seconds")),
        ],
        ROWS,
    ));
    Ok(Some(answer.section("templates", "Templates compared", body)))
}

fn versions(asking: &Asking<'_>) -> Result<Option<Section>> {
    let Some(answer) = asking.ask("version-comparison", &[])? else { return Ok(None) };
    let body = versions_of(&answer);
    Ok(Some(answer.section("versions", "Versions of conversations compared", body)))
}

/// Versions of conversations and how they are answered.
pub(super) fn versions_of(answer: &Answered) -> Html {
    let names = flows(answer);
    let (shares, delivered) = (answer.numbers("reply_pct"), answer.numbers("delivered"));
    let ends: Vec<_> =
        answer.numbers("reply_pct_low").into_iter().zip(answer.numbers("reply_pct_high")).collect();
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
            Shown::texts("Conversation", names.iter().cloned().map(Some).collect()),
            Shown::figures("Sends", Unit::Count, answer.numbers("deployments")),
            Shown::figures("Delivered", Unit::Percent, answer.numbers("delivered_pct")),
            Shown::figures("Answered", Unit::Percent, shares),
            Shown::figures("Answered after", Unit::Seconds, answer.numbers("median_reply_seconds")),
            Shown::texts(
                "Against the version before",
                answer.numbers("p_value").into_iter().map(verdict).collect(),
            ),
        ],
        ROWS,
    );
    body.add(&table);
    body
}

fn coverage(asking: &Asking<'_>) -> Result<Option<Section>> {
    let Period { from, to, .. } = asking.period;
    let after = to.succ_opt().unwrap_or(to);
    let options = [format!("--since={from}"), format!("--today={after}")];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let Some(answer) = asking.ask("coverage", &options)? else { return Ok(None) };
    let (names, rows) = (answer.texts("table"), answer.numbers("rows"));
    let missing = answer.numbers("missing_days");
    let [first, last, next_from, next_to] =
        ["first_day", "last_day", "next_from", "next_to"].map(|name| answer.dates(name));
    let mut body = Html::new();
    body.raw(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Coverage\"><table>",
    );
    body.raw("<caption>Days with rows</caption><thead><tr><th scope=\"col\">Table</th>");
    body.raw("<th scope=\"col\">This period</th><th scope=\"col\">In the lake</th>");
    body.raw("<th scope=\"col\" class=\"n\">Rows</th><th scope=\"col\">To export next</th></tr></thead><tbody>");
    let days = Step::Day.starts(asking.period);
    for (row, name) in names.iter().enumerate() {
        let Some(known) = name.as_deref().and_then(wabalake_data::table) else { continue };
        if rows[row].unwrap_or(0.0) == 0.0 {
            continue;
        }
        let files = asking.lake.snapshot(known)?.files;
        let has: Vec<bool> =
            days.iter().map(|day| files.iter().any(|file| file.day == Some(*day))).collect();
        let full = has.iter().filter(|has| **has).count();
        let said = match (full, days.len()) {
            (full, all) if full == all => "every day".to_owned(),
            (full, all) => format!("{full} of {all} days"),
        };
        let name = label(known.name);
        body.raw("<tr><th scope=\"row\">").text(&name).raw("</th><td>");
        // Where rows say from when on something holds, a day without any is no gap.
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
    let about = "Which days are there? A day without rows is a gap in the exports, or a day on \
                 which nothing happened. Marks stand for UTC days.";
    Ok(Some(Section {
        id: "coverage",
        title: "Coverage",
        about: about.to_owned(),
        command: Some(answer.command),
        body,
    }))
}

fn quality(asking: &Asking<'_>) -> Result<Option<Section>> {
    let Some(answer) = asking.ask("data-quality", &[])? else { return Ok(None) };
    let failing = answer.numbers("failing");
    let some: Vec<bool> = failing.iter().map(|count| count.unwrap_or(0.0) > 0.0).collect();
    let kept = |figures: Vec<Option<f64>>| -> Vec<Option<f64>> {
        figures
            .into_iter()
            .zip(&some)
            .filter(|(_, some)| **some)
            .map(|(figure, _)| figure)
            .collect()
    };
    let kept_texts = |texts: Vec<Option<String>>| -> Vec<Option<String>> {
        texts.into_iter().zip(&some).filter(|(_, some)| **some).map(|(text, _)| text).collect()
    };
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
                Shown::labels("Check", kept_texts(answer.texts("check"))),
                Shown::labels("Table", kept_texts(answer.texts("table"))),
                Shown::figures("Rows", Unit::Count, kept(failing.clone())),
                Shown::figures("Of", Unit::Count, kept(answer.numbers("rows"))),
                Shown::figures("Share", Unit::Percent, kept(answer.numbers("share_pct"))),
                Shown::texts("Such as", kept_texts(answer.texts("example"))),
            ],
            100,
        ));
    }
    Ok(Some(answer.section("quality", "Data quality", body)))
}
