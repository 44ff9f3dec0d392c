//! Files with rows for some of the sessions, or for their people: closures, chats with agents, conversions,
//! tags, variables; and the nodes of flows.

use std::collections::BTreeSet;
use std::io;

use chrono::{DateTime, SecondsFormat};

use super::experiment::Experiment;
use super::{Companion, CompanionKind, agents, line};
use crate::Summary;
use crate::company::FLOWS;
use crate::episode::{Episode, HOUR, Id, MINUTE, SECOND, Session};
use crate::people::Rhythm;
use crate::random::{hash, mix};

/// The share of sessions with messages that lead to a purchase, per mille.
const PURCHASES: u64 = 180;

impl Companion {
    /// Writes a file with rows for some of the sessions, or for their people.
    pub(super) fn events(&self, out: &mut impl io::Write) -> io::Result<Summary> {
        let mut text = String::new();
        match self.kind {
            CompanionKind::Conversions => {
                text.push_str("conversion_id,event,converted_at,session_id,phone,value,currency\n");
            }
            CompanionKind::AgentChats => text.push_str(agents::HEADER),
            CompanionKind::Tags => text.push_str("phone,tag,since\n"),
            CompanionKind::Variables => {
                text.push_str("session_id,phone,conversation_id,name,value,at\n");
            }
            _ => {}
        }
        let generator = self.plan.generator();
        let horizon = self.horizon();
        let instants = generator.midnight(self.days.start)..generator.midnight(self.days.end);
        let experiment = Experiment::of(&self.plan);
        // Of the download that has the day of the draw.
        let drawn = Experiment::is_drawn_in(&self.days).then_some(&experiment);
        let mut tagged = BTreeSet::new();
        let mut episode = generator.blank();
        let rhythms = Rhythm::of_week();
        let mut good = 0;
        for day in (self.days.start - 1).max(0)..self.days.end {
            for number in 0..generator.episodes(day) {
                generator.generate(day, number, &rhythms, &mut episode);
                for (index, session) in episode.sessions.iter().enumerate() {
                    if !instants.contains(&session.start) || session.start >= horizon {
                        continue;
                    }
                    good += match self.kind {
                        CompanionKind::Closures => {
                            closure(&episode, index, session, horizon, &mut text)
                        }
                        CompanionKind::AgentChats => {
                            agents::chat(&episode, index, (horizon, self.even), &mut text)
                        }
                        CompanionKind::Conversions => {
                            let added = experiment.added(&episode.person, session.start);
                            let share = PURCHASES + added;
                            conversion(&episode, index, session, (share, horizon), &mut text)
                        }
                        CompanionKind::Variables => {
                            variable(&episode, index, session, horizon, &mut text)
                        }
                        _ => tags(&episode, drawn, &mut tagged, &mut text),
                    };
                }
            }
            out.write_all(text.as_bytes())?;
            text.clear();
        }
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(Summary { good, rejected: 0 })
    }
}

