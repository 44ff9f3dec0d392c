//! Why did a rate move?
//!
//! The rate of a period, `--from` to `--to`, against that of a period before: did the groups change places, or did
//! their own rates change? One row for the whole, then one for each group of each dimension.
//!
//! | `--of` | rows | those with the outcome |
//! |---|---|---|
//! | `delivery` | deployments | delivered |
//! | `reply` | delivered deployments | answered |
//! | `read` | outgoing messages that were delivered | read |
//! | `conversion` | sessions | with a conversion |
//!
//! A group has `b` rows in a period, `a` of them with the outcome. Its share `w` is `b` of all rows, its rate `r` is
//! `a / b`; 0 is the period before, 1 the period:
//!
//! ```text
//!              before             after              mix                      rate
//! all          r0                 r1
//! a group      w0 of the rows,    w1 of the rows,    (w1 - w0) (r0 group      w1 (r1 group
//!              r0 group           r1 group            - r0)                    - r0 group)
//! ```
//!
//! `mix_points` tells what the group's larger or smaller share did to the rate of all: it is positive for a group
//! that is better than all were and that grew, and for one that is worse and shrank. `rate_points` tells what its own
//! rate did. Both are in points, and over the groups of a dimension they add up to `r1 - r0`, which is the
//! `total_points` of the first row. A group of one period alone has a mix only: `w1 (r1 group - r0)` of a new one,
//! `-w0 (r0 group - r0)` of one that is gone. All points are null if one of the periods has no rows.
//!
//! `diff_low` and `diff_high` are the 95 % confidence interval of the difference of the group's own rates, in points,
//! by Newcombe: if it holds 0, the rate may have moved by chance. The figures split a change, they do not explain it.
//!
//! The period before has as many dates, right before `--from`, unless `--before-from` and `--before-to` say
//! otherwise: the last date is then that before `--from`, and the first as many dates earlier. Each dimension of
//! `--by` stands for itself. The value of a conversation is `ID/VERSION`, in which a null is empty; of one without
//! both it is null.

use std::sync::{Mutex, PoisonError};

use chrono::{Datelike, NaiveDate};
use chrono_tz::Tz;
use clap::{Arg, ArgMatches, Command, FromArgMatches, ValueEnum};
use polars::prelude::{Field, Schema};
use wabalake_data::tables::conversions::{self, CONVERTED_AT};
use wabalake_data::tables::{SESSION_KEY, audience_tags, deployments, messages, sessions};
use wabalake_data::{Invalid, Table};

use self::groups::{groups_of, value_of};
use crate::kernels::groups::Groups;
use crate::kernels::node;
use crate::query::prelude::*;
use crate::query::statistics::{Bound, newcombe_points, newcombe_points_sql};
use crate::query::time::clock::day_after;
use crate::query::time::{Span, day_start, read_date};
use crate::query::usage::misfit;
use crate::query::words::Word;
use crate::query::{NeedsTables, Type};

mod groups;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct WhatChanged;

impl Filtered for WhatChanged {
    const TABLE: &'static Table = &deployments::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_ANY;
}

impl Grouped for WhatChanged {
    // Those of all rates; each has its own.
    const TAKES: &'static [Dimension] = &[
        Dimension::Country,
        Dimension::Conversation,
        Dimension::State,
        Dimension::Line,
        Dimension::SessionType,
        Dimension::SessionStatus,
        Dimension::Channel,
        Dimension::Template,
        Dimension::Waba,
        Dimension::Campaign,
        Dimension::Ref,
        Dimension::MessageSource,
        Dimension::Format,
    ];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    period: Period,

    /// First local date of the period before, as YYYY-MM-DD [default: as many dates as in the period]
    #[arg(long, value_name = "DATE", value_parser = read_date, help_heading = "Time")]
    before_from: Option<NaiveDate>,

    /// Last local date of the period before, as YYYY-MM-DD [default: the date before --from]
    #[arg(long, value_name = "DATE", value_parser = read_date, help_heading = "Time")]
    before_to: Option<NaiveDate>,

    #[command(flatten)]
    filters: Filters<WhatChanged>,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    conversions: Conversions,

    /// The rate that moved
    #[arg(long, value_enum, default_value_t = Of::Delivery, value_parser = Word::of::<Of>())]
    of: Of,

    /// The first and the last date of the period before, once those of the period are known.
    #[arg(skip)]
    before: (NaiveDate, NaiveDate),
}

