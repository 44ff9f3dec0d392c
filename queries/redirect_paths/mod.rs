//! Which paths do chains of redirected sessions take?
//!
//! One row per path: the flows of a chain's sessions in depth-first order, as in `session-chains`. The
//! date range selects chains by the start of their root session, whose person is the chain's.

use wabalake_data::tables::sessions;

use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
pub struct RedirectPaths;

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    chains: Chains,
}

impl Query for RedirectPaths {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "redirect-paths",
        title: "Paths that chains of redirected sessions take",
        question: "Which paths do chains of redirected sessions take? The chains of session-chains, \
                   grouped by the flows that they pass through.",
        reads: &[&sessions::TABLE],
        range: Range::History,
        columns: &[
            OutputColumn::term(Chains::PATH),
            OutputColumn::count("chains"),
            OutputColumn::count("users"),
            OutputColumn::number("avg_sessions"),
            OutputColumn::seconds("avg_duration_seconds"),
        ],
        key: &[Chains::PATH],
        order: &[Order::Descending("chains")],
        example: &["--from", "2025-06-01", "--to", "2025-06-30"],
        sql: include_str!("twin.sql"),
    };

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let chains = params.chains.plan(tables, &params.days)?;
        Ok(chains.group_by([col(Chains::PATH)]).agg([
            rows().alias("chains"),
            users().alias("users"),
            average(Chains::SESSIONS).alias("avg_sessions"),
            average_seconds(Chains::DURATION).alias("avg_duration_seconds"),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        params.chains.bind(params.days.bind(Bindings::new()))
    }
}
