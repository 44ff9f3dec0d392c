//! Which replies could have been one?
//!
//! One row per month, or per group of `--by`, in which a reply was created: a delivered outgoing
//! message to a person that is no template. It is mergeable if the message before it in the turn of
//! its person and line is a reply, too, and at most `--seconds` earlier:
//!
//! ```text
//! the person                             10:01:00
//! replies    10:00:00 10:00:10 10:00:50           10:01:05 10:01:20
//! mergeable           yes      no: 40 s           no       yes
//! ```
//!
//! In a turn stand replies and what the person wrote, by creation, then id. Templates, reactions
//! and messages that were not delivered do not stand in it. Messages without a line form a line of
//! their own. The reply before may be outside of the range and the filters.
//!
//! Prices are those of [`pricing-analytics`](crate::pricing_analytics) by Meta's rules alone,
//! whatever Meta reported: from October 2026 on, replies beyond the first 1000 of a line and month
//! cost something. `cost_if_merged` is what the other replies would have cost without any of the
//! mergeable ones. Fewer messages of the month are numbered then, in range or not, so that more of
//! them are free. It is 0 for a group of which all are mergeable. A cost is null if a message has
//! no rate, or if rates are in several currencies.

use polars::prelude::{Schema, UnionArgs, concat, df};
use wabalake_data::Table;
use wabalake_data::tables::messages::{self, CREATED_AT, LINE, MESSAGE_TYPE, WHATSAPP_ID};
use wabalake_data::tables::{CURRENCY, USER_KEY, audience_tags, markets, rates, sessions};

use crate::kernels::beyond::beyond;
use crate::kernels::gaps::{self, GAP};
use crate::kernels::{collected, node, once};
use crate::query::Type;
use crate::query::billing::entry_windows::Windows;
use crate::query::billing::prices::DATED;
use crate::query::billing::pricing::deliveries;
use crate::query::billing::rules::{ComputedPrices, EntryPoint, PricingOptions};
use crate::query::billing::sends::{COST_CURRENCY, by_currency, costs};
use crate::query::billing::{money, service};
use crate::query::monthly::count_by_month;
use crate::query::numbers::whole;
use crate::query::prelude::*;
use crate::query::time::{Clock, SECOND, Span};
use crate::query::words::Word;

/// See the [module](self) for the question it answers.
#[derive(Clone, Debug)]
pub struct ReplyBursts;

impl Filtered for ReplyBursts {
    const TABLE: &'static Table = &messages::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_MESSAGES;
}

impl Grouped for ReplyBursts {
    const TIMES: &'static [Dimension] = Dimension::TIMES;
    const TAKES: &'static [Dimension] = &[Dimension::Line, Dimension::Country, Dimension::Tag];
    const DEFAULT: &'static [Dimension] = &[Dimension::Month];
}

/// The query's options.
#[derive(Args, Clone, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<ReplyBursts>,
    #[command(flatten)]
    by: Dimensions<ReplyBursts>,

    /// Most seconds between two replies that could have been one
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 30,
        value_parser = whole::<i64>(1..=u32::MAX.into())
    )]
    seconds: i64,

    #[command(flatten)]
    prices: ComputedPrices,

    /// Which messages are free because an ad led to their conversation [default: type]
    #[arg(long, value_name = "HOW", value_parser = Word::of::<EntryPoint>())]
    entry_point: Option<EntryPoint>,
}

/// Replies: delivered outgoing messages to people that are no templates.
pub const SERVICE_MESSAGES: &str = "service_messages";
/// Replies that closely follow another one.
pub const MERGEABLE: &str = "mergeable";
/// Share of the replies that are mergeable.
pub const MERGEABLE_PCT: &str = "mergeable_pct";
/// What the replies cost by Meta's rules.
pub const COST: &str = "cost";
/// What the replies would cost without the mergeable ones.
pub const COST_IF_MERGED: &str = "cost_if_merged";
/// The difference of the two costs.
pub const SAVED: &str = "saved";

