//! A conversation's own page: how it does, how far its sends come, where users leave it; and, if
//! people are asked for, each of them.

use super::charts::{Bar, bars};
use super::figures::{Unit, label};
use super::html::Html;
use super::sections::versions_of;
use super::tables::{Shown, table};
use super::{Answered, Asking, Options, Section};
use crate::error::Result;

/// So many people are on the page.
const PEOPLE: usize = 1_000;

/// The sections of which there is a query.
pub(super) fn sections(asking: &Asking<'_>, id: &str, options: &Options) -> Result<Vec<Section>> {
    let id = format!("--conversation-id={id}");
    let version = options.version.map(|version| format!("--conversation-version={version}"));
    let mut of_it = vec![id.as_str()];
    of_it.extend(version.as_deref());
    let mut sections = Vec::new();
    if let Some(answer) = asking.ask("conversation-summary", &of_it)? {
        let body = summary(&answer);
        sections.push(answer.section("summary", "Summary", body));
    }
    if let Some(answer) = asking.ask("deployment-states", &of_it)? {
        let body = states(&answer);
        sections.push(answer.section("states", "Deployment states", body));
    }
    if let Some(answer) = asking.ask("drop-off", &of_it)? {
        let body = nodes(&answer);
        sections.push(answer.section("drop-off", "Where users leave", body));
    }
    if let Some(answer) = asking.ask("version-comparison", &[&id])? {
        let body = versions_of(&answer);
        sections.push(answer.section("versions", "Versions compared", body));
    }
    if options.with_people {
        if let Some(answer) = asking.ask("conversation-users", &of_it)? {
            let body = people(&answer);
            sections.push(answer.section("people", "Individual users", body));
        }
        if let Some(phone) = &options.phone {
            let phone = format!("--phone={phone}");
            if let Some(mut answer) = asking.ask("user-history", &[&phone])? {
                let body = history(&answer);
                "wabalake query user-history --phone …".clone_into(&mut answer.command);
                sections.push(answer.section("history", "A user's history", body));
            }
        }
    }
    Ok(sections)
}

fn summary(answer: &Answered) -> Html {
    let count = |title, name: &str| Shown::figures(title, Unit::Count, answer.numbers(name));
    let versions = answer.texts("conversation_version");
    let name = |version: Option<String>| {
        Some(version.map_or("Without a version".to_owned(), |version| format!("Version {version}")))
    };
    table(
        "Summary",
        &[
            Shown::texts("Version", versions.into_iter().map(name).collect()),
            count("Total users", "total_users"),
            count("Messages sent", "messages_sent"),
            count("In process", "in_process"),
            count("Send failure", "send_failure"),
            count("Delivered", "delivered"),
            count("Responses", "responses"),
            Shown::figures("Response rate", Unit::Percent, answer.numbers("response_rate_pct")),
        ],
        100,
    )
}

fn states(answer: &Answered) -> Html {
    let (names, meanings) = (answer.texts("state"), answer.texts("meaning"));
    let (counts, shares) = (answer.numbers("deployments"), answer.numbers("share_pct"));
    let bar = |row: usize| Bar {
        name: names[row].as_deref().map_or("Unknown".to_owned(), label),
        figure: counts[row].unwrap_or(0.0),
        shown: format!("{} · {}", Unit::Count.show(counts[row]), Unit::Percent.show(shares[row])),
        note: meanings[row].clone(),
    };
    bars(&(0..answer.height()).map(bar).collect::<Vec<_>>())
}

fn nodes(answer: &Answered) -> Html {
    let versions = answer.texts("conversation_version");
    let nodes = answer.texts("last_node_id");
    let (counts, shares) = (answer.numbers("sessions"), answer.numbers("share_pct"));
    let bar = |row: usize| Bar {
        name: nodes[row].clone().unwrap_or_else(|| "before any node".to_owned()),
        figure: counts[row].unwrap_or(0.0),
        shown: format!("{} · {}", Unit::Count.show(counts[row]), Unit::Percent.show(shares[row])),
        note: versions[row].as_ref().map(|version| format!("version {version}")),
    };
    bars(&(0..answer.height().min(40)).map(bar).collect::<Vec<_>>())
}

fn people(answer: &Answered) -> Html {
    let mut html = Html::new();
    // Filled and shown by the script; without it the table is there as a whole.
    html.raw("<div class=\"filters\" data-filters=\"Delivery,Stage,Status\" hidden></div>");
    html.add(&table(
        "Individual users",
        &[
            Shown::texts("User", answer.texts("user_phone")),
            Shown::texts("Version", answer.texts("conversation_version")),
            Shown::texts("Sent", times(answer, "deployment_timestamp")),
            Shown::texts("Delivery", answer.texts("delivery_status")),
            Shown::labels("State", answer.texts("state")),
            Shown::texts("Stage", answer.texts("conversation_stage")),
            Shown::texts("Status", answer.texts("session_status")),
            Shown::texts("Last activity", times(answer, "last_activity")),
            Shown::texts("Answers", answer.texts("variables")),
        ],
        PEOPLE,
    ));
    html
}

fn history(answer: &Answered) -> Html {
    table(
        "What happened with this user",
        &[
            Shown::texts("When", times(answer, "at")),
            Shown::labels("What", answer.texts("event")),
            Shown::texts("Conversation", answer.texts("conversation_id")),
            Shown::texts("Line", answer.texts("line_whatsapp_number")),
            Shown::texts("Detail", answer.texts("detail")),
        ],
        PEOPLE,
    )
}

/// Instants in the page's zone, to the minute: they sort as they read.
fn times(answer: &Answered, name: &str) -> Vec<Option<String>> {
    use polars::prelude::DataType;
    let micros = answer.rows.column(name).and_then(|column| column.cast(&DataType::Int64));
    let Ok(micros) = micros else { return vec![None; answer.height()] };
    let Ok(micros) = micros.i64() else { return vec![None; answer.height()] };
    let show = |at: Option<i64>| {
        let at = chrono::DateTime::from_timestamp_micros(at?)?.with_timezone(&answer.zone);
        Some(at.format("%Y-%m-%d %H:%M").to_string())
    };
    micros.iter().map(show).collect()
}
