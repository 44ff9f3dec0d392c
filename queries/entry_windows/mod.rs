//! What did the ad's free hours bring?
//!
//! One row per ad, or per group of `--by`, with clicks in the range, or spend. A click is a session
//! that an ad led to, at its first message; sessions that a post led to, and those without a first
//! message or a person, are no clicks. With `--clicks messages` it is an incoming message that came
//! from an ad.
//!
//! ```text
//! click    ├──── --answer-hours ────┤
//! answer          ├──────────── --window-hours ─────────────┤
//! messages        ● inside           ● inside                     ● outside
//! ```
//!
//! The answer is the first delivered outgoing message to the person on the click's line, within
//! `--answer-hours`, both ends included; a click without a line is answered on any. It opens a
//! window of `--window-hours`, on its own line. Answer and later messages in the window are inside:
//! a message counts once, in the group of the click that opened the latest window around it, and
//! not at all if that click does not count. Of several clicks with one answer the latest has it,
//! then the one with the greatest id.
//!
//! A click is answered, or pending if its hours are not over at the latest message of the lake, or
//! missed.
//!
//! `would_have_cost` is the price of the messages inside by Meta's rules alone, without any that
//! are free because of an ad: from October 2026 on, beyond the free service messages of the month,
//! no message is free. It is null if a message has no rate, if rates are in several currencies, and
//! without messages. `spend` is that of [`meta-sources`](crate::meta_sources): filters choose
//! clicks, not spend, and an ad with spend and no click has a row. By line, country, tag or hour it
//! is null. `net_per_click` is null if spend and cost are in different currencies.
//!
//! With `--clicks messages` the range, the filters and `--by` are of the message, which has a
//! country, a line and tags. The ads that it names are the same ones.

mod by;
mod slots;

use polars::prelude::{DataFrame, Field, IDX_DTYPE, JoinCoalesce, Schema};
use wabalake_data::tables::ad_spend::{
    self, AD_ID, AD_SET_ID, AD_SET_NAME, CAMPAIGN_ID, CAMPAIGN_NAME, DAY, SPEND,
};
use wabalake_data::tables::audience_tags::{self, TAG};
use wabalake_data::tables::messages;
use wabalake_data::tables::sessions::{self, COUNTRY, LINE_WHATSAPP_NUMBER, META_SOURCE_ID};
use wabalake_data::tables::{CURRENCY, USER_PHONE, instant, markets, rates};
use wabalake_data::{Invalid, Table};

use self::by::By;
use crate::kernels::groups::Groups;
use crate::kernels::{collected, node};
use crate::query::Type;
use crate::query::billing::entry_windows::{
    ANSWERED_AT, CLICK_ID, CLICKED_AT, Clicks, IS_PENDING, Windows,
};
use crate::query::billing::money::{self, AMOUNT};
use crate::query::billing::pricing::with_charges;
use crate::query::billing::rules::{ComputedPrices, EntryPoint, PricingOptions};
use crate::query::billing::sends::{COST_CURRENCY, by_currency, costs};
use crate::query::measures::from_millionths;
use crate::query::monthly::count_by_month;
use crate::query::numbers::whole;
use crate::query::prelude::*;
use crate::query::time::Span;
use crate::query::usage::misfit;
use crate::query::words::Word;

/// See the [module](self) for the question it answers.
#[derive(Clone, Debug)]
pub struct EntryWindows;

impl Filtered for EntryWindows {
    const TABLE: &'static Table = &sessions::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_SESSIONS;
}

/// The query's options.
#[derive(Args, Clone, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<EntryWindows>,
    #[command(flatten)]
    by: By,

    /// Most hours from a click to its answer
    #[arg(
        long,
        value_name = "HOURS",
        default_value_t = 24,
        value_parser = whole::<i64>(1..=876_000)
    )]
    answer_hours: i64,

    /// Hours that a window lasts from the answer on
    #[arg(
        long,
        value_name = "HOURS",
        default_value_t = 72,
        value_parser = whole::<i64>(1..=876_000)
    )]
    window_hours: i64,

    /// What clicks on ads are; messages take `--country`, `--line` and `--tag` alone
    #[arg(long, value_enum, default_value_t = Clicks::Sessions, value_parser = Word::of::<Clicks>())]
    clicks: Clicks,

    #[command(flatten)]
    prices: ComputedPrices,
}

