//! What the vendors count of the days of a plan: the figures of Kaleyra's summaries and of Meta's
//! API, from the same episodes that the messages tell.
//!
//! | figure | counts |
//! |---|---|
//! | messages | each on the day it was created; one that was read was delivered, one delivered was sent |
//! | conversations | each on the day of its first message; the first thousand of an account and month are free, and those from an ad |
//! | volume | delivered messages that went out, as they are priced since July 2025 |
//!
//! Days are those of UTC. Months and prices count from the first of the month, or from the plan's
//! first day: what lies before it is in no export.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use chrono::{Datelike, NaiveDate};

use super::Plan;
use super::card;
use super::company::LINES;
use super::people::COUNTRIES;
use super::rows::conversation_type;
use super::story::{DAY, Id, Kind, Story};
use wabalake_data::reference::countries;

/// Free conversations of an account and month.
const FREE: u32 = 1000;

/// A line and a country, as places in their lists.
pub(super) type Route = (usize, usize);

/// What became of messages.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Messages {
    pub(super) created: u64,
    pub(super) failed: u64,
    pub(super) sent: u64,
    pub(super) delivered: u64,
    pub(super) read: u64,
    pub(super) received: u64,
}

/// How many there were of something, and what they cost; none where one of them has no price.
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

/// What makes messages one volume: the route, category, type and tier.
pub(super) type Priced = (Route, &'static str, &'static str, String);

/// The figures of some days.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// By day, route and message type.
    pub(super) messages: BTreeMap<(i64, Route, &'static str), Messages>,
    /// By day, account and template.
    pub(super) templates: BTreeMap<(i64, &'static str, &'static str), Messages>,
    /// By day, route, conversation type and whether they were free by number.
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

/// One day of what has to be put into order before it can be priced.
#[derive(Default)]
struct Unordered {
    conversations: Vec<Conversation>,
    delivered: Vec<Delivered>,
}

/// How many units of a month were counted.
#[derive(Default)]
struct Month {
    of: [u32; 2],
    /// By account.
    free: HashMap<&'static str, u32>,
    /// By country and category.
    conversations: HashMap<(&'static str, &'static str), i64>,
    messages: HashMap<(&'static str, &'static str), i64>,
}

impl Month {
    fn turn(&mut self, date: NaiveDate) {
        let of = [date.year().unsigned_abs(), date.month()];
        if self.of != of {
            *self = Self { of, ..Self::default() };
        }
    }
}

impl Ledger {
    /// The figures of some days, as they were known at that instant.
    pub(super) fn of(plan: &Plan, days: &Range<i64>, horizon: i64) -> Self {
        let mut ledger = Self::default();
        let teller = plan.teller();
        let midnight = |day| teller.midnight(day);
        let first = days.start - first_of_month(plan, days.start);
        let mut waiting: BTreeMap<i64, Unordered> = BTreeMap::new();
        // When persons last wrote to lines whose conversations go by category.
        let mut wrote: HashMap<(usize, Vec<u8>), Vec<i64>> = HashMap::new();
        let mut month = Month::default();
        let mut story = teller.blank();
        for day in (first - 1).max(0)..days.end {
            let rhythm = teller.rhythm(day);
            for episode in 0..teller.episodes(day) {
                teller.tell(day, episode, &rhythm, &mut story);
                let route = route_of(&story);
                for (place, message) in story.messages.iter().enumerate() {
                    if message.at >= horizon {
                        continue;
                    }
                    let on = (message.at - midnight(0)).div_euclid(DAY);
                    let of = conversation_type(&story);
                    let known = |at: Option<i64>| at.is_some_and(|at| at < horizon);
                    let was_read = known(message.seen);
                    let arrived = known(message.delivered) || was_read;
                    let was_sent = known(message.sent) || arrived;
                    let failed = known(message.failed) && !arrived;
                    let incoming = message.kind == Kind::Incoming;
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
                        if let (Kind::Template, Some(sent)) = (message.kind, &story.deployment) {
                            let key = (on, story.line.waba, sent.flow.template);
                            count(ledger.templates.entry(key).or_default());
                        }
                    }
                    let unordered = waiting.entry(on).or_default();
                    let begins = place == 0 && (incoming || message.sent.is_some());
                    if begins {
                        let id = story.id(Id::Conversation);
                        let conversation = Conversation { at: message.at, id, route, of };
                        unordered.conversations.push(conversation);
                    }
                    if incoming && story.line.by_category {
                        wrote.entry((route.0, person(&story))).or_default().push(message.at);
                    }
                    if arrived && !incoming {
                        unordered.delivered.push(Delivered {
                            at: message.at,
                            id: story.id(Id::Message(place)),
                            route,
                            person: if story.line.by_category {
                                person(&story)
                            } else {
                                Vec::new()
                            },
                            of,
                            is_template: message.kind == Kind::Template,
                        });
                    }
                }
            }
            // What later days tell lies later.
            let Some(unordered) = waiting.remove(&day) else { continue };
            month.turn(plan.date(day).unwrap_or_default());
            ledger.charge(plan, days, day, unordered, &mut month, &wrote);
            let since = midnight(day) - DAY;
            wrote.retain(|_, times| {
                times.retain(|at| *at > since);
                !times.is_empty()
            });
        }
        ledger
    }

    /// Prices what happened on a day, in its order.
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
                card::price(date, country, of, *n).map(|rate| rate.price)
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
                let tier = rate.map(card::Rate::tier).unwrap_or_default();
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

/// The category, the type and the price of a delivered message.
fn price(
    one: &Delivered,
    date: NaiveDate,
    month: &mut Month,
    wrote: &HashMap<(usize, Vec<u8>), Vec<i64>>,
) -> (&'static str, &'static str, Option<&'static card::Rate>) {
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
    (category, "REGULAR", card::price(date, country, word, *n))
}

/// How many days of the plan lie before that day in its month.
fn first_of_month(plan: &Plan, day: i64) -> i64 {
    let date = plan.date(day).unwrap_or_default();
    i64::from(date.day0()).min(day)
}

fn route_of(story: &Story) -> Route {
    let line = LINES.iter().position(|line| line.number == story.line.number);
    let country = COUNTRIES.iter().position(|one| one.name == story.person.country().name);
    (line.unwrap_or(0), country.unwrap_or(0))
}

fn person(story: &Story) -> Vec<u8> {
    [story.person.country().code.as_bytes(), story.person.national.digits()].concat()
}

/// The alpha-2 code of a route's country.
pub(super) fn alpha_2(route: Route) -> &'static str {
    countries::by_name(COUNTRIES[route.1].name).unwrap_or_default()
}

fn message_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Incoming => "Incoming session message",
        Kind::Outgoing => "Outgoing session message",
        Kind::Template => "Template message",
    }
}
