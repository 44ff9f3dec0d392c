//! When does a send that Meta capped get through?
//!
//! One row per gap and attempt of the deployments whose state is `frequency_capped`, to a known
//! person, of a known flow. The retry of such a deployment is the person's next deployment of that
//! flow, of any version: strictly later, and at most `--days` later. The gap is the time between
//! the two, unless the person answered or no retry followed:
//!
//! ```text
//! gap          the capped deployment
//! <6h … 168h+  was retried so much later; the lower end is included
//! answered     the person wrote after it: before the retry, or, without one, at most --days later
//! open         was not retried so far: --days later is after the lake's latest deployment
//! never        was not retried
//! ```
//!
//! A person writes with an incoming message, with the first and the last message of a session, and
//! with the response to a deployment. A reaction to a message is none of these.
//!
//! The attempt is 1, or 1 more than that of a capped deployment that was not answered and whose
//! retry this one is; 3 means three or more. Of several deployments at one instant, the one with
//! the smallest version is the retry, one without a version last. Several may have the same retry:
//! the greatest of their attempts counts.
//!
//! ```text
//! flow 7 to one person   10:00 capped    18:00 capped    two days later delivered
//! gap, attempt           6-12h, 1        48-72h, 2
//! ```
//!
//! What became of the retries is counted in their rows alone: for `answered`, `open` and `never`
//! the counts are 0 and the rates null. The interval contains the share of delivered retries with
//! 95 % confidence.
//!
//! Filters choose the capped deployments that are counted. Retries, attempts and what people wrote
//! are of the whole lake, whatever the range.

use polars::prelude::{UnionArgs, concat_lf_diagonal};
use wabalake_data::Table;
use wabalake_data::tables::deployments::{
    self, CONVERSATION_ID, CONVERSATION_VERSION, DEPLOYMENT_TIMESTAMP, STATE,
    USER_RESPONDED_TIMESTAMP,
};
use wabalake_data::tables::messages::{self, CREATED_AT};
use wabalake_data::tables::sessions::{self, FIRST_MESSAGE_TIMESTAMP, LAST_MESSAGE_TIMESTAMP};
use wabalake_data::tables::{USER_KEY, USER_PHONE, audience_tags};

use crate::kernels::retries::{ATTEMPT_NUMBER, IS_ANSWERED, NEXT_AFTER, Retries, retries};
use crate::kernels::{key_of_text, once};
use crate::query::behind::{DEPLOYMENT_ID, deployment_id};
use crate::query::numbers::whole;
use crate::query::prelude::*;
use crate::query::statistics::{Bound, wilson_pct, wilson_pct_sql};
use crate::query::time::{DAY, HOUR};

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct RetryCurve;

impl Filtered for RetryCurve {
    const TABLE: &'static Table = &deployments::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_DEPLOYMENTS;
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    range: DayRange,
    #[command(flatten)]
    filters: Filters<RetryCurve>,

    /// How many days of 24 hours after a capped deployment its retry counts
    #[arg(long, value_name = "DAYS", default_value_t = 14, value_parser = whole::<i64>(1..=36_500))]
    days: i64,
}

/// The time until the retry; or `answered`, `open` or `never`.
pub const GAP: &str = "gap";
/// The place of the capped deployment in a chain of retries: 1, 2, or 3 and more.
pub const ATTEMPT: &str = "attempt";
/// Capped deployments.
pub const CAPPED: &str = "capped";
/// Those whose retry was delivered.
pub const DELIVERED: &str = "delivered";
/// Share of the capped deployments whose retry was delivered.
pub const DELIVERED_PCT: &str = "delivered_pct";
/// Lower bound of the 95 % confidence interval of `delivered_pct`.
pub const DELIVERED_LOW: &str = "delivered_low";
/// Upper bound of the interval.
pub const DELIVERED_HIGH: &str = "delivered_high";
/// Those whose retry was capped, too.
pub const CAPPED_AGAIN: &str = "capped_again";
/// Share of the capped deployments whose retry was capped, too.
pub const CAPPED_AGAIN_PCT: &str = "capped_again_pct";
/// Those whose retry was delivered and answered.
pub const REPLIED: &str = "replied";
/// Share of the delivered retries that were answered.
pub const REPLY_PCT: &str = "reply_pct";

/// The gaps, in their order.
const GAPS: [&str; 10] =
    ["<6h", "6-12h", "12-24h", "24-48h", "48-72h", "72-168h", "168h+", "answered", "open", "never"];

/// The hours that the gaps of retries end before, with their places. The last one has no end.
const ENDS: [(u8, i64); 6] = [(0, 6), (1, 12), (2, 24), (3, 48), (4, 72), (5, 168)];
const LONGEST: u8 = 6;
const ANSWERED: u8 = 7;
const OPEN: u8 = 8;
const NEVER: u8 = 9;

