//! What became of Treble's sends in the message vendor's eyes?
//!
//! One row per flow and version of the deployments. A deployment and a template message of one
//! person are a pair if their stamps are at most `--tolerance-seconds` apart and each is the other's
//! nearest:
//!
//! ```text
//! person  deployment  template messages      pair
//! 1       10:00:00    10:00:02, 10:01:30     with the message of 10:00:02, which is nearer
//! 2       10:00:00    09:59:30, 10:00:30     with that of 09:59:30, the earlier of two as near
//! 3       10:00:00    10:03:00               none: 180 seconds are too many
//! ```
//!
//! Of messages at one instant the one with the smallest id counts, of deployments the one with the
//! smallest flow, then with the smallest version; null is last. Rows of nobody are of no pair.
//!
//! Pairs are looked for in the whole lake. The range and the filters choose deployments; the message
//! of one may lie outside the range. Delivered, read and failed is what the vendor of the messages
//! says. A pair disagrees if one of its rows was delivered and the other failed. The cost is that of
//! the delivered messages, as in [`pricing-analytics`](crate::pricing_analytics). It is null if one of
//! them has no rate, or if rates are in several currencies.
//!
//! Template messages of the range without a pair, also those of nobody, count as
//! `unmatched_messages` in the row without a flow and a version. If no deployment has that row, they
//! make one. Country and tag filter them, too. With any other filter they are not counted.

use polars::prelude::{SortOptions, UnionArgs, concat_lf_diagonal};
use wabalake_data::Table;
use wabalake_data::tables::deployments::{self, CONVERSATION_ID, CONVERSATION_VERSION};
use wabalake_data::tables::messages::{self, CREATED_AT, MESSAGE_TYPE, TEMPLATE_NAME, WHATSAPP_ID};
use wabalake_data::tables::{CURRENCY, audience_tags, markets, rates, sessions};

use crate::query::billing::money;
use crate::query::billing::pricing::deliveries;
use crate::query::billing::rules::PricingOptions;
use crate::query::billing::sends::by_currency;
use crate::query::monthly::count_by_month;
use crate::query::numbers::whole;
use crate::query::prelude::*;
use crate::query::same_sends::{self, PAIRED, SEND_KEY, TOLERANCE_SECONDS};
use crate::query::time::Span;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct SameSend;

impl Filtered for SameSend {
    const TABLE: &'static Table = &deployments::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_DEPLOYMENTS;
}

/// The query's options.
#[derive(Args, Clone, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<SameSend>,

    /// Most seconds between a deployment and its message, before or after
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = TOLERANCE_SECONDS,
        value_parser = whole::<i64>(1..=u32::MAX.into())
    )]
    tolerance_seconds: i64,

    #[command(flatten)]
    pricing: PricingOptions,
}

/// Names of the templates of the paired messages, joined by `+`.
pub const TEMPLATE_NAMES: &str = "template_names";
/// Deployments of the flow and version.
pub const DEPLOYMENTS: &str = "deployments";
/// Deployments that are paired with a message.
pub const MATCHED: &str = "matched";
/// `matched` of `deployments`.
pub const MATCHED_PCT: &str = "matched_pct";
/// Template messages without a deployment; 0 but in the row without a flow and a version.
pub const UNMATCHED_MESSAGES: &str = "unmatched_messages";
/// Pairs whose message was delivered.
pub const DELIVERED: &str = "delivered";
/// Pairs whose message was read.
pub const READ: &str = "read";
/// `read` of `delivered`.
pub const READ_PCT: &str = "read_pct";
/// Pairs whose message was delivered and whose deployment was answered.
pub const REPLIED: &str = "replied";
/// `replied` of `delivered`.
pub const REPLY_PCT: &str = "reply_pct";
/// What the delivered messages cost.
pub const COST: &str = "cost";
/// Pairs of which one row was delivered and the other failed.
pub const DISAGREE: &str = "disagree";

/// The counts of pairs and of messages.
const COUNTS: [&str; 6] = [MATCHED, UNMATCHED_MESSAGES, DELIVERED, READ, REPLIED, DISAGREE];

/// `true` for a message that failed.
const FAILED: &str = "message_failed";
/// `true` for a message that counts if it has no pair.
const COUNTS_ALONE: &str = "counts_alone";
/// `true` for a deployment of the range that passes the filters.
const COUNTS_PAIR: &str = "counts_pair";
/// What Treble says of a deployment.
const SENT_ANSWERED: &str = "sent_answered";
const SENT_DELIVERED: &str = "sent_delivered";
const SENT_FAILED: &str = "sent_failed";

