//! Treble's agent report: a chat for each session that an agent took over.

use chrono::DateTime;

use super::events::one_of;
use super::line;
use crate::company::phrases;
use crate::episode::{Episode, Id, SECOND, SessionStatus};
use crate::random::mix;

/// The header of the report.
pub(super) const HEADER: &str = "phone,contact,tag,agent,created_at,assigned_at,finished_at,\
                                 last_transfer_from,agent_first_message,last_message,\
                                 last_message_sender,duration,rating,status,finish_type,labels\n";

/// The agents, and how long each takes to answer, in percent.
const AGENTS: [(&str, i64); 3] = [("Alba", 100), ("Davi", 55), ("Noor", 180)];

/// Writes the chat of a session, if an agent took it over before `horizon`. The last message is a time or,
/// in every second download, a text.
pub(super) fn chat(
    episode: &Episode,
    index: usize,
    (horizon, has_times): (i64, bool),
    out: &mut String,
) -> u64 {
    let session = &episode.sessions[index];
    let Some(written) = session.last.filter(|_| session.status != SessionStatus::Bot) else {
        return 0;
    };
    let whim = mix(episode.habit(Id::Session(index)) ^ 8);
    let seconds = |shift: u32, end: u64| i64::try_from((whim >> shift) % end).unwrap_or(0) * SECOND;
    let created = written.at + SECOND;
    if created >= horizon {
        return 0;
    }
    let finished = session.finish.filter(|at| (created..horizon).contains(at));
    let known = |at: i64| Some(at).filter(|at| *at < finished.unwrap_or(horizon));
    let assigned = known(created + seconds(8, 300));
    let [(agent, pace), (other, _)] = [0, 1].map(|step| agent((whim >> 32) + step));
    let waits = 5 * SECOND + seconds(16, 1_200) * pace / 100;
    let answered = assigned.and_then(|at| known(at + waits));
    let last = answered.unwrap_or(written.at);
    let last_message = match (has_times, answered) {
        (true, _) => stamp(Some(last)),
        (false, None) => written.text.to_owned(),
        (false, Some(_)) => {
            one_of(phrases(episode.person.country().language).agent, whim >> 24).to_owned()
        }
    };
    let minutes = finished.map_or_else(
        || "-".to_owned(),
        |at| {
            let all = (at - created) / SECOND;
            format!("{:02}:{:02}:{:02}", all / 3600, all / 60 % 60, all % 60)
        },
    );
    let rating = match session.status {
        SessionStatus::Rating if finished.is_some() => 1 + whim % 5,
        _ => 0,
    };
    let person = &episode.person;
    let is_transferred = (whim >> 40).is_multiple_of(8);
    let transfer = if is_transferred { other } else { "-" };
    line(
        out,
        format_args!(
            "+{} {},Cliente {},{},{},{},{},{},{transfer},{},\"{}\",{},{minutes},{},{},{},{}",
            person.country().code,
            String::from_utf8_lossy(person.national.digits()),
            person.nature % 1_000,
            one_of(&["ventas", "soporte", ""], whim >> 44),
            if assigned.is_some() { agent } else { "-" },
            stamp(Some(created)),
            stamp(assigned),
            stamp(finished),
            stamp(answered),
            last_message.replace('"', "\"\"").replace('\n', " "),
            if answered.is_some() { "AGENT" } else { "USER" },
            if rating > 0 { rating.to_string() } else { "-".to_owned() },
            if finished.is_some() { "finished" } else { "open" },
            match (finished, answered) {
                (None, _) => "",
                (_, Some(_)) => "MANUAL",
                _ => "AUTO",
            },
            one_of(&["", "nuevo", "\"vip,urgente\""], whim >> 48),
        ),
    );
    1
}

/// An agent, and how long they take to answer, in percent.
fn agent(whim: u64) -> (&'static str, i64) {
    let index = whim % AGENTS.len() as u64;
    AGENTS[usize::try_from(index).unwrap_or(0)]
}

/// Formats an instant as Treble does: UTC, without an offset.
fn stamp(at: Option<i64>) -> String {
    let at = at.and_then(DateTime::from_timestamp_micros);
    at.map_or_else(String::new, |at| at.format("%Y-%m-%d %H:%M:%S%.6f").to_string())
}
