//! The sections of the page, in the order that it shows them. Each names its query.

use chrono::{Days, NaiveDate};
use wabalake_data::tables::{deployments, messages, sessions};
use wabalake_queries::activity_hours::{self, ActivityHours};
use wabalake_queries::conversation_summary::{self, ConversationSummary};
use wabalake_queries::country_breakdown::{self, CountryBreakdown};
use wabalake_queries::coverage::{self, Coverage};
use wabalake_queries::data_quality::{self, DataQuality};
use wabalake_queries::delivery_rate::{self, DeliveryRate};
use wabalake_queries::drop_off::{self, DropOff};
use wabalake_queries::failure_reasons::{self, FailureReasons};
use wabalake_queries::inbound_channels::{self, InboundChannels};
use wabalake_queries::message_failures::{self, MessageFailures};
use wabalake_queries::message_summary::{self, MessageSummary};
use wabalake_queries::meta_sources::{self, MetaSources};
use wabalake_queries::return_rate::{self, ReturnRate};
use wabalake_queries::session_duration::{self, SessionDuration};
use wabalake_queries::template_performance::{self, TemplatePerformance};
use wabalake_queries::version_comparison::{self, VersionComparison};

use super::answer::Answered;
use super::charts::{Bar, Draw, Interval, Series, Trend, bars, hours, intervals, spark, strip};
use super::figures::{Unit, label, long, short, wilson};
use super::html::Html;
use super::tables::{Shown, table};
use super::{Asking, Period, Section, Step};
use crate::error::Result;

/// So many rows of a table are on the page; the command under it gives the others.
const ROWS: usize = 25;

