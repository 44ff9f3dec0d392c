//! Windows of entry points: the hours after the answer to a click on an ad, in which Meta charges
//! no message.
//!
//! ```text
//! click    ├──── 24 hours ────┤
//! answer          ├──────────────── 72 hours ────────────────┤    the window, on the answer's line
//! messages        ● inside           ● inside                     ● outside
//! ```
//!
//! A click is a session that an ad led to, at its first message, or an incoming message that came
//! from an ad. Its answer is the first delivered outgoing message to the person on the click's
//! line, or on any line if the click has none. Windows may overlap: a message belongs to the one
//! that was opened last.
//!
//! Clicks of the whole lake open windows. They are found for an interval at a time: what opens the
//! window of a message lies at most both lengths before it.

use chrono_tz::Tz;
use clap::ValueEnum;
use polars::prelude::{
    BooleanChunked, Column, DataFrame, DataType, Expr, Field, IntoColumn, IntoLazy, JoinArgs,
    JoinType, LazyFrame, PolarsResult, Schema, UniqueKeepStrategy, col, lit,
};
use wabalake_data::Table;
use wabalake_data::tables::messages::{
    self, CREATED_AT, LINE, REFERRAL_ID, REFERRAL_TYPE, WHATSAPP_ID,
};
use wabalake_data::tables::sessions::{
    self, FIRST_MESSAGE_TIMESTAMP, LINE_WHATSAPP_NUMBER, META_SOURCE_ID, META_SOURCE_TYPE,
    SESSION_ID,
};
use wabalake_data::tables::{MESSAGE_KEY, USER_KEY};

use crate::kernels::windows::{Columns, Lengths, find};
use crate::kernels::{adding, collected, node, taken};
use crate::query::NeedsTables;
use crate::query::dimensions::{AD, meta_type};
use crate::query::measures::{incoming_message, message_delivered, outgoing};
use crate::query::sql::Bindings;
use crate::query::tables::Tables;
use crate::query::time::{HOUR, Span};

/// The column of a click's id: that of its session or message.
pub const CLICK_ID: &str = "click_id";
/// The column of a click's instant in microseconds, Int64.
pub const CLICKED_AT: &str = "clicked_at";
/// The column of the instant of the answer to a click, in microseconds, Int64.
pub const ANSWERED_AT: &str = "answered_at";
/// The column that is `true` for a click without an answer that may still be answered.
pub const IS_PENDING: &str = "is_pending";

/// The instant of a message in microseconds, Int64.
const SERVED_AT: &str = "served_at";

const OF_CLICKS: Columns = Columns { person: USER_KEY, line: LINE, at: CLICKED_AT, id: CLICK_ID };
const OF_MESSAGES: Columns =
    Columns { person: USER_KEY, line: LINE, at: SERVED_AT, id: WHATSAPP_ID };

/// What clicks on ads are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Clicks {
    /// Sessions that an ad led to, at their first message
    Sessions,
    /// Incoming messages that came from an ad
    Messages,
}

impl Clicks {
    /// The table of the clicks.
    pub fn table(self) -> &'static Table {
        match self {
            Self::Sessions => &sessions::TABLE,
            Self::Messages => &messages::TABLE,
        }
    }

    /// The column of the ad.
    pub const fn ad(self) -> &'static str {
        match self {
            Self::Sessions => META_SOURCE_ID,
            Self::Messages => REFERRAL_ID,
        }
    }

    const fn id(self) -> &'static str {
        match self {
            Self::Sessions => SESSION_ID,
            Self::Messages => WHATSAPP_ID,
        }
    }

    const fn line(self) -> &'static str {
        match self {
            Self::Sessions => LINE_WHATSAPP_NUMBER,
            Self::Messages => LINE,
        }
    }

    const fn at(self) -> &'static str {
        match self {
            Self::Sessions => FIRST_MESSAGE_TIMESTAMP,
            Self::Messages => CREATED_AT,
        }
    }

    /// Of rows of the table, the clicks: [`CLICK_ID`], the person, the line, [`CLICKED_AT`], and
    /// the columns `others`.
    pub fn of(self, rows: LazyFrame, others: &[Expr]) -> LazyFrame {
        let has_source = col(META_SOURCE_ID).is_not_null().or(col(META_SOURCE_TYPE).is_not_null());
        let is_click = match self {
            Self::Sessions => has_source
                .and(meta_type().eq(lit(AD)))
                .and(col(FIRST_MESSAGE_TIMESTAMP).is_not_null()),
            Self::Messages => incoming_message().and(col(REFERRAL_TYPE).eq(lit("ad"))),
        };
        let columns = [
            col(self.id()).alias(CLICK_ID),
            col(USER_KEY),
            col(self.line()).alias(LINE),
            col(self.at()).cast(DataType::Int64).alias(CLICKED_AT),
        ];
        rows.filter(is_click.and(col(USER_KEY).is_not_null()))
            .select([&columns[..], others].concat())
    }

    /// The clicks of the lake at instants of an interval.
    fn scan(self, tables: &Tables, within: Span) -> LazyFrame {
        let rows = match (self, within.holds(&col(self.at()))) {
            (Self::Messages, _) => within.scan(tables, self.table()),
            // A session may be of another day than its first message.
            (Self::Sessions, Some(clicked_within)) => {
                tables.scan(self.table()).filter(clicked_within)
            }
            (Self::Sessions, None) => tables.scan(self.table()),
        };
        self.of(rows, &[])
    }

    /// The clicks in SQL: rows of the table with all of its columns, `click_id` and `clicked_at`.
    pub fn rows_sql(self) -> String {
        self.select_sql(&format!("{}.*", self.table().name))
    }

    /// The clicks in SQL: `click_id`, `clicked_at`, the person and the line.
    fn sql(self) -> String {
        self.select_sql(&format!("user_phone, {} AS line", self.line()))
    }

    fn select_sql(self, columns: &str) -> String {
        let is_click = match self {
            Self::Sessions => {
                "first_message_timestamp IS NOT NULL
        AND (meta_source_id IS NOT NULL OR meta_source_type IS NOT NULL)
        AND coalesce(meta_source_type, 'Ad') = 'Ad'"
            }
            Self::Messages => {
                "message_direction = 'incoming'
        AND coalesce(format, '') <> 'reaction'
        AND referral_type = 'ad'"
            }
        };
        let (table, id, at) = (self.table().name, self.id(), self.at());
        format!(
            "SELECT {columns}, {id} AS click_id, {at} AS clicked_at
    FROM {table}
    WHERE user_phone IS NOT NULL
        AND {is_click}"
        )
    }
}

