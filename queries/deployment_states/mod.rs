//! In which states did deployments end?
//!
//! One row per known state in the order of the reference list, even if no deployment has it, then one
//! for deployments of unknown status if there are any. Every deployment counts once. Shares are of all
//! deployments that pass the filters.

use polars::prelude::{JoinCoalesce, df};
use wabalake_data::reference::deployment_states::STATES;
use wabalake_data::tables::deployments::{self, STATE};

use crate::query::prelude::*;
use crate::query::sql::SqlLiteral;

/// See the [module](self) for the question it answers.
pub struct DeploymentStates;

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    conversation_id: Only<filters::ConversationId>,
    #[command(flatten)]
    conversation_version: Only<filters::ConversationVersion>,
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
                   pass the filters.",
        reads: &[&deployments::TABLE],
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

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let deployments = params.days.scan(tables, &deployments::TABLE);
        let deployments = params.conversation_id.of(deployments);
        let met = params
            .conversation_version
            .of(deployments)
            .group_by([col(STATE)])
            .agg([rows().cast(DataType::Int64).alias(DEPLOYMENTS)]);

        let meanings: Vec<&str> = STATES.iter().map(|state| state.meaning).collect();
        let listed = df![STATE => NAMES, MEANING => meanings]?.lazy();
        let all = JoinArgs {
            coalesce: JoinCoalesce::CoalesceColumns,
            nulls_equal: true,
            ..JoinArgs::new(JoinType::Full)
        };
        let states = listed
            .join(met, &[col(STATE)], &[col(STATE)], all)
            .with_column(col(DEPLOYMENTS).fill_null(lit(0)));
        let share = share_pct(col(DEPLOYMENTS), col(DEPLOYMENTS).sum());
        Ok(states.with_column(share.alias(SHARE_PCT)))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.conversation_id.bind(params.days.bind(Bindings::new()));
        let states = STATES.iter().enumerate().map(|(place, state)| {
            format!("({place}, {}, {})", state.name.literal(), state.meaning.literal())
        });
        params
            .conversation_version
            .bind(bindings)
            .slot("states", states.collect::<Vec<_>>().join(",\n        "))
    }
}
