//! What happens: an episode is a send or a visit with all that comes of it.
//!
//! ```text
//! send ─ delivered ─► session ─ redirected ─► session ─► …      deployments, sessions
//!   └─ template, answers, replies: one conversation of 24 hours  messages
//! visit ────────────► session ─ …
//! ```
//!
//! An episode is a function of the plan's seed, its day and its number within the day; nothing is
//! remembered from one to the next. A person who comes back is found by going back in time: the
//! episode names an earlier one, which is that person's first or names an earlier one still.
//!
//! Whatever an episode begins, it begins within [`REACH`]; so the rows of a day come from that
//! day's episodes and the day before's.

use super::company::{
    BLOCKED, FAILURES, FLOWS, FROM_LINK, FROM_META, Flow, LINES, LINKS, Line, Role, SOURCES, Said,
    Source, latest_version, said,
};
use super::people::{Person, Rhythm};
use super::random::{Random, hash, mix};

/// Microseconds.
pub(super) const SECOND: i64 = 1_000_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// Raised whenever the same parameters would give other rows.
const VERSION: u64 = 1;

/// How long after its begin an episode may still send a message or start a session.
const REACH: i64 = 23 * HOUR;

/// Sends for each thousand sessions.
pub(super) const DEPLOYMENTS_PER_THOUSAND: u32 = 1000;

/// Messages for each thousand sessions, which the other figures here and in `company` add up to.
#[cfg(test)]
pub(super) const MESSAGES_PER_THOUSAND: u32 = 2000;

/// Visits for each thousand sessions; delivered sends and redirections make the rest.
const VISITS_PER_THOUSAND: u32 = 200;

/// Of a thousand days' worth of sessions, what falls on each weekday, from Monday.
const WEEK: [u32; 7] = [1120, 1150, 1130, 1120, 1080, 790, 610];

/// Of a thousand episodes, those of persons who had one before.
const RETURNS: u32 = 450;

/// After how many days they come back, and how many of a thousand.
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

/// A send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deployment {
    pub(super) at: i64,
    pub(super) flow: &'static Flow,
    pub(super) version: u32,
    pub(super) outcome: Outcome,
    pub(super) responded: Option<i64>,
}

/// How a send ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    InProcess,
    /// Handed over, no more is known.
    Success,
    /// At that instant.
    Delivered(i64),
    /// A place in [`FAILURES`].
    Failed(usize),
}

/// What led to a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Nothing,
    Meta(usize),
    Link(usize),
}

impl Origin {
    pub(super) fn source(self) -> Option<&'static Source> {
        match self {
            Self::Meta(place) => Some(&SOURCES[place]),
            _ => None,
        }
    }

    pub(super) fn link(self) -> Option<[&'static str; 2]> {
        match self {
            Self::Link(place) => Some(LINKS[place]),
            _ => None,
        }
    }
}

/// A message of a person; media have no text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) at: i64,
    pub(super) text: &'static str,
}

/// Who holds a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Bot,
    Agents,
    Rating,
}

/// A stretch of talk. Its parent is the session before it in the episode.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    pub(super) start: i64,
    pub(super) finish: Option<i64>,
    pub(super) status: Status,
    pub(super) flow: &'static Flow,
    pub(super) version: u32,
    pub(super) first: Option<Written>,
    pub(super) last: Option<Written>,
    /// A place in the flow's nodes.
    pub(super) node: usize,
    pub(super) origin: Origin,
}

/// Who wrote a message, and of what kind it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Incoming,
    Outgoing,
    Template,
}

/// A message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    pub(super) kind: Kind,
    pub(super) at: i64,
    pub(super) sent: Option<i64>,
    pub(super) delivered: Option<i64>,
    pub(super) seen: Option<i64>,
    pub(super) failed: Option<i64>,
    pub(super) reason: Option<&'static str>,
    pub(super) format: &'static str,
    pub(super) text: &'static str,
}