/// Every section. That of messages that failed is there only if some did.
pub(super) fn sections(asking: &Asking<'_>) -> Result<Vec<Section>> {
    let mut sections =
        vec![headline(asking)?, trend(asking)?, delivery(asking)?, failures(asking)?];
    sections.extend(message_failures(asking)?);
    for section in
        [drop_off, returns, week, countries, ads, channels, templates, versions, coverage, quality]
    {
        sections.push(section(asking)?);
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

impl Headline {
    /// A sum over each period.
    fn sum(title: &'static str, of: &[Answered; 2], column: &str) -> Result<Self> {
        let [now, before] = of;
        Ok(Self {
            title,
            unit: Unit::Count,
            now: Some(now.sum(column)?),
            before: Some(before.sum(column)?),
            more_is_good: Some(true),
            along: Vec::new(),
        })
    }

    /// A share of two sums over each period; none of nothing.
    fn share(title: &'static str, of: &[Answered; 2], part: &str, whole: &str) -> Result<Self> {
        let share = |answer: &Answered| -> Result<Option<f64>> {
            let (part, whole) = (answer.sum(part)?, answer.sum(whole)?);
            Ok((whole > 0.0).then(|| 100.0 * part / whole))
        };
        let [now, before] = of;
        Ok(Self {
            title,
            unit: Unit::Percent,
            now: share(now)?,
            before: share(before)?,
            more_is_good: Some(true),
            along: Vec::new(),
        })
    }
}

fn headline(asking: &Asking<'_>) -> Result<Section> {
    let (step, starts, _) = axis(asking);
    let by = format!("--by={}", step.name());
    let along = |[now, _]: &[Answered; 2], column: &str| now.along(step.name(), &starts, column);

    let sessions = asking.ask_both::<SessionDuration>(&[&by])?;
    let nodes = asking.ask_both::<DropOff>(&[])?;
    let sends = asking.ask_both::<DeliveryRate>(&[&by])?;
    let conversations = asking.ask_both::<ConversationSummary>(&[])?;
    let messages = asking.ask_both::<MessageSummary>(&[])?;
    let figures = [
        Headline {
            along: along(&sessions, session_duration::SESSIONS)?,
            ..Headline::sum("Sessions", &sessions, session_duration::SESSIONS)?
        },
        Headline {
            more_is_good: None,
            ..Headline::share(
                "Sessions with an agent",
                &nodes,
                drop_off::AGENT_SESSIONS,
                drop_off::SESSIONS,
            )?
        },
        Headline {
            more_is_good: None,
            along: along(&sends, delivery_rate::DEPLOYMENTS)?,
            ..Headline::sum("Sends", &sends, delivery_rate::DEPLOYMENTS)?
        },
        Headline {
            along: along(&sends, delivery_rate::DELIVERED_PCT)?,
            ..Headline::share(
                "Sends delivered",
                &sends,
                delivery_rate::DELIVERED,
                delivery_rate::DEPLOYMENTS,
            )?
        },
        Headline::share(
            "Sends answered",
            &conversations,
            conversation_summary::RESPONSES,
            conversation_summary::MESSAGES_SENT,
        )?,
        Headline::sum("Messages received", &messages, message_summary::RECEIVED)?,
    ];
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
    Ok(Section { id: "at-a-glance", title: "At a glance", about, command: None, body })
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

fn trend(asking: &Asking<'_>) -> Result<Section> {
    let (step, starts, places) = axis(asking);
    let by = format!("--by={}", step.name());
    let answer = asking.ask::<SessionDuration>(&[&by])?;
    let along = |name: &str| answer.along(step.name(), &starts, name);
    let mut body = Html::new();
    body.raw("<div class=\"pair\">");
    let series = vec![Series {
        name: "Sessions",
        draw: Draw::Columns,
        figures: along(session_duration::SESSIONS)?,
    }];
    let title = format!("Sessions by {}", step.name());
    body.add(&Trend { title, unit: Unit::Count, places: &places, series }.html());
    let (median, nine) =
        (session_duration::MEDIAN_DURATION_SECONDS, session_duration::P90_DURATION_SECONDS);
    let series = vec![
        Series { name: "Median", draw: Draw::Line, figures: along(median)? },
        Series { name: "9 in 10 are shorter", draw: Draw::Dashes, figures: along(nine)? },
    ];
    let title = format!("How long they last, by {}", step.name());
    body.add(&Trend { title, unit: Unit::Seconds, places: &places, series }.html());
    body.raw("</div>");
    let rows = table(
        "Sessions and how long they last",
        &[
            answer.shown("From", step.name())?,
            answer.shown("Sessions", session_duration::SESSIONS)?,
            answer.shown("Finished", session_duration::FINISHED_SESSIONS)?,
            answer.shown("Average", session_duration::AVG_DURATION_SECONDS)?,
            answer.shown("Median", median)?,
            answer.shown("9 in 10", nine)?,
            answer.shown("Longest", session_duration::MAX_DURATION_SECONDS)?,
        ],
        400,
    );
    behind(&mut body, &rows);
    let about = "How many sessions begin, and how long do they last? Times are of those that have \
                 ended.";
    Ok(answer.section_about("sessions", "Sessions", about, body))
}

fn delivery(asking: &Asking<'_>) -> Result<Section> {
    let (step, starts, places) = axis(asking);
    let by = format!("--by={}", step.name());
    let answer = asking.ask::<DeliveryRate>(&[&by])?;
    let along = |name: &str| answer.along(step.name(), &starts, name);
    let mut body = Html::new();
    body.raw("<div class=\"pair\">");
    let series = vec![Series {
        name: "Sends",
        draw: Draw::Columns,
        figures: along(delivery_rate::DEPLOYMENTS)?,
    }];
    let title = format!("Sends by {}", step.name());
    body.add(&Trend { title, unit: Unit::Count, places: &places, series }.html());
    let series = vec![
        Series { name: "of all", draw: Draw::Line, figures: along(delivery_rate::DELIVERED_PCT)? },
        Series {
            name: "of those delivered or failed",
            draw: Draw::Dashes,
            figures: along(delivery_rate::DELIVERED_OF_SETTLED_PCT)?,
        },
    ];
    body.add(
        &Trend { title: "Delivered".to_owned(), unit: Unit::Percent, places: &places, series }
            .html(),
    );
    body.raw("</div>");
    let rows = table(
        "Sends and how far they came",
        &[
            answer.shown("From", step.name())?,
            answer.shown("Sends", delivery_rate::DEPLOYMENTS)?,
            answer.shown("People", delivery_rate::USERS)?,
            answer.shown("Delivered", delivery_rate::DELIVERED)?,
            answer.shown("Sent", delivery_rate::SENT)?,
            answer.shown("Failed", delivery_rate::FAILED)?,
            answer.shown("In process", delivery_rate::IN_PROCESS)?,
            answer.shown("Delivered", delivery_rate::DELIVERED_PCT)?,
        ],
        400,
    );
    behind(&mut body, &rows);
    let about = "How many sends arrive? By day of the send, whenever it was delivered.";
    Ok(answer.section_about("delivery", "Delivery", about, body))
}

fn failures(asking: &Asking<'_>) -> Result<Section> {
    let answer = asking.ask::<FailureReasons>(&[])?;
    let mut body = Html::new();
    let states = answer.texts(deployments::STATE)?.into_iter().map(Option::unwrap_or_default);
    let counts = answer.numbers(failure_reasons::DEPLOYMENTS)?;
    let mut by_state: Vec<Bar> = Vec::new();
    let advice = answer.texts(failure_reasons::ADVICE)?;
    let all: f64 = answer.sum(failure_reasons::DEPLOYMENTS)?;
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
                Shown::texts("State", answer.labels(deployments::STATE)?),
                answer.shown("Detail", deployments::STATUS_DETAIL)?,
                answer.shown("Sends", failure_reasons::DEPLOYMENTS)?,
                answer.shown("People", failure_reasons::USERS)?,
                answer.shown("Of failures", failure_reasons::SHARE_OF_FAILURES_PCT)?,
                answer.shown("Of all sends", failure_reasons::SHARE_OF_DEPLOYMENTS_PCT)?,
                answer.shown("What to do", failure_reasons::ADVICE)?,
            ],
            ROWS,
        );
        behind(&mut body, &rows);
    }
    Ok(answer.section("failed-sends", "Why sends fail, and what to do", body))
}