/// Formats an instant as `2025-05-01T18:52:30.511000Z`.
fn stamp(at: i64) -> String {
    DateTime::from_timestamp_micros(at)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn hex([high, low]: [u64; 2]) -> String {
    format!("{high:016x}{low:016x}")
}

/// Derives an id from another one; `of` distinguishes the purposes.
fn id_from(id: [u64; 2], of: u64) -> String {
    hex(id.map(|half| mix(half ^ hash(&[of]))))
}

fn closure(
    episode: &Episode,
    index: usize,
    session: &Session,
    horizon: i64,
    out: &mut String,
) -> u64 {
    let Some(finish) = session.finish.filter(|at| at + SECOND < horizon) else { return 0 };
    let id = episode.id(Id::Session(index));
    let person = &episode.person;
    let number = String::from_utf8_lossy(person.national.digits());
    let hsm = match &episode.deployment {
        Some(sent) => format!("{{\"name\":\"{}\"}}", sent.flow.template),
        None => "null".to_owned(),
    };
    line(
        out,
        format_args!(
            "{{\"event_id\":\"{}\",\"timestamp\":\"{}\",\"event_type\":\"session.close\",\"session\":\
         {{\"external_id\":\"{}\",\"closed_at\":\"{}\"}},\"user\":{{\"country_code\":\"+{}\",\
         \"cellphone\":\"{number}\"}},\"hsm\":{hsm}}}",
            id_from(id, 5),
            stamp(finish + SECOND),
            hex(id),
            stamp(finish),
            person.country().code
        ),
    );
    1
}

/// Writes the purchase of a session, if it leads to one before `horizon`. The `share` of sessions that
/// do is per mille.
fn conversion(
    episode: &Episode,
    index: usize,
    session: &Session,
    (share, horizon): (u64, i64),
    out: &mut String,
) -> u64 {
    let Some(last) = session.last else { return 0 };
    let whim = mix(episode.habit(Id::Session(index)) ^ 6);
    let at = last.at
        + 10 * MINUTE
        + i64::try_from(whim >> 32).unwrap_or(0) % (60 * HOUR / SECOND) * SECOND;
    if whim % 1000 >= share || at >= horizon {
        return 0;
    }
    let id = episode.id(Id::Session(index));
    let country = episode.person.country();
    let (currency, unit) = match country.code {
        "57" => ("COP", 4_000),
        "52" => ("MXN", 20),
        "55" => ("BRL", 5),
        _ => ("USD", 1),
    };
    let value = unit * (10 + whim / 1000 % 90);
    let number = String::from_utf8_lossy(episode.person.national.digits());
    // Some conversions name the session, others only the person.
    let whose = if (whim / 7).is_multiple_of(2) {
        format!("{},", hex(id))
    } else {
        format!(",{}{number}", country.code)
    };
    let id = &id_from(id, 6)[..12];
    line(out, format_args!("{id},purchase,{},{whose},{value}.00,{currency}", stamp(at)));
    1
}

fn variable(
    episode: &Episode,
    index: usize,
    session: &Session,
    horizon: i64,
    out: &mut String,
) -> u64 {
    let Some(last) = session.last.filter(|last| last.at < horizon) else { return 0 };
    let whim = episode.habit(Id::Session(index)) >> 20;
    // The last node with a question.
    let mut nodes = session.flow.nodes[..=session.node].iter().rev();
    let last_answer = nodes.find_map(|node| Some((node, answer(node, whim)?)));
    let Some((node, value)) = last_answer else { return 0 };
    let value = value.replace('"', "\"\"");
    let id = hex(episode.id(Id::Session(index)));
    line(out, format_args!("{id},,{},{node},\"{value}\",{}", session.flow.id, stamp(last.at)));
    1
}

/// Writes the nodes of all flows, the same in every version.
pub(super) fn nodes(out: &mut String) -> u64 {
    line(out, format_args!("conversation_id,node_id,label,position,is_final,question"));
    let mut rows = 0;
    for flow in &FLOWS {
        for (position, node) in (1..).zip(flow.nodes) {
            let label = node[..1].to_uppercase() + &node[1..];
            let is_final = position == flow.nodes.len();
            let question = answer(node, 0).map_or("", |_| node);
            let id = flow.id;
            line(out, format_args!("{id},{id}-{node},{label},{position},{is_final},{question}"));
            rows += 1;
        }
    }
    rows
}

/// The answer to a node with a question.
fn answer(node: &str, whim: u64) -> Option<&'static str> {
    let answers: &[&str] = match node {
        "city" => &["Bogotá", "Medellín", "Ciudad de México", "São Paulo"],
        "score" => &["1", "2", "3", "4", "5"],
        "size" => &["S", "M", "L"],
        "coupon" => &["LUZ, \"10%\"", ""],
        "topic" => &["precio", "envío", " otro "],
        "reason" => &["talla", "color", "-"],
        _ => return None,
    };
    Some(one_of(answers, whim))
}

pub(super) fn one_of(list: &[&'static str], whim: u64) -> &'static str {
    let index = whim % list.len() as u64;
    list[usize::try_from(index).unwrap_or(0)]
}

/// Writes the tags of a person, once for each; `drawn` is the experiment that people are drawn for.
fn tags(
    episode: &Episode,
    drawn: Option<&Experiment>,
    tagged: &mut BTreeSet<String>,
    out: &mut String,
) -> u64 {
    let person = &episode.person;
    let since = match person.nature >> 20 & 3 {
        0 => "",
        1 => "2025-01-01",
        _ => "2025-05-10",
    };
    let tag = match person.nature >> 8 & 15 {
        0 | 1 => Some("vip"),
        2 => Some("mayorista"),
        3..6 => Some("newsletter"),
        _ => None,
    };
    let group = drawn.and_then(|experiment| Some((experiment.tag(person)?, experiment.drawn_on)));
    let rows = u64::from(tag.is_some()) + u64::from(group.is_some());
    let phone =
        format!("{}{}", person.country().code, String::from_utf8_lossy(person.national.digits()));
    if rows == 0 || !tagged.insert(phone.clone()) {
        return 0;
    }
    if let Some(tag) = tag {
        line(out, format_args!("{phone},{tag},{since}"));
    }
    if let Some((tag, since)) = group {
        line(out, format_args!("{phone},{tag},{since}"));
    }
    rows
}