/// `true` for a message that is a reply; others of the turn are the person's.
const IS_REPLY: &str = "is_reply";
/// `true` for sums of all replies, `false` for those of the replies that are left without the
/// mergeable ones.
const OF_ALL: &str = "of_all";
/// `true` for a group that has replies left, and for a message that is not mergeable.
const IS_LEFT: &str = "is_left";
const CURRENCY_IF_MERGED: &str = "currency_if_merged";
/// `true` for a message that passes the filters.
const PASSES: &str = "passes";
/// The local month of a message that is numbered, in days since 1970.
const MONTH: &str = "month_of_number";

/// The order of turns.
const BY: gaps::By = gaps::By { person: USER_KEY, line: LINE, at: CREATED_AT, id: WHATSAPP_ID };

impl Query for ReplyBursts {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "reply-bursts",
        title: "Replies that could have been one",
        question: "Which replies could have been one? Delivered messages to people that are no \
                   templates, how many of them closely follow another one, and what would be saved \
                   without these, by Meta's rules of each message's date.",
        reads: &[
            &messages::TABLE,
            &audience_tags::TABLE,
            &rates::TABLE,
            &markets::TABLE,
            &sessions::TABLE,
        ],
        // Earlier replies of the month count for the numbers.
        range: Range::History,
        columns: &[
            OutputColumn::count(SERVICE_MESSAGES),
            OutputColumn::count(MERGEABLE),
            OutputColumn::pct(MERGEABLE_PCT),
            OutputColumn::money(COST),
            OutputColumn::money(COST_IF_MERGED),
            OutputColumn::money(SAVED),
            OutputColumn::term(CURRENCY),
        ],
        key: &[],
        order: &[],
        example: &["--from", "2026-10-01", "--to", "2026-10-31", "--by", "line", "--seconds", "20"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &messages::TABLE,
        cells: &[],
        counts: &[SERVICE_MESSAGES, MERGEABLE],
        id: &[WHATSAPP_ID],
        rows: |tables, params| {
            let span = params.days.span();
            let replies = marked(params.replies(tables, span), params.mergeable(tables, span));
            let is_mergeable = col(MERGEABLE).gt(lit(0)).alias(MERGEABLE);
            Ok(replies.with_columns([lit(true).alias(SERVICE_MESSAGES), is_mergeable]))
        },
        sql: include_str!("people.sql"),
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.prices.resolve(defaults);
        params.entry_point.get_or_insert(defaults.pricing.entry_point());
        params.days.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters, &params.by, &params.options()])
    }

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.by.columns()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let (asked, what) = (params.clone(), format!("replies by month: {params:?}"));
        let parts = count_by_month(tables, params.days.span(), &what, move |tables, part| {
            asked.of_part(tables, part)
        })?;
        let group = params.by.names();
        let of_each = [&group[..], &[col(OF_ALL)]].concat();
        let sums = once(costs(parts, &of_each, &[SERVICE_MESSAGES, MERGEABLE]));
        let of_left = [
            col(COST).alias(COST_IF_MERGED),
            col(COST_CURRENCY).alias(CURRENCY_IF_MERGED),
            lit(true).alias(IS_LEFT),
        ];
        let left = sums.clone().filter(col(OF_ALL).not()).select([&group[..], &of_left].concat());
        let nothing = lit(0).cast(Type::Money.data_type());
        let if_merged = when(col(IS_LEFT).is_null()).then(nothing).otherwise(col(COST_IF_MERGED));
        let known = JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Left) };
        let groups = sums.filter(col(OF_ALL)).join(left, &group, &group, known);
        Ok(groups.with_column(if_merged.alias(COST_IF_MERGED)).with_columns([
            share_pct(col(MERGEABLE), col(SERVICE_MESSAGES)).alias(MERGEABLE_PCT),
            (col(COST) - col(COST_IF_MERGED)).alias(SAVED),
            col(COST_CURRENCY).fill_null(col(CURRENCY_IF_MERGED)).alias(CURRENCY),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.by.bind(params.days.bind(Bindings::new()));
        let bindings = params.options().bind(params.filters.bind(bindings));
        let slots = if params.options().has_entry_windows() {
            [
                Windows::USUAL.sql("kept_", "kept_messages") + ",\n",
                "\n            OR entered_id IS NOT NULL".to_owned(),
                Windows::join_sql("kept_", "kept_messages"),
            ]
        } else {
            [String::new(), String::new(), String::new()]
        };
        let [windows, or_entered, join_entered] = slots;
        bindings
            .integer("seconds", params.seconds)
            .slot("replies", include_str!("replies.sql").trim_end().to_owned())
            .slot("kept_windows_then", windows)
            .slot("or_kept_entered", or_entered)
            .slot("join_kept_entered", join_entered)
    }
}

impl Params {
    /// How replies are priced.
    fn options(&self) -> PricingOptions {
        self.prices.options(self.entry_point.unwrap_or(EntryPoint::Type))
    }

    /// The replies of an interval that pass the filters, with the columns of the dimensions.
    fn replies(&self, tables: &Tables, within: Span) -> LazyFrame {
        let messages = within.scan(tables, &messages::TABLE);
        let replies = self.filters.of(messages, tables).filter(is_reply());
        self.by.split(replies, tables, self.days.timezone())
    }

    /// The ids of the mergeable replies of an interval.
    fn mergeable(&self, tables: &Tables, within: Span) -> LazyFrame {
        let most = self.seconds * SECOND;
        // An earlier message is too far away from the first of the interval.
        let from = within.from.map(|from| from.saturating_sub(most));
        let in_turn = col(USER_KEY).is_not_null().and(is_reply().or(incoming_message()));
        let turns =
            Span { from, ..within }.scan(tables, &messages::TABLE).filter(in_turn).select([
                col(USER_KEY),
                col(LINE),
                col(CREATED_AT),
                col(WHATSAPP_ID),
                is_reply().alias(IS_REPLY),
            ]);
        gaps::in_runs(turns, BY, IS_REPLY, &[WHATSAPP_ID])
            .filter(col(GAP).lt_eq(lit(most)))
            .select([col(WHATSAPP_ID)])
    }

    /// The messages of the turns of an interval and the service messages to nobody, with the columns that dimensions
    /// other than the country need, [`IS_REPLY`] and [`PASSES`].
    fn turns(&self, tables: &Tables, within: Span, others: &[Expr]) -> LazyFrame {
        let is_service = is_service().and(message_delivered());
        let in_turn = is_service.or(incoming_message().and(col(USER_KEY).is_not_null()));
        let messages = within.scan(tables, &messages::TABLE).filter(in_turn);
        let (messages, passes) = self.filters.marked(messages, tables);
        let own = [
            col(USER_KEY),
            col(LINE),
            col(CREATED_AT),
            is_reply().alias(IS_REPLY),
            passes.alias(PASSES),
        ];
        messages.select([&own[..], others].concat())
    }

    /// The replies of a part among rows of [`Params::turns`], with the columns of the dimensions.
    fn replies_of_turns(&self, turns: LazyFrame, tables: &Tables, part: Span) -> LazyFrame {
        let replies = turns.filter(col(IS_REPLY).and(col(PASSES)));
        let replies = match part.holds(&col(CREATED_AT)) {
            Some(created_within) => replies.filter(created_within),
            None => replies,
        };
        self.by.split(replies, tables, self.days.timezone())
    }

    /// What the messages of a part of the range add to the sums: all replies, and those that are
    /// left without the mergeable ones.
    fn of_part(&self, tables: &Tables, part: Span) -> PolarsResult<LazyFrame> {
        let options = self.options();
        if options.has_entry_windows() {
            self.in_windows(tables, part)
        } else if options.may_charge_answers(part) {
            self.charged(tables, part)
        } else {
            Ok(self.uncharged(tables, part))
        }
    }

    /// [`Params::of_part`] where all replies are free. Those that are left without others need no row then.
    fn uncharged(&self, tables: &Tables, part: Span) -> LazyFrame {
        let most = self.seconds * SECOND;
        // An earlier message is too far away from the first of the part.
        let within = Span { from: part.from.map(|from| from.saturating_sub(most)), ..part };
        let by_country = self.by.asked().contains(&Dimension::Country);
        let with_ids = [col(WHATSAPP_ID), col(messages::COUNTRY)];
        let with_ids = self.turns(tables, within, &with_ids[..=usize::from(by_country)]);
        // A filter or a country may tell apart what one person gets at one time.
        let turns = if by_country || self.filters.are_given() {
            gaps::close_in_runs(with_ids, BY, IS_REPLY, most, MERGEABLE)
        } else {
            let turns = self.turns(tables, within, &[]);
            gaps::close_in_runs_of_alike(turns, with_ids, BY, IS_REPLY, most, MERGEABLE)
        };
        let group = self.by.names();
        let counts = self.replies_of_turns(turns, tables, part).group_by(&group).agg([
            rows().cast(DataType::Int64).alias(SERVICE_MESSAGES),
            rows_where(col(MERGEABLE)).cast(DataType::Int64).alias(MERGEABLE),
        ]);
        let all = counts.with_columns(money::uncharged()).with_column(lit(true).alias(OF_ALL));
        by_currency(all, &[&group[..], &[col(OF_ALL)]].concat(), &[SERVICE_MESSAGES, MERGEABLE])
    }

    /// [`Params::of_part`] where replies may cost something, and no window makes them free.
    fn charged(&self, tables: &Tables, part: Span) -> PolarsResult<LazyFrame> {
        const IN_MONTH: gaps::By = gaps::By { person: MONTH, ..BY };
        const CHARGED: [&str; 2] = ["is_charged", "is_charged_if_merged"];
        let (options, most) = (self.options(), self.seconds * SECOND);
        // Messages since the start of the month are numbered.
        let month = part.from.map(|from| Clock::Month.floor(part.timezone, from));
        let since = Span { from: month, ..part };
        let within = Span { from: month.map(|month| month.saturating_sub(most)), ..part };
        let is_numbered = [
            Some(is_service().and(message_delivered())),
            Some(service::is_numbered(&options, part)),
            since.holds(&col(CREATED_AT)),
        ];
        let is_numbered = is_numbered.into_iter().flatten().reduce(Expr::and).unwrap_or(lit(false));
        let of_month = Clock::Month.start(col(CREATED_AT), part.timezone);
        let of_month = of_month.cast(DataType::Int32).cast(DataType::Int64);
        let of_month = when(is_numbered).then(of_month).otherwise(lit(Null {}));
        let others = [col(messages::COUNTRY), col(WHATSAPP_ID), of_month.alias(MONTH)];
        let turns = self.turns(tables, within, &others);
        let turns = gaps::close_in_runs(turns, BY, IS_REPLY, most, MERGEABLE);
        let turns = turns.with_column(col(MERGEABLE).not().alias(IS_LEFT));
        let free = options.free_service_messages();
        let turns = beyond(turns, IN_MONTH, free, IS_LEFT, CHARGED);

        // Few rows stand for all: a price depends on the country and the date.
        let date = options.date(part).alias(DATED);
        let [charged, charged_if_merged] = CHARGED;
        let alike = [messages::COUNTRY, DATED, charged, charged_if_merged, MERGEABLE];
        let alike = self
            .replies_of_turns(turns, tables, part)
            .with_column(date)
            .group_by(self.by.names_with(&alike))
            .agg([rows().cast(DataType::Int64).alias(SERVICE_MESSAGES)]);
        let of_both = df![OF_ALL => [true, false]]?.lazy();
        let is_charged = when(col(OF_ALL)).then(col(charged)).otherwise(col(charged_if_merged));
        let mergeable = when(col(OF_ALL).and(col(MERGEABLE)))
            .then(col(SERVICE_MESSAGES))
            .otherwise(lit(0).cast(DataType::Int64));
        let units = service::priced(alike, tables)
            .cross_join(of_both, None)
            .with_columns(money::charged(is_charged))
            .with_columns(money::charges_times(SERVICE_MESSAGES))
            .with_column(mergeable.alias(MERGEABLE));
        let group = [&self.by.names()[..], &[col(OF_ALL)]].concat();
        Ok(by_currency(units, &group, &[SERVICE_MESSAGES, MERGEABLE]))
    }

    /// [`Params::of_part`] where the answers to clicks on ads make replies free, and open windows unless they are
    /// merged.
    fn in_windows(&self, tables: &Tables, part: Span) -> PolarsResult<LazyFrame> {
        // Messages since the start of the month are numbered.
        let month = part.from.map(|from| Clock::Month.floor(part.timezone, from));
        let reach = Windows::USUAL.reach();
        let from = month.map(|month| month.saturating_sub(reach));
        let mergeable = self.mergeable(tables, Span { from, ..part });
        let all = marked(self.replies(tables, part), mergeable.clone());
        let mut all = self.summed(all, tables, part, true)?;
        let schema = Schema::clone(&*all.collect_schema()?);
        let name = format!("replies that are not merged: {part:?} {self:?}");
        let (asked, tables) = (self.clone(), tables.clone());
        let left = node(mergeable, name, schema, move |mergeable| {
            let id = [col(WHATSAPP_ID)];
            let anti = JoinArgs::new(JoinType::Anti);
            let messages = tables.scan(&messages::TABLE).join(mergeable.lazy(), &id, &id, anti);
            let kept = tables.clone().with(&messages::TABLE, messages);
            // Polars takes a literal of any integer type for an Int32.
            let none = lit(0).cast(DataType::Int64).alias(MERGEABLE);
            let replies = asked.replies(&kept, part).with_column(none);
            let sums = asked.summed(replies, &kept, part, false)?;
            collected(sums)
        });
        concat([all, left], UnionArgs::default())
    }

    /// Sums the costs of replies of a part, priced among the messages of `tables`, by group and
    /// currency.
    fn summed(
        &self,
        replies: LazyFrame,
        tables: &Tables,
        part: Span,
        of_all: bool,
    ) -> PolarsResult<LazyFrame> {
        let (id, group) = ([col(WHATSAPP_ID)], self.by.names());
        let units = deliveries(tables, part, &self.options())?;
        let units = units.select([&id[..], &money::CHARGES.map(col)].concat());
        let replies = replies.select([&id[..], &group[..], &[col(MERGEABLE)]].concat());
        let replies = replies
            .join(units, &id, &id, JoinArgs::new(JoinType::Inner))
            .with_column(lit(1).cast(DataType::Int64).alias(SERVICE_MESSAGES));
        let sums = by_currency(replies, &group, &[SERVICE_MESSAGES, MERGEABLE]);
        Ok(sums.with_column(lit(of_all).alias(OF_ALL)))
    }
}

/// Adds the column [`MERGEABLE`], 0 or 1, to replies; `mergeable` has the ids of those that are.
fn marked(replies: LazyFrame, mergeable: LazyFrame) -> LazyFrame {
    let id = [col(WHATSAPP_ID)];
    let mergeable = mergeable.with_column(lit(true).alias(MERGEABLE));
    let is_mergeable = col(MERGEABLE).is_not_null().cast(DataType::Int64);
    replies
        .join(mergeable, &id, &id, JoinArgs::new(JoinType::Left))
        .with_column(is_mergeable.alias(MERGEABLE))
}

/// Predicate: a message is a reply.
fn is_reply() -> Expr {
    is_service().and(message_delivered()).and(col(USER_KEY).is_not_null())
}

/// Predicate: a message is outgoing and no template.
fn is_service() -> Expr {
    col(MESSAGE_TYPE).eq(lit("outgoing"))
}
