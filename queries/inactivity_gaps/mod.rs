//! How many replies would find their session closed for inactivity?
//!
//! One row per value of `--minutes`: the incoming messages that came more than that long after the
//! previous message. The previous message is the person's last one on the same line, incoming or
//! outgoing, anywhere in the lake; failed messages and people's reactions are ignored. Messages without a
//! person are left out; messages without a line form a line of their own. A person's first message on a line
//! is no reply.
//!
//! Filters and `--by` are of the reply; each group that has one has a row for each value. By tag, a reply
//! counts once under each tag of its person.
//!
//! Of a lake without messages `--of sessions` asks its sessions, whose start then counts for the range. A reply is
//! the first message of a session; the previous message is the latest first or last message that is not later, of
//! the person's sessions on that line that started earlier (of two at once, the one with the smaller id is
//! earlier). Replies within a session are not seen.
//!
//! ```text
//!                       start           first message            last message
//! an earlier session    ●───────────────○────────────────────────○
//! a session                                ●──────────○
//!                                       ├──── gap ────┤          the last message above is later
//! --closing age         ├────────────────── age ─────────────────┤
//! ```
//!
//! `--closing age` closes sessions so many minutes after their start: `replies_after` counts the sessions
//! whose last message came later than that, and `share_pct` is of the sessions that have a last message.

use clap::ValueEnum;
use polars::prelude::df;
use wabalake_data::tables::messages::{self, COUNTRY, CREATED_AT, LINE, WHATSAPP_ID};
use wabalake_data::tables::sessions::{
    self, FIRST_MESSAGE_TIMESTAMP, LAST_MESSAGE_TIMESTAMP, LINE_WHATSAPP_NUMBER, SESSION_ID,
    SESSION_STARTED_TIMESTAMP,
};
use wabalake_data::tables::{USER_KEY, USER_PHONE, audience_tags};
use wabalake_data::{Invalid, Table};

use crate::kernels::gaps::{self, GAP, LONGEST_BEFORE};
use crate::query::numbers::whole;
use crate::query::prelude::*;
use crate::query::usage::misfit;
use crate::query::words::Word;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct InactivityGaps;

impl Filtered for InactivityGaps {
    const TABLE: &'static Table = &messages::TABLE;
    const FILTERS: &'static [Filter] = &[Filter::COUNTRY, Filter::LINE, Filter::TAG];
}

impl Grouped for InactivityGaps {
    const TAKES: &'static [Dimension] = &[Dimension::Country, Dimension::Line, Dimension::Tag];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    range: DayRange,
    #[command(flatten)]
    filters: Filters<InactivityGaps>,
    #[command(flatten)]
    by: Dimensions<InactivityGaps>,

    /// Minutes without a message after which a session would be closed, separated by commas
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "30,60,1440",
        value_parser = whole::<i64>(0..=52_560_000)
    )]
    minutes: Vec<i64>,

    /// What replies are
    #[arg(long, value_enum, default_value_t = Of::Messages, value_parser = Word::of::<Of>())]
    of: Of,

    /// When a session is closed; age needs `--of sessions`
    #[arg(
        long,
        value_enum,
        default_value_t = Closing::Silence,
        value_parser = Word::of::<Closing>()
    )]
    closing: Closing,
}

/// The rows that are replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Of {
    /// Incoming messages
    Messages,
    /// The first messages of sessions
    Sessions,
}

/// When a session is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Closing {
    /// So long after a message
    Silence,
    /// So long after its start
    Age,
}

const MINUTE: i64 = 60_000_000;
const MINUTES: &str = "minutes";
const REPLIES_AFTER: &str = "replies_after";
const ASKED: &str = "asked";
const REPLIES: &str = "replies";

