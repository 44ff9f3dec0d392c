//! Who waits for an answer?
//!
//! One row per half-hour, or other bucket of `--by`, in which somebody began to wait or at whose start somebody
//! waited. What is counted are episodes: the messages that a person writes on a line, without an answer between
//! them, each at most `--give-up-hours` after the one before. An episode opens at its first message. It is
//! answered by the next answer, if that comes at most so many hours after its last message; else nobody waits
//! any more once these have passed.
//!
//! ```text
//! --give-up-hours 1         09:00           09:30           10:00           10:30           11:00
//! writes 09:10                 ●───────────────────────○ 09:50
//! writes 09:20 and 09:25         ●──●─────────────────────────────○ 10:20
//! writes 09:55                                        ●──────────────────────────────┤ 10:55, unanswered
//! started                   2               1               0               0
//! waiting at the start      0               2               2               1               0
//! ```
//!
//! Answers are outgoing messages that did not fail and are no templates; with `--answers any`, templates answer,
//! too. Reactions are no messages, and messages of nobody are left out. An episode is unanswered once the hours
//! have passed by the latest message of the lake; until then it is neither.
//!
//! Filters and dimensions are those of the message that opens an episode. Episodes count as started in the range
//! only, and wait at the start of every bucket that shares a day with the range, whenever they began. There is no
//! bucket after the latest message of the lake. Without a dimension of time, `--by` splits by half-hour.

use clap::ValueEnum;
use wabalake_data::tables::messages::{
    self, COUNTRY, CREATED_AT, LINE, MESSAGE_TYPE, USER_PHONE, WHATSAPP_ID,
};
use wabalake_data::tables::{USER_KEY, audience_tags, instant};
use wabalake_data::{Invalid, Table};

use crate::kernels::dictionary::number;
use crate::kernels::episodes::{CLOSED, IS_ANSWERED, LATEST, episodes};
use crate::kernels::gaps::By;
use crate::kernels::groups::Groups;
use crate::kernels::latest::may_be_latest;
use crate::kernels::waiting::{self, waiting};
use crate::query::numbers::whole;
use crate::query::prelude::*;
use crate::query::time::{Clock, HOUR};
use crate::query::usage::misfit;
use crate::query::words::Word;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct Waiting;

impl Filtered for Waiting {
    const TABLE: &'static Table = &messages::TABLE;
    const FILTERS: &'static [Filter] = &[Filter::COUNTRY, Filter::LINE, Filter::TAG];
}

impl Grouped for Waiting {
    const TIMES: &'static [Dimension] = Dimension::TIMES;
    const TAKES: &'static [Dimension] = &[Dimension::Line, Dimension::Country, Dimension::Tag];
    const DEFAULT: &'static [Dimension] = &[Dimension::HalfHour];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<Waiting>,
    #[command(flatten)]
    by: Dimensions<Waiting>,

    /// Hours after a person's last message after which an answer no longer counts
    #[arg(
        long,
        value_name = "HOURS",
        default_value_t = 24,
        value_parser = whole::<i64>(1..=24 * 36_500)
    )]
    give_up_hours: i64,

    /// Which messages answer
    #[arg(long, value_enum, default_value_t = Answers::Service, value_parser = Word::of::<Answers>())]
    answers: Answers,
}

/// Which outgoing messages answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Answers {
    /// Those that are no templates
    Service,
    /// Templates too
    Any,
}

/// Episodes that are open at the start of the bucket.
pub const WAITING: &str = "waiting";
/// Episodes that began in the bucket.
pub const STARTED: &str = "started";
/// Those of `started` that were answered.
pub const ANSWERED: &str = "answered";
/// Those of `started` that were not answered in time.
pub const UNANSWERED: &str = "unanswered";
/// Median time from the first message of an answered episode to the answer.
pub const MEDIAN_WAIT_SECONDS: &str = "median_wait_seconds";
/// 90th percentile of that time.
pub const P90_WAIT_SECONDS: &str = "p90_wait_seconds";

const IS_INCOMING: &str = "is_incoming";
/// `true` for a message that passes the filters.
const PASSES: &str = "passes";
/// The time of an answered episode in microseconds.
const WAIT: &str = "wait";
/// The last bucket that began before an episode, and the last at whose start it is open.
const AFTER: &str = "after_bucket";
const UNTIL: &str = "until_bucket";
/// The number of an episode's group, times aside.
const GROUP: &str = "waiting_group";

