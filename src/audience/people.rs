//! The plan of an audience: everybody whom the lake names, joined with the people of each condition.
//!
//! ```text
//! everybody   573005550101  573005550102  525555550123    whom sessions, deployments and others name
//!   │ join      sent in 30d: the first two     tag:vip: the second
//!   │ filter    sent in 30d and not tag:vip
//!   ▼
//! people      573005550101    and if they stopped marketing messages, and if they are lost
//! ```

use std::sync::Arc;

use chrono_tz::Tz;
use polars::prelude::*;
use wabalake_data::Table;
use wabalake_data::cells::phone::Phones;
use wabalake_data::tables::audience_tags::{self, SINCE, TAG};
use wabalake_data::tables::deployments::{
    self, CONVERSATION_ID, CONVERSATION_VERSION, DEPLOYMENT_TIMESTAMP, STATE,
    USER_RESPONDED_TIMESTAMP,
};
use wabalake_data::tables::events::{self, AT, EVENT, MARKETING_PREFERENCE, NEW_VALUE};
use wabalake_data::tables::messages::{self, SEEN_AT};
use wabalake_data::tables::sessions::{self, FIRST_MESSAGE_TIMESTAMP, LAST_MESSAGE_TIMESTAMP};
use wabalake_data::tables::{SESSION_KEY, USER_KEY, USER_PHONE, conversions};
use wabalake_queries::kernels::latest::may_be_latest;
use wabalake_queries::query::Tables;
use wabalake_queries::query::billing::entry_windows::Clicks;
use wabalake_queries::query::joins::look_up;
use wabalake_queries::query::measures::{delivery_is, incoming_message, outgoing};
use wabalake_queries::query::time::Span;

use super::rule::{Condition, Happening, Rule};
use crate::config::Alpha2;

/// The tables that name the people among whom a rule chooses.
const NAMING: [&Table; 5] = [
    &sessions::TABLE,
    &deployments::TABLE,
    &messages::TABLE,
    &conversions::TABLE,
    &audience_tags::TABLE,
];

/// The tables that a rule may read.
pub(super) const READS: [&Table; 6] = [
    &sessions::TABLE,
    &deployments::TABLE,
    &messages::TABLE,
    &conversions::TABLE,
    &audience_tags::TABLE,
    &events::TABLE,
];

/// `true` for a person who stopped marketing messages.
pub(super) const IS_STOPPED: &str = "is_stopped";
/// `true` for a person who could not be reached by the last deployment that tells.
pub(super) const IS_LOST: &str = "is_lost";

/// The value of a preference not to get marketing messages.
const STOP: &str = "stop";

/// The state of a deployment that reached the person.
const DELIVERED: &str = "delivered";

/// The states of deployments that tell if a person can be reached.
const TELLING: [&str; 4] = [DELIVERED, "blocked_or_outdated", "excluded", "invalid_number"];

/// 24 hours, in microseconds: how long a message of a person can be answered.
const SERVICE_WINDOW: i64 = 24 * 3_600_000_000;

/// The people of a rule at an instant in microseconds: [`USER_PHONE`], [`IS_STOPPED`] and [`IS_LOST`], which
/// is `false` if the rule names lost people.
///
/// # Errors
/// Those of building a plan.
pub(super) fn plan(tables: &Tables, rule: &Rule, at: i64) -> PolarsResult<LazyFrame> {
    let mut plan = Plan { tables, at, people: everybody(tables)?, marks: 0 };
    let is_chosen = plan.predicate(rule)?;
    let is_stopped = plan.mark(plan.stopped());
    let is_lost = if rule.names_lost() { lit(false) } else { plan.mark(plan.lost()) };
    Ok(plan.people.filter(is_chosen).select([
        col(USER_PHONE),
        is_stopped.alias(IS_STOPPED),
        is_lost.alias(IS_LOST),
    ]))
}

/// The people whom the lake names, a row each: [`USER_KEY`] and [`USER_PHONE`].
fn everybody(tables: &Tables) -> PolarsResult<LazyFrame> {
    let named = NAMING.map(|table| {
        let rows = tables.scan(table).filter(col(USER_KEY).is_not_null());
        rows.select([col(USER_KEY), col(USER_PHONE)])
    });
    let all = concat(named, UnionArgs::default())?;
    Ok(all.group_by([col(USER_KEY)]).agg([col(USER_PHONE).first()]))
}