impl NeedsTables for Clicks {
    fn tables(&self) -> &'static [&'static Table] {
        const { &[&sessions::TABLE] }
    }

    fn is_read(&self, _table: &Table) -> bool {
        *self == Self::Sessions
    }
}

/// The clicks and the lengths of time that make windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// What the clicks are.
    pub clicks: Clicks,
    /// The most hours from a click to its answer.
    pub answer_hours: i64,
    /// The hours of a window.
    pub window_hours: i64,
}

impl Windows {
    /// Those of Meta's rules.
    pub const USUAL: Self = Self { clicks: Clicks::Sessions, answer_hours: 24, window_hours: 72 };

    fn lengths(self) -> Lengths {
        Lengths { answer: self.answer_hours * HOUR, window: self.window_hours * HOUR }
    }

    /// The microseconds from a click to the end of the last window that it may open.
    pub fn reach(self) -> i64 {
        (self.answer_hours + self.window_hours) * HOUR
    }

    /// Adds the columns [`ANSWERED_AT`] and [`IS_PENDING`] to clicks, which have the columns that
    /// [`Clicks::of`] gives.
    pub fn answered(self, clicks: LazyFrame, tables: &Tables) -> LazyFrame {
        let added = vec![
            Field::new(ANSWERED_AT.into(), DataType::Int64),
            Field::new(IS_PENDING.into(), DataType::Boolean),
        ];
        let tables = tables.clone();
        adding(clicks, format!("answers to clicks: {self:?}"), added, move |mut clicks| {
            let answer = self.lengths().answer;
            let messages = served(&tables, &clicks, span_of(&clicks, answer)?)?;
            let of_messages = (&messages, OF_MESSAGES);
            let answers = find((&clicks, OF_CLICKS), of_messages, self.lengths())?.answers;
            let latest = latest_message(&tables, &clicks)?;
            let times = clicks.column(CLICKED_AT)?.i64()?.iter().zip(&answers);
            let is_pending: BooleanChunked = times
                .map(|(at, answered)| {
                    let until = at.unwrap_or_default().saturating_add(answer);
                    Some(answered.is_none() && latest.is_none_or(|latest| until > latest))
                })
                .collect();
            clicks.with_column(Column::new(ANSWERED_AT.into(), answers))?;
            clicks.with_column(is_pending.with_name(IS_PENDING.into()).into_column())?;
            Ok(clicks)
        })
    }

    /// The interval of the clicks whose windows may hold messages of an interval.
    pub fn clicked(self, within: Span) -> Span {
        Span { from: within.from.map(|from| from.saturating_sub(self.reach())), ..within }
    }

    /// The clicks of the lake whose windows may hold messages of an interval.
    pub fn openers(self, tables: &Tables, within: Span) -> LazyFrame {
        self.clicks.scan(tables, self.clicked(within))
    }

    /// The delivered outgoing messages of an interval that are in a window: `message_key`.
    pub fn inside(self, tables: &Tables, within: Span) -> LazyFrame {
        self.inside_of(self.openers(tables, within), Vec::new(), tables, within)
    }

