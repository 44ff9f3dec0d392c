//! What did a campaign add?
//!
//! The people of a campaign were drawn by lot into two groups, those who were treated and a control group that was
//! held out; a tag names each. Three rows: the people of each group and how many converted, and the difference.
//!
//! ```text
//! the tag's since = start         start + --days
//!       ●━━━━━━━━━━━━━━━━━━━━━━━━━━━━━○          the person's window: its start counts, its end does not
//!          ▲ conversion: converted    ▲ another: does not count
//!          ▲ deployment to a person of the control group: contaminated
//! ```
//!
//! A conversion with a session counts for the person of that session, wherever else it names one; a session that
//! is not in the lake is nobody's. One without a session counts for the person that it names.
//!
//! Left out and counted, each person once, by the first that holds:
//!
//! | column | people |
//! |---|---|
//! | `both` | who have both tags, whatever the range |
//! | `undated` | whose tag has no start, whatever the range |
//! | `immature` | of the range, whose window ends after the latest conversion in the lake, of any event |
//!
//! The date range restricts the start; windows are always whole. People of the control group to whom something was
//! sent stay in it and are `contaminated`: they make the difference smaller than it is. With `--conversation-id`
//! only these flows contaminate.
//!
//! `rate_low` and `rate_high` are bounds with 95 % confidence, Wilson's of a rate and Newcombe's of the difference.
//! `p_value` is that of a z test and holds if one looks once, at a time that was fixed before. `p_always` holds
//! however often one looks; `--mixture-sd` says how large a difference is expected. A small `split_p` says that the
//! groups were not drawn as `--split` says: then no other figure is to be trusted.

use polars::prelude::{
    Column, DataFrame, Field, IdxCa, NamedFrom, NewChunkedArray, Schema, Series, UnionArgs,
    UniqueKeepStrategy, by_name, concat_lf_diagonal, df,
};
use wabalake_data::Invalid;
use wabalake_data::tables::audience_tags::{self, SINCE, TAG};
use wabalake_data::tables::conversions::{self, CONVERTED_AT, EVENT, VALUE};
use wabalake_data::tables::deployments::{self, CONVERSATION_ID, DEPLOYMENT_TIMESTAMP};
use wabalake_data::tables::{CURRENCY, SESSION_KEY, USER_KEY, USER_PHONE, sessions};

use crate::kernels::{node, once};
use crate::query::billing::money::{self, AMOUNT, millionths};
use crate::query::conversions::Event;
use crate::query::filters::Choice;
use crate::query::joins::join_few;
use crate::query::measures::from_millionths;
use crate::query::numbers::whole;
use crate::query::prelude::*;
use crate::query::statistics::{
    Bound, always_valid_p, newcombe, newcombe_points_sql, share_p, wilson, wilson_pct_sql, z_test,
};
use crate::query::time::{DAY, Span};
use crate::query::usage::misfit;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct HoldoutLift;

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    range: DayRange,

    /// Tag of the people who were treated
    #[arg(long, value_name = "TAG")]
    treated: String,

    /// Tag of the people who were held out
    #[arg(long, value_name = "TAG")]
    control: String,

    #[command(flatten)]
    event: Only<Event>,

    /// Days from the start of a person's tag in which conversions count
    #[arg(
        long,
        value_name = "DAYS",
        default_value_t = 14,
        value_parser = whole::<i64>(1..=36_500)
    )]
    days: i64,

    /// Share of the people that was to be treated, between 0 and 1
    #[arg(
        long,
        value_name = "SHARE",
        default_value = "0.5",
        value_parser = read_split,
        allow_negative_numbers = true
    )]
    split: f64,

    /// Standard deviation of the differences that `p_always` expects, of rates from 0 to 1
    #[arg(
        long,
        value_name = "NUMBER",
        default_value = "0.02",
        value_parser = read_mixture_sd,
        allow_negative_numbers = true
    )]
    mixture_sd: f64,

    #[command(flatten)]
    flows: Only<Flow>,
}