struct Plan<'t> {
    tables: &'t Tables,
    at: i64,
    /// Everybody, with a column for each condition so far: it is null for people who do not meet it.
    people: LazyFrame,
    marks: usize,
}

impl Plan<'_> {
    /// Predicate: a person meets a rule. Never null.
    fn predicate(&mut self, rule: &Rule) -> PolarsResult<Expr> {
        Ok(match rule {
            Rule::Is(condition) => self.condition(condition)?,
            Rule::Not(rule) => self.predicate(rule)?.not(),
            Rule::All(rules) => self.predicates(rules)?.into_iter().fold(lit(true), Expr::and),
            Rule::Any(rules) => self.predicates(rules)?.into_iter().fold(lit(false), Expr::or),
        })
    }

    fn predicates(&mut self, rules: &[Rule]) -> PolarsResult<Vec<Expr>> {
        rules.iter().map(|rule| self.predicate(rule)).collect()
    }

    /// Marks people. Predicate: a person is one of them.
    fn mark(&mut self, people: LazyFrame) -> Expr {
        let mark = format!("condition_{}", self.marks);
        self.marks += 1;
        let people = people
            .filter(col(USER_KEY).is_not_null())
            .select([col(USER_KEY)])
            .unique(None, UniqueKeepStrategy::Any)
            .with_column(lit(true).alias(mark.as_str()));
        let key = [col(USER_KEY)];
        self.people = self.people.clone().join(people, &key, &key, JoinArgs::new(JoinType::Left));
        col(mark).is_not_null()
    }

    /// Predicate: a person meets a condition.
    fn condition(&mut self, condition: &Condition) -> PolarsResult<Expr> {
        let people = match condition {
            Condition::Country(country) => return Ok(lives_in(country)),
            Condition::Happened(what, within) => self.happened(what, self.span(Some(*within)))?,
            Condition::Tag(tag) => {
                let holds = col(SINCE).is_null().or(in_span(self.span(None), SINCE));
                let has_tag = col(TAG).eq(lit(tag.as_str()));
                self.tables.scan(&audience_tags::TABLE).filter(has_tag.and(holds))
            }
            Condition::WindowOpen => {
                let written = self.written(self.span(Some(SERVICE_WINDOW)));
                concat(written, UnionArgs::default())?
            }
            Condition::Lost => self.lost(),
        };
        Ok(self.mark(people))
    }

    /// The time up to the instant: of that length, its start not included, or from the beginning.
    fn span(&self, length: Option<i64>) -> Span {
        let from = length.map(|length| self.at.saturating_sub(length).saturating_add(1));
        Span { from, until: Some(self.at.saturating_add(1)), timezone: Tz::UTC }
    }

    fn happened(&self, what: &Happening, span: Span) -> PolarsResult<LazyFrame> {
        let tables = self.tables;
        let sent = || span.scan(tables, &deployments::TABLE);
        let has_state = |state: &str| col(STATE).eq(lit(state));
        Ok(match what {
            Happening::Sent(filters) => filters.of(sent(), tables),
            Happening::Delivered(filters) => {
                filters.of(sent().filter(has_state(DELIVERED)), tables)
            }
            Happening::Failed(filters) => filters.of(sent().filter(delivery_is("Failed")), tables),
            Happening::Capped => sent().filter(has_state("frequency_capped")),
            Happening::Replied(filters) => {
                let rows = tables.scan(&deployments::TABLE);
                filters.of(rows.filter(in_span(span, USER_RESPONDED_TIMESTAMP)), tables)
            }
            Happening::Read(filters) => {
                let rows = tables.scan(&messages::TABLE);
                filters.of(rows.filter(outgoing().and(in_span(span, SEEN_AT))), tables)
            }
            Happening::Visited(filters) => filters.of(span.scan(tables, &sessions::TABLE), tables),
            Happening::ClickedAd(filters) => {
                let rows = tables.scan(&sessions::TABLE);
                let rows = rows.filter(in_span(span, FIRST_MESSAGE_TIMESTAMP));
                Clicks::Sessions.of(filters.of(rows, tables), &[])
            }
            Happening::Wrote => {
                let [in_sessions, incoming] = self.written(span);
                let answers = tables.scan(&deployments::TABLE);
                let answers = answers.filter(in_span(span, USER_RESPONDED_TIMESTAMP));
                let signs = [in_sessions, incoming, answers.select([col(USER_KEY)])];
                concat(signs, UnionArgs::default())?
            }
            Happening::Converted(event) => {
                const OF_SESSION: &str = "person_of_session";
                let converted = event.of(span.scan(tables, &conversions::TABLE));
                let converted = converted.select([col(SESSION_KEY), col(USER_KEY)]);
                let sessions = tables
                    .scan(&sessions::TABLE)
                    .select([col(SESSION_KEY), col(USER_KEY).alias(OF_SESSION)]);
                let person = coalesce(&[col(OF_SESSION), col(USER_KEY)]).alias(USER_KEY);
                look_up(converted, sessions, SESSION_KEY).select([person])
            }
        })
    }

    /// The people who wrote a message in a time: by sessions, and by messages. Reactions are none.
    fn written(&self, span: Span) -> [LazyFrame; 2] {
        let in_sessions = in_span(span, FIRST_MESSAGE_TIMESTAMP);
        let in_sessions = in_sessions.or(in_span(span, LAST_MESSAGE_TIMESTAMP));
        let incoming = span.scan(self.tables, &messages::TABLE).filter(incoming_message());
        [self.tables.scan(&sessions::TABLE).filter(in_sessions), incoming]
            .map(|rows| rows.select([col(USER_KEY)]))
    }

    /// The people whose latest preference is not to get marketing messages.
    fn stopped(&self) -> LazyFrame {
        let is_preference = col(EVENT).eq(lit(MARKETING_PREFERENCE));
        let latest_last = [col(AT), col(NEW_VALUE).eq_missing(lit(STOP))];
        let latest = col(NEW_VALUE).sort_by(latest_last, SortMultipleOptions::default()).last();
        self.span(None)
            .scan(self.tables, &events::TABLE)
            .filter(is_preference.and(col(USER_KEY).is_not_null()))
            .group_by([col(USER_KEY)])
            .agg([latest])
            .filter(col(NEW_VALUE).eq(lit(STOP)))
    }

    /// The people whose latest deployment that tells was not delivered.
    fn lost(&self) -> LazyFrame {
        let states = Series::new(STATE.into(), TELLING);
        let is_telling = col(STATE).is_in(lit(states).implode(true), false);
        let sent_at = || col(DEPLOYMENT_TIMESTAMP);
        // Filters may be joined into one, so a row that does not count must not be the latest here, either.
        let counts = is_telling.and(in_span(self.span(None), DEPLOYMENT_TIMESTAMP));
        let told_at = when(counts).then(sent_at()).otherwise(lit(NULL));
        let latest_last = [sent_at(), col(CONVERSATION_ID), col(CONVERSATION_VERSION)];
        let latest = col(STATE).sort_by(latest_last, SortMultipleOptions::default()).last();
        self.span(None)
            .scan(self.tables, &deployments::TABLE)
            .filter(col(USER_KEY).is_not_null().and(may_be_latest(col(USER_KEY), told_at)))
            .group_by([col(USER_KEY)])
            .agg([latest])
            .filter(col(STATE).neq(lit(DELIVERED)))
    }
}

/// Predicate: a stamp is set, and lies in a time.
fn in_span(span: Span, stamp: &str) -> Expr {
    let is_set = col(stamp).is_not_null();
    span.holds(&col(stamp)).into_iter().fold(is_set, Expr::and)
}

/// Predicate: the person's number, or user id, is of a country.
fn lives_in(country: Alpha2) -> Expr {
    let phones = Arc::new(Phones::default());
    col(USER_PHONE).map(
        move |people| {
            let is_there = |person: Option<&str>| {
                let person = phones.person(None, person);
                Some(person.and_then(|person| person.country) == Some(country))
            };
            let are_there: BooleanChunked = people.str()?.iter().map(is_there).collect();
            Ok(are_there.with_name(people.name().clone()).into_column())
        },
        |_, field| Ok(Field::new(field.name().clone(), DataType::Boolean)),
    )
}