    /// The delivered outgoing messages of an interval that are in a window: `message_key`, and the
    /// columns `brought` of the click that opened it. Clicks are at least the
    /// [openers](Self::openers).
    pub fn inside_of(
        self,
        clicks: LazyFrame,
        brought: Vec<Field>,
        tables: &Tables,
        within: Span,
    ) -> LazyFrame {
        let name = format!("messages in windows of clicks: {self:?} {within:?} {brought:?}");
        let message = [Field::new(MESSAGE_KEY.into(), DataType::Int64)];
        let schema = message.into_iter().chain(brought.iter().cloned()).collect::<Schema>();
        let tables = tables.clone();
        node(clicks, name, schema, move |clicks| {
            let mut span = span_of(&clicks, self.reach())?;
            span.until = [span.until, within.until].into_iter().flatten().min();
            let messages = served(&tables, &clicks, span)?;
            let of_messages = (&messages, OF_MESSAGES);
            let openers = find((&clicks, OF_CLICKS), of_messages, self.lengths())?.openers;
            let times = messages.column(SERVED_AT)?.i64()?.iter();
            let inside = (0..).zip(openers).zip(times).filter_map(|((row, click), at)| {
                let is_within = within.from.is_none_or(|from| at >= Some(from));
                Some((row, click.filter(|_| is_within)?))
            });
            let (rows, openers): (Vec<u32>, Vec<u32>) = inside.unzip();
            let height = rows.len();
            let brought = clicks.select(brought.iter().map(|field| field.name().clone()))?;
            let mut found = taken(messages.select([MESSAGE_KEY])?, height, |row| Some(rows[row]))?;
            found.hstack_mut(taken(brought, height, |row| Some(openers[row]))?.columns())?;
            Ok(found)
        })
    }

    /// The SQL of windows, four relations: `ad_clicks`, `served`, `entry_windows` with the answer
    /// of each click that has one, and `in_entry_windows` with the `whatsapp_id` of each message
    /// inside and the `click_id` of the window that was opened last. Their names begin with
    /// `prefix`; messages are those of a relation.
    pub fn sql(self, prefix: &str, messages: &str) -> String {
        include_str!("../sql/entry_windows.sql")
            .trim_end()
            .replace("{clicks}", &self.clicks.sql())
            .replace("{prefix}", prefix)
            .replace("{messages}", messages)
    }

    /// A join in SQL that adds `entered_id` to the messages of a relation: set if one is in a
    /// window of those that [`Windows::sql`] names with the same prefix.
    pub fn join_sql(prefix: &str, messages: &str) -> String {
        format!(
            "
    LEFT JOIN (
        SELECT whatsapp_id AS entered_id FROM {prefix}in_entry_windows
    ) AS {prefix}entered ON entered_id = {messages}.whatsapp_id"
        )
    }

    /// Binds the parameters of that SQL.
    pub fn bind(self, bindings: Bindings) -> Bindings {
        bindings
            .integer("answer_hours", self.answer_hours)
            .integer("window_hours", self.window_hours)
    }
}

/// The instants of clicks and those at most `after` microseconds later.
fn span_of(clicks: &DataFrame, after: i64) -> PolarsResult<Span> {
    let at = clicks.column(CLICKED_AT)?.i64()?;
    let until = at.iter().flatten().max();
    let until = until.map(|last| last.saturating_add(after).saturating_add(1));
    Ok(Span { from: at.iter().flatten().min(), until, timezone: Tz::UTC })
}

/// The delivered outgoing messages of an interval to the people of clicks; none if there are no
/// clicks. They have their `whatsapp_id` if a click has no line.
fn served(tables: &Tables, clicks: &DataFrame, within: Span) -> PolarsResult<DataFrame> {
    let person = [col(USER_KEY)];
    let people = clicks.select([USER_KEY])?.lazy().unique(None, UniqueKeepStrategy::Any);
    let messages = within.scan(tables, &messages::TABLE);
    let messages = if clicks.height() == 0 { messages.limit(0) } else { messages };
    let mut columns = vec![
        col(USER_KEY),
        col(LINE),
        col(CREATED_AT).cast(DataType::Int64).alias(SERVED_AT),
        col(MESSAGE_KEY),
    ];
    columns.extend((clicks.column(LINE)?.null_count() > 0).then(|| col(WHATSAPP_ID)));
    collected(
        messages
            .filter(outgoing().and(message_delivered()).and(col(USER_KEY).is_not_null()))
            .select(columns)
            .join(people, &person, &person, JoinArgs::new(JoinType::Semi)),
    )
}

/// The instant of the latest message of the lake.
///
/// It is mostly as late as the last click, so messages before that are only read if it is not.
fn latest_message(tables: &Tables, clicks: &DataFrame) -> PolarsResult<Option<i64>> {
    let from = clicks.column(CLICKED_AT)?.i64()?.iter().flatten().max();
    let since = Span { from, until: None, timezone: Tz::UTC };
    for span in [since, Span { from: None, ..since }] {
        let latest = span.scan(tables, &messages::TABLE).select([col(CREATED_AT).max()]);
        let latest = collected(latest)?.column(CREATED_AT)?.cast(&DataType::Int64)?;
        let latest = latest.i64()?.get(0);
        if latest.is_some() {
            return Ok(latest);
        }
    }
    Ok(None)
}