impl Query for SameSend {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "same-send",
        title: "What became of sends in the message vendor's eyes",
        question: "What became of Treble's sends in the message vendor's eyes? Deployments, each \
                   paired with the template message to the same person that is nearest in time and \
                   has no nearer deployment; how many of these were delivered, read and answered, \
                   and what they cost.",
        reads: &[
            &deployments::TABLE,
            &messages::TABLE,
            &audience_tags::TABLE,
            &rates::TABLE,
            &markets::TABLE,
            &sessions::TABLE,
        ],
        // Deployments near the range decide which messages are left for those in it.
        range: Range::History,
        columns: &[
            OutputColumn::term(CONVERSATION_ID),
            OutputColumn::version(CONVERSATION_VERSION),
            OutputColumn::term(TEMPLATE_NAMES),
            OutputColumn::count(DEPLOYMENTS),
            OutputColumn::count(MATCHED),
            OutputColumn::pct(MATCHED_PCT),
            OutputColumn::count(UNMATCHED_MESSAGES),
            OutputColumn::count(DELIVERED),
            OutputColumn::count(READ),
            OutputColumn::pct(READ_PCT),
            OutputColumn::count(REPLIED),
            OutputColumn::pct(REPLY_PCT),
            OutputColumn::money(COST),
            OutputColumn::term(CURRENCY),
            OutputColumn::count(DISAGREE),
        ],
        key: &[CONVERSATION_ID, CONVERSATION_VERSION],
        order: &[],
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--tolerance-seconds", "60"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &deployments::TABLE,
        cells: &[CONVERSATION_ID, CONVERSATION_VERSION],
        counts: &[DEPLOYMENTS, MATCHED, DELIVERED, READ, REPLIED, DISAGREE],
        id: &[CONVERSATION_ID, CONVERSATION_VERSION],
        rows: told,
        sql: include_str!("people.sql"),
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.pricing.resolve(defaults)?;
        params.days.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters, &params.pricing])
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let flow = [CONVERSATION_ID, CONVERSATION_VERSION].map(col);
        let sent = in_range(tables, params).group_by(&flow).agg([rows().alias(DEPLOYMENTS)]);
        let (near, asked) = (params.near(), params.clone());
        let what = format!("deployments with their messages by month: {params:?}");
        let paired =
            count_by_month(tables, near, &what, move |tables, part| paired(tables, part, &asked))?;
        let joined = |column: &str| {
            let distinct = col(column).unique().sort(SortOptions::default());
            distinct.str().join("+", true)
        };
        let mut sums = vec![
            col(DEPLOYMENTS).sum(),
            joined(TEMPLATE_NAME).alias(TEMPLATE_NAMES),
            joined(CURRENCY).alias(CURRENCY),
        ];
        sums.extend(COUNTS.map(|count| col(count).sum()));
        sums.extend(money::charges());
        let flows = concat_lf_diagonal([sent, paired], UnionArgs::default())?;
        let flows = flows.group_by(&flow).agg(sums);
        let is = |column: &str, text: &str| col(column).eq(lit(text));
        let if_known =
            |is_known: Expr, value: Expr| when(is_known).then(value).otherwise(lit(Null {}));
        let is_in_none = is(CURRENCY, "").or(is(CURRENCY, money::UNKNOWN));
        Ok(flows.with_columns([
            if_known(is(TEMPLATE_NAMES, "").not(), col(TEMPLATE_NAMES)).alias(TEMPLATE_NAMES),
            if_known(is_in_none.not(), col(CURRENCY)).alias(CURRENCY),
            if_known(col(DELIVERED).gt(lit(0)), money::cost()).alias(COST),
            share_pct(col(MATCHED), col(DEPLOYMENTS)).alias(MATCHED_PCT),
            share_pct(col(READ), col(DELIVERED)).alias(READ_PCT),
            share_pct(col(REPLIED), col(DELIVERED)).alias(REPLY_PCT),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.filters.bind(params.days.bind(Bindings::new()));
        let bindings = params.filters.bind_table(bindings, &messages::TABLE);
        params
            .pricing
            .bind(bindings)
            .integer("tolerance_seconds", params.tolerance_seconds)
            .boolean("counts_alone", params.counts_alone())
    }
}

impl Params {
    /// The interval of the messages that may be paired with deployments of the range.
    fn near(&self) -> Span {
        same_sends::around(self.days.span(), self.tolerance_seconds)
    }

    /// Returns `true` if messages without a pair count: if they have every filter that is given.
    fn counts_alone(&self) -> bool {
        self.filters.given_beside(&messages::TABLE).is_none()
    }
}

/// The deployments that count.
fn in_range(tables: &Tables, params: &Params) -> LazyFrame {
    params.filters.of(params.days.scan(tables, &deployments::TABLE), tables)
}

/// The counts of a part's messages by flow, version, template and currency, with what they cost.
fn paired(tables: &Tables, part: Span, params: &Params) -> PolarsResult<LazyFrame> {
    let seconds = params.tolerance_seconds;
    let [messages, deployments] = same_sends::scan(tables, part, seconds);
    let in_range = |stamp: &str| params.days.holds_instant(&col(stamp)).unwrap_or(lit(true));
    let (messages, counts_alone) = if params.counts_alone() {
        let (messages, passes) = params.filters.told_apart(messages, &messages::TABLE, tables);
        (messages, passes.into_iter().fold(in_range(CREATED_AT), Expr::and))
    } else {
        (messages, lit(false))
    };
    let of_messages = [
        col(TEMPLATE_NAME),
        message_delivered().alias(DELIVERED),
        message_read().alias(READ),
        message_failed().alias(FAILED),
        counts_alone.alias(COUNTS_ALONE),
    ];
    let (deployments, passes) = params.filters.marked(deployments, tables);
    let deployments = deployments.with_columns([
        in_range(deployments::DEPLOYMENT_TIMESTAMP).and(passes).alias(COUNTS_PAIR),
        answered().alias(SENT_ANSWERED),
        delivery_is("Delivered").alias(SENT_DELIVERED),
        delivery_is("Failed").alias(SENT_FAILED),
    ]);
    let of_deployments = [COUNTS_PAIR, SENT_ANSWERED, SENT_DELIVERED, SENT_FAILED];
    let rows = [messages, deployments];
    let messages = same_sends::paired(rows, &of_messages, &of_deployments, part, seconds)?
        .with_columns([
            col(COUNTS_PAIR).fill_null(lit(false)).alias(MATCHED),
            col(PAIRED).is_null().and(col(COUNTS_ALONE)).alias(UNMATCHED_MESSAGES),
        ])
        .filter(col(MATCHED).or(col(UNMATCHED_MESSAGES)));

    let id = [col(WHATSAPP_ID)];
    let units = deliveries(tables, part, &params.pricing)?;
    let units = units
        .filter(col(MESSAGE_TYPE).eq(lit("template")))
        .select([&id[..], &money::CHARGES.map(col)].concat());
    let of_pairs = |column: &'static str| {
        when(col(MATCHED)).then(col(column)).otherwise(lit(Null {})).alias(column)
    };
    let is = |holds: Expr| col(MATCHED).and(holds);
    let priced = messages
        .join(units, &id, &id, JoinArgs::new(JoinType::Left))
        .with_columns(money::CHARGES.map(of_pairs))
        .with_columns([
            of_pairs(TEMPLATE_NAME),
            is(col(DELIVERED)).alias(DELIVERED),
            is(col(READ)).alias(READ),
            is(col(DELIVERED).and(col(SENT_ANSWERED))).alias(REPLIED),
            is(disagree()).alias(DISAGREE),
        ]);
    let group = [CONVERSATION_ID, CONVERSATION_VERSION, TEMPLATE_NAME].map(col);
    Ok(by_currency(priced, &group, &COUNTS))
}