impl Query for Waiting {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "waiting",
        title: "People who wait for an answer",
        question: "Who waits for an answer? People who wrote on a line and were not answered yet, at \
                   the start of each bucket; those who began to wait in it; and how long it took \
                   until they were answered.",
        reads: &[&messages::TABLE, &audience_tags::TABLE],
        // An episode may begin before the range and end after it.
        range: Range::History,
        columns: &[
            OutputColumn::count(WAITING),
            OutputColumn::count(STARTED),
            OutputColumn::count(ANSWERED),
            OutputColumn::count(UNANSWERED),
            OutputColumn::seconds(MEDIAN_WAIT_SECONDS),
            OutputColumn::seconds(P90_WAIT_SECONDS),
        ],
        key: &[],
        order: &[],
        example: &["--from", "2025-06-02", "--to", "2025-06-02", "--by", "hour,line"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &messages::TABLE,
        cells: &[],
        counts: &[STARTED, ANSWERED, UNANSWERED],
        id: &[WHATSAPP_ID],
        rows: |tables, params| {
            let episodes = opened(tables, params, &[USER_PHONE, WHATSAPP_ID]);
            Ok(episodes.filter(params.in_range()).with_columns([
                lit(true).alias(STARTED),
                col(IS_ANSWERED).alias(ANSWERED),
                is_given_up().alias(UNANSWERED),
            ]))
        },
        sql: include_str!("people.sql"),
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        match params.clocks().len() {
            0 => params.by.put_first(Dimension::HalfHour),
            1 => {}
            _ => {
                let what = "`--by` has several dimensions of time";
                let hint = "name one of half-hour, hour, day, week and month";
                return Err(misfit(Invalid::new(what).hint(hint)));
            }
        }
        params.days.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters, &params.by])
    }

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.by.columns()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let (bucket, clock) = params.bucket();
        let zone = params.days.timezone();
        let keys = params.keys();
        let micros = |stamp: &str| col(stamp).cast(DataType::Int64);
        let bucket_of = |at: Expr| clock.start(at.cast(instant()), zone).cast(DataType::Int64);
        let last = bucket_of(col(CLOSED) - lit(1_i64));
        let newest = bucket_of(col(LATEST));
        let until = when(last.clone().lt(newest.clone())).then(last).otherwise(newest);
        let in_range = || params.in_range();
        let wait = when(in_range().and(col(IS_ANSWERED)))
            .then(col(CLOSED) - micros(CREATED_AT))
            .otherwise(lit(Null {}));
        let columns = [
            in_range().alias(STARTED),
            in_range().and(col(IS_ANSWERED)).alias(ANSWERED),
            in_range().and(is_given_up()).alias(UNANSWERED),
            wait.alias(WAIT),
            bucket_of(micros(CREATED_AT) - lit(1_i64)).alias(AFTER),
            until.alias(UNTIL),
            number(&keys.iter().map(|key| col(*key)).collect::<Vec<_>>()).alias(GROUP),
        ];
        let episodes = opened(tables, params, &[]);
        let episodes = episodes.select([&params.by.names()[..], &columns].concat());
        let buckets = waiting(
            episodes,
            waiting::Waiting {
                group: GROUP,
                keys,
                after: AFTER,
                until: UNTIL,
                bucket,
                clock,
                zone,
                named: WAITING,
            },
        );
        let is_waited_in = col(WAITING).gt(lit(0));
        let is_waited_in = match shares_a_day(params, bucket, clock) {
            Some(shares_a_day) => is_waited_in.and(shares_a_day),
            None => is_waited_in,
        };
        let counted = buckets.filter(col(STARTED).fill_null(lit(false)).or(is_waited_in));
        Ok(Groups::of(counted, params.by.names())
            .quantiles_seconds(WAIT, [(MEDIAN_WAIT_SECONDS, 0.5), (P90_WAIT_SECONDS, 0.9)])
            .agg([
                col(WAITING).sum(),
                rows_where(col(STARTED)).alias(STARTED),
                rows_where(col(ANSWERED)).alias(ANSWERED),
                rows_where(col(UNANSWERED)).alias(UNANSWERED),
            ]))
    }

    fn bind(params: &Params) -> Bindings {
        let (bucket, clock) = params.bucket();
        let met = params.by.columns().into_iter().map(|column| match column.name {
            name if name == bucket => format!("bucket AS {name}"),
            name => name.to_owned(),
        });
        let met: Vec<String> = met.collect();
        let bindings = params.by.bind(params.days.bind(Bindings::new()));
        let bindings = params
            .filters
            .bind_relation(bindings, "episodes", &messages::TABLE)
            .integer("give_up_hours", params.give_up_hours)
            .word("answers", params.answers)
            .slot("bucket_of_tick", clock.start_sql("tick"))
            .slot("met_columns", met.join(",\n        "));
        let asked = bindings.fill_slots(include_str!("asked.sql").trim_end());
        bindings.slot("asked", asked)
    }
}

