//! In which states did deployments end?
//!
//! One row per known state in the order of the reference list, even if no deployment has it, then one
//! for deployments of unknown status if there are any. Every deployment counts once. Shares are of all
//! deployments that pass the filters.
//!
//! With `--by`, each group that occurs has a row for every known state, and shares are of the group. By
//! tag, a deployment counts under each tag of its person.

use polars::prelude::{JoinCoalesce, df};
use wabalake_data::Table;
use wabalake_data::reference::deployment_states::STATES;
use wabalake_data::tables::audience_tags;
use wabalake_data::tables::deployments::{self, STATE};

use crate::query::behind::{DEPLOYMENT_ID, deployment_id};
use crate::query::prelude::*;
use crate::query::sql::SqlLiteral;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct DeploymentStates;

impl Filtered for DeploymentStates {
    const TABLE: &'static Table = &deployments::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_DEPLOYMENTS;
}

impl Grouped for DeploymentStates {
    const TIMES: &'static [Dimension] = Dimension::TIMES;
    const TAKES: &'static [Dimension] =
        &[Dimension::Conversation, Dimension::Country, Dimension::Tag];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<DeploymentStates>,
    #[command(flatten)]
    by: Dimensions<DeploymentStates>,
}

/// Deployments in the state.
pub const DEPLOYMENTS: &str = "deployments";
/// Share of all deployments.
pub const SHARE_PCT: &str = "share_pct";
/// Explanation of the state.
pub const MEANING: &str = "meaning";

/// The names of the states, in the order of the list.
const NAMES: [&str; STATES.len()] = {
    let mut names = [""; STATES.len()];
    let mut place = 0;
    while place < names.len() {
        names[place] = STATES[place].name;
        place += 1;
    }
    names
};

impl Query for DeploymentStates {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "deployment-states",
        title: "How deployments end",
        question: "In which states did deployments end, and what do the states mean? Deployments by \
                   state, with a row for states without any; shares are of all deployments that \
                   pass the filters, within the dimensions of `--by`.",
        reads: &[&deployments::TABLE, &audience_tags::TABLE],
        range: Range::Rows(&deployments::TABLE),
        columns: &[
            OutputColumn::word(STATE),
            OutputColumn::count(DEPLOYMENTS),
            OutputColumn::pct(SHARE_PCT),
            OutputColumn::term(MEANING),
        ],
        key: &[STATE],
        order: &[Order::Listed(STATE, &NAMES)],
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--conversation-id", "41284"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &deployments::TABLE,
        cells: &[STATE],
        counts: &[DEPLOYMENTS],
        id: DEPLOYMENT_ID,
        rows: |tables, params| {
            let split = params.by.split(in_range(tables, params), tables, params.days.timezone());
            Ok(split.with_columns(deployment_id()).with_column(lit(true).alias(DEPLOYMENTS)))
        },
        sql: include_str!("people.sql"),
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters, &params.by])
    }

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.by.columns()
    }

    fn invalidation(params: &Params, table: &Table) -> Vec<Invalidation> {
        if *table == deployments::TABLE {
            return vec![Invalidation::OWN_BUCKET];
        }
        [params.by.invalidation_by_tags(), params.filters.invalidation_by_tags()].concat()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let met = params
            .by
            .group_with(in_range(tables, params), &[STATE], tables, params.days.timezone())
            .agg([rows().cast(DataType::Int64).alias(DEPLOYMENTS)]);

        let meanings: Vec<&str> = STATES.iter().map(|state| state.meaning).collect();
        let listed = df![STATE => NAMES, MEANING => meanings]?.lazy();
        let all = JoinArgs {
            coalesce: JoinCoalesce::CoalesceColumns,
            nulls_equal: true,
            ..JoinArgs::new(JoinType::Full)
        };
        let state = params.by.names_with(&[STATE]);
        let states = params
            .by
            .for_each_group(met.clone(), listed)
            .join(met, &state, &state, all)
            .with_column(col(DEPLOYMENTS).fill_null(lit(0)));
        let of_group = match params.by.names() {
            none if none.is_empty() => col(DEPLOYMENTS).sum(),
            names => col(DEPLOYMENTS).sum().over(names)?,
        };
        let share = share_pct(col(DEPLOYMENTS), of_group);
        Ok(states.with_column(share.alias(SHARE_PCT)))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.filters.bind(params.by.bind(params.days.bind(Bindings::new())));
        let states = STATES.iter().enumerate().map(|(place, state)| {
            format!("({place}, {}, {})", state.name.literal(), state.meaning.literal())
        });
        bindings.slot("states", states.collect::<Vec<_>>().join(",\n        "))
    }
}

/// The deployments that count.
fn in_range(tables: &Tables, params: &Params) -> LazyFrame {
    params.filters.of(params.days.scan(tables, &deployments::TABLE), tables)
}