fn read_split(text: &str) -> Result<f64, Invalid> {
    let read = text.trim().parse::<f64>().ok().filter(|share| *share > 0.0 && *share < 1.0);
    read.ok_or_else(|| {
        Invalid::new("not a share").hint("write it as a number between 0 and 1, such as 0.5")
    })
}

fn read_mixture_sd(text: &str) -> Result<f64, Invalid> {
    let read = text.trim().parse::<f64>().ok().filter(|sd| *sd > 0.0 && *sd <= 1.0);
    read.ok_or_else(|| {
        let fault = Invalid::new("not a difference of rates");
        fault.hint("write it as a number above 0, at most 1, such as 0.02")
    })
}

/// `--conversation-id`: the flows whose deployments contaminate, exactly as stored.
#[derive(Clone, Copy, Debug)]
pub struct Flow;

impl Choice for Flow {
    type Value = String;

    const NAME: &'static str = CONVERSATION_ID;
    const NONE: &'static str = "conversation_id_none";
    const COLUMN: &'static str = CONVERSATION_ID;
    const HELP: &'static str = "Only deployments of these flows contaminate the control group";

    fn read(word: &str) -> Result<String, Invalid> {
        Ok(word.to_owned())
    }

    fn series(values: &[String]) -> Series {
        Series::new(CONVERSATION_ID.into(), values)
    }
}

/// `treated`, `control`, or `difference`: of the first less the second.
pub const GROUP: &str = "group";
/// People of the group; of both in the row of the difference.
pub const PEOPLE: &str = "people";
/// People with a conversion in their window.
pub const CONVERTED: &str = "converted";
/// Share of the people that converted; the difference is in points.
pub const RATE_PCT: &str = "rate_pct";
/// Lower bound of the rate or the difference, with 95 % confidence.
pub const RATE_LOW: &str = "rate_low";
/// Upper bound of the rate or the difference, with 95 % confidence.
pub const RATE_HIGH: &str = "rate_high";
/// Revenue of the conversions that count.
pub const REVENUE: &str = "revenue";
/// Conversions of treated people beyond those at the control group's rate.
pub const EXTRA_CONVERSIONS: &str = "extra_conversions";
/// Revenue of treated people beyond that at the control group's revenue per person; null across currencies.
pub const EXTRA_REVENUE: &str = "extra_revenue";
/// Probability that equal groups differ as much by chance, if one looks once; 0 to 1.
pub const P_VALUE: &str = "p_value";
/// The same, however often one looks.
pub const P_ALWAYS: &str = "p_always";
/// Probability that the sizes of the groups differ as much from `--split` by chance; 0 to 1.
pub const SPLIT_P: &str = "split_p";
/// People with both tags, who are left out.
pub const BOTH: &str = "both";
/// People whose tag has no start, who are left out.
pub const UNDATED: &str = "undated";
/// People whose window is not over, who are left out.
pub const IMMATURE: &str = "immature";
/// People of the control group to whom a deployment that did not fail was sent in their window.
pub const CONTAMINATED: &str = "contaminated";

const TREATED: &str = "treated";
const CONTROL: &str = "control";
const GROUPS: [&str; 3] = [TREATED, CONTROL, "difference"];

const IS_TREATED: &str = "is_treated";
const TAGS: &str = "tags";
const TREATED_TAGS: &str = "treated_tags";
const AT: &str = "at";
const LATEST: &str = "latest";
const EARNED: &str = "earned";
const IN_BOTH: &str = "in_both";

