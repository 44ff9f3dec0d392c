//! What does a campaign cost in reach?
//!
//! One row per group of `--by`, by default a version of a flow. It counts delivered deployments to
//! known people; those to nobody are left out. The sequel of such a deployment is the person's next
//! deployment, of any flow, that tells if the person can still be reached: it is strictly later, at
//! most `--days` later, and its state is `delivered`, `blocked_or_outdated`, `excluded` or
//! `invalid_number`. Deployments of other states are passed over. A deployment is eligible if it
//! has a sequel, and lost if the sequel was not delivered.
//!
//! ```text
//! to one person    delivered    frequency_capped    delivered    excluded    delivered
//! eligible         yes                              yes                      no: nothing follows
//! lost             no                               yes: excluded
//! exposure         1                                2                        3
//! ```
//!
//! Of several deployments at one instant, the one with the smallest flow and version is the sequel;
//! those without come last. The interval contains the share of lost deployments with 95 %
//! confidence.
//!
//! `--by exposure` tells first deployments from later ones: it is the number of the deployment
//! among those that were delivered to the person, in the order of time, flow and version; 3 means
//! three or more.
//!
//! Filters and `--by` choose and split the deployments that are counted. Sequels and exposures are
//! of all deployments in the lake, whatever the range. By tag, a deployment counts under each tag
//! of its person.

use wabalake_data::Table;
use wabalake_data::tables::deployments::{
    self, CONVERSATION_ID, CONVERSATION_VERSION, DEPLOYMENT_TIMESTAMP, STATE,
};
use wabalake_data::tables::{USER_KEY, USER_PHONE, audience_tags};

use crate::kernels::sequels::{Sequels, sequels};
use crate::query::behind::{DEPLOYMENT_ID, deployment_id};
use crate::query::numbers::whole;
use crate::query::prelude::*;
use crate::query::statistics::{Bound, wilson_pct, wilson_pct_sql};
use crate::query::time::{DAY, Span};

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct ListBurn;

impl Filtered for ListBurn {
    const TABLE: &'static Table = &deployments::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_DEPLOYMENTS;
}

impl Grouped for ListBurn {
    const TIMES: &'static [Dimension] = Dimension::TIMES;
    const TAKES: &'static [Dimension] =
        &[Dimension::Conversation, Dimension::Country, Dimension::Tag, Dimension::Exposure];
    const DEFAULT: &'static [Dimension] = &[Dimension::Conversation];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    range: DayRange,
    #[command(flatten)]
    filters: Filters<ListBurn>,
    #[command(flatten)]
    by: Dimensions<ListBurn>,

    /// How many days of 24 hours after a deployment its sequel counts
    #[arg(long, value_name = "DAYS", default_value_t = 60, value_parser = whole::<i64>(1..=36_500))]
    days: i64,
}

/// Delivered deployments.
pub const DELIVERED: &str = "delivered";
/// Those with a sequel.
pub const ELIGIBLE: &str = "eligible";
/// Those whose sequel failed because the person blocked the line or cannot have it.
pub const BLOCKED: &str = "blocked";
/// Those whose sequel failed because the person is on the exclusion list or opted out.
pub const EXCLUDED: &str = "excluded";
/// Those whose sequel failed because the number is not valid.
pub const INVALID: &str = "invalid";
/// The sum of `blocked`, `excluded` and `invalid`.
pub const LOST: &str = "lost";
/// Share of the eligible deployments that were lost.
pub const LOST_PCT: &str = "lost_pct";
/// Lower bound of the 95 % confidence interval of `lost_pct`.
pub const LOST_LOW: &str = "lost_low";
/// Upper bound of the interval.
pub const LOST_HIGH: &str = "lost_high";

/// The number of a deployment, by which `--by exposure` splits.
const EXPOSURE: &str = "exposure";
/// The greatest exposure, which stands for more.
const MOST: u32 = 3;

/// The place of a deployment's state among [`STATES`].
const OWN: &str = "own_state";
/// That of its sequel.
const SEQUEL: &str = "sequel_state";
/// `true` for a deployment that was delivered.
const IS_DELIVERED: &str = "is_delivered";
/// `true` for a deployment of the range that passes the filters.
const COUNTS: &str = "counts";

/// The states that tell if a person can be reached, and their places.
const STATES: [(&str, u8); 4] = [
    ("delivered", REACHED),
    ("blocked_or_outdated", IS_BLOCKED),
    ("excluded", IS_EXCLUDED),
    ("invalid_number", IS_INVALID),
];
const REACHED: u8 = 0;
const IS_BLOCKED: u8 = 1;
const IS_EXCLUDED: u8 = 2;
const IS_INVALID: u8 = 3;

