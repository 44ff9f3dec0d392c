//! The key figures of the period, compared with the period before, and what else to know.

use wabalake_queries::delivery_rate::{self, DeliveryRate};
use wabalake_queries::drop_off::{self, DropOff};
use wabalake_queries::message_summary::{self, MessageSummary};
use wabalake_queries::session_duration::{self, SessionDuration};

use super::costs::cost_per_reply;
use super::{News, axis};
use crate::error::Result;
use crate::report::answer::QueryAnswer;
use crate::report::charts::spark;
use crate::report::figures::{Unit, long};
use crate::report::html::Html;
use crate::report::rates::Rate;
use crate::report::{PageContext, Section};

/// A key figure of the period and of the one before.
struct Headline {
    title: &'static str,
    unit: Unit,
    /// The currency of a price.
    currency: Option<String>,
    now: Option<f64>,
    before: Option<f64>,
    /// `Some(true)` if more is better; `None` if it is neither good nor bad.
    more_is_good: Option<bool>,
    /// `true` if the change may be chance.
    may_be_chance: bool,
    remark: Option<String>,
    along: Vec<Option<f64>>,
}

impl Headline {
    fn new(title: &'static str, unit: Unit) -> Self {
        Self {
            title,
            unit,
            currency: None,
            now: None,
            before: None,
            more_is_good: Some(true),
            may_be_chance: false,
            remark: None,
            along: Vec::new(),
        }
    }

    /// A sum over each period.
    fn sum(title: &'static str, of: &[QueryAnswer; 2], column: &str) -> Result<Self> {
        let [now, before] = of;
        Ok(Self {
            now: Some(now.sum(column)?),
            before: Some(before.sum(column)?),
            ..Self::new(title, Unit::Count)
        })
    }

    /// A ratio of two sums over each period; missing if the divisor is 0.
    fn share(title: &'static str, of: &[QueryAnswer; 2], part: &str, whole: &str) -> Result<Self> {
        let share = |answer: &QueryAnswer| -> Result<Option<f64>> {
            let (part, whole) = (answer.sum(part)?, answer.sum(whole)?);
            Ok((whole > 0.0).then(|| 100.0 * part / whole))
        };
        let [now, before] = of;
        Ok(Self { now: share(now)?, before: share(before)?, ..Self::new(title, Unit::Percent) })
    }

    /// A rate of the dates that are final.
    fn rate(of: &Rate) -> Result<Self> {
        let change = of.change()?;
        Ok(Self {
            now: change.now,
            before: change.before,
            may_be_chance: !change.is_beyond_chance(),
            remark: of.remark(),
            ..Self::new(of.outcome.title(), Unit::Percent)
        })
    }
}

pub(super) fn headline(
    page: &PageContext<'_>,
    rates: &[Rate; 2],
    news: &[&News],
) -> Result<Section> {
    let mut body = Html::new();
    body.raw("<div class=\"tiles\">");
    for figure in figures(page, rates)? {
        body.add(&tile(&figure));
    }
    body.raw("</div>");
    if !news.is_empty() {
        body.raw("<ul class=\"news\">");
        for next in news {
            body.raw("<li><a href=\"#").raw(next.section).raw("\">").text(&next.what);
            body.raw("</a>").text(&next.more).raw("</li>");
        }
        body.raw("</ul>");
    }
    let before = page.period.before();
    let about = format!(
        "Beside each figure: how it changed against the period before, {} to {}. Answered are those \
         of the delivered sends.",
        long(before.from),
        long(before.to)
    );
    Ok(Section { id: "at-a-glance", title: "At a glance", about, commands: Vec::new(), body })
}

fn figures(page: &PageContext<'_>, [delivered, answered]: &[Rate; 2]) -> Result<Vec<Headline>> {
    let (step, starts, _) = axis(page);
    let by = format!("--by={}", step.name());
    let along = |[now, _]: &[QueryAnswer; 2], column: &str| now.along(step.name(), &starts, column);

    let sessions = page.ask_both::<SessionDuration>(&[&by])?;
    let nodes = page.ask_both::<DropOff>(&[])?;
    let sends = page.ask_both::<DeliveryRate>(&[&by])?;
    let messages = page.ask_both::<MessageSummary>(&[])?;
    let mut figures = vec![
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
            ..Headline::rate(delivered)?
        },
        Headline::rate(answered)?,
        Headline::sum("Messages received", &messages, message_summary::RECEIVED)?,
    ];
    if let Some(cost) = cost_per_reply(page, answered)? {
        figures.push(Headline {
            currency: Some(cost.currency),
            now: cost.now,
            before: cost.before,
            more_is_good: Some(false),
            remark: (cost.known_pct < 99.95)
                .then(|| format!("of {} of the sends", Unit::Percent.show(Some(cost.known_pct)))),
            ..Headline::new("Cost per reply", Unit::Price)
        });
    }
    Ok(figures)
}

fn tile(figure: &Headline) -> Html {
    let mut html = Html::new();
    let (change, tone) = change(figure);
    html.raw("<div class=\"tile\"><h3>").text(figure.title).raw("</h3><p class=\"big\">");
    html.text(&figure.unit.show(figure.now));
    if let Some(currency) = &figure.currency {
        html.raw(" <small>").text(currency).raw("</small>");
    }
    html.raw("</p><p class=\"").raw(tone).raw("\">");
    html.text(&change).raw("</p>");
    if let Some(remark) = &figure.remark {
        html.raw("<p class=\"change\">").text(remark).raw("</p>");
    }
    html.add(&spark(&figure.along)).raw("</div>");
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
    let arrow = if difference > 0.0 { "▲ up" } else { "▼ down" };
    if figure.may_be_chance {
        return (format!("{arrow} {size}, {was}: may be chance"), "change");
    }
    let tone = match figure.more_is_good {
        None => "change",
        Some(good) if good == (difference > 0.0) => "change good",
        Some(_) => "change bad",
    };
    (format!("{arrow} {size}, {was}"), tone)
}
