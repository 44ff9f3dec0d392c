//! The generator of episodes.

use super::{
    DAY, Deployment, Episode, HOUR, MINUTE, Message, MessageKind, SECOND, SendOutcome, Session,
    SessionStatus, VisitOrigin, Written,
};
use crate::company::{
    BLOCKED, FAILURES, FLOWS, FROM_LINK, FROM_META, Flow, LINES, LINKS, Phrases, Role, SOURCES,
    latest_version, phrases,
};
use crate::people::{Person, Rhythm};
use crate::random::{Random, hash, mix};

/// Incremented whenever the same plan would give other rows.
const VERSION: u64 = 1;

/// The time after its start in which an episode may send messages and start sessions.
const REACH: i64 = 23 * HOUR;

/// Sends for each thousand sessions.
pub(crate) const DEPLOYMENTS_PER_THOUSAND: u32 = 1000;

/// Messages for each thousand sessions, the result of the other numbers here and in `company`.
#[cfg(test)]
pub(crate) const MESSAGES_PER_THOUSAND: u32 = 2000;

/// Visits for each thousand sessions; the other sessions are delivered sends and redirections.
const VISITS_PER_THOUSAND: u32 = 200;

/// The load of each weekday, from Monday, in thousandths of an average day.
const WEEK: [u32; 7] = [1120, 1150, 1130, 1120, 1080, 790, 610];

/// Per mille of episodes whose person had one before.
const RETURNS: u32 = 450;

/// The gap to the person's previous episode: weight per mille, shortest and longest, in days.
const GAPS: [(u32, i64, i64); 9] = [
    (60, 0, 0),
    (220, 1, 1),
    (200, 2, 5),
    (160, 6, 8),
    (80, 9, 13),
    (80, 14, 14),
    (90, 15, 28),
    (90, 29, 31),
    (20, 32, 75),
];

/// Generates the episodes of a plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Generator {
    seed: u64,
    /// The plan's first day, in days since 1970.
    first_day: i64,
    sessions_per_day: u32,
}

impl Generator {
    pub(crate) fn new(seed: u64, first_day: i64, sessions_per_day: u32) -> Self {
        Self { seed: hash(&[seed, VERSION]), first_day, sessions_per_day }
    }

    fn weekday(&self, day: i64) -> usize {
        // 1970-01-01 is a Thursday.
        usize::try_from((self.first_day + day + 3).rem_euclid(7)).unwrap_or(0)
    }

    /// The start of a day of the plan, counted from 0, in microseconds since 1970.
    pub(crate) fn midnight(&self, day: i64) -> i64 {
        (self.first_day + day) * DAY
    }

    /// The load of each hour of that day.
    pub(crate) fn rhythm(&self, day: i64) -> Rhythm {
        Rhythm::of(self.weekday(day))
    }

    fn sends(&self, day: i64) -> u32 {
        self.per_day(day, DEPLOYMENTS_PER_THOUSAND)
    }

    /// The number of episodes that start on that day.
    pub(crate) fn episodes(&self, day: i64) -> u32 {
        self.sends(day) + self.per_day(day, VISITS_PER_THOUSAND)
    }

    fn per_day(&self, day: i64, per_thousand: u32) -> u32 {
        let share = u64::from(per_thousand) * u64::from(WEEK[self.weekday(day)]);
        let episodes = (u64::from(self.sessions_per_day) * share + 500_000) / 1_000_000;
        u32::try_from(episodes).unwrap_or(u32::MAX / 2)
    }

    /// The person of an episode.
    pub(crate) fn person(&self, mut day: i64, mut number: u32) -> Person {
        loop {
            let key = [self.seed, 2, day.cast_unsigned(), u64::from(number)];
            let mut random = Random::new(hash(&key));
            if random.chance(1000 - RETURNS) {
                break;
            }
            let (_, low, high) = GAPS[random.weighted(&GAPS, |(weight, ..)| *weight)];
            let gap = low + i64::from(random.below(u32::try_from(high - low + 1).unwrap_or(1)));
            day -= gap;
            let earlier = if gap == 0 { number } else { self.episodes(day) };
            if earlier == 0 {
                break;
            }
            number = random.below(earlier);
        }
        let busiest = self.sessions_per_day.saturating_mul(2).saturating_add(1);
        Person::new(self.seed, day * i64::from(busiest) + i64::from(number))
    }

