//! Episodes: a send to a person or a visit of a person, with everything that follows from it.
//!
//! ```text
//! send ─ delivered ─► session ─ redirected ─► session ─► …      deployments, sessions
//!   └─ template, answers, replies: one 24-hour conversation      messages
//! visit ────────────► session ─ …
//! ```
//!
//! An episode is a pure function of the plan's seed, its day and its number within the day. A person
//! who comes back is found by going back in time: the episode refers to an earlier one, which is that
//! person's first or refers to an earlier one still. So is a send that repeats one that Meta capped.
//!
//! Everything in an episode starts within 23 hours, so the rows of a day come from the episodes of
//! that day and the day before.

mod follow;
mod generator;

use super::company::{Flow, LINKS, Line, MetaSource, SOURCES};
use super::people::Person;
use super::random::{hash, mix};

pub(super) use generator::Generator;
#[cfg(test)]
pub(super) use generator::{DEPLOYMENTS_PER_THOUSAND, MESSAGES_PER_THOUSAND};

/// Microseconds.
pub(super) const SECOND: i64 = 1_000_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// A send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deployment {
    pub(super) at: i64,
    pub(super) flow: &'static Flow,
    pub(super) version: u32,
    pub(super) outcome: SendOutcome,
    pub(super) responded: Option<i64>,
}

/// The outcome of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SendOutcome {
    InProcess,
    /// Handed over; whether it was delivered is unknown.
    Success,
    /// Delivered at that instant.
    Delivered(i64),
    /// Failed, by index in [`FAILURES`](super::company::FAILURES).
    Failed(usize),
}

/// What led to a visit, by index in [`SOURCES`] or [`LINKS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VisitOrigin {
    Nothing,
    Meta(usize),
    Link(usize),
}

impl VisitOrigin {
    pub(super) fn source(self) -> Option<&'static MetaSource> {
        match self {
            Self::Meta(index) => Some(&SOURCES[index]),
            _ => None,
        }
    }

    pub(super) fn link(self) -> Option<[&'static str; 2]> {
        match self {
            Self::Link(index) => Some(LINKS[index]),
            _ => None,
        }
    }
}

/// A message that a person wrote in a session; media have no text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) at: i64,
    pub(super) text: &'static str,
}

/// Who handles a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionStatus {
    Bot,
    Agents,
    Rating,
}

/// A session. Its parent is the session before it in the episode.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    pub(super) start: i64,
    pub(super) finish: Option<i64>,
    pub(super) status: SessionStatus,
    pub(super) flow: &'static Flow,
    pub(super) version: u32,
    pub(super) first: Option<Written>,
    pub(super) last: Option<Written>,
    /// The last node that was reached, by index in the flow's nodes.
    pub(super) node: usize,
    pub(super) origin: VisitOrigin,
}

/// The direction of a message; templates apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageKind {
    Incoming,
    Outgoing,
    Template,
}

/// A message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    pub(super) kind: MessageKind,
    pub(super) at: i64,
    pub(super) sent: Option<i64>,
    pub(super) delivered: Option<i64>,
    pub(super) seen: Option<i64>,
    pub(super) failed: Option<i64>,
    pub(super) reason: Option<&'static str>,
    pub(super) format: &'static str,
    pub(super) text: &'static str,
}

/// An episode. The caller keeps it as a buffer for [`Generator::generate`], to avoid allocations.
#[derive(Debug)]
pub(super) struct Episode {
    /// Unique among the plan's episodes; its lowest byte is 0, for [`Id`].
    key: u64,
    salt: u64,
    pub(super) day: i64,
    pub(super) person: Person,
    pub(super) line: &'static Line,
    pub(super) deployment: Option<Deployment>,
    pub(super) sessions: Vec<Session>,
    pub(super) messages: Vec<Message>,
}

/// The thing that an id identifies, encoded in the lowest byte of the key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Id {
    /// The session at that index in the episode.
    Session(usize),
    /// The message at that index in the episode.
    Message(usize),
    /// The 24-hour conversation.
    Conversation,
    /// A session that was never exported.
    Elsewhere,
}

impl Episode {
    /// A 128-bit id, unique in the plan.
    pub(super) fn id(&self, of: Id) -> [u64; 2] {
        let index = |index: usize| u64::try_from(index).unwrap_or(0);
        let low = match of {
            Id::Session(at) => index(at),
            Id::Conversation => 16,
            Id::Elsewhere => 17,
            Id::Message(at) => 64 + index(at),
        };
        let first = mix((self.key | low) ^ self.salt);
        [first, mix(first ^ 0xa076_1d64_78bd_642f)]
    }

    /// Random bits for the spelling of the row with that id.
    pub(super) fn habit(&self, of: Id) -> u64 {
        mix(self.id(of)[1])
    }

    /// Random bits for a purpose of the generator that nothing else of the episode may depend on.
    fn whim(&self, purpose: u64) -> u64 {
        hash(&[self.salt, self.key, purpose])
    }

    /// Returns `true` if the person started the conversation.
    pub(super) fn is_visit(&self) -> bool {
        self.deployment.is_none()
    }
}
