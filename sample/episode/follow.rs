//! What follows the start of an episode: deliveries, sessions, messages.

use super::generator::Opening;
use super::{
    DAY, Deployment, Episode, HOUR, MINUTE, Message, MessageKind, SECOND, SendOutcome, Session,
    SessionStatus, VisitOrigin, Written,
};
use crate::company::{
    FAILURES, FLOWS, FROM_LINK, FROM_META, Flow, LINKS, NOT_SAID, PROMOTION, Phrases, SOURCES,
    latest_version, phrases,
};
use crate::random::Random;
use crate::season;

/// The time after its start in which an episode may send messages and start sessions.
const REACH: i64 = 23 * HOUR;

/// The largest number of sessions in an episode.
pub(super) const LONGEST_CHAIN: usize = 4;

/// The purposes of an episode's whims.
const IS_READ: u64 = 4;
const IS_DELIVERED: u64 = 5;
const SECOND_ANSWERS: u64 = 6;

/// The share of answers that a second one follows, per mille.
const ANSWERED_TWICE: u32 = 120;

/// Generates what follows the start of an episode into a buffer.
pub(super) fn follow(opening: &Opening, episode: &mut Episode) {
    let limit = opening.at + REACH;
    let random = opening.random.clone();
    let mut builder = Builder { episode, random, day: opening.day, limit };
    match opening.sends {
        true => builder.send(opening),
        false => builder.visit(opening.flow, opening.at),
    }
    builder.answer_twice();
}

/// Draws the flow's version in use: the latest, sometimes the one before it.
pub(super) fn version(flow: usize, day: i64, random: &mut Random) -> u32 {
    let latest = latest_version(flow, day);
    if latest > 1 && random.chance(120) { latest - 1 } else { latest }
}

/// Builds one episode.
struct Builder<'s> {
    episode: &'s mut Episode,
    random: Random,
    day: i64,
    /// The end of the time in which messages and sessions may start.
    limit: i64,
}