impl Params {
    /// The dimensions of time with their clocks.
    fn clocks(&self) -> Vec<(Dimension, Clock)> {
        let timed = |dimension: &Dimension| Some((*dimension, dimension.clock()?));
        self.by.asked().iter().filter_map(timed).collect()
    }

    /// The column of the bucket, and its clock.
    fn bucket(&self) -> (&'static str, Clock) {
        let timed = self.clocks().first().copied();
        let (dimension, clock) = timed.unwrap_or((Dimension::HalfHour, Clock::HalfHour));
        (dimension.columns()[0].name, clock)
    }

    /// The columns of the other dimensions.
    fn keys(&self) -> Vec<&'static str> {
        let (bucket, _) = self.bucket();
        let names = self.by.columns().into_iter().map(|column| column.name);
        names.filter(|name| *name != bucket).collect()
    }

    /// Predicate: an episode opens in the range.
    fn in_range(&self) -> Expr {
        self.days.holds_instant(&col(CREATED_AT)).unwrap_or(lit(true))
    }

    /// Predicate: a message is one of a known person who waits, or one that answers.
    fn counts(&self) -> Expr {
        let is_answer = match self.answers {
            Answers::Service => outgoing().and(col(MESSAGE_TYPE).eq(lit("outgoing"))),
            Answers::Any => outgoing(),
        };
        let is_answer = is_answer.and(message_failed().not());
        col(USER_KEY).is_not_null().and(incoming_message().or(is_answer))
    }
}

/// The episodes whose first message passes the filters, with that message's time, its dimensions and `others` of
/// its columns, and what [`episodes`] finds.
fn opened(tables: &Tables, params: &Params, others: &[&'static str]) -> LazyFrame {
    const BY: By = By { person: USER_KEY, line: LINE, at: CREATED_AT, id: WHATSAPP_ID };
    const MADE: [&str; 5] = [USER_KEY, LINE, CREATED_AT, WHATSAPP_ID, PASSES];
    let mut brought = vec![CREATED_AT, PASSES];
    brought.extend(params.by.asked().iter().filter_map(|dimension| match dimension {
        Dimension::Country => Some(COUNTRY),
        Dimension::Line => Some(LINE),
        Dimension::Tag => Some(USER_KEY),
        _ => None,
    }));
    for other in others {
        if !brought.contains(other) {
            brought.push(other);
        }
    }
    // The latest message of the lake may be one that does not count.
    let read = params.counts().or(may_be_latest(col(MESSAGE_TYPE), col(CREATED_AT)));
    let messages = tables.scan(&messages::TABLE).filter(read);
    let (messages, passes) = params.filters.marked(messages, tables);
    let person = when(params.counts()).then(col(USER_KEY)).otherwise(lit(Null {}));
    let made = [
        person.alias(USER_KEY),
        col(LINE),
        col(CREATED_AT),
        col(WHATSAPP_ID),
        outgoing().not().alias(IS_INCOMING),
        passes.alias(PASSES),
    ];
    let as_stored = brought.iter().filter(|name| !MADE.contains(*name)).map(|name| col(*name));
    let messages = messages.select(made.into_iter().chain(as_stored).collect::<Vec<_>>());
    let episodes = episodes(messages, BY, IS_INCOMING, params.give_up_hours * HOUR, brought);
    params.by.split(episodes.filter(col(PASSES)), tables, params.days.timezone())
}

/// Predicate: nobody answered an episode, and by the latest message of the lake it is too late.
fn is_given_up() -> Expr {
    col(IS_ANSWERED).not().and(col(CLOSED).lt_eq(col(LATEST)))
}

/// Predicate: a bucket shares a day with the range. `None` if every bucket does.
fn shares_a_day(params: &Params, bucket: &str, clock: Clock) -> Option<Expr> {
    let date = |days: Expr| days.cast(DataType::Int32).cast(DataType::Date);
    let before = |date: Expr| date.cast(DataType::Int32) - lit(1);
    let (first, last) = match clock {
        Clock::HalfHour | Clock::Hour => {
            let day = Clock::Day.start(col(bucket), params.days.timezone());
            (day.clone(), day)
        }
        Clock::Day => (col(bucket), col(bucket)),
        Clock::Week => (col(bucket), date(col(bucket).cast(DataType::Int32) + lit(6))),
        Clock::Month => (col(bucket), date(before(col(bucket).dt().offset_by(lit("1mo"))))),
    };
    params.days.meets(&first, &last)
}
