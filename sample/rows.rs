//! One row of an export, from the part of an episode that it tells.
//!
//! A row says what was known at the *horizon*, the instant at which its export was made: what lies
//! later is not in it. A send that is delivered later is still in process, a session that ends
//! later is open.

use super::company::{FAILURES, Role};
use super::pen::Pen;
use super::story::{Deployment, Id, Kind, Message, Outcome, SECOND, Session, Status, Story};
use wabalake_data::tables::{Table, deployments, messages, sessions};

/// How the rows of a table are made.
#[derive(Debug)]
pub(super) struct Rows {
    /// Whether a row may lie on the day after its episode began.
    pub(super) reach_on: bool,
    /// How many an episode has.
    pub(super) count: fn(&Story) -> usize,
    /// The stamp that places one in a day.
    pub(super) at: fn(&Story, usize) -> i64,
    /// Writes one.
    pub(super) write: fn(&Story, usize, i64, &mut Pen),
}

impl Rows {
    /// Of a table; none for one that has no made-up export.
    pub(super) fn of(table: &Table) -> Option<&'static Self> {
        match table.name {
            sessions::NAME => Some(&SESSIONS),
            deployments::NAME => Some(&DEPLOYMENTS),
            messages::NAME => Some(&MESSAGES),
            _ => None,
        }
    }
}

static SESSIONS: Rows = Rows {
    reach_on: true,
    count: |story| story.sessions.len(),
    at: |story, place| story.sessions[place].start,
    write: |story, place, horizon, pen| {
        session(story, place, &story.sessions[place], horizon, pen);
    },
};

static DEPLOYMENTS: Rows = Rows {
    reach_on: false,
    count: |story| usize::from(story.deployment.is_some()),
    at: |story, _| story.deployment.map_or(0, |sent| sent.at),
    write: |story, _, horizon, pen| {
        if let Some(sent) = &story.deployment {
            deployment(story, sent, horizon, pen);
        }
    },
};

static MESSAGES: Rows = Rows {
    reach_on: true,
    count: |story| story.messages.len(),
    at: |story, place| story.messages[place].at,
    write: |story, place, horizon, pen| {
        message(story, place, &story.messages[place], horizon, pen);
    },
};

fn session(story: &Story, place: usize, session: &Session, horizon: i64, pen: &mut Pen) {
    let known = |at: &i64| *at < horizon;
    pen.start_row(story.habit(Id::Session(place)));
    pen.id(story.id(Id::Session(place)));
    match (pen.oddity(), place.checked_sub(1)) {
        (0..4, _) => pen.id(story.id(Id::Elsewhere)),
        (4..6, _) => pen.id(story.id(Id::Session(place))),
        (_, Some(parent)) => pen.id(story.id(Id::Session(parent))),
        (_, None) => pen.nothing(),
    }
    pen.at(session.start);
    match pen.oddity() {
        0..10 => pen.at(session.start - 90 * SECOND),
        _ => pen.stamp(session.finish.filter(known)),
    }
    if story.is_visit() {
        pen.one_of(&["Inbound", "INBOUND", "inbound"], None);
    } else {
        pen.one_of(&["Outbound", "OUTBOUND", "outbound"], None);
    }
    let statuses: &[&str] = match session.status {
        Status::Bot => &["BOT", "AI", "Bot"],
        Status::Agents => &["AGENTS", "HumanHandover", "human_handover"],
        Status::Rating => &["RATING", "Rating"],
    };
    pen.one_of(statuses, Some("Expired"));
    pen.numbered("", session.flow.id.into(), &[]);
    pen.number(session.version.into());
    pen.dialling_code(&story.person);
    pen.national(&story.person);
    pen.word(&[story.line.number]);
    pen.name(story.line.display_name);

    let first = session.first.filter(|written| known(&written.at));
    let last = session.last.filter(|written| known(&written.at)).or(first);
    for written in [first, last] {
        pen.stamp(written.map(|written| written.at));
        match written {
            Some(written) if !written.text.is_empty() => pen.text(written.text),
            _ => pen.empty(),
        }
    }
    let node =
        if last.is_some() { session.flow.nodes[session.node] } else { session.flow.nodes[0] };
    pen.numbered("", session.flow.id.into(), &["-", node]);

    if let Some(source) = session.origin.source() {
        let kinds: &[&str] = if source.is_ad { &["Ad", "AD", "ad"] } else { &["Post", "POST"] };
        let media: &[&str] =
            if source.is_video { &["Video", "VIDEO", "video"] } else { &["Image", "IMAGE"] };
        pen.numbered("https://fb.example/", source.id, &[]);
        pen.one_of(kinds, Some("Story"));
        pen.numbered("", source.id, &[]);
        pen.name(source.headline);
        pen.text(source.body);
        pen.one_of(media, Some("Carousel"));
        let file = if source.is_video { ".mp4" } else { ".jpg" };
        pen.numbered("https://media.example/", source.id, &[file]);
        if source.is_video {
            pen.numbered("https://media.example/", source.id, &["-small.jpg"]);
        } else {
            pen.nothing();
        }
    } else {
        // Url, type and id follow the null words; headline and body are texts.
        (0..3).for_each(|_| pen.nothing());
        (0..2).for_each(|_| pen.empty());
        (0..3).for_each(|_| pen.nothing());
    }
    if let Some([campaign, source]) = session.origin.link() {
        pen.name(campaign);
        pen.word(&[source]);
    } else {
        pen.empty();
        pen.nothing();
    }
    pen.end_row();
}