impl Builder<'_> {
    fn phrases(&self) -> &'static Phrases {
        phrases(self.episode.person.country().language)
    }

    fn version(&mut self, flow: usize) -> u32 {
        version(flow, self.day, &mut self.random)
    }

    fn send(&mut self, opening: &Opening) {
        let (index, at) = (opening.flow, opening.at);
        let flow = &FLOWS[index];
        let version = self.version(index);
        let outcome = opening.outcome(&mut self.random);
        let mut responded = None;
        if let SendOutcome::Delivered(delivered) = outcome {
            // Later versions get more replies, and some people reply more than others.
            let inclined = u32::try_from(self.episode.person.nature >> 40 & 0xff).unwrap_or(0);
            let reply = flow.reply + 18 * (version - 1) + inclined;
            if self.random.chance(reply.saturating_sub(128)) {
                let response = delivered + self.reply_time();
                responded = (response < self.limit).then_some(response);
            }
        }
        self.episode.deployment = Some(Deployment { at, flow, version, outcome, responded });
        self.template(index, at, outcome, responded);
        if let SendOutcome::Delivered(delivered) = outcome {
            self.talk(index, version, delivered, responded, VisitOrigin::Nothing);
        }
    }

    fn reply_time(&mut self) -> i64 {
        match self.random.below(100) {
            0..45 => self.random.between(12 * SECOND, 10 * MINUTE),
            45..76 => self.random.between(10 * MINUTE, HOUR),
            76..94 => self.random.between(HOUR, 6 * HOUR),
            _ => self.random.between(6 * HOUR, 16 * HOUR),
        }
    }

    /// Adds the template message of a send, unless the send failed before it reached WhatsApp.
    fn template(&mut self, index: usize, at: i64, outcome: SendOutcome, responded: Option<i64>) {
        let created = at + self.random.between(40_000, 900_000);
        let after = created + self.random.between(200_000, 2_500_000);
        let text = self.phrases().template[index];
        let mut message = Message {
            kind: MessageKind::Template,
            at: created,
            sent: Some(after),
            delivered: None,
            seen: None,
            failed: None,
            reason: None,
            format: "template",
            text,
        };
        match outcome {
            SendOutcome::InProcess => message.sent = None,
            SendOutcome::Success => {}
            SendOutcome::Delivered(delivered) => {
                message.delivered = Some(delivered);
                message.seen = match responded {
                    Some(responded) => Some(self.random.between(delivered, responded)),
                    None if self.random.chance(520) => {
                        Some(delivered + self.random.between(2 * SECOND, 5 * HOUR))
                    }
                    None => None,
                };
                let would_read = responded.is_none() && index == PROMOTION;
                let worn = u64::from(season::wear(self.day));
                if would_read && self.episode.whim(IS_READ) % 1000 < worn {
                    message.seen = None;
                }
            }
            // Treble does not say why; WhatsApp may have delivered it all the same.
            SendOutcome::Failed(NOT_SAID) if self.episode.whim(IS_DELIVERED) % 4 == 1 => {
                message.delivered = Some(after + 3 * SECOND);
            }
            SendOutcome::Failed(failure) => {
                let (_, _, Some(reason)) = FAILURES[failure] else { return };
                message.reason = Some(reason);
                message.failed = Some(after);
                message.sent = None;
            }
        }
        self.episode.messages.push(message);
    }

    fn visit(&mut self, index: usize, at: i64) {
        let version = self.version(index);
        let origin = match index {
            FROM_META => {
                let [one, other] = [0; 2].map(|_| self.random.index(SOURCES.len()));
                VisitOrigin::Meta(one.min(other))
            }
            FROM_LINK => VisitOrigin::Link(self.random.index(LINKS.len())),
            _ if self.random.chance(70) => VisitOrigin::Meta(self.random.index(SOURCES.len())),
            _ => VisitOrigin::Nothing,
        };
        self.talk(index, version, at, Some(at), origin);
    }

    /// Adds the sessions of an episode, each redirected to the next.
    fn talk(
        &mut self,
        mut index: usize,
        mut version: u32,
        mut start: i64,
        mut first: Option<i64>,
        mut origin: VisitOrigin,
    ) {
        for depth in 1..=LONGEST_CHAIN {
            let flow = &FLOWS[index];
            let mut session = Session {
                start,
                finish: None,
                status: SessionStatus::Bot,
                flow,
                version,
                first: None,
                last: None,
                node: 0,
                origin,
            };
            let Some(first_at) = first else {
                session.finish = self.close(flow, start);
                self.episode.sessions.push(session);
                return;
            };
            // In later versions fewer people leave at each node.
            let leave = flow.leave * (110 - 8 * version) / 100;
            while session.node + 1 < flow.nodes.len() && !self.random.chance(leave) {
                session.node += 1;
            }
            let handed_over = self.random.chance(flow.handover);
            let turns = 1 + session.node / 4 + usize::from(handed_over);
            self.exchange(&mut session, first_at, turns, handed_over);
            let last = session.last.map_or(first_at, |written| written.at);

            let next = last + self.random.between(SECOND, 20 * SECOND);
            let redirects = !handed_over
                && depth < LONGEST_CHAIN
                && next < self.limit
                && !flow.redirects.is_empty()
                && self.random.chance(330);
            let completed = session.node + 1 == flow.nodes.len();
            session.finish = if redirects {
                Some(next)
            } else if handed_over {
                session.status = if self.random.chance(260) {
                    SessionStatus::Rating
                } else {
                    SessionStatus::Agents
                };
                (!self.random.chance(90)).then(|| last + self.random.between(MINUTE, 2 * HOUR))
            } else if completed {
                Some(next)
            } else {
                self.close(flow, last)
            };
            self.episode.sessions.push(session);
            if !redirects {
                return;
            }

            index = self.random.one_of(flow.redirects);
            version = self.version(index);
            start = next;
            origin = VisitOrigin::Nothing;
            let goes_on = self.random.chance(FLOWS[index].reply);
            let writes = start + self.random.between(4 * SECOND, 6 * MINUTE);
            first = (goes_on && writes < self.limit).then_some(writes);
        }
    }

    /// The end of a session that the person left: after a timeout, when another session replaces it,
    /// or never.
    fn close(&mut self, flow: &Flow, silent_since: i64) -> Option<i64> {
        match flow.closes_after {
            _ if self.random.chance(40) => None,
            Some(minutes) => Some(silent_since + minutes * MINUTE),
            None if self.random.chance(150) => None,
            None => Some(silent_since + self.random.between(6 * HOUR, 6 * DAY)),
        }
    }

    /// Adds the messages of a session: the person's, and the answers to them.
    fn exchange(&mut self, session: &mut Session, first_at: i64, turns: usize, agent: bool) {
        let phrases = self.phrases();
        let mut at = first_at;
        for turn in 0..turns {
            let format = match self.random.below(100) {
                0..84 => "text",
                84..91 => "image",
                91..96 => "media",
                96..98 => "location",
                _ => "contact",
            };
            let text = if format == "text" { self.random.one_of(phrases.person) } else { "" };
            let written = Written { at, text };
            session.first.get_or_insert(written);
            session.last = Some(written);
            self.episode.messages.push(Message {
                kind: MessageKind::Incoming,
                at,
                sent: None,
                delivered: None,
                seen: None,
                failed: None,
                reason: None,
                format,
                text,
            });

            let by_agent = agent && turn + 1 == turns;
            if by_agent || self.random.chance(210) {
                let delay = if by_agent { 40 * MINUTE } else { 4 * SECOND };
                let created = at + self.random.between(400_000, delay);
                if created < self.limit {
                    let lines = if by_agent { phrases.agent } else { phrases.bot };
                    self.answer(created, lines);
                }
                at = at.max(created);
            }
            at += match self.random.below(100) {
                0..85 => self.random.between(5 * SECOND, 4 * MINUTE),
                _ => self.random.between(4 * MINUTE, 3 * HOUR),
            };
            if at >= self.limit {
                break;
            }
        }
    }

    fn answer(&mut self, created: i64, lines: &[&'static str]) {
        let mut message = answer(created, lines, &mut self.random);
        match self.random.below(100) {
            0..2 => {
                message.failed = message.sent;
                message.reason = Some("Message undeliverable.");
                (message.sent, message.delivered, message.seen) = (None, None, None);
            }
            2..5 => (message.delivered, message.seen) = (None, None),
            5..30 => message.seen = None,
            // The report may lack the delivery of a message that was read at once.
            30..32 => message.delivered = None,
            _ => {}
        }
        self.episode.messages.push(message);
    }

    /// Adds a second message to some delivered answers, soon after the first. They stand behind all
    /// other messages and have random numbers of their own, so that the others do not depend on them.
    fn answer_twice(&mut self) {
        let phrases = self.phrases();
        let mut random = Random::new(self.episode.whim(SECOND_ANSWERS));
        for index in 0..self.episode.messages.len() {
            let first = self.episode.messages[index];
            if first.kind != MessageKind::Outgoing || !random.chance(ANSWERED_TWICE) {
                continue;
            }
            // An agent has to type it.
            let (lines, [low, high]) = match phrases.agent.contains(&first.text) {
                true => (phrases.agent, [5, 90]),
                false => (phrases.bot, [1, 5]),
            };
            let created = first.at + random.between(low * SECOND, high * SECOND);
            if first.delivered.is_some() && created < self.limit {
                self.episode.messages.push(answer(created, lines, &mut random));
            }
        }
    }
}

/// An answer of the business that is delivered and read.
fn answer(created: i64, lines: &[&'static str], random: &mut Random) -> Message {
    let text = random.one_of(lines);
    let sent = created + random.between(150_000, 1_500_000);
    let delivered = sent + random.between(300_000, 20 * SECOND);
    let seen = delivered + random.between(SECOND, 50 * MINUTE);
    Message {
        kind: MessageKind::Outgoing,
        at: created,
        sent: Some(sent),
        delivered: Some(delivered),
        seen: Some(seen),
        failed: None,
        reason: None,
        format: "text",
        text,
    }
}