/// An episode. Kept by the caller and told anew each time, so that nothing is allocated.
#[derive(Debug)]
pub(super) struct Story {
    /// Unique among the plan's episodes; its lowest byte is free.
    key: u64,
    salt: u64,
    pub(super) day: i64,
    pub(super) person: Person,
    pub(super) line: &'static Line,
    pub(super) deployment: Option<Deployment>,
    pub(super) sessions: Vec<Session>,
    pub(super) messages: Vec<Message>,
}

/// What an id stands for, in the lowest byte of its key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Id {
    /// The session of that place in the episode.
    Session(usize),
    /// The message of that place in the episode.
    Message(usize),
    /// The 24-hour conversation.
    Conversation,
    /// A session that was never exported.
    Elsewhere,
}

impl Story {
    /// 128 bits that nothing else in the plan has.
    pub(super) fn id(&self, of: Id) -> [u64; 2] {
        let place = |place: usize| u64::try_from(place).unwrap_or(0);
        let low = match of {
            Id::Session(at) => place(at),
            Id::Conversation => 16,
            Id::Elsewhere => 17,
            Id::Message(at) => 64 + place(at),
        };
        let first = mix((self.key | low) ^ self.salt);
        [first, mix(first ^ 0xa076_1d64_78bd_642f)]
    }

    /// Bits for choices about the spelling of the row with that id.
    pub(super) fn habit(&self, of: Id) -> u64 {
        mix(self.id(of)[1])
    }

    /// Whether the person began the conversation.
    pub(super) fn is_visit(&self) -> bool {
        self.deployment.is_none()
    }
}

/// Tells episodes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Teller {
    seed: u64,
    /// Days from 1970 to the plan's first day.
    first_day: i64,
    sessions_per_day: u32,
}

impl Teller {
    pub(super) fn new(seed: u64, first_day: i64, sessions_per_day: u32) -> Self {
        Self { seed: hash(&[seed, VERSION]), first_day, sessions_per_day }
    }

    fn weekday(&self, day: i64) -> usize {
        // 1970 began on a Thursday.
        usize::try_from((self.first_day + day + 3).rem_euclid(7)).unwrap_or(0)
    }

    /// Midnight at which a day of the plan begins, from 0.
    pub(super) fn midnight(&self, day: i64) -> i64 {
        (self.first_day + day) * DAY
    }

    /// How busy each hour of that day is.
    pub(super) fn rhythm(&self, day: i64) -> Rhythm {
        Rhythm::of(self.weekday(day))
    }

    fn sends(&self, day: i64) -> u32 {
        self.per_day(day, DEPLOYMENTS_PER_THOUSAND)
    }

    /// How many episodes begin on that day.
    pub(super) fn episodes(&self, day: i64) -> u32 {
        self.sends(day) + self.per_day(day, VISITS_PER_THOUSAND)
    }

    fn per_day(&self, day: i64, per_thousand: u32) -> u32 {
        let share = u64::from(per_thousand) * u64::from(WEEK[self.weekday(day)]);
        let episodes = (u64::from(self.sessions_per_day) * share + 500_000) / 1_000_000;
        u32::try_from(episodes).unwrap_or(u32::MAX / 2)
    }

