//! The key figures of the period, compared with the period before.

use wabalake_queries::conversation_summary::{self, ConversationSummary};
use wabalake_queries::delivery_rate::{self, DeliveryRate};
use wabalake_queries::drop_off::{self, DropOff};
use wabalake_queries::message_summary::{self, MessageSummary};
use wabalake_queries::session_duration::{self, SessionDuration};

use super::axis;
use crate::error::Result;
use crate::report::answer::QueryAnswer;
use crate::report::charts::spark;
use crate::report::figures::{Unit, long};
use crate::report::html::Html;
use crate::report::{PageContext, Section};

/// A key figure of the period and of the one before.
struct Headline {
    title: &'static str,
    unit: Unit,
    now: Option<f64>,
    before: Option<f64>,
    /// `Some(true)` if more is better; `None` if it is neither good nor bad.
    more_is_good: Option<bool>,
    along: Vec<Option<f64>>,
}

impl Headline {
    /// A sum over each period.
    fn sum(title: &'static str, of: &[QueryAnswer; 2], column: &str) -> Result<Self> {
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

    /// A ratio of two sums over each period; missing if the divisor is 0.
    fn share(title: &'static str, of: &[QueryAnswer; 2], part: &str, whole: &str) -> Result<Self> {
        let share = |answer: &QueryAnswer| -> Result<Option<f64>> {
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

pub(super) fn headline(page: &PageContext<'_>) -> Result<Section> {
    let (step, starts, _) = axis(page);
    let by = format!("--by={}", step.name());
    let along = |[now, _]: &[QueryAnswer; 2], column: &str| now.along(step.name(), &starts, column);

    let sessions = page.ask_both::<SessionDuration>(&[&by])?;
    let nodes = page.ask_both::<DropOff>(&[])?;
    let sends = page.ask_both::<DeliveryRate>(&[&by])?;
    let conversations = page.ask_both::<ConversationSummary>(&[])?;
    let messages = page.ask_both::<MessageSummary>(&[])?;
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
    let before = page.period.before();
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

/// The change of a figure as text, and its CSS class.
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