/// A rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Of {
    /// Delivered deployments, of all
    Delivery,
    /// Answered deployments, of those that were delivered
    Reply,
    /// Read messages, of outgoing ones that were delivered
    Read,
    /// Sessions with a conversion, of all
    Conversion,
}

impl Of {
    /// The table of the rows.
    fn table(self) -> &'static Table {
        match self {
            Self::Delivery | Self::Reply => &deployments::TABLE,
            Self::Read => &messages::TABLE,
            Self::Conversion => &sessions::TABLE,
        }
    }

    /// The dimensions of the rows.
    const fn dimensions(self) -> &'static [Dimension] {
        match self {
            Self::Delivery | Self::Reply => {
                &[Dimension::Country, Dimension::Conversation, Dimension::State]
            }
            Self::Read => &[
                Dimension::Country,
                Dimension::Line,
                Dimension::Template,
                Dimension::Waba,
                Dimension::Campaign,
                Dimension::Ref,
                Dimension::MessageSource,
                Dimension::Format,
            ],
            Self::Conversion => &[
                Dimension::Country,
                Dimension::Conversation,
                Dimension::Line,
                Dimension::SessionType,
                Dimension::SessionStatus,
                Dimension::Channel,
            ],
        }
    }

    /// The dimensions without `--by`.
    const fn usual(self) -> &'static [Dimension] {
        match self {
            Self::Read => &[Dimension::Country, Dimension::Template],
            _ => &[Dimension::Country, Dimension::Conversation],
        }
    }

    /// The outcome of a row, and the clauses behind the select list, in SQL.
    const fn sql(self) -> [&'static str; 2] {
        match self {
            Self::Delivery => ["delivery_status = 'Delivered'", "FROM {deployments}"],
            Self::Reply => [
                "user_responded_timestamp IS NOT NULL",
                "FROM {deployments}
        WHERE delivery_status = 'Delivered'",
            ],
            Self::Read => [
                "seen_at IS NOT NULL",
                "FROM {messages}
        WHERE message_direction = 'outgoing'
            AND (delivered_at IS NOT NULL OR seen_at IS NOT NULL)",
            ],
            Self::Conversion => [
                "converted_session_id IS NOT NULL",
                "FROM {sessions}
        LEFT JOIN (SELECT DISTINCT converted_session_id FROM attributed) AS converting
            ON converted_session_id = session_id",
            ],
        }
    }
}

impl NeedsTables for Of {
    fn tables(&self) -> &'static [&'static Table] {
        const { &[&deployments::TABLE, &messages::TABLE, &sessions::TABLE, &conversions::TABLE] }
    }

    fn is_read(&self, table: &Table) -> bool {
        match table.name {
            conversions::NAME => *self == Self::Conversion,
            _ => table == self.table(),
        }
    }
}

/// What the row is a group of; `all` for the whole.
pub const DIMENSION: &str = "dimension";
/// The group's value of the dimension; null is a group, too.
pub const VALUE: &str = "value";
/// Rows in the period before.
pub const B0: &str = "b0";
/// Those of them with the outcome.
pub const A0: &str = "a0";
/// Rows in the period.
pub const B1: &str = "b1";
/// Those of them with the outcome.
pub const A1: &str = "a1";
/// The rate in the period before: `a0` of `b0`.
pub const RATE0_PCT: &str = "rate0_pct";
/// The rate in the period: `a1` of `b1`.
pub const RATE1_PCT: &str = "rate1_pct";
/// What the change of the group's share did to the rate of all, in points.
pub const MIX_POINTS: &str = "mix_points";
/// What the change of the group's own rate did to the rate of all, in points.
pub const RATE_POINTS: &str = "rate_points";
/// Both together; of all, the change of the rate.
pub const TOTAL_POINTS: &str = "total_points";
/// Lower bound of the difference of the group's own rates, in points.
pub const DIFF_LOW: &str = "diff_low";
/// Upper bound of the difference of the group's own rates, in points.
pub const DIFF_HIGH: &str = "diff_high";