    /// Whose episode that is.
    fn person(&self, mut day: i64, mut number: u32) -> Person {
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

    /// An empty story to be told in.
    pub(super) fn blank(&self) -> Story {
        Story {
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

    /// Tells the episode of that number of that day.
    pub(super) fn tell(&self, day: i64, number: u32, rhythm: &Rhythm, story: &mut Story) {
        let person = self.person(day, number);
        let mut random = Random::new(hash(&[self.seed, 3, day.cast_unsigned(), number.into()]));
        story.key = day.cast_unsigned() << 40 | u64::from(number) << 8;
        story.day = day;
        story.person = person;
        let line = person.country().line;
        story.line = &LINES[if random.chance(60) { (line + 1) % LINES.len() } else { line }];
        story.deployment = None;
        story.sessions.clear();
        story.messages.clear();

        let sends = number < self.sends(day);
        let hour = rhythm.hour(&person, sends, &mut random);
        let mut at = self.midnight(day) + i64::from(hour) * HOUR;
        let begins = |flow: &Flow| match flow.role {
            Role::Campaign | Role::Notice if sends => flow.weight,
            Role::Entry if !sends => flow.weight,
            _ => 0,
        };
        let flow = random.weighted(&FLOWS, begins);
        // A campaign goes out at the full hour.
        let seconds = if FLOWS[flow].role == Role::Campaign { 720 } else { 3600 };
        at += i64::from(random.below(seconds)) * SECOND;
        // No two of a day's first million episodes begin at one instant of a second, so no two
        // deployments have one key.
        at += (i64::from(number) * 397_681 + 511_000) % SECOND;

        let mut telling = Telling { story, random, day, limit: at + REACH };
        if sends { telling.send(flow, at) } else { telling.visit(flow, at) }
    }
}

/// How many sessions one episode has at most.
const LONGEST_CHAIN: usize = 4;

/// An episode while it is being told.
struct Telling<'s> {
    story: &'s mut Story,
    random: Random,
    day: i64,
    /// Nothing begins later.
    limit: i64,
}

impl Telling<'_> {
    fn said(&self) -> &'static Said {
        said(self.story.person.country().language)
    }

    /// The version in use: the latest, or now and then the one before it.
    fn version(&mut self, flow: usize) -> u32 {
        let latest = latest_version(flow, self.day);
        if latest > 1 && self.random.chance(120) { latest - 1 } else { latest }
    }

    fn send(&mut self, place: usize, at: i64) {
        let flow = &FLOWS[place];
        let version = self.version(place);
        let outcome = self.outcome(at);
        let mut responded = None;
        if let Outcome::Delivered(delivered) = outcome {
            // Later versions are answered more often; some persons always answer more.
            let inclined = u32::try_from(self.story.person.nature >> 40 & 0xff).unwrap_or(0);
            let reply = flow.reply + 18 * (version - 1) + inclined;
            if self.random.chance(reply.saturating_sub(128)) {
                let response = delivered + self.reply_time();
                responded = (response < self.limit).then_some(response);
            }
        }
        self.story.deployment = Some(Deployment { at, flow, version, outcome, responded });
        self.template(place, at, outcome, responded);
        if let Outcome::Delivered(delivered) = outcome {
            self.talk(place, version, delivered, responded, Origin::Nothing);
        }
    }