impl Query for InactivityGaps {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "inactivity-gaps",
        title: "Replies that automatic closing would miss",
        question: "How many replies would find their session closed for inactivity? Incoming \
                   messages that came more than so many minutes after the previous message of the \
                   same person on the same line, or, with `--of sessions`, first messages of \
                   sessions; shares are within the dimensions of `--by`.",
        reads: &[&messages::TABLE, &sessions::TABLE, &audience_tags::TABLE],
        // The previous message may be of any earlier day.
        range: Range::History,
        columns: &[
            OutputColumn::count(MINUTES),
            OutputColumn::count(REPLIES_AFTER),
            OutputColumn::pct("share_pct"),
            OutputColumn::count("users"),
        ],
        key: &[MINUTES],
        order: &[],
        example: &["--minutes", "15,30,60", "--from", "2025-06-01", "--to", "2025-06-30"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &messages::TABLE,
        cells: &[MINUTES],
        counts: &[REPLIES_AFTER],
        id: &[WHATSAPP_ID],
        rows: |tables, params| late(replies(tables, params, &OF_PEOPLE), params),
        sql: include_str!("people.sql"),
    });

    const BEHIND_RESHAPED: Option<Behind<Self>> = Some(Behind {
        table: &sessions::TABLE,
        cells: &[MINUTES],
        counts: &[REPLIES_AFTER],
        id: &[SESSION_ID],
        rows: |tables, params| {
            let late = late(of_sessions(tables, params, &OF_PEOPLE_IN_SESSIONS), params)?;
            Ok(late.with_column(col(CREATED_AT).alias(SESSION_STARTED_TIMESTAMP)))
        },
        sql: include_str!("people.sql"),
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        if (params.of, params.closing) == (Of::Messages, Closing::Age) {
            let what = "`--closing age` is about sessions";
            return Err(misfit(Invalid::new(what).hint("add `--of sessions`")));
        }
        params.range.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters, &params.by])
    }

    fn behind(params: &Params) -> Option<Behind<Self>> {
        match params.of {
            Of::Messages => Self::BEHIND,
            Of::Sessions => Self::BEHIND_RESHAPED,
        }
    }

    fn invalidation(params: &Params, table: &Table) -> Vec<Invalidation> {
        let matters = match table.name {
            messages::NAME => params.of == Of::Messages,
            sessions::NAME => params.of == Of::Sessions,
            _ => true,
        };
        matters.then_some(Invalidation::Answer).into_iter().collect()
    }

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.by.columns()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let minutes = params.minutes();
        let group = params.by.names();
        // What dimensions are made of.
        let brought: &'static [&'static str] = if group.is_empty() { &[] } else { &OF_DIMENSIONS };
        let replies = match params.of {
            Of::Messages => replies(tables, params, brought),
            Of::Sessions => of_sessions(tables, params, brought),
        };
        let counts = match (&group[..], params.closing) {
            ([], Closing::Silence) => counted(replies, &minutes),
            (group, _) => counted_by(replies, group, &minutes),
        };
        let for_each = |named: &str| {
            let of = |others, n: &i64| {
                when(col(MINUTES).eq(lit(*n))).then(col(format!("{named}_{n}"))).otherwise(others)
            };
            minutes.iter().fold(lit(0), of).alias(named)
        };
        Ok(counts
            .cross_join(df![MINUTES => &minutes]?.lazy(), None)
            .with_columns([for_each(REPLIES_AFTER), for_each("users")])
            .with_column(share_pct(col(REPLIES_AFTER), col(REPLIES)).alias("share_pct")))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.by.bind(params.range.bind(Bindings::new()));
        let bindings = bindings.list(MINUTES, &params.minutes());
        let (replied, id) = match (params.of, params.closing) {
            (Of::Messages, _) => (include_str!("messages.sql"), WHATSAPP_ID),
            (Of::Sessions, Closing::Silence) => (include_str!("sessions.sql"), SESSION_ID),
            (Of::Sessions, Closing::Age) => (include_str!("age.sql"), SESSION_ID),
        };
        params
            .filters
            .bind_relation(bindings, "in_turn", &messages::TABLE)
            .slot("replied", replied.trim_end().to_owned())
            .slot("id", id.to_owned())
    }
}

/// The number of replies, of those after more than `n` minutes in `replies_after_n`, and of their people in
/// `users_n`.
fn counted(replies: LazyFrame, minutes: &[i64]) -> LazyFrame {
    let mut counts = vec![rows().alias(REPLIES)];
    for n in minutes {
        // A person counts once, with the first gap that is so long.
        let is_first = is_longer(*n).and(col(LONGEST_BEFORE).lt_eq(lit(n * MINUTE)));
        counts.push(rows_where(is_longer(*n)).alias(format!("replies_after_{n}")));
        counts.push(rows_where(is_first).alias(format!("users_{n}")));
    }
    replies.select(counts)
}

/// [`counted`] for each group, without the longest gaps before; of all replies without dimensions.
fn counted_by(replies: LazyFrame, group: &[Expr], minutes: &[i64]) -> LazyFrame {
    // Of each person the longest gap.
    let mut of_people = vec![rows().alias(REPLIES), col(GAP).max()];
    let mut counts = vec![col(REPLIES).sum()];
    for n in minutes {
        let after = format!("replies_after_{n}");
        of_people.push(rows_where(is_longer(*n)).alias(&after));
        counts.push(col(&after).sum());
        counts.push(rows_where(is_longer(*n)).alias(format!("users_{n}")));
    }
    let people = replies.group_by([group, &[col(USER_KEY)]].concat()).agg(of_people);
    if group.is_empty() { people.select(counts) } else { people.group_by(group).agg(counts) }
}

/// Predicate: a gap is longer than so many minutes.
fn is_longer(minutes: i64) -> Expr {
    col(GAP).gt(lit(minutes * MINUTE))
}

