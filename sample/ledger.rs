//! The vendors' counts and costs: the figures of Kaleyra's summaries and of Meta's API, computed from
//! the same episodes as the messages.
//!
//! | figure | counts |
//! |---|---|
//! | messages | by day of creation; a message that was read counts as delivered, a delivered one as sent |
//! | conversations | by day of the first message; the first thousand of an account and month are free, and so are those from an ad |
//! | volume | delivered outgoing messages, the unit of pricing since July 2025 |
//!
//! Days are in UTC. The units of a month are counted from its first day, or from the plan's first
//! day, since earlier days are in no export.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use chrono::{Datelike, NaiveDate};

use super::Plan;
use super::company::LINES;
use super::episode::{DAY, Episode, Id, MessageKind};
use super::people::{COUNTRIES, Rhythm};
use super::rate_card;
use super::rows::conversation_type;
use wabalake_data::reference::countries;

/// The number of free conversations per account and month.
const FREE: u32 = 1000;

/// A line and a country, by index in [`LINES`] and [`COUNTRIES`].
pub(super) type Route = (usize, usize);

/// Counts of messages by status.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Messages {
    pub(super) created: u64,
    pub(super) failed: u64,
    pub(super) sent: u64,
    pub(super) delivered: u64,
    pub(super) read: u64,
    pub(super) received: u64,
}

/// A count of units and their cost; the cost is `None` if a unit has no price.
#[derive(Clone, Copy, Debug)]
pub(super) struct Charge {
    pub(super) count: u64,
    pub(super) millionths: Option<i64>,
}

impl Charge {
    fn add(&mut self, millionths: Option<i64>) {
        self.count += 1;
        self.millionths = self.millionths.zip(millionths).map(|(sum, more)| sum + more);
    }
}

impl Default for Charge {
    fn default() -> Self {
        Self { count: 0, millionths: Some(0) }
    }
}

/// The key of a volume: route, pricing category, pricing type, tier.
pub(super) type Priced = (Route, &'static str, &'static str, String);