fn message_failures(asking: &Asking<'_>) -> Result<Option<Section>> {
    let answer = asking.ask::<MessageFailures>(&[])?;
    if answer.height() == 0 {
        return Ok(None);
    }
    let body = table(
        "Why messages failed",
        &[
            answer.shown("Reason", messages::REASON_FOR_FAILURE)?,
            answer.shown("Template", messages::TEMPLATE_NAME)?,
            answer.shown("Messages", message_failures::MESSAGES)?,
            answer.shown("People", message_failures::USERS)?,
            answer.shown("Of failures", message_failures::SHARE_PCT)?,
        ],
        ROWS,
    );
    Ok(Some(answer.section("failed-messages", "Why messages fail", body)))
}

/// A conversation and its version, as one name.
fn flows(answer: &Answered) -> Result<Vec<String>> {
    let ids = answer.texts(sessions::CONVERSATION_ID)?.into_iter();
    let versions = answer.texts(sessions::CONVERSATION_VERSION)?;
    let name = |(id, version): (Option<String>, Option<String>)| {
        let id = id.unwrap_or_else(|| "without a conversation".to_owned());
        version.map_or(id.clone(), |version| format!("{id}, version {version}"))
    };
    Ok(ids.zip(versions).map(name).collect())
}

fn drop_off(asking: &Asking<'_>) -> Result<Section> {
    const FLOWS: usize = 6;
    const NODES: usize = 8;
    let answer = asking.ask::<DropOff>(&[])?;
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
    Ok(answer.section("drop-off", "Where users leave the busiest flows", body))
}

