//! The rows of exports, written from episodes.
//!
//! A row has the state that was known at the *horizon*, the instant at which its export was made. A
//! send that is delivered later is still in process, and a session that ends later is still open.

use super::company::{FAILURES, Role};
use super::csv::CsvWriter;
use super::episode::{
    Deployment, Episode, Id, Message, MessageKind, SECOND, SendOutcome, Session, SessionStatus,
};
use wabalake_data::tables::{Table, deployments, messages, sessions};

/// The rows of a table: how many an episode has, and how they are written.
#[derive(Debug)]
pub(super) struct TableRows {
    /// `true` if a row may be on the day after the start of its episode.
    pub(super) spans_midnight: bool,
    /// The number of rows of an episode.
    pub(super) count: fn(&Episode) -> usize,
    /// The stamp that assigns a row, by index, to a day.
    pub(super) at: fn(&Episode, usize) -> i64,
    /// Writes a row, by index, as known at a horizon.
    pub(super) write: fn(&Episode, usize, i64, &mut CsvWriter),
}

impl TableRows {
    /// The rows of a table; `None` if it is not in [`TABLES`](crate::TABLES).
    pub(super) fn of(table: &Table) -> Option<&'static Self> {
        match table.name {
            sessions::NAME => Some(&SESSIONS),
            deployments::NAME => Some(&DEPLOYMENTS),
            messages::NAME => Some(&MESSAGES),
            _ => None,
        }
    }
}

static SESSIONS: TableRows = TableRows {
    spans_midnight: true,
    count: |episode| episode.sessions.len(),
    at: |episode, index| episode.sessions[index].start,
    write: |episode, index, horizon, csv| {
        session(episode, index, &episode.sessions[index], horizon, csv);
    },
};

static DEPLOYMENTS: TableRows = TableRows {
    spans_midnight: false,
    count: |episode| usize::from(episode.deployment.is_some()),
    at: |episode, _| episode.deployment.map_or(0, |sent| sent.at),
    write: |episode, _, horizon, csv| {
        if let Some(sent) = &episode.deployment {
            deployment(episode, sent, horizon, csv);
        }
    },
};

static MESSAGES: TableRows = TableRows {
    spans_midnight: true,
    count: |episode| episode.messages.len(),
    at: |episode, index| episode.messages[index].at,
    write: |episode, index, horizon, csv| {
        message(episode, index, &episode.messages[index], horizon, csv);
    },
};