/// The columns of replies that dimensions are made of, and those that people need, too.
const OF_DIMENSIONS: [&str; 4] = [USER_KEY, LINE, CREATED_AT, COUNTRY];
const OF_PEOPLE: [&str; 6] = [USER_KEY, LINE, CREATED_AT, COUNTRY, USER_PHONE, WHATSAPP_ID];
const OF_PEOPLE_IN_SESSIONS: [&str; 6] =
    [USER_KEY, LINE, CREATED_AT, COUNTRY, USER_PHONE, SESSION_ID];

/// Incoming messages that count and follow another message, with the gap before them and their dimensions.
fn replies(tables: &Tables, params: &Params, brought: &'static [&'static str]) -> LazyFrame {
    const BY: gaps::By = gaps::By { person: USER_KEY, line: LINE, at: CREATED_AT, id: WHATSAPP_ID };
    let counts = incoming_message().or(outgoing().and(message_failed().not()));
    let messages = tables.scan(&messages::TABLE).filter(col(USER_KEY).is_not_null().and(counts));
    let (messages, passes) = params.filters.marked(messages, tables);
    let asked = params.in_range(outgoing().not().and(passes)).alias(ASKED);
    let messages = messages.select(columns(&[WHATSAPP_ID], brought, &[asked]));
    let replies = gaps::before(messages, BY, ASKED, brought);
    params.by.split(replies, tables, params.range.timezone())
}

/// Sessions whose first message counts and follows that of another session, with the gap before; or, by
/// `--closing age`, sessions with a last message, and the time until then. They have the columns of messages.
fn of_sessions(tables: &Tables, params: &Params, brought: &'static [&'static str]) -> LazyFrame {
    const BY: gaps::By = gaps::By { person: USER_KEY, line: LINE, at: CREATED_AT, id: SESSION_ID };
    const WRITTEN: [&str; 2] = [FIRST_MESSAGE_TIMESTAMP, LAST_MESSAGE_TIMESTAMP];
    let sessions =
        tables.scan(&sessions::TABLE).filter(col(USER_KEY).is_not_null()).with_columns([
            col(LINE_WHATSAPP_NUMBER).alias(LINE),
            col(SESSION_STARTED_TIMESTAMP).alias(CREATED_AT),
        ]);
    let (sessions, passes) = params.filters.marked(sessions, tables);
    let asked = params.in_range(passes);
    let replies = match params.closing {
        Closing::Silence => {
            let others = [SESSION_ID, FIRST_MESSAGE_TIMESTAMP, LAST_MESSAGE_TIMESTAMP];
            let columns = columns(&others, brought, &[asked.alias(ASKED)]);
            gaps::before_sessions(sessions.select(columns), BY, WRITTEN, ASKED, brought)
        }
        Closing::Age => {
            let micros = |stamp: &str| col(stamp).cast(DataType::Int64);
            let age = micros(LAST_MESSAGE_TIMESTAMP) - micros(CREATED_AT);
            let columns = columns(&[], brought, &[age.alias(GAP)]);
            sessions.filter(asked.and(col(LAST_MESSAGE_TIMESTAMP).is_not_null())).select(columns)
        }
    };
    params.by.split(replies, tables, params.range.timezone())
}

/// Replies after more than so many minutes, one for each of the values that it is longer than.
fn late(replies: LazyFrame, params: &Params) -> PolarsResult<LazyFrame> {
    let for_each = replies.cross_join(df![MINUTES => params.minutes()]?.lazy(), None);
    // A difference instead of a comparison: Polars would turn the cross join into an inequality join, which the
    // streaming engine does not support.
    let is_late = (col(GAP) - col(MINUTES) * lit(MINUTE)).gt(lit(0));
    Ok(for_each.filter(is_late).with_column(lit(true).alias(REPLIES_AFTER)))
}

/// The columns that gaps are found by, `others` and those brought along, each once, and new ones.
fn columns(others: &[&str], brought: &[&str], new: &[Expr]) -> Vec<Expr> {
    let mut names = vec![USER_KEY, LINE, CREATED_AT];
    for name in others.iter().chain(brought) {
        if !names.contains(name) {
            names.push(name);
        }
    }
    names.into_iter().map(col).chain(new.iter().cloned()).collect()
}

impl Params {
    /// The values of `--minutes`, sorted and unique.
    fn minutes(&self) -> Vec<i64> {
        let mut minutes = self.minutes.clone();
        minutes.sort_unstable();
        minutes.dedup();
        minutes
    }

    /// Predicate: a row that passes lies in the range.
    fn in_range(&self, passes: Expr) -> Expr {
        match self.range.holds_instant(&col(CREATED_AT)) {
            Some(in_range) => passes.and(in_range),
            None => passes,
        }
    }
}
