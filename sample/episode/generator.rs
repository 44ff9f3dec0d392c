//! The generator of episodes: when each starts, whose it is, and with which flow.
//!
//! The numbers of a day are those of its sends, then of its visits, then of possible repeats. A possible
//! repeat picks an earlier number, and has an episode only if that is a send that Meta capped. So no
//! state is kept, and no other episode depends on repeats.
//!
//! ```text
//! numbers of a day    sends … │ visits … │ possible repeats …
//!                                             │
//! a day before        sends … │ visits … │ …  │
//!                       ▲                     │
//!                       └─ capped? ───────────┘  the same person, line and flow again
//! ```

use super::follow::{LONGEST_CHAIN, follow, version};
use super::{DAY, Episode, HOUR, MINUTE, SECOND, SendOutcome};
use crate::company::{BLOCKED, CAPPED, FAILURES, FLOWS, FULL, Flow, LINES, Line, PAUSED, Role};
use crate::people::{Person, Rhythm};
use crate::random::{Random, hash, mix};
use crate::season;

/// Another version gives every row other values. What is added draws from random numbers of its own
/// instead, so that the rows that were there stay.
const VERSION: u64 = 1;

/// Sends for each thousand sessions, repeats apart.
pub(crate) const DEPLOYMENTS_PER_THOUSAND: u32 = 1000;

/// Messages for each thousand sessions, the result of the other numbers here and in `company`.
#[cfg(test)]
pub(crate) const MESSAGES_PER_THOUSAND: u32 = 2000;

/// Visits for each thousand sessions; the other sessions are delivered sends and redirections.
const VISITS_PER_THOUSAND: u32 = 200;

/// Possible repeats for each thousand sessions. One in thirty picks a send that was capped.
const REPEATS_PER_THOUSAND: u32 = 300;

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

/// The gap to the send that is repeated: weight per mille, shortest and longest, in days.
const REPEATED_AFTER: [(u32, i64, i64); 6] =
    [(300, 0, 0), (300, 1, 1), (160, 2, 2), (100, 3, 4), (100, 5, 7), (40, 8, 13)];

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

    /// The number of sends of a day, repeats apart. Theirs are the first numbers of its episodes.
    pub(crate) fn sends(&self, day: i64) -> u32 {
        self.per_day(day, DEPLOYMENTS_PER_THOUSAND)
    }

    /// The number of sends and visits of a day.
    pub(crate) fn sends_and_visits(&self, day: i64) -> u32 {
        self.sends(day) + self.per_day(day, VISITS_PER_THOUSAND)
    }

    fn possible_repeats(&self, day: i64) -> u32 {
        self.per_day(day, REPEATS_PER_THOUSAND)
    }

    /// The number of episodes that start on that day, the empty ones of possible repeats included.
    pub(crate) fn episodes(&self, day: i64) -> u32 {
        self.sends_and_visits(day) + self.possible_repeats(day)
    }

    fn per_day(&self, day: i64, per_thousand: u32) -> u32 {
        let share = u64::from(per_thousand) * u64::from(WEEK[self.weekday(day)]);
        let episodes = (u64::from(self.sessions_per_day) * share + 500_000) / 1_000_000;
        u32::try_from(episodes).unwrap_or(u32::MAX / 4)
    }

    /// The person of a send or a visit.
    pub(crate) fn person(&self, mut day: i64, mut number: u32) -> Person {
        loop {
            let key = [self.seed, 2, day.cast_unsigned(), u64::from(number)];
            let mut random = Random::new(hash(&key));
            if random.chance(1000 - RETURNS) {
                break;
            }
            let gap = draw_days(&GAPS, &mut random);
            day -= gap;
            let earlier = if gap == 0 { number } else { self.sends_and_visits(day) };
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

    /// Generates the episode with that number on that day into a buffer. That of a possible repeat is
    /// empty if what it picks was not capped.
    pub(crate) fn generate(
        &self,
        day: i64,
        number: u32,
        rhythms: &[Rhythm; 7],
        episode: &mut Episode,
    ) {
        episode.key = day.cast_unsigned() << 40 | u64::from(number) << 8;
        episode.day = day;
        episode.deployment = None;
        episode.sessions.clear();
        episode.messages.clear();
        if let Some(opening) = self.opening(day, number, rhythms) {
            episode.person = opening.person;
            episode.line = opening.line;
            follow(&opening, episode);
        }
    }

    /// The start of an episode; `None` for a possible repeat that repeats nothing.
    fn opening(&self, day: i64, number: u32, rhythms: &[Rhythm; 7]) -> Option<Opening> {
        if number >= self.sends_and_visits(day) {
            return self.repeat(day, number, rhythms);
        }
        let person = self.person(day, number);
        let mut random = self.random(day, number);
        let line = person.country().line;
        let line = &LINES[if random.chance(60) { (line + 1) % LINES.len() } else { line }];
        let sends = number < self.sends(day);
        let hour = rhythms[self.weekday(day)].hour(&person, sends, &mut random);
        let begins = |flow: &Flow| match flow.role {
            Role::Campaign | Role::Notice if sends => flow.weight,
            Role::Entry if !sends => flow.weight,
            _ => 0,
        };
        let flow = random.weighted(&FLOWS, begins);
        let within = within_hour(flow, number, &mut random);
        let at = self.midnight(day) + i64::from(hour) * HOUR + within;
        Some(Opening { day, person, line, flow, at, sends, capped_before: None, random })
    }

    /// The start of a send that repeats an earlier one, if Meta capped that.
    fn repeat(&self, day: i64, number: u32, rhythms: &[Rhythm; 7]) -> Option<Opening> {
        let mut random = self.random(day, number);
        let gap = draw_days(&REPEATED_AFTER, &mut random);
        let earlier = day - gap;
        let sends = self.sends(earlier);
        // What was sent before the plan's first day is in no export.
        if earlier < 0 || sends == 0 {
            return None;
        }
        // On its own day only a send, or it could pick itself.
        let repeats = if gap == 0 { 0 } else { self.possible_repeats(earlier) };
        let picked = random.below(sends + repeats);
        let picked =
            if picked < sends { picked } else { picked - sends + self.sends_and_visits(earlier) };
        let capped = self.opening(earlier, picked, rhythms).filter(Opening::is_capped)?;
        let hour = rhythms[self.weekday(day)].hour(&capped.person, true, &mut random);
        let within = within_hour(capped.flow, number, &mut random);
        let at = self.midnight(day) + i64::from(hour) * HOUR + within;
        let since = at - capped.at;
        (since > 0).then_some(Opening { day, at, capped_before: Some(since), random, ..capped })
    }

    /// The random numbers of an episode.
    fn random(&self, day: i64, number: u32) -> Random {
        Random::new(hash(&[self.seed, 3, day.cast_unsigned(), number.into()]))
    }
}

/// Draws a number of days by weight.
fn draw_days(gaps: &[(u32, i64, i64)], random: &mut Random) -> i64 {
    let (_, low, high) = gaps[random.weighted(gaps, |(weight, ..)| *weight)];
    low + i64::from(random.below(u32::try_from(high - low + 1).unwrap_or(1)))
}

/// The time of an episode's start within an hour.
fn within_hour(flow: usize, number: u32, random: &mut Random) -> i64 {
    // Campaigns are sent in the first minutes of an hour.
    let seconds = if FLOWS[flow].role == Role::Campaign { 720 } else { 3600 };
    let second = i64::from(random.below(seconds)) * SECOND;
    // The first million episodes of a day start at different fractions of a second, so that
    // deployments have different keys.
    second + (i64::from(number) * 397_681 + 511_000) % SECOND
}

/// The start of an episode.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) day: i64,
    pub(super) person: Person,
    pub(super) line: &'static Line,
    /// By index in [`FLOWS`].
    pub(super) flow: usize,
    pub(super) at: i64,
    /// `true` for a send, `false` for a visit.
    pub(super) sends: bool,
    /// The time since the capped send that this one repeats.
    pub(super) capped_before: Option<i64>,
    /// The random numbers of all that follows.
    pub(super) random: Random,
}