    fn outcome(&mut self, at: i64) -> Outcome {
        let has_blocked = self.story.person.nature & 0xff < 9;
        if has_blocked {
            return Outcome::Failed(BLOCKED);
        }
        match self.random.below(1000) {
            0..685 => {
                let latency = match self.random.below(100) {
                    0..80 => self.random.between(4 * SECOND, 70 * SECOND),
                    80..95 => self.random.between(MINUTE, 30 * MINUTE),
                    _ => self.random.between(30 * MINUTE, 6 * HOUR),
                };
                Outcome::Delivered(at + latency)
            }
            685..915 => Outcome::Failed(self.random.weighted(&FAILURES, |(_, weight, _)| *weight)),
            915..975 => Outcome::Success,
            _ => Outcome::InProcess,
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

    /// The message that a send is made of, where WhatsApp was asked at all.
    fn template(&mut self, place: usize, at: i64, outcome: Outcome, responded: Option<i64>) {
        let created = at + self.random.between(40_000, 900_000);
        let after = created + self.random.between(200_000, 2_500_000);
        let text = self.said().template[place];
        let mut message = Message {
            kind: Kind::Template,
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
            Outcome::InProcess => message.sent = None,
            Outcome::Success => {}
            Outcome::Delivered(delivered) => {
                message.delivered = Some(delivered);
                message.seen = match responded {
                    Some(responded) => Some(self.random.between(delivered, responded)),
                    None if self.random.chance(520) => {
                        Some(delivered + self.random.between(2 * SECOND, 5 * HOUR))
                    }
                    None => None,
                };
            }
            Outcome::Failed(failure) => {
                let (_, _, Some(reason)) = FAILURES[failure] else { return };
                message.reason = Some(reason);
                message.failed = Some(after);
                message.sent = None;
            }
        }
        self.story.messages.push(message);
    }

    fn visit(&mut self, place: usize, at: i64) {
        let version = self.version(place);
        let origin = match place {
            FROM_META => {
                let [one, other] = [0; 2].map(|_| self.random.index(SOURCES.len()));
                Origin::Meta(one.min(other))
            }
            FROM_LINK => Origin::Link(self.random.index(LINKS.len())),
            _ if self.random.chance(70) => Origin::Meta(self.random.index(SOURCES.len())),
            _ => Origin::Nothing,
        };
        self.talk(place, version, at, Some(at), origin);
    }

    /// The sessions of an episode, each redirected to the next.
    fn talk(
        &mut self,
        mut place: usize,
        mut version: u32,
        mut start: i64,
        mut first: Option<i64>,
        mut origin: Origin,
    ) {
        for depth in 1..=LONGEST_CHAIN {
            let flow = &FLOWS[place];
            let mut session = Session {
                start,
                finish: None,
                status: Status::Bot,
                flow,
                version,
                first: None,
                last: None,
                node: 0,
                origin,
            };
            let Some(first_at) = first else {
                session.finish = self.close(flow, start);
                self.story.sessions.push(session);
                return;
            };
            // Each version loses fewer people at each node.
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
                session.status =
                    if self.random.chance(260) { Status::Rating } else { Status::Agents };
                (!self.random.chance(90)).then(|| last + self.random.between(MINUTE, 2 * HOUR))
            } else if completed {
                Some(next)
            } else {
                self.close(flow, last)
            };
            self.story.sessions.push(session);
            if !redirects {
                return;
            }

            place = self.random.one_of(flow.redirects);
            version = self.version(place);
            start = next;
            origin = Origin::Nothing;
            let goes_on = self.random.chance(FLOWS[place].reply);
            let writes = start + self.random.between(4 * SECOND, 6 * MINUTE);
            first = (goes_on && writes < self.limit).then_some(writes);
        }
    }

    /// When a session ends that was left: after some silence, or when something else overwrites
    /// it, or never.
    fn close(&mut self, flow: &Flow, silent_since: i64) -> Option<i64> {
        match flow.closes_after {
            _ if self.random.chance(40) => None,
            Some(minutes) => Some(silent_since + minutes * MINUTE),
            None if self.random.chance(150) => None,
            None => Some(silent_since + self.random.between(6 * HOUR, 6 * DAY)),
        }
    }

    /// What is written in a session: the person's messages and the answers to them.
    fn exchange(&mut self, session: &mut Session, first_at: i64, turns: usize, agent: bool) {
        let said = self.said();
        let mut at = first_at;
        for turn in 0..turns {
            let format = match self.random.below(100) {
                0..84 => "text",
                84..91 => "image",
                91..96 => "media",
                96..98 => "location",
                _ => "contact",
            };
            let text = if format == "text" { self.random.one_of(said.person) } else { "" };
            let written = Written { at, text };
            session.first.get_or_insert(written);
            session.last = Some(written);
            self.story.messages.push(Message {
                kind: Kind::Incoming,
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
                    let lines = if by_agent { said.agent } else { said.bot };
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
            kind: Kind::Outgoing,
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
            // Read at once: the report may then lack the delivery.
            30..32 => message.delivered = None,
            _ => {}
        }
        self.story.messages.push(message);
    }
}