impl Query for HoldoutLift {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "holdout-lift",
        title: "What a campaign added, against people who were held out",
        question: "What did a campaign add? People with the tag of those who were treated, against \
                   people with the tag of a control group: how many converted within --days of the \
                   start of their tag, and the difference with its confidence interval.",
        reads: &[&audience_tags::TABLE, &conversions::TABLE, &sessions::TABLE, &deployments::TABLE],
        // People who are left out are counted whatever the range, and windows extend beyond it.
        range: Range::History,
        columns: &[
            OutputColumn::word(GROUP),
            OutputColumn::count(PEOPLE),
            OutputColumn::count(CONVERTED),
            OutputColumn::pct(RATE_PCT),
            OutputColumn::pct(RATE_LOW),
            OutputColumn::pct(RATE_HIGH),
            OutputColumn::money(REVENUE),
            OutputColumn::term(CURRENCY),
            OutputColumn::number(EXTRA_CONVERSIONS),
            OutputColumn::number(EXTRA_REVENUE),
            OutputColumn::number(P_VALUE),
            OutputColumn::number(P_ALWAYS),
            OutputColumn::number(SPLIT_P),
            OutputColumn::count(BOTH),
            OutputColumn::count(UNDATED),
            OutputColumn::count(IMMATURE),
            OutputColumn::count(CONTAMINATED),
        ],
        key: &[GROUP],
        order: &[Order::Listed(GROUP, &GROUPS)],
        example: &["--treated", "june-treated", "--control", "june-control", "--days", "14"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &audience_tags::TABLE,
        cells: &[GROUP],
        counts: &[PEOPLE, CONVERTED, CONTAMINATED],
        id: &[],
        rows: people_behind,
        sql: include_str!("people.sql"),
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        if params.treated == params.control {
            let fault = Invalid::new("`--treated` and `--control` name one tag");
            return Err(misfit(fault.hint("name the tag of the people who were held out")));
        }
        params.range.resolve(defaults)
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let followed = followed(tables, params, &[])?;
        let counts = [PEOPLE, CONVERTED, CONTAMINATED];
        let sums = money::summed_with(followed, &[col(GROUP)], VALUE, &counts);
        let earned = from_millionths(millionths(col(AMOUNT))).alias(EARNED);
        let kept = [GROUP, AMOUNT, CURRENCY].into_iter().chain(counts).map(col);
        let sums = sums.select(kept.chain([earned]).collect::<Vec<_>>());
        let (split, mixture_sd) = (params.split, params.mixture_sd);
        let name = format!("lift: split {split} mixture {mixture_sd}");
        Ok(node(sums, name, schema(), move |sums| compared(&sums, split, mixture_sd)))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.event.bind(params.range.bind(Bindings::new()));
        let number = |number: f64| format!("CAST('{number:?}' AS DOUBLE)");
        let (one, other) = (["x1", "n1"], ["x0", "n0"]);
        let end = |[part, whole]: [&str; 2], bound| wilson_pct_sql(part, whole, bound);
        params
            .flows
            .bind(bindings)
            .text("treated", &params.treated)
            .text("control", &params.control)
            .integer("days", params.days)
            .slot("split", number(params.split))
            .slot("mixture_sd", number(params.mixture_sd))
            .slot("treated_low", end(one, Bound::Low))
            .slot("treated_high", end(one, Bound::High))
            .slot("control_low", end(other, Bound::Low))
            .slot("control_high", end(other, Bound::High))
            .slot("difference_low", newcombe_points_sql(one, other, Bound::Low))
            .slot("difference_high", newcombe_points_sql(one, other, Bound::High))
            .slot("followed", include_str!("followed.sql").trim_end().to_owned())
    }
}

fn micros(stamp: &str) -> Expr {
    col(stamp).cast(DataType::Int64)
}

/// Predicate: a person is of a group, and not left out.
fn is_of_a_group() -> Expr {
    col(GROUP).eq(lit(TREATED)).or(col(GROUP).eq(lit(CONTROL)))
}