impl Opening {
    /// Draws the outcome of the send.
    pub(super) fn outcome(&self, random: &mut Random) -> SendOutcome {
        let has_blocked = self.person.nature & 0xff < 9;
        if has_blocked {
            return SendOutcome::Failed(BLOCKED);
        }
        // The longer ago Meta capped the person, the more often it delivers.
        let delivered = match self.capped_before.map(|since| since / HOUR) {
            None => 685,
            Some(..6) => 150,
            Some(6..12) => 260,
            Some(12..24) => 450,
            Some(24..48) => 640,
            Some(_) => 720,
        };
        let share = random.below(1000);
        if share < delivered {
            let latency = match random.below(100) {
                0..80 => random.between(4 * SECOND, 70 * SECOND),
                80..95 => random.between(MINUTE, 30 * MINUTE),
                _ => random.between(30 * MINUTE, 6 * HOUR),
            };
            if season::is_paused(self.flow, self.day) {
                return SendOutcome::Failed(PAUSED);
            }
            if season::is_full(self.line, self.day) && random.chance(450) {
                return SendOutcome::Failed(FULL);
            }
            return SendOutcome::Delivered(self.at + latency);
        }
        match (share, self.capped_before) {
            (..950, Some(_)) => SendOutcome::Failed(CAPPED),
            (..915, None) | (_, Some(_)) => {
                SendOutcome::Failed(random.weighted(&FAILURES, |(_, weight, _)| *weight))
            }
            (915..975, None) => SendOutcome::Success,
            _ => SendOutcome::InProcess,
        }
    }

    /// Returns `true` if Meta does not deliver the send, because the person gets too many.
    fn is_capped(&self) -> bool {
        let mut random = self.random.clone();
        // The version is drawn first.
        version(self.flow, self.day, &mut random);
        self.outcome(&mut random) == SendOutcome::Failed(CAPPED)
    }
}