fn returns(asking: &Asking<'_>) -> Result<Section> {
    const WEEKS: u64 = 12;
    const DAYS: [&str; 6] = ["1", "3", "7", "14", "21", "28"];
    const TITLES: [&str; 6] = ["1 day", "3 days", "7 days", "14 days", "21 days", "28 days"];
    let to = asking.period.to;
    let from = to.checked_sub_days(Days::new(7 * WEEKS - 1)).unwrap_or(to);
    let period = Period { from, ..asking.period };
    let days = format!("--days={}", DAYS.join(","));
    let options = ["--cohort=week", "--mode=within", &days];
    let answer = asking.ask_about::<ReturnRate>(period, &options)?;
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
        Shown::texts("First visit", weeks.iter().map(|week| said(week)).collect()),
        Shown::figures("People", Unit::Count, weeks.iter().map(|week| size(week)).collect()),
    ];
    for (n, title) in DAYS.iter().zip(TITLES) {
        let rates = weeks.iter().map(|week| of(week, n)).collect();
        columns.push(Shown::figures(title, Unit::Percent, rates).shaded(most));
    }
    let body = table("Came back within", &columns, ROWS);
    let about = format!(
        "Of the people who first came in a week, the share that came again within so many days. \
         Only people for whom these days are over count; a redirection is no visit. {}.",
        period.words()
    );
    Ok(answer.section_about("returns", "Do users come back?", &about, body))
}

