//! The page of one conversation: its results, what replies cost, deliveries and drop-off; and, if
//! asked for, its users.

use wabalake_data::tables::{deployments, nodes, sessions};
use wabalake_queries::conversation_summary::{self, ConversationSummary, sessions as of_sessions};
use wabalake_queries::conversation_users::{self, ConversationUsers};
use wabalake_queries::deployment_sessions::{self, DeploymentSessions};
use wabalake_queries::deployment_states::{self, DeploymentStates};
use wabalake_queries::drop_off::{self, DropOff};
use wabalake_queries::query::billing::money::COST;
use wabalake_queries::query::billing::sends::COST_CURRENCY;
use wabalake_queries::user_history::{self, UserHistory};
use wabalake_queries::version_comparison::VersionComparison;

use super::answer::QueryAnswer;
use super::charts::{Bar, bars};
use super::figures::{Unit, label};
use super::html::Html;
use super::sections::{MATCHED, costs_of, explain, per_reply, versions_of};
use super::tables::{TableColumn, table};
use super::{Options, PageContext, Section};
use crate::error::Result;

/// The maximum number of people on the page.
const PEOPLE: usize = 1_000;

/// The sections of the page; those about people only if asked for.
pub(super) fn sections(
    page: &PageContext<'_>,
    id: &str,
    options: &Options,
) -> Result<Vec<Section>> {
    let id = format!("--conversation-id={id}");
    let version = options.version.map(|version| format!("--conversation-version={version}"));
    let mut of_it = vec![id.as_str()];
    of_it.extend(version.as_deref());
    let mut sections = Vec::new();
    let answer = page.ask::<ConversationSummary>(&of_it)?;
    let body = summary(&answer)?;
    sections.push(answer.section("summary", "Summary", body));
    let answer = page.ask::<ConversationSummary>(&[&of_it[..], &["--of=sessions"]].concat())?;
    let costs = cost(page, &of_it, &answer)?;
    if answer.height() > 0 {
        let body = inbound(&answer)?;
        let about =
            "How do its sessions go, whoever starts them? An end is a node that ends the flow.";
        sections.push(answer.section_about("sessions", "Sessions", about, body));
    }
    sections.extend(costs);
    let answer = page.ask::<DeploymentStates>(&of_it)?;
    let body = states(&answer)?;
    sections.push(answer.section("states", "Deployment states", body));
    let answer = page.ask::<DropOff>(&of_it)?;
    let body = last_nodes(&answer)?;
    sections.push(answer.section("drop-off", "Where users leave", body));
    let answer = page.ask::<VersionComparison>(&[&id])?;
    let body = versions_of(&answer)?;
    sections.push(answer.section("versions", "Versions compared", body));
    if options.with_people {
        let answer = page.ask::<ConversationUsers>(&of_it)?;
        let body = people(&answer)?;
        sections.push(answer.section("people", "Individual users", body));
        if let Some(phone) = &options.phone {
            let phone = format!("--phone={phone}");
            let mut answer = page.ask::<UserHistory>(&[&phone])?;
            let body = history(&answer)?;
            "wabalake query user-history --phone …".clone_into(&mut answer.command);
            sections.push(answer.section("history", "A user's history", body));
        }
    }
    Ok(sections)
}

fn summary(answer: &QueryAnswer) -> Result<Html> {
    let versions = answer.texts(deployments::CONVERSATION_VERSION)?;
    Ok(table(
        "Summary",
        &[
            TableColumn::texts("Version", version_names(versions)),
            answer.shown("Total users", conversation_summary::TOTAL_USERS)?,
            answer.shown("Messages sent", conversation_summary::MESSAGES_SENT)?,
            answer.shown("In process", conversation_summary::IN_PROCESS)?,
            answer.shown("Send failure", conversation_summary::SEND_FAILURE)?,
            answer.shown("Delivered", conversation_summary::DELIVERED)?,
            answer.shown("Responses", conversation_summary::RESPONSES)?,
            answer.shown("Response rate", conversation_summary::RESPONSE_RATE_PCT)?,
        ],
        100,
    ))
}

fn inbound(answer: &QueryAnswer) -> Result<Html> {
    let versions = answer.texts(sessions::CONVERSATION_VERSION)?;
    Ok(table(
        "Sessions",
        &[
            TableColumn::texts("Version", version_names(versions)),
            answer.shown("Sessions", of_sessions::SESSIONS)?,
            answer.shown("Inbound", of_sessions::INBOUND_SESSIONS)?,
            answer.shown("With a message", of_sessions::REPLIED)?,
            answer.shown("Reply rate", of_sessions::REPLY_PCT)?,
            answer.shown("Finished", of_sessions::FINISHED_PCT)?,
            answer.shown("With agents", of_sessions::AGENT_PCT)?,
            answer.shown("Reached an end", of_sessions::FINAL_PCT)?,
            answer.shown("Median duration", of_sessions::MEDIAN_DURATION_SECONDS)?,
        ],
        100,
    ))
}