/// Clicks on ads.
pub const CLICKS: &str = "clicks";
/// Clicks without an answer that may still get one.
pub const PENDING: &str = "pending";
/// Clicks that were answered in time.
pub const ANSWERED: &str = "answered";
/// Share of the clicks that are not pending that were answered.
pub const ANSWERED_PCT: &str = "answered_pct";
/// Median time from the click to the answer.
pub const MEDIAN_ANSWER_SECONDS: &str = "median_answer_seconds";
/// Clicks that were not answered in time.
pub const MISSED: &str = "missed";
/// Delivered messages in the windows of the clicks.
pub const MESSAGES_INSIDE: &str = "messages_inside";
/// What these messages would have cost without free entry points.
pub const WOULD_HAVE_COST: &str = "would_have_cost";
/// Currency of the spend; several are joined by `+`.
pub const SPEND_CURRENCY: &str = "spend_currency";
/// Spend less what the messages would have cost, per click.
pub const NET_PER_CLICK: &str = "net_per_click";

/// Microseconds from a click to its answer.
const TOOK: &str = "took";
/// The number of a click among all that may open windows.
const CLICK: &str = "click_number";
/// The number of messages inside that have a price.
const CHARGED: &str = "charged_messages";
/// The counts of groups, which are 0 where there is nothing to count.
const COUNTS: [&str; 5] = [CLICKS, PENDING, ANSWERED, MESSAGES_INSIDE, CHARGED];