/// The people with a tag, a row each, of the range or left out whatever it is: [`USER_KEY`], the [`GROUP`], or why
/// they are left out, the start of their tag, and columns of tags that are brought along.
fn tagged(tables: &Tables, params: &Params, brought: &[&str]) -> LazyFrame {
    let has = |tag: &str| col(TAG).eq(lit(tag));
    let (is_treated, is_control) = (has(params.treated.as_str()), has(params.control.as_str()));
    let brought = || brought.iter().map(|column| col(*column));
    let own = [col(USER_KEY), col(SINCE), is_treated.clone().alias(IS_TREATED)];
    let of_person =
        [rows().alias(TAGS), rows_where(col(IS_TREATED)).alias(TREATED_TAGS), col(SINCE).min()];
    let is_treated_too = || col(TREATED_TAGS).gt(lit(0));
    let group = when(is_treated_too().and(col(TREATED_TAGS).lt(col(TAGS))))
        .then(lit(BOTH))
        .when(col(SINCE).is_null())
        .then(lit(UNDATED))
        .when(is_treated_too())
        .then(lit(TREATED))
        .otherwise(lit(CONTROL));
    let people = tables
        .scan(&audience_tags::TABLE)
        .filter(is_treated.or(is_control))
        .select(own.into_iter().chain(brought()).collect::<Vec<_>>())
        .group_by([col(USER_KEY)])
        .agg(of_person.into_iter().chain(brought().map(Expr::first)).collect::<Vec<_>>())
        .with_column(group.alias(GROUP));
    let kept = [USER_KEY, GROUP, SINCE].into_iter().map(col).chain(brought());
    let people = people.select(kept.collect::<Vec<_>>());
    match params.range.holds_instant(&col(SINCE)) {
        Some(in_range) => people.filter(is_of_a_group().not().or(in_range)),
        None => people,
    }
}

/// The people with a tag and what followed, as rows of the columns that count: 1 in [`PEOPLE`] for each person, in
/// [`CONVERTED`] for each who converted and in [`CONTAMINATED`] for each to whom something was sent, and a `value`
/// and `currency` for each conversion that counts. Each has the columns of [`tagged`].
fn followed(tables: &Tables, params: &Params, brought: &[&str]) -> PolarsResult<LazyFrame> {
    let window = params.days * DAY;
    // Polars takes a literal of any integer type for an Int32.
    let one = || lit(1).cast(DataType::Int64);
    let people = once(tagged(tables, params, brought));
    let converted = [SESSION_KEY, USER_KEY, VALUE, CURRENCY, EVENT].map(col);
    let converted = [&converted[..], &[micros(CONVERTED_AT).alias(AT)]].concat();
    let conversions = once(tables.scan(&conversions::TABLE).select(converted));
    let latest = conversions.clone().select([col(AT).max().alias(LATEST)]);

    let in_windows = |events: LazyFrame, what: &[&str]| {
        let after = || col(AT) - micros(SINCE);
        let within = after().gt_eq(lit(0_i64)).and(after().lt(lit(window)));
        let kept = [&[USER_KEY, GROUP, SINCE], brought, what].concat();
        let kept: Vec<Expr> = kept.into_iter().map(col).collect();
        events.filter(within).select(kept)
    };
    let in_groups = people.clone().filter(is_of_a_group());
    // The first row of each person, whichever it is.
    let is_first = col(USER_KEY).is_first_distinct().cast(DataType::Int64);
    let earned = of_people(params.event.of(conversions), in_groups, tables)?;
    let earned = in_windows(earned, &[VALUE, CURRENCY]).with_column(is_first.alias(CONVERTED));
    let held_out = people.clone().filter(col(GROUP).eq(lit(CONTROL)));
    let person = Some(by_name([USER_KEY], true, false));
    let reached = join_few(held_out, sent(tables, params), USER_KEY, "deployments of people")?;
    let reached = in_windows(reached, &[])
        .unique(person, UniqueKeepStrategy::Any)
        .with_column(one().alias(CONTAMINATED));

    let people = people.with_column(one().alias(PEOPLE));
    let rows = concat_lf_diagonal([people, earned, reached], UnionArgs::default())?;
    // A difference instead of a comparison: Polars would turn the cross join into an inequality join.
    let left = micros(SINCE) + lit(window) - col(LATEST);
    let is_over = left.lt_eq(lit(0_i64)).fill_null(lit(false));
    let group = when(is_of_a_group().and(is_over.not())).then(lit(IMMATURE)).otherwise(col(GROUP));
    Ok(rows.cross_join(latest, None).with_column(group.alias(GROUP)))
}