fn deployment(story: &Story, sent: &Deployment, horizon: i64, pen: &mut Pen) {
    let outcome = match sent.outcome {
        Outcome::Delivered(at) if at >= horizon => Outcome::InProcess,
        // The report of a failure comes after some seconds.
        Outcome::Failed(_) | Outcome::Success if sent.at + 5 * SECOND >= horizon => {
            Outcome::InProcess
        }
        outcome => outcome,
    };
    pen.start_row(story.habit(Id::Conversation));
    pen.numbered("", sent.flow.id.into(), &[]);
    pen.number(sent.version.into());
    pen.dialling_code(&story.person);
    pen.national(&story.person);
    pen.at(sent.at);
    match pen.oddity() {
        // A send that is not known to have arrived may be answered all the same.
        0..20 => pen.at(sent.at + 90 * SECOND),
        _ => pen.stamp(sent.responded.filter(|at| *at < horizon)),
    }
    let unknown = Some("Queued");
    match outcome {
        Outcome::InProcess => pen.one_of(&["In Process", "IN_PROCESS", "in process"], unknown),
        Outcome::Success => pen.one_of(&["SUCCESS", "Success", "Sent"], unknown),
        Outcome::Delivered(_) => pen.one_of(&["Delivered", "DELIVERED"], unknown),
        Outcome::Failed(failure) => {
            let (code, ..) = FAILURES[failure];
            // The code stands where the status belongs; this one is no code that is known.
            let known = failure + 1 < FAILURES.len();
            if known && pen.oddity() < 120 {
                pen.word(&[code]);
                pen.nothing();
            } else {
                pen.one_of(&["Failed", "FAILED"], unknown);
                pen.word(&[code]);
            }
        }
    }
    if !matches!(outcome, Outcome::Failed(_)) {
        pen.nothing();
    }
    if let Outcome::Delivered(at) = outcome {
        pen.at(at);
        match pen.oddity() {
            0..5 => pen.nothing(),
            5..10 => pen.id(story.id(Id::Elsewhere)),
            _ => pen.id(story.id(Id::Session(0))),
        }
    } else {
        pen.stamp(None);
        pen.nothing();
    }
    pen.end_row();
}

fn message(story: &Story, place: usize, message: &Message, horizon: i64, pen: &mut Pen) {
    let known = |at: Option<i64>| at.filter(|at| *at < horizon);
    let incoming = message.kind == Kind::Incoming;
    let deployment = story.deployment.filter(|_| message.kind == Kind::Template);

    pen.start_row(story.habit(Id::Message(place)));
    pen.word(&[story.line.waba]);
    pen.uuid(story.id(Id::Message(place)), ":0");
    if incoming {
        pen.international(&story.person);
        pen.word(&[story.line.number]);
        pen.one_of(&["true", "True", "TRUE"], None);
        pen.one_of(&["webhook", "Webhook"], Some("mobile"));
    } else {
        pen.word(&[story.line.number]);
        pen.international(&story.person);
        pen.one_of(&["false", "False", "FALSE"], None);
        match deployment {
            Some(sent) if sent.flow.role == Role::Campaign => {
                pen.one_of(&["campaign", "Campaign"], Some("mobile"));
            }
            _ => pen.one_of(&["api", "API"], Some("mobile")),
        }
    }
    pen.one_of(&[message.format], Some("sticker"));
    match message.reason.filter(|_| known(message.failed).is_some()) {
        Some(reason) => pen.name(reason),
        None => pen.nothing(),
    }
    pen.word(&[story.person.country().name]);
    match deployment {
        Some(sent) => pen.word(&[sent.flow.template]),
        None => pen.nothing(),
    }
    if message.text.is_empty() {
        pen.empty();
    } else {
        pen.text(message.text);
    }
    pen.at(message.at);
    let sent = known(message.sent);
    pen.stamp(known(message.failed));
    pen.stamp(sent);
    match pen.oddity() {
        0..4 if sent.is_some() => pen.at(message.at - SECOND),
        _ => pen.stamp(known(message.delivered)),
    }
    pen.stamp(known(message.seen));
    let services: &[&str] = match message.kind {
        Kind::Incoming => &["session_incoming", "SESSION_INCOMING"],
        Kind::Outgoing => &["session_outgoing", "Session Outgoing"],
        Kind::Template => &["template", "Template"],
    };
    pen.one_of(services, Some("session_call"));
    // A template that never went out opens no conversation.
    if message.kind == Kind::Template && message.sent.is_none() {
        (0..3).for_each(|_| pen.nothing());
    } else {
        pen.one_of(&[conversation_type(story)], Some("service_window"));
        pen.id(story.id(Id::Conversation));
        if place == 0 {
            pen.one_of(&["Conversation start", "conversation_start"], None);
        } else {
            pen.one_of(&["In Conversation", "in_conversation"], None);
        }
    }
    match deployment {
        Some(sent) if sent.flow.role == Role::Campaign => {
            let week = story.day.unsigned_abs() / 7 + 1;
            pen.dashed("c-", [sent.flow.id.into(), week]);
            pen.nothing();
        }
        Some(_) => {
            pen.nothing();
            pen.numbered("order-", story.id(Id::Conversation)[1] % 1_000_000, &[]);
        }
        None => (0..2).for_each(|_| pen.nothing()),
    }
    (0..2).for_each(|_| pen.nothing());
    pen.end_row();
}

/// Who began the conversation, or its category where the account goes by categories.
pub(super) fn conversation_type(story: &Story) -> &'static str {
    let from_meta = story.sessions.first().is_some_and(|first| first.origin.source().is_some());
    match story.deployment {
        None if from_meta => "referral_conversion",
        None if story.line.by_category => "service",
        None => "user_initiated",
        Some(sent) if story.line.by_category => sent.flow.category,
        Some(_) => "business_initiated",
    }
}