/// The figures of a date range.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// By day, route and message type.
    pub(super) messages: BTreeMap<(i64, Route, &'static str), Messages>,
    /// By day, account and template.
    pub(super) templates: BTreeMap<(i64, &'static str, &'static str), Messages>,
    /// By day, route, conversation type and free tier.
    pub(super) conversations: BTreeMap<(i64, Route, &'static str, bool), Charge>,
    /// By day.
    pub(super) volumes: BTreeMap<(i64, Priced), Charge>,
}

/// The first message of a conversation.
struct Conversation {
    at: i64,
    id: [u64; 2],
    route: Route,
    of: &'static str,
}

/// A delivered message that went out.
struct Delivered {
    at: i64,
    id: [u64; 2],
    route: Route,
    person: Vec<u8>,
    of: &'static str,
    is_template: bool,
}

/// The units of one day, which must be sorted before they can be priced.
#[derive(Default)]
struct Unordered {
    conversations: Vec<Conversation>,
    delivered: Vec<Delivered>,
}

/// Counters of the units of a month, for tiers and the free tier.
#[derive(Default)]
struct Month {
    of: [u32; 2],
    /// Conversations by account.
    free: HashMap<&'static str, u32>,
    /// By country and category.
    conversations: HashMap<(&'static str, &'static str), i64>,
    messages: HashMap<(&'static str, &'static str), i64>,
}

impl Month {
    /// Resets the counters when a new month starts.
    fn start(&mut self, date: NaiveDate) {
        let of = [date.year().unsigned_abs(), date.month()];
        if self.of != of {
            *self = Self { of, ..Self::default() };
        }
    }
}

impl Ledger {
    /// Computes the figures of a date range, as they were known at an instant.
    pub(super) fn of(plan: &Plan, days: &Range<i64>, horizon: i64) -> Self {
        let mut ledger = Self::default();
        let generator = plan.generator();
        let midnight = |day| generator.midnight(day);
        let first = days.start - first_of_month(plan, days.start);
        let mut waiting: BTreeMap<i64, Unordered> = BTreeMap::new();
        // When people wrote to lines that are billed by category.
        let mut wrote: HashMap<(usize, Vec<u8>), Vec<i64>> = HashMap::new();
        let mut month = Month::default();
        let mut episode = generator.blank();
        let rhythms = Rhythm::of_week();
        for day in (first - 1).max(0)..days.end {
            for number in 0..generator.episodes(day) {
                generator.generate(day, number, &rhythms, &mut episode);
                let route = route_of(&episode);
                for (index, message) in episode.messages.iter().enumerate() {
                    if message.at >= horizon {
                        continue;
                    }
                    let on = (message.at - midnight(0)).div_euclid(DAY);
                    let of = conversation_type(&episode);
                    let known = |at: Option<i64>| at.is_some_and(|at| at < horizon);
                    let was_read = known(message.seen);
                    let arrived = known(message.delivered) || was_read;
                    let was_sent = known(message.sent) || arrived;
                    let failed = known(message.failed) && !arrived;
                    let incoming = message.kind == MessageKind::Incoming;
                    if days.contains(&on) {
                        let count = |messages: &mut Messages| {
                            messages.created += u64::from(!incoming);
                            messages.failed += u64::from(failed && !incoming);
                            messages.sent += u64::from(was_sent && !incoming);
                            messages.delivered += u64::from(arrived && !incoming);
                            messages.read += u64::from(was_read && !incoming);
                            messages.received += u64::from(incoming);
                        };
                        let kind = message_type(message.kind);
                        count(ledger.messages.entry((on, route, kind)).or_default());
                        if let (MessageKind::Template, Some(sent)) =
                            (message.kind, &episode.deployment)
                        {
                            let key = (on, episode.line.waba, sent.flow.template);
                            count(ledger.templates.entry(key).or_default());
                        }
                    }
                    let unordered = waiting.entry(on).or_default();
                    let starts = index == 0 && (incoming || message.sent.is_some());
                    if starts {
                        let id = episode.id(Id::Conversation);
                        let conversation = Conversation { at: message.at, id, route, of };
                        unordered.conversations.push(conversation);
                    }
                    if incoming && episode.line.by_category {
                        wrote.entry((route.0, person(&episode))).or_default().push(message.at);
                    }
                    if arrived && !incoming {
                        unordered.delivered.push(Delivered {
                            at: message.at,
                            id: episode.id(Id::Message(index)),
                            route,
                            person: if episode.line.by_category {
                                person(&episode)
                            } else {
                                Vec::new()
                            },
                            of,
                            is_template: message.kind == MessageKind::Template,
                        });
                    }
                }
            }
            // Episodes of later days start later, so this day is complete.
            let Some(unordered) = waiting.remove(&day) else { continue };
            month.start(plan.date(day).unwrap_or_default());
            ledger.charge(plan, days, day, unordered, &mut month, &wrote);
            let since = midnight(day) - DAY;
            wrote.retain(|_, times| {
                times.retain(|at| *at > since);
                !times.is_empty()
            });
        }
        ledger
    }

    /// Prices the units of a day in chronological order.
    fn charge(
        &mut self,
        plan: &Plan,
        days: &Range<i64>,
        day: i64,
        mut unordered: Unordered,
        month: &mut Month,
        wrote: &HashMap<(usize, Vec<u8>), Vec<i64>>,
    ) {
        let date = plan.date(day).unwrap_or_default();
        let counts = days.contains(&day);
        unordered.conversations.sort_unstable_by_key(|one| (one.at, one.id));
        for Conversation { route, of, .. } in unordered.conversations {
            let is_referral = of == "referral_conversion";
            let number = month.free.entry(LINES[route.0].waba).or_default();
            *number += u32::from(!is_referral);
            let is_free = !is_referral && *number <= FREE;
            let millionths = if is_free || is_referral {
                Some(0)
            } else {
                let country = alpha_2(route);
                let n = month.conversations.entry((country, of)).or_default();
                *n += 1;
                rate_card::price(date, country, of, *n).map(|rate| rate.price)
            };
            if counts {
                let key = (day, route, of, is_free);
                self.conversations.entry(key).or_default().add(millionths);
            }
        }
        unordered.delivered.sort_unstable_by_key(|one| (one.at, one.id));
        for one in unordered.delivered {
            let priced = price(&one, date, month, wrote);
            if counts {
                let (category, of, rate) = priced;
                let tier = rate.map(rate_card::Rate::tier).unwrap_or_default();
                let millionths = match (of, rate) {
                    ("REGULAR", rate) => rate.map(|rate| rate.price),
                    _ => Some(0),
                };
                let key = (day, (one.route, category, of, tier));
                self.volumes.entry(key).or_default().add(millionths);
            }
        }
    }
}

/// The pricing category, pricing type and rate of a delivered message.
fn price(
    one: &Delivered,
    date: NaiveDate,
    month: &mut Month,
    wrote: &HashMap<(usize, Vec<u8>), Vec<i64>>,
) -> (&'static str, &'static str, Option<&'static rate_card::Rate>) {
    let (category, word) = match one.of {
        _ if !one.is_template => ("SERVICE", ""),
        "marketing" => ("MARKETING", "marketing"),
        "utility" => ("UTILITY", "utility"),
        "authentication" => ("AUTHENTICATION", "authentication"),
        _ => ("UNKNOWN", ""),
    };
    let answers = || {
        let times = wrote.get(&(one.route.0, one.person.clone()));
        times.is_some_and(|times| times.iter().any(|at| (one.at - DAY + 1..=one.at).contains(at)))
    };
    if one.of == "referral_conversion" {
        return (category, "FREE_ENTRY_POINT", None);
    }
    if category == "SERVICE" || category == "UTILITY" && answers() {
        return (category, "FREE_CUSTOMER_SERVICE", None);
    }
    let country = alpha_2(one.route);
    let n = month.messages.entry((country, word)).or_default();
    *n += 1;
    (category, "REGULAR", rate_card::price(date, country, word, *n))
}

/// The number of days of the plan in the same month before a day.
fn first_of_month(plan: &Plan, day: i64) -> i64 {
    let date = plan.date(day).unwrap_or_default();
    i64::from(date.day0()).min(day)
}

fn route_of(episode: &Episode) -> Route {
    let line = LINES.iter().position(|line| line.number == episode.line.number);
    let country = COUNTRIES.iter().position(|one| one.name == episode.person.country().name);
    (line.unwrap_or(0), country.unwrap_or(0))
}

fn person(episode: &Episode) -> Vec<u8> {
    [episode.person.country().code.as_bytes(), episode.person.national.digits()].concat()
}

/// The alpha-2 code of a route's country.
pub(super) fn alpha_2(route: Route) -> &'static str {
    countries::by_name(COUNTRIES[route.1].name).unwrap_or_default()
}

fn message_type(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::Incoming => "Incoming session message",
        MessageKind::Outgoing => "Outgoing session message",
        MessageKind::Template => "Template message",
    }
}