/// The conversions of people: those of their sessions, and those without a session that name them.
fn of_people(
    conversions: LazyFrame,
    people: LazyFrame,
    tables: &Tables,
) -> PolarsResult<LazyFrame> {
    let sessions = tables.scan(&sessions::TABLE).select([SESSION_KEY, USER_KEY].map(col));
    let visits = join_few(people.clone(), sessions, USER_KEY, "sessions of people")?;
    let inner = |rows: LazyFrame, others: LazyFrame, key: &str| {
        rows.join(others, [col(key)], [col(key)], JoinArgs::new(JoinType::Inner))
    };
    let has_session = || col(SESSION_KEY).is_not_null();
    let in_sessions =
        conversions.clone().filter(has_session()).drop(by_name([USER_KEY], true, false));
    let named = conversions.filter(has_session().not().and(col(USER_KEY).is_not_null()));
    let of_sessions = inner(in_sessions, visits, SESSION_KEY);
    concat_lf_diagonal([of_sessions, inner(named, people, USER_KEY)], UnionArgs::default())
}

/// The deployments that contaminate: those of the days on which windows lie that did not fail.
fn sent(tables: &Tables, params: &Params) -> LazyFrame {
    let starts = params.range.span();
    let until = starts.until.map(|until| until.saturating_add(params.days * DAY));
    let sent = Span { until, ..starts }.scan(tables, &deployments::TABLE);
    let counts = delivery_is("Failed").not().and(col(USER_KEY).is_not_null());
    let sent = params.flows.of(sent.filter(counts));
    sent.select([col(USER_KEY), micros(DEPLOYMENT_TIMESTAMP).alias(AT)])
}

/// The people who are counted, a row for their own group and one for both together.
fn people_behind(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
    let counts = [PEOPLE, CONVERTED, CONTAMINATED];
    let people = followed(tables, params, &[USER_PHONE])?
        .filter(is_of_a_group())
        .group_by([USER_PHONE, SINCE, GROUP].map(col))
        .agg(counts.map(|count| col(count).sum()))
        .with_columns(counts.map(|count| col(count).gt(lit(0)).alias(count)));
    let both = df![IN_BOTH => [false, true]]?.lazy();
    let in_own = |count: &str| col(count).and(col(IN_BOTH).not()).alias(count);
    let group = when(col(IN_BOTH)).then(lit(GROUPS[2])).otherwise(col(GROUP));
    Ok(people.cross_join(both, None).with_columns([
        group.alias(GROUP),
        in_own(CONVERTED),
        in_own(CONTAMINATED),
    ]))
}

fn schema() -> Schema {
    let columns = HoldoutLift::SPEC.columns.iter();
    columns.map(|column| Field::new(column.name.into(), column.of.data_type())).collect()
}

/// What is known of a group.
#[derive(Clone, Copy)]
struct Outcome<'a> {
    /// The place of the group among the sums; `None` if it has nobody.
    place: Option<u32>,
    people: i64,
    converted: i64,
    /// The revenue; `None` without any, and in several currencies.
    revenue: Option<f64>,
    /// The currency; `None` without revenue, and if it is unknown.
    currency: Option<&'a str>,
}

impl<'a> Outcome<'a> {
    /// The group of a name, from the sums of all groups.
    fn of(group: &str, sums: &'a DataFrame) -> PolarsResult<Self> {
        let place = sums.column(GROUP)?.str()?.iter().position(|name| name == Some(group));
        let count = |name: &str| -> PolarsResult<i64> {
            let counts = sums.column(name)?.i64()?;
            Ok(place.and_then(|place| counts.get(place)).unwrap_or(0))
        };
        let (revenues, currencies) = (sums.column(EARNED)?.f64()?, sums.column(CURRENCY)?.str()?);
        Ok(Self {
            place: place.and_then(|place| u32::try_from(place).ok()),
            people: count(PEOPLE)?,
            converted: count(CONVERTED)?,
            revenue: place.and_then(|place| revenues.get(place)),
            currency: place.and_then(|place| currencies.get(place)),
        })
    }

    /// The people who converted, and all of them.
    fn rate(&self) -> [f64; 2] {
        [self.converted as f64, self.people as f64]
    }