impl Query for ListBurn {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "list-burn",
        title: "How many people a campaign loses",
        question: "What does a campaign cost in reach? Delivered deployments, and how many of \
                   their people could not be reached by the next one: because they blocked the \
                   line, were excluded or have no valid number; with the confidence interval of \
                   the share (95 %, Wilson).",
        reads: &[&deployments::TABLE, &audience_tags::TABLE],
        // Sequels may lie after the range, and exposures are numbered from the first deployment on.
        range: Range::History,
        columns: &[
            OutputColumn::count(DELIVERED),
            OutputColumn::count(ELIGIBLE),
            OutputColumn::count(BLOCKED),
            OutputColumn::count(EXCLUDED),
            OutputColumn::count(INVALID),
            OutputColumn::count(LOST),
            OutputColumn::pct(LOST_PCT),
            OutputColumn::pct(LOST_LOW),
            OutputColumn::pct(LOST_HIGH),
        ],
        key: &[],
        order: &[],
        example: &["--from", "2025-06-01", "--by", "exposure", "--days", "30"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &deployments::TABLE,
        cells: &[],
        counts: &[DELIVERED, ELIGIBLE, LOST],
        id: DEPLOYMENT_ID,
        rows: |tables, params| {
            let sent = followed(tables, params, &[USER_PHONE]);
            let split = params.by.split(sent, tables, params.range.timezone());
            Ok(split.with_columns(deployment_id()).with_columns([
                lit(true).alias(DELIVERED),
                col(SEQUEL).is_not_null().alias(ELIGIBLE),
                col(SEQUEL).gt(lit(REACHED)).alias(LOST),
            ]))
        },
        sql: include_str!("people.sql"),
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.range.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters, &params.by])
    }

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.by.columns()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let counted = followed(tables, params, &[]);
        let ends = |state: u8| rows_where(col(SEQUEL).eq(lit(state)));
        let groups = params.by.group(counted, tables, params.range.timezone()).agg([
            rows().alias(DELIVERED),
            col(SEQUEL).count().alias(ELIGIBLE),
            ends(IS_BLOCKED).alias(BLOCKED),
            ends(IS_EXCLUDED).alias(EXCLUDED),
            ends(IS_INVALID).alias(INVALID),
            rows_where(col(SEQUEL).gt(lit(REACHED))).alias(LOST),
        ]);
        Ok(groups.with_columns([
            share_pct(col(LOST), col(ELIGIBLE)).alias(LOST_PCT),
            wilson_pct(col(LOST), col(ELIGIBLE), Bound::Low).alias(LOST_LOW),
            wilson_pct(col(LOST), col(ELIGIBLE), Bound::High).alias(LOST_HIGH),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.by.bind(params.range.bind(Bindings::new()));
        params
            .filters
            .bind_relation(bindings, "sent", &deployments::TABLE)
            .integer("days", params.days)
            .slot("lost_low", wilson_pct_sql(LOST, ELIGIBLE, Bound::Low))
            .slot("lost_high", wilson_pct_sql(LOST, ELIGIBLE, Bound::High))
            .slot("followed", include_str!("followed.sql").trim_end().to_owned())
    }
}

impl Params {
    /// Returns `true` if the number of a deployment is asked for.
    fn is_by_exposure(&self) -> bool {
        self.by.columns().iter().any(|column| column.name == EXPOSURE)
    }
}

/// The deployments that count, each with the state of its sequel, its exposure, and what dimensions
/// are made of. `others` are columns of the table that they have beside these.
fn followed(tables: &Tables, params: &Params, others: &[&'static str]) -> LazyFrame {
    let within = params.days * DAY;
    let span = params.range.span();
    // Exposures are numbered from the first deployment on; sequels are later.
    let from = span.from.filter(|_| !params.is_by_exposure());
    let until = span.until.map(|until| until.saturating_add(within));
    let near = Span { from, until, ..span }.scan(tables, &deployments::TABLE);
    let (sent, passes) = params.filters.marked(near, tables);
    let in_range = params.range.holds_instant(&col(DEPLOYMENT_TIMESTAMP));
    let is_delivered = col(STATE).eq(lit("delivered"));
    let counts = in_range.into_iter().fold(is_delivered.clone().and(passes), Expr::and);

    let mut kept = vec![USER_KEY, DEPLOYMENT_TIMESTAMP, CONVERSATION_ID, CONVERSATION_VERSION];
    let split = params.by.columns().into_iter().map(|column| column.name);
    let of_table = split.filter(|name| deployments::TABLE.position(name).is_some());
    for name in of_table.chain(others.iter().copied()) {
        if !kept.contains(&name) {
            kept.push(name);
        }
    }
    let own = [state().alias(OWN), is_delivered.alias(IS_DELIVERED), counts.alias(COUNTS)];
    let columns: Vec<Expr> = kept.into_iter().map(col).chain(own).collect();
    let sent = sent.filter(col(USER_KEY).is_not_null().and(state().is_not_null())).select(columns);
    let of = Sequels {
        key: USER_KEY,
        at: DEPLOYMENT_TIMESTAMP,
        id: [CONVERSATION_ID, CONVERSATION_VERSION],
        within,
        counts: IS_DELIVERED,
        next: (OWN, SEQUEL),
        number: EXPOSURE,
    };
    let at_most = when(col(EXPOSURE).lt(lit(MOST))).then(col(EXPOSURE)).otherwise(lit(MOST));
    sequels(sent, of).filter(col(COUNTS)).with_column(at_most.alias(EXPOSURE))
}

/// The place of a deployment's state; null for one that tells nothing.
fn state() -> Expr {
    STATES.iter().fold(lit(Null {}).cast(DataType::UInt8), |other, (state, place)| {
        when(col(STATE).eq(lit(*state))).then(lit(*place)).otherwise(other)
    })
}