fn session(episode: &Episode, index: usize, session: &Session, horizon: i64, csv: &mut CsvWriter) {
    let known = |at: &i64| *at < horizon;
    csv.start_row(episode.habit(Id::Session(index)));
    csv.id(episode.id(Id::Session(index)));
    match (csv.oddity(), index.checked_sub(1)) {
        (0..4, _) => csv.id(episode.id(Id::Elsewhere)),
        (4..6, _) => csv.id(episode.id(Id::Session(index))),
        (_, Some(parent)) => csv.id(episode.id(Id::Session(parent))),
        (_, None) => csv.null(),
    }
    csv.at(session.start);
    match csv.oddity() {
        0..10 => csv.at(session.start - 90 * SECOND),
        _ => csv.stamp(session.finish.filter(known)),
    }
    if episode.is_visit() {
        csv.one_of(&["Inbound", "INBOUND", "inbound"], None);
    } else {
        csv.one_of(&["Outbound", "OUTBOUND", "outbound"], None);
    }
    let statuses: &[&str] = match session.status {
        SessionStatus::Bot => &["BOT", "AI", "Bot"],
        SessionStatus::Agents => &["AGENTS", "HumanHandover", "human_handover"],
        SessionStatus::Rating => &["RATING", "Rating"],
    };
    csv.one_of(statuses, Some("Expired"));
    csv.numbered("", session.flow.id.into(), &[]);
    csv.number(session.version.into());
    csv.dialling_code(&episode.person);
    csv.national(&episode.person);
    csv.word(&[episode.line.number]);
    csv.name(episode.line.display_name);

    let first = session.first.filter(|written| known(&written.at));
    let last = session.last.filter(|written| known(&written.at)).or(first);
    for written in [first, last] {
        csv.stamp(written.map(|written| written.at));
        match written {
            Some(written) if !written.text.is_empty() => csv.text(written.text),
            _ => csv.empty(),
        }
    }
    let node =
        if last.is_some() { session.flow.nodes[session.node] } else { session.flow.nodes[0] };
    csv.numbered("", session.flow.id.into(), &["-", node]);

    if let Some(source) = session.origin.source() {
        let kinds: &[&str] = if source.is_ad { &["Ad", "AD", "ad"] } else { &["Post", "POST"] };
        let media: &[&str] =
            if source.is_video { &["Video", "VIDEO", "video"] } else { &["Image", "IMAGE"] };
        csv.numbered("https://fb.example/", source.id, &[]);
        csv.one_of(kinds, Some("Story"));
        csv.numbered("", source.id, &[]);
        csv.name(source.headline);
        csv.text(source.body);
        csv.one_of(media, Some("Carousel"));
        let file = if source.is_video { ".mp4" } else { ".jpg" };
        csv.numbered("https://media.example/", source.id, &[file]);
        if source.is_video {
            csv.numbered("https://media.example/", source.id, &["-small.jpg"]);
        } else {
            csv.null();
        }
    } else {
        // URL, type and id may be null words; headline and body are texts.
        (0..3).for_each(|_| csv.null());
        (0..2).for_each(|_| csv.empty());
        (0..3).for_each(|_| csv.null());
    }
    if let Some([campaign, source]) = session.origin.link() {
        csv.name(campaign);
        csv.word(&[source]);
    } else {
        csv.empty();
        csv.null();
    }
    csv.end_row();
}

fn deployment(episode: &Episode, sent: &Deployment, horizon: i64, csv: &mut CsvWriter) {
    let outcome = match sent.outcome {
        SendOutcome::Delivered(at) if at >= horizon => SendOutcome::InProcess,
        // The vendor knows a failure after some seconds.
        SendOutcome::Failed(_) | SendOutcome::Success if sent.at + 5 * SECOND >= horizon => {
            SendOutcome::InProcess
        }
        outcome => outcome,
    };
    csv.start_row(episode.habit(Id::Conversation));
    csv.numbered("", sent.flow.id.into(), &[]);
    csv.number(sent.version.into());
    csv.dialling_code(&episode.person);
    csv.national(&episode.person);
    csv.at(sent.at);
    match csv.oddity() {
        // A send may have a reply although its delivery is unknown.
        0..20 => csv.at(sent.at + 90 * SECOND),
        _ => csv.stamp(sent.responded.filter(|at| *at < horizon)),
    }
    let unknown = Some("Queued");
    match outcome {
        SendOutcome::InProcess => csv.one_of(&["In Process", "IN_PROCESS", "in process"], unknown),
        SendOutcome::Success => csv.one_of(&["SUCCESS", "Success", "Sent"], unknown),
        SendOutcome::Delivered(_) => csv.one_of(&["Delivered", "DELIVERED"], unknown),
        SendOutcome::Failed(failure) => {
            let (code, ..) = FAILURES[failure];
            // Some exports have the failure code in the status column, but never an unknown code.
            let known = failure + 1 < FAILURES.len();
            if known && csv.oddity() < 120 {
                csv.word(&[code]);
                csv.null();
            } else {
                csv.one_of(&["Failed", "FAILED"], unknown);
                csv.word(&[code]);
            }
        }
    }
    if !matches!(outcome, SendOutcome::Failed(_)) {
        csv.null();
    }
    if let SendOutcome::Delivered(at) = outcome {
        csv.at(at);
        match csv.oddity() {
            0..5 => csv.null(),
            5..10 => csv.id(episode.id(Id::Elsewhere)),
            _ => csv.id(episode.id(Id::Session(0))),
        }
    } else {
        csv.stamp(None);
        csv.null();
    }
    csv.end_row();
}