/// Predicate: one row of a pair was delivered and the other failed.
fn disagree() -> Expr {
    let message_alone = col(SENT_FAILED).and(col(DELIVERED));
    col(SENT_DELIVERED).and(col(FAILED)).or(message_alone)
}

/// The deployments that count, each with a column for each count that is true if it counts the
/// deployment.
fn told(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
    let (near, seconds) = (params.near(), params.tolerance_seconds);
    let what = format!("messages of deployments by month: {near:?} {seconds}");
    let pairs = count_by_month(tables, near, &what, move |tables, part| {
        let of_messages = [
            message_delivered().alias(DELIVERED),
            message_read().alias(READ),
            message_failed().alias(FAILED),
        ];
        let pairs = same_sends::pairs(tables, part, seconds, &of_messages)?;
        Ok(pairs.select([SEND_KEY, DELIVERED, READ, FAILED].map(col)))
    })?;
    let key = [col(SEND_KEY)];
    Ok(in_range(tables, params)
        .with_columns([
            same_sends::send_key(),
            delivery_is("Delivered").alias(SENT_DELIVERED),
            delivery_is("Failed").alias(SENT_FAILED),
        ])
        .join(pairs, &key, &key, JoinArgs::new(JoinType::Left))
        .with_columns([
            lit(true).alias(DEPLOYMENTS),
            col(DELIVERED).is_not_null().alias(MATCHED),
            col(DELIVERED).and(answered()).alias(REPLIED),
            disagree().alias(DISAGREE),
        ]))
}