    /// An empty buffer for [`Generator::generate`].
    pub(crate) fn blank(&self) -> Episode {
        Episode {
            key: 0,
            salt: mix(self.seed),
            day: 0,
            person: Person::new(self.seed, 0),
            line: &LINES[0],
            deployment: None,
            sessions: Vec::with_capacity(LONGEST_CHAIN),
            messages: Vec::with_capacity(32),
        }
    }

    /// Generates the episode with that number on that day into a buffer.
    pub(crate) fn generate(&self, day: i64, number: u32, rhythm: &Rhythm, episode: &mut Episode) {
        let person = self.person(day, number);
        let mut random = Random::new(hash(&[self.seed, 3, day.cast_unsigned(), number.into()]));
        episode.key = day.cast_unsigned() << 40 | u64::from(number) << 8;
        episode.day = day;
        episode.person = person;
        let line = person.country().line;
        episode.line = &LINES[if random.chance(60) { (line + 1) % LINES.len() } else { line }];
        episode.deployment = None;
        episode.sessions.clear();
        episode.messages.clear();

        let sends = number < self.sends(day);
        let hour = rhythm.hour(&person, sends, &mut random);
        let mut at = self.midnight(day) + i64::from(hour) * HOUR;
        let begins = |flow: &Flow| match flow.role {
            Role::Campaign | Role::Notice if sends => flow.weight,
            Role::Entry if !sends => flow.weight,
            _ => 0,
        };
        let flow = random.weighted(&FLOWS, begins);
        // Campaigns are sent in the first minutes of an hour.
        let seconds = if FLOWS[flow].role == Role::Campaign { 720 } else { 3600 };
        at += i64::from(random.below(seconds)) * SECOND;
        // The first million episodes of a day start at different fractions of a second, so that
        // deployments have different keys.
        at += (i64::from(number) * 397_681 + 511_000) % SECOND;

        let mut builder = Builder { episode, random, day, limit: at + REACH };
        if sends { builder.send(flow, at) } else { builder.visit(flow, at) }
    }
}

/// The largest number of sessions in an episode.
const LONGEST_CHAIN: usize = 4;

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

    /// The flow's version in use: the latest, sometimes the one before it.
    fn version(&mut self, flow: usize) -> u32 {
        let latest = latest_version(flow, self.day);
        if latest > 1 && self.random.chance(120) { latest - 1 } else { latest }
    }

    fn send(&mut self, index: usize, at: i64) {
        let flow = &FLOWS[index];
        let version = self.version(index);
        let outcome = self.outcome(at);
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

    fn outcome(&mut self, at: i64) -> SendOutcome {
        let has_blocked = self.episode.person.nature & 0xff < 9;
        if has_blocked {
            return SendOutcome::Failed(BLOCKED);
        }
        match self.random.below(1000) {
            0..685 => {
                let latency = match self.random.below(100) {
                    0..80 => self.random.between(4 * SECOND, 70 * SECOND),
                    80..95 => self.random.between(MINUTE, 30 * MINUTE),
                    _ => self.random.between(30 * MINUTE, 6 * HOUR),
                };
                SendOutcome::Delivered(at + latency)
            }
            685..915 => {
                SendOutcome::Failed(self.random.weighted(&FAILURES, |(_, weight, _)| *weight))
            }
            915..975 => SendOutcome::Success,
            _ => SendOutcome::InProcess,
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
        let text = self.random.one_of(lines);
        let sent = created + self.random.between(150_000, 1_500_000);
        let delivered = sent + self.random.between(300_000, 20 * SECOND);
        let seen = delivered + self.random.between(SECOND, 50 * MINUTE);
        let mut message = Message {
            kind: MessageKind::Outgoing,
            at: created,
            sent: Some(sent),
            delivered: Some(delivered),
            seen: Some(seen),
            failed: None,
            reason: None,
            format: "text",
            text,
        };
        match self.random.below(100) {
            0..2 => {
                message.failed = Some(sent);
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
}