fn week(asking: &Asking<'_>) -> Result<Section> {
    let answer = asking.ask::<ActivityHours>(&[])?;
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

fn countries(asking: &Asking<'_>) -> Result<Section> {
    let answer = asking.ask::<CountryBreakdown>(&[])?;
    let countries =
        answer.texts(country_breakdown::NAME)?.into_iter().zip(answer.texts(deployments::COUNTRY)?);
    let names = countries.map(|(name, code)| name.or(code).or(Some("Unknown".to_owned())));
    let body = table(
        "Countries",
        &[
            Shown::texts("Country", names.collect()),
            answer.shaded("Sends", country_breakdown::DEPLOYMENTS)?,
            answer.shown("Delivered", country_breakdown::DELIVERED_PCT)?,
            answer.shown("Opened a session", country_breakdown::CLICK_THROUGH_PCT)?,
            answer.shown("Answered", country_breakdown::REPLY_PCT)?,
            answer.shown("Inbound sessions", country_breakdown::INBOUND_SESSIONS)?,
            answer.shown("Session", country_breakdown::AVG_SESSION_SECONDS)?,
            answer.shown("Converted", country_breakdown::CONVERSION_PCT)?,
            answer.money(
                "Revenue",
                country_breakdown::REVENUE,
                country_breakdown::REVENUE_CURRENCY,
            )?,
        ],
        ROWS,
    );
    Ok(answer.section("countries", "Countries", body))
}

fn ads(asking: &Asking<'_>) -> Result<Section> {
    let answer = asking.ask::<MetaSources>(&[])?;
    let headlines = answer.texts(sessions::META_SOURCE_HEADLINE)?.into_iter();
    let named = headlines.zip(answer.texts(sessions::META_SOURCE_ID)?);
    let body = table(
        "Ads and posts",
        &[
            Shown::texts("Headline", named.map(|(headline, id)| headline.or(id)).collect()),
            answer.shown("Type", sessions::META_SOURCE_TYPE)?,
            answer.shaded("Sessions", meta_sources::SESSIONS)?,
            answer.shown("People", meta_sources::USERS)?,
            answer.shown("Session", meta_sources::AVG_DURATION_SECONDS)?,
            answer.money("Spend", meta_sources::COST, meta_sources::COST_CURRENCY)?,
            answer.shown("Per session", meta_sources::COST_PER_SESSION)?,
            answer.shown("Conversions", meta_sources::CONVERSIONS)?,
            answer.money("Revenue", meta_sources::REVENUE, meta_sources::REVENUE_CURRENCY)?,
            answer.shown("ROAS", meta_sources::ROAS)?,
        ],
        ROWS,
    );
    Ok(answer.section("ads", "Ads and posts, and what they earn", body))
}

fn channels(asking: &Asking<'_>) -> Result<Section> {
    let answer = asking.ask::<InboundChannels>(&[])?;
    let body = table(
        "Channels",
        &[
            Shown::texts("Channel", answer.labels(inbound_channels::CHANNEL)?),
            answer.shown("Source", inbound_channels::SOURCE)?,
            answer.shown("Campaign", inbound_channels::CAMPAIGN)?,
            answer.shaded("Sessions", inbound_channels::SESSIONS)?,
            answer.shown("People", inbound_channels::USERS)?,
            answer.shown("Session", inbound_channels::AVG_DURATION_SECONDS)?,
            answer.shown("With an agent", inbound_channels::AGENT_PCT)?,
            answer.shown("Converted", inbound_channels::CONVERSION_PCT)?,
            answer.money(
                "Revenue",
                inbound_channels::REVENUE,
                inbound_channels::REVENUE_CURRENCY,
            )?,
        ],
        ROWS,
    );
    Ok(answer.section("channels", "Channels of inbound users", body))
}

/// The most rows of a chart of intervals.
const INTERVALS: usize = 12;

fn templates(asking: &Asking<'_>) -> Result<Section> {
    let answer = asking.ask::<TemplatePerformance>(&[])?;
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
    body.add(&table(
        "Templates",
        &[
            Shown::texts("Template", names.clone()),
            answer.shown("Created", template_performance::CREATED)?,
            answer.shown("Failed", template_performance::FAILED)?,
            answer.shown("Delivered", template_performance::DELIVERED)?,
            answer.shown("Delivered", template_performance::DELIVERED_PCT)?,
            answer.shown("Read", template_performance::READ_PCT)?,
            answer.shown("Answered", template_performance::REPLY_PCT)?,
            answer.shown("Answered after", template_performance::MEDIAN_REPLY_SECONDS)?,
        ],
        ROWS,
    ));
    Ok(answer.section("templates", "Templates compared", body))
}

fn versions(asking: &Asking<'_>) -> Result<Section> {
    let answer = asking.ask::<VersionComparison>(&[])?;
    let body = versions_of(&answer)?;
    Ok(answer.section("versions", "Versions of conversations compared", body))
}

/// Versions of conversations and how they are answered.
pub(super) fn versions_of(answer: &Answered) -> Result<Html> {
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
            Shown::texts("Conversation", names.iter().cloned().map(Some).collect()),
            answer.shown("Sends", version_comparison::DEPLOYMENTS)?,
            answer.shown("Delivered", version_comparison::DELIVERED_PCT)?,
            Shown::figures("Answered", Unit::Percent, shares),
            answer.shown("Answered after", version_comparison::MEDIAN_REPLY_SECONDS)?,
            Shown::texts(
                "Against the version before",
                answer.numbers(version_comparison::P_VALUE)?.into_iter().map(verdict).collect(),
            ),
        ],
        ROWS,
    );
    body.add(&table);
    Ok(body)
}

fn coverage(asking: &Asking<'_>) -> Result<Section> {
    let Period { from, to, .. } = asking.period;
    let after = to.succ_opt().unwrap_or(to);
    let options = [format!("--since={from}"), format!("--today={after}")];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let answer = asking.ask::<Coverage>(&options)?;
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
    Ok(answer.section_about("coverage", "Coverage", about, body))
}

fn quality(asking: &Asking<'_>) -> Result<Section> {
    let answer = asking.ask::<DataQuality>(&[])?;
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
                Shown::texts("Check", answer.labels(data_quality::CHECK)?),
                Shown::texts("Table", answer.labels(data_quality::TABLE)?),
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