/// What the sends of each version cost, beside its inbound sessions. `None` if no cost is known.
fn cost(
    page: &PageContext<'_>,
    of_it: &[&str],
    sessions_of_it: &QueryAnswer,
) -> Result<Option<Section>> {
    let costs = costs_of(page, MATCHED)?;
    if costs.is_empty() {
        return Ok(None);
    }
    let answer = page.ask::<DeploymentSessions>(&[of_it, &costs[..]].concat())?;
    let Some(cost) = answer.prices("Cost", COST, COST_CURRENCY)? else { return Ok(None) };
    let versions = answer.texts(deployments::CONVERSATION_VERSION)?;
    let of_sessions = sessions_of_it.texts(sessions::CONVERSATION_VERSION)?;
    let inbound = sessions_of_it.numbers(of_sessions::INBOUND_SESSIONS)?;
    let inbound_of = |version: &Option<String>| {
        let row = of_sessions.iter().position(|of_sessions| of_sessions == version);
        row.and_then(|row| inbound[row])
    };
    let inbound = versions.iter().map(inbound_of).collect();
    let mut columns = vec![
        TableColumn::texts("Version", version_names(versions.clone())),
        answer.shown("Delivered", deployment_sessions::DELIVERED)?,
        answer.shown("Answered", deployment_sessions::REPLIED)?,
        answer.shown("Reply rate", deployment_sessions::REPLY_PCT)?,
        cost,
    ];
    columns.extend(per_reply(&answer, &costs)?);
    columns.push(TableColumn::figures("Inbound sessions", Unit::Count, inbound));
    let mut body = table("What replies cost", &columns, 100);
    explain(&mut body);
    let about = "What do its sends cost, and how many sessions do people start without one?";
    Ok(Some(answer.section_about("cost", "What replies cost", about, body)))
}

fn version_names(versions: Vec<Option<String>>) -> Vec<Option<String>> {
    let name = |version: Option<String>| {
        version.map_or("Without a version".to_owned(), |version| format!("Version {version}"))
    };
    versions.into_iter().map(|version| Some(name(version))).collect()
}

fn states(answer: &QueryAnswer) -> Result<Html> {
    let names = answer.texts(deployments::STATE)?;
    let meanings = answer.texts(deployment_states::MEANING)?;
    let counts = answer.numbers(deployment_states::DEPLOYMENTS)?;
    let shares = answer.numbers(deployment_states::SHARE_PCT)?;
    let bar = |row: usize| Bar {
        name: names[row].as_deref().map_or("Unknown".to_owned(), label),
        figure: counts[row].unwrap_or(0.0),
        shown: format!("{} · {}", Unit::Count.show(counts[row]), Unit::Percent.show(shares[row])),
        note: meanings[row].clone(),
    };
    Ok(bars(&(0..answer.height()).map(bar).collect::<Vec<_>>()))
}

fn last_nodes(answer: &QueryAnswer) -> Result<Html> {
    let versions = answer.texts(sessions::CONVERSATION_VERSION)?;
    let names = answer.texts(sessions::LAST_NODE_ID)?;
    let counts = answer.numbers(drop_off::SESSIONS)?;
    let shares = answer.numbers(drop_off::SHARE_PCT)?;
    let labels = answer.texts(nodes::LABEL)?;
    let bar = |row: usize| {
        let (label, node) = (labels[row].as_ref(), names[row].as_ref());
        let version = versions[row].as_ref().map(|version| format!("version {version}"));
        let id = label.and(node).cloned();
        Bar {
            name: label.or(node).cloned().unwrap_or_else(|| "before any node".to_owned()),
            figure: counts[row].unwrap_or(0.0),
            shown: format!(
                "{} · {}",
                Unit::Count.show(counts[row]),
                Unit::Percent.show(shares[row])
            ),
            note: version.into_iter().chain(id).reduce(|version, id| format!("{version}, {id}")),
        }
    };
    Ok(bars(&(0..answer.height().min(40)).map(bar).collect::<Vec<_>>()))
}

fn people(answer: &QueryAnswer) -> Result<Html> {
    let mut html = Html::new();
    // The script fills and shows it. Without the script, the whole table is shown.
    html.raw("<div class=\"filters\" data-filters=\"Delivery,Stage,Status\" hidden></div>");
    html.add(&table(
        "Individual users",
        &[
            answer.shown("User", deployments::USER_PHONE)?,
            answer.shown("Version", deployments::CONVERSATION_VERSION)?,
            answer.shown("Sent", deployments::DEPLOYMENT_TIMESTAMP)?,
            answer.shown("Delivery", deployments::DELIVERY_STATUS)?,
            TableColumn::texts("State", answer.labels(deployments::STATE)?),
            answer.shown("Stage", conversation_users::STAGE)?,
            answer.shown("Status", sessions::SESSION_STATUS)?,
            answer.shown("Last activity", conversation_users::LAST_ACTIVITY)?,
            answer.shown("Answers", conversation_users::VARIABLES)?,
        ],
        PEOPLE,
    ));
    Ok(html)
}

fn history(answer: &QueryAnswer) -> Result<Html> {
    Ok(table(
        "What happened with this user",
        &[
            answer.shown("When", user_history::AT)?,
            TableColumn::texts("What", answer.labels(user_history::EVENT)?),
            answer.shown("Conversation", sessions::CONVERSATION_ID)?,
            answer.shown("Line", sessions::LINE_WHATSAPP_NUMBER)?,
            answer.shown("Detail", user_history::DETAIL)?,
        ],
        PEOPLE,
    ))
}
