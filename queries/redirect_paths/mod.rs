//! Which paths do chains of redirected sessions take?
//!
//! One row per path: the flows of a chain's sessions in depth-first order, as in `session-chains`. The
//! date range selects chains by the start of their root session, whose person is the chain's. Filters and
//! `--by` are of the root, too; by tag, a chain counts once under each tag of its person.

use wabalake_data::Table;
use wabalake_data::tables::{audience_tags, sessions};

use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct RedirectPaths;

impl Filtered for RedirectPaths {
    const TABLE: &'static Table = &sessions::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_SESSIONS;
}

impl Grouped for RedirectPaths {
    const TIMES: &'static [Dimension] = Dimension::TIMES;
    const TAKES: &'static [Dimension] = &[Dimension::Country, Dimension::Line, Dimension::Tag];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<RedirectPaths>,
    #[command(flatten)]
    by: Dimensions<RedirectPaths>,
    #[command(flatten)]
    chains: Chains,
}

impl Query for RedirectPaths {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "redirect-paths",
        title: "Paths that chains of redirected sessions take",
        question: "Which paths do chains of redirected sessions take? The chains of session-chains, \
                   grouped by the flows that they pass through. Range, filters and `--by` are \
                   of the root.",
        reads: &[&sessions::TABLE, &audience_tags::TABLE],
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

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters, &params.by])
    }

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.by.columns()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let roots = params.filters.of(params.days.scan(tables, &sessions::TABLE), tables);
        let roots = params.by.split(roots, tables, params.days.timezone());
        let chains = params.chains.plan(tables, roots, &params.by.names())?;
        Ok(chains.group_by(params.by.names_with(&[Chains::PATH])).agg([
            rows().alias("chains"),
            users().alias("users"),
            average(Chains::SESSIONS).alias("avg_sessions"),
            average_seconds(Chains::DURATION).alias("avg_duration_seconds"),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.chains.bind(params.days.bind(Bindings::new()));
        params.filters.bind(params.by.bind(bindings))
    }
}