    /// The share of the people who converted, in percent; `None` without people.
    fn rate_pct(&self) -> Option<f64> {
        let [part, whole] = self.rate();
        (whole > 0.0).then(|| 100.0 * part / whole)
    }

    fn rate_bound(&self, bound: Bound) -> Option<f64> {
        let [part, whole] = self.rate();
        wilson(part, whole, bound).map(|share| share * 100.0)
    }

    /// Returns `true` if its revenue is in several currencies.
    fn is_in_several(&self) -> bool {
        self.revenue.is_none() && self.currency.is_some()
    }

    /// The revenue beyond that of the same number of people in another group. `None` across currencies, and if
    /// the other has nobody.
    fn extra_revenue(&self, other: &Self) -> Option<f64> {
        let differs =
            self.revenue.is_some() && other.revenue.is_some() && self.currency != other.currency;
        if differs || self.is_in_several() || other.is_in_several() || other.people == 0 {
            return None;
        }
        let expected = other.revenue.unwrap_or(0.0) * self.people as f64 / other.people as f64;
        Some(self.revenue.unwrap_or(0.0) - expected)
    }

    /// The conversions beyond those at the rate of another group. `None` if either has nobody.
    fn extra_conversions(&self, other: &Self) -> Option<f64> {
        let share = |of: &Self| (of.people > 0).then(|| of.converted as f64 / of.people as f64);
        Some(self.people as f64 * (share(self)? - share(other)?))
    }
}

/// The answer's rows, from the sums of all groups.
fn compared(sums: &DataFrame, split: f64, mixture_sd: f64) -> PolarsResult<DataFrame> {
    let (treated, control) = (Outcome::of(TREATED, sums)?, Outcome::of(CONTROL, sums)?);
    let (one, other) = (treated.rate(), control.rate());
    let people = treated.people + control.people;
    let apart = treated.rate_pct().zip(control.rate_pct()).map(|(one, other)| one - other);
    let bounds = |bound: Bound| {
        let difference = newcombe(one, other, bound).map(|difference| difference * 100.0);
        vec![treated.rate_bound(bound), control.rate_bound(bound), difference]
    };
    let of_both = |name: &str, value: Option<f64>| Column::new(name.into(), [None, None, value]);
    let left_out = |group: &str| -> PolarsResult<Column> {
        let count = Outcome::of(group, sums)?.people;
        Ok(Column::new(group.into(), [None, None, Some(count)]))
    };
    let places = [treated.place, control.place, None].into_iter();
    let places = IdxCa::from_iter_options("place".into(), places);
    let earned = |name: &str, column: &str| -> PolarsResult<Column> {
        Ok(sums.column(column)?.take(&places)?.with_name(name.into()))
    };
    let contaminated = match control.place {
        Some(place) => sums.column(CONTAMINATED)?.i64()?.get(place as usize).unwrap_or(0),
        None => 0,
    };
    let rates = vec![treated.rate_pct(), control.rate_pct(), apart];
    let columns = vec![
        Column::new(GROUP.into(), GROUPS),
        Column::new(PEOPLE.into(), [treated.people, control.people, people]),
        Column::new(CONVERTED.into(), [Some(treated.converted), Some(control.converted), None]),
        Column::new(RATE_PCT.into(), rates),
        Column::new(RATE_LOW.into(), bounds(Bound::Low)),
        Column::new(RATE_HIGH.into(), bounds(Bound::High)),
        earned(REVENUE, AMOUNT)?,
        earned(CURRENCY, CURRENCY)?,
        of_both(EXTRA_CONVERSIONS, treated.extra_conversions(&control)),
        of_both(EXTRA_REVENUE, treated.extra_revenue(&control)),
        of_both(P_VALUE, z_test(one, other)),
        of_both(P_ALWAYS, always_valid_p(one, other, mixture_sd)),
        of_both(SPLIT_P, share_p([one[1], people as f64], split)),
        left_out(BOTH)?,
        left_out(UNDATED)?,
        left_out(IMMATURE)?,
        Column::new(CONTAMINATED.into(), [None, Some(contaminated), None]),
    ];
    DataFrame::new(GROUPS.len(), columns)
}