fn message(episode: &Episode, index: usize, message: &Message, horizon: i64, csv: &mut CsvWriter) {
    let known = |at: Option<i64>| at.filter(|at| *at < horizon);
    let incoming = message.kind == MessageKind::Incoming;
    let deployment = episode.deployment.filter(|_| message.kind == MessageKind::Template);

    csv.start_row(episode.habit(Id::Message(index)));
    csv.word(&[episode.line.waba]);
    csv.uuid(episode.id(Id::Message(index)), ":0");
    if incoming {
        csv.international(&episode.person);
        csv.word(&[episode.line.number]);
        csv.one_of(&["true", "True", "TRUE"], None);
        csv.one_of(&["webhook", "Webhook"], Some("mobile"));
    } else {
        csv.word(&[episode.line.number]);
        csv.international(&episode.person);
        csv.one_of(&["false", "False", "FALSE"], None);
        match deployment {
            Some(sent) if sent.flow.role == Role::Campaign => {
                csv.one_of(&["campaign", "Campaign"], Some("mobile"));
            }
            _ => csv.one_of(&["api", "API"], Some("mobile")),
        }
    }
    csv.one_of(&[message.format], Some("sticker"));
    match message.reason.filter(|_| known(message.failed).is_some()) {
        Some(reason) => csv.name(reason),
        None => csv.null(),
    }
    csv.word(&[episode.person.country().name]);
    match deployment {
        Some(sent) => csv.word(&[sent.flow.template]),
        None => csv.null(),
    }
    if message.text.is_empty() {
        csv.empty();
    } else {
        csv.text(message.text);
    }
    csv.at(message.at);
    let sent = known(message.sent);
    csv.stamp(known(message.failed));
    csv.stamp(sent);
    match csv.oddity() {
        0..4 if sent.is_some() => csv.at(message.at - SECOND),
        _ => csv.stamp(known(message.delivered)),
    }
    csv.stamp(known(message.seen));
    let services: &[&str] = match message.kind {
        MessageKind::Incoming => &["session_incoming", "SESSION_INCOMING"],
        MessageKind::Outgoing => &["session_outgoing", "Session Outgoing"],
        MessageKind::Template => &["template", "Template"],
    };
    csv.one_of(services, Some("session_call"));
    // A template that was not sent starts no conversation.
    if message.kind == MessageKind::Template && message.sent.is_none() {
        (0..3).for_each(|_| csv.null());
    } else {
        csv.one_of(&[conversation_type(episode)], Some("service_window"));
        csv.id(episode.id(Id::Conversation));
        if index == 0 {
            csv.one_of(&["Conversation start", "conversation_start"], None);
        } else {
            csv.one_of(&["In Conversation", "in_conversation"], None);
        }
    }
    match deployment {
        Some(sent) if sent.flow.role == Role::Campaign => {
            let week = episode.day.unsigned_abs() / 7 + 1;
            csv.dashed("c-", [sent.flow.id.into(), week]);
            csv.null();
        }
        Some(_) => {
            csv.null();
            csv.numbered("order-", episode.id(Id::Conversation)[1] % 1_000_000, &[]);
        }
        None => (0..2).for_each(|_| csv.null()),
    }
    (0..2).for_each(|_| csv.null());
    csv.end_row();
}

/// The conversation's category if the line is billed by category, else who started it.
pub(super) fn conversation_type(episode: &Episode) -> &'static str {
    let from_meta = episode.sessions.first().is_some_and(|first| first.origin.source().is_some());
    match episode.deployment {
        None if from_meta => "referral_conversion",
        None if episode.line.by_category => "service",
        None => "user_initiated",
        Some(sent) if episode.line.by_category => sent.flow.category,
        Some(_) => "business_initiated",
    }
}