/// The greatest attempt, which stands for more.
const MOST: u32 = 3;

const PLACE: &str = "place";
const FLOW: &str = "flow";
const AT: &str = "at";
const LATEST: &str = "latest";
/// `true` for a capped deployment of the range that passes the filters.
const COUNTS: &str = "counts";
/// Instants at which the person wrote.
const WROTE: [&str; 2] = ["wrote", "wrote_last"];
/// What a deployment may be, and its name for the retry.
const IS_CAPPED: (&str, &str) = ("is_capped", "retry_is_capped");
const IS_DELIVERED: (&str, &str) = ("is_delivered", "retry_is_delivered");
const IS_REPLIED: (&str, &str) = ("is_replied", "retry_is_replied");

impl Query for RetryCurve {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "retry-curve",
        title: "When retries of capped sends get through",
        question: "When does a send that Meta capped get through? Deployments that were not \
                   delivered because of its cap on frequency, by the time until the next \
                   deployment of the same flow to the person, and what became of that one; with \
                   the confidence interval of the share that was delivered (95 %, Wilson).",
        reads: &[&deployments::TABLE, &sessions::TABLE, &messages::TABLE, &audience_tags::TABLE],
        // Retries may lie after the range, and the attempts before them in front of it.
        range: Range::History,
        columns: &[
            OutputColumn::term(GAP),
            OutputColumn::count(ATTEMPT),
            OutputColumn::count(CAPPED),
            OutputColumn::count(DELIVERED),
            OutputColumn::pct(DELIVERED_PCT),
            OutputColumn::pct(DELIVERED_LOW),
            OutputColumn::pct(DELIVERED_HIGH),
            OutputColumn::count(CAPPED_AGAIN),
            OutputColumn::pct(CAPPED_AGAIN_PCT),
            OutputColumn::count(REPLIED),
            OutputColumn::pct(REPLY_PCT),
        ],
        key: &[GAP, ATTEMPT],
        order: &[Order::Listed(GAP, &GAPS)],
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--days", "7"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &deployments::TABLE,
        cells: &[GAP, ATTEMPT],
        counts: &[CAPPED, DELIVERED, CAPPED_AGAIN, REPLIED],
        id: DEPLOYMENT_ID,
        rows: |tables, params| {
            let of_row = [col(USER_PHONE), col(DEPLOYMENT_TIMESTAMP)];
            let of_row = of_row.into_iter().chain(deployment_id()).collect();
            let capped = retried(tables, params, of_row)?;
            Ok(capped.with_columns([named().alias(GAP), lit(true).alias(CAPPED)]))
        },
        sql: include_str!("people.sql"),
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.range.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters])
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let counted =
            retried(tables, params, Vec::new())?.group_by([PLACE, ATTEMPT].map(col)).agg([
                rows().alias(CAPPED),
                rows_where(col(DELIVERED)).alias(DELIVERED),
                rows_where(col(CAPPED_AGAIN)).alias(CAPPED_AGAIN),
                rows_where(col(REPLIED)).alias(REPLIED),
            ]);
        // Rates of what was not retried are null.
        let tried = || when(is_retried()).then(col(CAPPED)).otherwise(lit(Null {}));
        Ok(counted.with_columns([
            named().alias(GAP),
            share_pct(col(DELIVERED), tried()).alias(DELIVERED_PCT),
            wilson_pct(col(DELIVERED), tried(), Bound::Low).alias(DELIVERED_LOW),
            wilson_pct(col(DELIVERED), tried(), Bound::High).alias(DELIVERED_HIGH),
            share_pct(col(CAPPED_AGAIN), tried()).alias(CAPPED_AGAIN_PCT),
            share_pct(col(REPLIED), col(DELIVERED)).alias(REPLY_PCT),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.range.bind(Bindings::new());
        params
            .filters
            .bind_relation(bindings, "capped_sends", &deployments::TABLE)
            .integer("days", params.days)
            .slot("delivered_low", wilson_pct_sql(DELIVERED, "tried", Bound::Low))
            .slot("delivered_high", wilson_pct_sql(DELIVERED, "tried", Bound::High))
            .slot("retried", include_str!("retried.sql").trim_end().to_owned())
    }
}

fn micros(stamp: &str) -> Expr {
    col(stamp).cast(DataType::Int64)
}

/// Predicate: a row is of deployments that were retried and not answered before.
fn is_retried() -> Expr {
    col(PLACE).lt_eq(lit(LONGEST))
}

/// The gap at each place.
fn named() -> Expr {
    let gaps = GAPS.into_iter().zip(0_u8..);
    gaps.fold(lit(Null {}).cast(DataType::String), |other, (gap, place)| {
        when(col(PLACE).eq(lit(place))).then(lit(gap)).otherwise(other)
    })
}

/// The capped deployments that count, each with the place of its gap, its attempt, and for each
/// count of retries a column that is `true` if it counts this one. `others` are columns that they
/// have beside these.
fn retried(tables: &Tables, params: &Params, others: Vec<Expr>) -> PolarsResult<LazyFrame> {
    let within = params.days * DAY;
    let sent = sent(tables, params, others);
    let latest = sent.clone().select([col(AT).max().alias(LATEST)]);
    // The rows of all other people do not matter, and are most.
    let people = sent.clone().filter(col(COUNTS)).select([col(USER_KEY)]);
    let known = || col(USER_KEY).is_not_null();
    let messages = tables
        .scan(&messages::TABLE)
        .filter(known().and(incoming_message()))
        .select([col(USER_KEY), micros(CREATED_AT).alias(WROTE[0])]);
    let sessions = tables.scan(&sessions::TABLE).filter(known()).select([
        col(USER_KEY),
        micros(FIRST_MESSAGE_TIMESTAMP).alias(WROTE[0]),
        micros(LAST_MESSAGE_TIMESTAMP).alias(WROTE[1]),
    ]);
    let all = [sent.filter(known()), sessions, messages];
    let key = [col(USER_KEY)];
    let of_people = concat_lf_diagonal(all, UnionArgs::default())?.join(
        people,
        &key,
        &key,
        JoinArgs::new(JoinType::Semi),
    );
    let of = Retries {
        key: USER_KEY,
        flow: FLOW,
        at: AT,
        version: CONVERSATION_VERSION,
        fails: IS_CAPPED.0,
        wrote: WROTE,
        within,
        next: [IS_CAPPED, IS_DELIVERED, IS_REPLIED],
    };
    let number = || col(ATTEMPT_NUMBER);
    let attempt = when(number().lt(lit(MOST))).then(number()).otherwise(lit(MOST));
    let of_retry = |(_, name): (&str, &str)| is_retried().and(col(name));
    Ok(retries(of_people, of)
        .filter(col(COUNTS))
        .cross_join(latest, None)
        .with_columns([place(within).alias(PLACE), attempt.alias(ATTEMPT)])
        .with_columns([
            of_retry(IS_DELIVERED).alias(DELIVERED),
            of_retry(IS_CAPPED).alias(CAPPED_AGAIN),
            of_retry(IS_REPLIED).alias(REPLIED),
        ]))
}

/// All deployments of the lake, and what counts of them. Read once for their people, their latest
/// instant and their retries.
fn sent(tables: &Tables, params: &Params, others: Vec<Expr>) -> LazyFrame {
    let (sent, passes) = params.filters.marked(tables.scan(&deployments::TABLE), tables);
    let is_capped = col(STATE).eq(lit("frequency_capped"));
    let is_delivered = col(STATE).eq(lit("delivered"));
    let is_known = col(USER_KEY).is_not_null().and(col(CONVERSATION_ID).is_not_null());
    let in_range = params.range.holds_instant(&col(DEPLOYMENT_TIMESTAMP));
    let counts = in_range.into_iter().fold(is_capped.clone().and(is_known).and(passes), Expr::and);
    let own = [
        col(USER_KEY),
        key_of_text(col(CONVERSATION_ID)).alias(FLOW),
        micros(DEPLOYMENT_TIMESTAMP).alias(AT),
        col(CONVERSATION_VERSION),
        micros(USER_RESPONDED_TIMESTAMP).alias(WROTE[0]),
        is_capped.alias(IS_CAPPED.0),
        is_delivered.clone().alias(IS_DELIVERED.0),
        is_delivered.and(answered()).alias(IS_REPLIED.0),
        counts.alias(COUNTS),
    ];
    once(sent.select(own.into_iter().chain(others).collect::<Vec<Expr>>()))
}

/// The place of the gap of a capped deployment.
fn place(within: i64) -> Expr {
    let retried = ENDS.into_iter().rev().fold(lit(LONGEST), |longer, (place, hours)| {
        when(col(NEXT_AFTER).lt(lit(hours * HOUR))).then(lit(place)).otherwise(longer)
    });
    // A difference: Polars may turn a comparison after a cross join into an inequality join.
    let is_open = (col(AT) + lit(within) - col(LATEST)).gt(lit(0));
    when(col(IS_ANSWERED))
        .then(lit(ANSWERED))
        .when(col(NEXT_AFTER).is_not_null())
        .then(retried)
        .when(is_open)
        .then(lit(OPEN))
        .otherwise(lit(NEVER))
}