impl Query for EntryWindows {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "entry-windows",
        title: "Clicks on ads, and the free hours after their answers",
        question: "What did the ad's free hours bring? Clicks on ads, how many were answered in \
                   time, the messages in the hours that the answers opened, what these would have \
                   cost, and what was spent on the ads.",
        reads: &[
            &sessions::TABLE,
            &messages::TABLE,
            &ad_spend::TABLE,
            &rates::TABLE,
            &markets::TABLE,
            &audience_tags::TABLE,
        ],
        // Clicks of any day open windows, which may end after the range.
        range: Range::History,
        columns: &[
            OutputColumn::term(META_SOURCE_ID),
            OutputColumn::count(CLICKS),
            OutputColumn::count(PENDING),
            OutputColumn::count(ANSWERED),
            OutputColumn::pct(ANSWERED_PCT),
            OutputColumn::seconds(MEDIAN_ANSWER_SECONDS),
            OutputColumn::count(MISSED),
            OutputColumn::count(MESSAGES_INSIDE),
            OutputColumn::money(WOULD_HAVE_COST),
            OutputColumn::term(CURRENCY),
            OutputColumn::money(SPEND),
            OutputColumn::term(SPEND_CURRENCY),
            OutputColumn::number(NET_PER_CLICK),
        ],
        key: &[META_SOURCE_ID],
        order: &[Order::Descending(CLICKS)],
        example: &["--from", "2026-10-01", "--to", "2026-10-31", "--by", "campaign"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &sessions::TABLE,
        // Those of all dimensions; an answer has those of its own.
        cells: &[
            META_SOURCE_ID,
            "half_hour",
            "hour",
            "day",
            "week",
            "month",
            CAMPAIGN_ID,
            CAMPAIGN_NAME,
            AD_SET_ID,
            AD_SET_NAME,
            LINE_WHATSAPP_NUMBER,
            COUNTRY,
            TAG,
        ],
        counts: &[CLICKS, ANSWERED, MISSED, PENDING],
        id: &[CLICK_ID],
        rows: |tables, params| {
            let is_answered = || col(TOOK).is_not_null();
            Ok(params.answered(tables, &[col(USER_PHONE)]).with_columns([
                lit(true).alias(CLICKS),
                is_answered().alias(ANSWERED),
                is_answered().or(col(IS_PENDING)).not().alias(MISSED),
                col(IS_PENDING).alias(PENDING),
            ]))
        },
        sql: include_str!("people.sql"),
    });

    fn behind(params: &Params) -> Option<Behind<Self>> {
        Self::BEHIND.map(|behind| Behind { table: params.clicks.table(), ..behind })
    }

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        if let Some(option) = params.filters.given_beside(params.clicks.table()) {
            let fault = Invalid::new(format!("`--{option}` is no filter of messages"));
            return Err(misfit(fault.hint("leave it out, or ask `--clicks sessions`")));
        }
        params.prices.resolve(defaults);
        params.days.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters, &params.by, &params.clicks])
    }

    fn shape(params: &Params) -> Shape {
        let measures = Self::SPEC.columns.iter().filter(|column| column.name != META_SOURCE_ID);
        Shape {
            columns: params.by.columns().into_iter().chain(measures.copied()).collect(),
            key: params.by.key(),
            order: params.by.order(),
            ..Shape::of(&Self::SPEC)
        }
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let keys = params.by.names();
        let of_clicks = [CLICK_ID, CLICKED_AT, TOOK, IS_PENDING].map(col);
        let clicks = params.answered(tables, &[]).select([&keys[..], &of_clicks].concat());
        let counted = Groups::of(clicks, keys.clone())
            .measured(|clicks, group| params.inside(clicks, group, tables))
            .quantiles_seconds(TOOK, [(MEDIAN_ANSWER_SECONDS, 0.5)])
            .agg([
                rows().alias(CLICKS),
                rows_where(col(IS_PENDING)).alias(PENDING),
                col(TOOK).count().alias(ANSWERED),
            ]);
        let groups = match params.spend(tables) {
            Some(spend) => {
                let full = JoinArgs {
                    coalesce: JoinCoalesce::CoalesceColumns,
                    nulls_equal: true,
                    ..JoinArgs::new(JoinType::Full)
                };
                counted.join(spend, &keys, &keys, full)
            }
            None => counted.with_columns([
                lit(Null {}).cast(Type::Money.data_type()).alias(SPEND),
                lit(Null {}).cast(DataType::String).alias(SPEND_CURRENCY),
            ]),
        };
        let counts = COUNTS.map(|count| col(count).fill_null(lit(0)).cast(DataType::Int64));
        let over = || col(CLICKS) - col(PENDING);
        Ok(groups.with_columns(counts).with_columns([
            (over() - col(ANSWERED)).alias(MISSED),
            share_pct(col(ANSWERED), over()).alias(ANSWERED_PCT),
            net_per_click().alias(NET_PER_CLICK),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        slots::bind(params)
    }
}

impl Params {
    /// The clicks and lengths of time that make windows.
    fn windows(&self) -> Windows {
        let Self { clicks, answer_hours, window_hours, .. } = *self;
        Windows { clicks, answer_hours, window_hours }
    }

    /// How the messages inside are priced.
    fn options(&self) -> PricingOptions {
        self.prices.options(EntryPoint::None)
    }

    /// The clicks that count, with the columns that they are grouped by, the time until their
    /// answer, and `others`.
    fn answered(&self, tables: &Tables, others: &[Expr]) -> LazyFrame {
        let (clicks, table) = (self.clicks, self.clicks.table());
        let rows = self.filters.of_table(self.days.scan(tables, table), table, tables);
        let ad = self.by.has_ads().then(|| col(clicks.ad()).alias(META_SOURCE_ID));
        let country = self.by.has(Dimension::Country).then(|| col(COUNTRY));
        let of_groups = [col(table.day_of)].into_iter().chain(country).chain(ad);
        let asked = clicks.of(rows, &of_groups.chain(others.iter().cloned()).collect::<Vec<_>>());
        let answered = self.windows().answered(asked, tables);
        self.by
            .split(answered, clicks, tables, self.days.timezone())
            .with_column((col(ANSWERED_AT) - col(CLICKED_AT)).alias(TOOK))
    }

    /// What is inside the windows of clicks, by the number of their group: messages and what they
    /// would have cost.
    fn inside(&self, clicks: LazyFrame, group: &'static str, tables: &Tables) -> LazyFrame {
        const COUNTED: [&str; 2] = [MESSAGES_INSIDE, CHARGED];
        let fields = [
            (group, DataType::UInt32),
            (MESSAGES_INSIDE, DataType::Int64),
            (CHARGED, DataType::Int64),
            (WOULD_HAVE_COST, Type::Money.data_type()),
            (CURRENCY, DataType::String),
        ];
        let schema: Schema =
            fields.into_iter().map(|(name, of)| Field::new(name.into(), of)).collect();
        let what = format!("messages in the windows of clicks: {self:?}");
        let (params, tables, declared) = (self.clone(), tables.clone(), schema.clone());
        let clicks = clicks.select([group, CLICK_ID, CLICKED_AT].map(col));
        node(clicks, what.clone(), schema, move |clicks| {
            let at = clicks.column(CLICKED_AT)?.i64()?;
            let times = || at.iter().flatten();
            let (Some(first), Some(last)) = (times().min(), times().max()) else {
                return Ok(DataFrame::empty_with_schema(&declared));
            };
            let until = last.saturating_add(params.windows().reach());
            let timezone = params.days.timezone();
            let span = Span { from: Some(first), until: Some(until), timezone };
            // Clicks that do not count open windows, too.
            let openers = params.windows().openers(&tables, span).with_row_index(CLICK, None);
            let openers = collected(openers)?;
            let click = [col(CLICK_ID)];
            let of_groups = clicks.select([group, CLICK_ID])?.lazy();
            let opened = openers.select([CLICK, CLICK_ID])?.lazy();
            let of_groups = opened.join(of_groups, &click, &click, JoinArgs::new(JoinType::Inner));
            let of_groups = collected(of_groups.select([CLICK, group].map(col)))?;
            let asked = params.clone();
            let parts = count_by_month(&tables, span, &what, move |tables, part| {
                let (openers, of_groups) = (openers.clone().lazy(), of_groups.clone().lazy());
                let units = asked.units(tables, part, openers, of_groups)?;
                Ok(by_currency(units, &[col(group)], &COUNTED))
            })?;
            let sums = costs(parts, &[col(group)], &COUNTED).select([
                col(group),
                col(MESSAGES_INSIDE),
                col(CHARGED),
                col(money::COST).alias(WOULD_HAVE_COST),
                col(COST_CURRENCY).alias(CURRENCY),
            ]);
            collected(sums)
        })
    }

    /// The messages of a part that are inside the windows of clicks, priced, with the groups of
    /// their clicks: `groups` has [`CLICK`], which `openers` have, too.
    fn units(
        &self,
        tables: &Tables,
        part: Span,
        openers: LazyFrame,
        groups: LazyFrame,
    ) -> PolarsResult<LazyFrame> {
        let (windows, click) = (self.windows(), [col(CLICK)]);
        let clicked = windows.clicked(part).holds(&col(CLICKED_AT).cast(instant()));
        let openers = clicked.into_iter().fold(openers, LazyFrame::filter);
        let brought = vec![Field::new(CLICK.into(), IDX_DTYPE)];
        let inside = windows.inside_of(openers, brought, tables, part);
        let inside = inside.join(groups, &click, &click, JoinArgs::new(JoinType::Inner));
        // Polars takes a literal of any integer type for an Int32.
        let one = lit(1).cast(DataType::Int64);
        let is_charged = money::charged_in().is_not_null().cast(DataType::Int64);
        let units = with_charges(inside, tables, part, &self.options())?;
        Ok(units.with_columns([one.alias(MESSAGES_INSIDE), is_charged.alias(CHARGED)]))
    }

    /// The spend on ads in the range, by the columns of groups; `None` if ads do not have these.
    fn spend(&self, tables: &Tables) -> Option<LazyFrame> {
        let keys = self.by.names();
        let spend = self.days.scan_dates(tables, &ad_spend::TABLE);
        let mut columns = vec![DAY, CURRENCY, SPEND];
        columns.extend(self.by.has_ads().then_some(AD_ID));
        let spend = spend.select(columns.into_iter().map(col).collect::<Vec<_>>());
        let spend = self.by.split_spend(spend, self.clicks, tables)?;
        let names = [col(AMOUNT).alias(SPEND), col(CURRENCY).alias(SPEND_CURRENCY)];
        let sums = money::summed_with(spend, &keys, SPEND, &[]);
        Some(sums.select([&keys[..], &names].concat()))
    }
}

/// Spend less what the messages inside would have cost, per click; null if they are in different
/// currencies.
fn net_per_click() -> Expr {
    let nothing = lit(0).cast(Type::Money.data_type());
    let cost = when(col(MESSAGES_INSIDE).gt(lit(0))).then(col(WOULD_HAVE_COST)).otherwise(nothing);
    let in_one_currency = col(CHARGED).eq(lit(0)).or(col(CURRENCY).eq_missing(col(SPEND_CURRENCY)));
    let net = when(in_one_currency).then(col(SPEND) - cost).otherwise(lit(Null {}));
    from_millionths(ratio(money::millionths(net), col(CLICKS)))
}