/// The name of the whole among the dimensions.
const ALL: &str = "all";
/// The counts of a group.
const COUNTS: [&str; 4] = [B0, A0, B1, A1];
/// `true` for a row of the period before.
const IS_BEFORE: &str = "is_before";
/// `true` for a row of the period.
const IS_AFTER: &str = "is_after";
/// `true` for a row with the outcome.
const HAPPENED: &str = "happened";

impl Query for WhatChanged {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "what-changed",
        title: "Why a rate moved: other shares, or other rates",
        question: "Why did a rate move? The rate of deliveries, replies, reads or conversions in a \
                   period against the period before; for each group of a dimension, how much of the \
                   change comes from its share of all (mix) and how much from its own rate.",
        reads: &[
            &deployments::TABLE,
            &messages::TABLE,
            &sessions::TABLE,
            &conversions::TABLE,
            &audience_tags::TABLE,
        ],
        // Two periods count.
        range: Range::History,
        columns: &[
            OutputColumn::word(DIMENSION),
            OutputColumn::term(VALUE),
            OutputColumn::count(B0),
            OutputColumn::count(A0),
            OutputColumn::count(B1),
            OutputColumn::count(A1),
            OutputColumn::pct(RATE0_PCT),
            OutputColumn::pct(RATE1_PCT),
            OutputColumn::number(MIX_POINTS),
            OutputColumn::number(RATE_POINTS),
            OutputColumn::number(TOTAL_POINTS),
            OutputColumn::number(DIFF_LOW),
            OutputColumn::number(DIFF_HIGH),
        ],
        key: &[DIMENSION, VALUE],
        order: &[Order::Listed(DIMENSION, &[ALL]), Order::Largest(TOTAL_POINTS)],
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--of", "reply"],
        sql: include_str!("twin.sql"),
    };

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.check()?;
        let timeframe = params.period.0.resolve(defaults)?;
        params.before = params.period_before()?;
        Ok(timeframe)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters, &params.of])
    }

    fn shape(params: &Params) -> Shape {
        let dimensions = params.dimensions().iter().map(|dimension| dimension.name());
        let listed = kept(std::iter::once(ALL).chain(dimensions).collect());
        Shape {
            order: vec![Order::Listed(DIMENSION, listed), Order::Largest(TOTAL_POINTS)],
            ..Shape::of(&Self::SPEC)
        }
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let dimensions = params.dimensions();
        let columns = params.columns();
        let keys: Vec<Expr> = columns.iter().map(|column| col(column.name)).collect();
        let texts = columns.iter().filter(|column| column.of == Type::Text);
        let values = dimensions.iter().enumerate();
        let values = values.map(|(place, dimension)| dimension.text().alias(value_of(place)));
        let number = |rows: Expr| rows_where(rows).cast(DataType::Int64);
        let (before, after) = (|| col(IS_BEFORE), || col(IS_AFTER));
        let groups = Groups::of(rows_of(tables, params)?, keys);
        let counts = groups.texts(texts.map(|column| column.name)).agg([
            number(before()).alias(B0),
            number(before().and(col(HAPPENED))).alias(A0),
            number(after()).alias(B1),
            number(after().and(col(HAPPENED))).alias(A1),
        ]);
        let counts = counts.with_columns(values.collect::<Vec<_>>());
        let names: Vec<&'static str> =
            dimensions.iter().map(|dimension| dimension.name()).collect();
        let fields = [
            [DIMENSION, VALUE].map(|name| (name, DataType::String)).to_vec(),
            COUNTS.map(|name| (name, DataType::Int64)).to_vec(),
            [MIX_POINTS, RATE_POINTS, TOTAL_POINTS].map(|name| (name, DataType::Float64)).to_vec(),
        ];
        let fields = fields.concat().into_iter().map(|(name, of)| Field::new(name.into(), of));
        let schema = fields.collect::<Schema>();
        let groups = node(counts, format!("groups by each of {names:?}"), schema, move |counts| {
            groups_of(&counts, &names)
        });
        let difference = |bound| newcombe_points([A1, B1].map(col), [A0, B0].map(col), bound);
        Ok(groups.with_columns([
            share_pct(col(A0), col(B0)).alias(RATE0_PCT),
            share_pct(col(A1), col(B1)).alias(RATE1_PCT),
            difference(Bound::Low).alias(DIFF_LOW),
            difference(Bound::High).alias(DIFF_HIGH),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        let table = params.of.table();
        let before = params.span_before();
        let bindings = params.period.0.bind(Bindings::new());
        let bindings = bindings
            .instant("before_from_at", before.from)
            .instant("before_until_at", before.until);
        let (bindings, attributed) = match params.of {
            Of::Conversion => (params.conversions.bind(bindings), "{attributed},\n"),
            _ => (bindings, ""),
        };
        let bindings = params.filters.bind_table(bindings, table);
        let (mut values, mut splits) = (Vec::new(), Vec::new());
        for (place, dimension) in params.dimensions().iter().enumerate() {
            let (name, value) = (dimension.name(), value_of(place));
            values.push(format!("{} AS {value},\n        ", dimension.text_sql(table)));
            splits.push(format!(
                "SELECT
        {} AS place, '{name}' AS dimension, {value} AS value, is_before, is_after, happened
    FROM in_periods",
                place + 1
            ));
        }
        let [happened, from] = params.of.sql();
        let from = bindings.fill_slots(from);
        let attributed = bindings.fill_slots(attributed);
        let difference = |bound| newcombe_points_sql(["a1", "b1"], ["a0", "b0"], bound);
        bindings
            .slot("with_attributed", attributed)
            .slot("values_then", values.concat())
            .slot("stamp", table.day_of.to_owned())
            .slot("outcome", happened.to_owned())
            .slot("from_rows", from)
            .slot("each_split", splits.join("\n    UNION ALL\n    "))
            .slot("diff_low", difference(Bound::Low))
            .slot("diff_high", difference(Bound::High))
    }
}

impl Params {
    /// The dimensions that are asked for.
    fn dimensions(&self) -> &[Dimension] {
        match self.by.0.asked() {
            [] => self.of.usual(),
            asked => asked,
        }
    }

    /// The columns of the dimensions, each once.
    fn columns(&self) -> Vec<OutputColumn> {
        let mut columns: Vec<OutputColumn> = Vec::new();
        for column in self.dimensions().iter().flat_map(|dimension| dimension.columns()) {
            if columns.iter().all(|other| other.name != column.name) {
                columns.push(*column);
            }
        }
        columns
    }

    /// Checks that the rate has what is asked for.
    ///
    /// # Errors
    /// A filter, a dimension or another option of other rows.
    fn check(&self) -> Result<(), UsageError> {
        let rows = self.of.table().name;
        if let Some(option) = self.filters.given_beside(self.of.table()) {
            let fault = Invalid::new(format!("`--{option}` is no filter of {rows}"));
            return Err(misfit(fault.hint("leave it out, or ask `--of` another rate")));
        }
        let known = self.of.dimensions();
        if let Some(other) = self.dimensions().iter().find(|by| !known.contains(by)) {
            let fault = Invalid::new(format!("`--by {}` is no dimension of {rows}", other.name()));
            let known: Vec<&str> = known.iter().map(|dimension| dimension.name()).collect();
            let known = wabalake_data::words::listed(&known);
            return Err(misfit(fault.hint(format!("they are split by {known}"))));
        }
        match self.conversions.given() {
            Some(option) if self.of != Of::Conversion => {
                let fault =
                    Invalid::new(format!("`--{option}` has no effect without `--of conversion`"));
                Err(misfit(fault.hint("leave it out, or ask `--of conversion`")))
            }
            _ => Ok(()),
        }
    }

    /// The first and the last date of the period before.
    ///
    /// # Errors
    /// A period without dates; a first date after the last one.
    fn period_before(&self) -> Result<(NaiveDate, NaiveDate), UsageError> {
        let (Some(from), Some(to)) = self.period.0.dates() else {
            let fault = Invalid::new("the period needs `--from` and `--to`");
            return Err(misfit(
                fault.hint("add both, such as `--from 2025-06-01 --to 2025-06-30`"),
            ));
        };
        let last = self.before_to.or(from.pred_opt()).unwrap_or(from);
        let length = to.signed_duration_since(from);
        let first = self.before_from.or(last.checked_sub_signed(length)).unwrap_or(last);
        if first > last {
            let fault =
                Invalid::new(format!("the period before would begin on {first} and end on {last}"));
            return Err(misfit(
                fault.hint("give `--before-from` a date that is not after its end"),
            ));
        }
        Ok((first, last))
    }

    /// The instants of the period before.
    fn span_before(&self) -> Span {
        let (timezone, (first, last)) = (self.period.0.timezone(), self.before);
        // The last year of SQL timestamps is 9999.
        let after = day_after(last).filter(|date| date.year() < 10_000);
        let start = |date| day_start(timezone, date);
        Span { from: Some(start(first)), until: after.map(start), timezone }
    }
}

/// The rows of both periods: the columns of their dimensions, their periods, and if they have the outcome.
fn rows_of(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
    let table = params.of.table();
    let spans = [params.span_before(), params.period.0.span()];
    let is_in = |span: &Span| span.holds(&col(table.day_of)).unwrap_or(lit(true));
    let [is_before, is_after] = [is_in(&spans[0]), is_in(&spans[1])];
    let on_days = |span: &Span| span.days().unwrap_or(lit(true));
    // The stamp decides; the day prunes partitions, also those between the periods.
    let in_either =
        on_days(&spans[0]).or(on_days(&spans[1])).and(is_before.clone().or(is_after.clone()));
    let rows = params.filters.of_table(tables.scan(table).filter(in_either), table, tables);
    let (rows, happened) = match params.of {
        Of::Delivery => (rows, delivery_is("Delivered")),
        Of::Reply => (rows.filter(delivery_is("Delivered")), answered()),
        Of::Read => (rows.filter(outgoing().and(message_delivered())), message_read()),
        Of::Conversion => {
            let converted = params.conversions.by_session(tables)?;
            (look_up(rows, converted, SESSION_KEY), col(CONVERTED_AT).is_not_null())
        }
    };
    let values = params.dimensions().iter().map(|dimension| dimension.expressions(table, Tz::UTC));
    let kept = params.columns().into_iter().map(|column| col(column.name));
    let others = [is_before.alias(IS_BEFORE), is_after.alias(IS_AFTER), happened.alias(HAPPENED)];
    let kept: Vec<Expr> = kept.chain(others).collect();
    // An expression may have the name of a column that another one reads.
    Ok(rows.with_columns(values.flatten().collect::<Vec<_>>()).select(kept))
}

/// A list as the order of an answer needs it: it lives as long as the program. Equal lists are kept once.
fn kept(words: Vec<&'static str>) -> &'static [&'static str] {
    static KEPT: Mutex<Vec<&'static [&'static str]>> = Mutex::new(Vec::new());
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let known = kept.iter().copied().find(|known| **known == words[..]);
    known.unwrap_or_else(|| {
        let new: &'static [&'static str] = Vec::leak(words);
        kept.push(new);
        new
    })
}

/// `--from`, `--to` and `--timezone`: the period that is explained, of which both dates have to be given.
#[derive(Clone, Copy, Debug)]
struct Period(DayRange);

impl Args for Period {
    fn augment_args(command: Command) -> Command {
        let first =
            |date: Arg| date.required(true).help("First local date of the period, as YYYY-MM-DD");
        let last =
            |date: Arg| date.required(true).help("Last local date of the period, as YYYY-MM-DD");
        DayRange::augment_args(command).mut_arg("from", first).mut_arg("to", last)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Period {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, UsageError> {
        Ok(Self(DayRange::from_arg_matches(matches)?))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), UsageError> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// `--by`: the dimensions, each for itself.
#[derive(Debug)]
struct By(Dimensions<WhatChanged>);

impl Args for By {
    fn augment_args(command: Command) -> Command {
        Dimensions::<WhatChanged>::augment_args(command).mut_arg("by", |by| {
            by.help(
                "Look at these dimensions, separated by commas, each for itself [default: \
                 country,conversation; of `--of read` country,template]",
            )
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for By {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, UsageError> {
        Ok(Self(Dimensions::from_arg_matches(matches)?))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), UsageError> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
