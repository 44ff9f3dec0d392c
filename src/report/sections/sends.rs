//! Sessions and sends over time, and why sends fail.

use wabalake_data::tables::{deployments, messages};
use wabalake_queries::delivery_rate::{self, DeliveryRate};
use wabalake_queries::failure_reasons::{self, FailureReasons};
use wabalake_queries::message_failures::{self, MessageFailures};
use wabalake_queries::session_duration::{self, SessionDuration};

use super::{ROWS, axis, behind};
use crate::error::Result;
use crate::report::charts::{Bar, Draw, Series, Trend, bars};
use crate::report::figures::{Unit, label};
use crate::report::html::Html;
use crate::report::rates::Rate;
use crate::report::tables::{TableColumn, table};
use crate::report::{PageContext, Section};

pub(super) fn trend(page: &PageContext<'_>) -> Result<Section> {
    let (step, starts, places) = axis(page);
    let by = format!("--by={}", step.name());
    let answer = page.ask::<SessionDuration>(&[&by])?;
    let along = |name: &str| answer.along(step.name(), &starts, name);
    let mut body = Html::new();
    body.raw("<div class=\"pair\">");
    let series = vec![Series {
        name: "Sessions",
        draw: Draw::Columns,
        figures: along(session_duration::SESSIONS)?,
    }];
    let title = format!("Sessions by {}", step.name());
    let chart = Trend { title, unit: Unit::Count, places: &places, series, open_from: None };
    body.add(&chart.html());
    let (median, nine) =
        (session_duration::MEDIAN_DURATION_SECONDS, session_duration::P90_DURATION_SECONDS);
    let series = vec![
        Series { name: "Median", draw: Draw::Line, figures: along(median)? },
        Series { name: "9 in 10 are shorter", draw: Draw::Dashes, figures: along(nine)? },
    ];
    let title = format!("How long they last, by {}", step.name());
    let chart = Trend { title, unit: Unit::Seconds, places: &places, series, open_from: None };
    body.add(&chart.html());
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

pub(super) fn delivery(page: &PageContext<'_>, rate: &Rate) -> Result<Section> {
    let (step, starts, places) = axis(page);
    let by = format!("--by={}", step.name());
    let answer = page.ask::<DeliveryRate>(&[&by])?;
    let along = |name: &str| answer.along(step.name(), &starts, name);
    let mut body = Html::new();
    body.raw("<div class=\"pair\">");
    let series = vec![Series {
        name: "Sends",
        draw: Draw::Columns,
        figures: along(delivery_rate::DEPLOYMENTS)?,
    }];
    let title = format!("Sends by {}", step.name());
    let chart = Trend { title, unit: Unit::Count, places: &places, series, open_from: None };
    body.add(&chart.html());
    let series = vec![
        Series { name: "of all", draw: Draw::Line, figures: along(delivery_rate::DELIVERED_PCT)? },
        Series {
            name: "of those delivered or failed",
            draw: Draw::Dashes,
            figures: along(delivery_rate::DELIVERED_OF_SETTLED_PCT)?,
        },
    ];
    // A week or month is not final if one of its days is not.
    let open_from =
        rate.open_from.map(|open| starts.iter().rposition(|start| *start <= open).unwrap_or(0));
    let title = "Delivered".to_owned();
    let chart = Trend { title, unit: Unit::Percent, places: &places, series, open_from };
    body.add(&chart.html());
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

pub(super) fn failures(page: &PageContext<'_>) -> Result<Section> {
    let answer = page.ask::<FailureReasons>(&[])?;
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
                TableColumn::texts("State", answer.labels(deployments::STATE)?),
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

pub(super) fn message_failures(page: &PageContext<'_>) -> Result<Option<Section>> {
    let answer = page.ask::<MessageFailures>(&[])?;
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
