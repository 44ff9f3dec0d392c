//! How many conversations were there, and what did they cost?
//!
//! Meta's `conversation_analytics`, computed from the messages: one row per time bucket, and per value
//! of the dimensions, in which a conversation began. Conversations are those of
//! [`session-summary`](crate::session_summary); the free tier is counted before any filter. A cost is
//! null if a conversation has no rate or if rates are in several currencies.

use chrono_tz::Tz;
use wabalake_data::Table;
use wabalake_data::tables::{markets, messages, meta_points, rates};

use crate::query::billing::conversations::{self, FreeSessions};
use crate::query::meta::{Field, MetaShape, Points, units};
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
pub struct ConversationAnalytics;

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    points: Points<units::ConversationAnalytics>,
    #[command(flatten)]
    free_sessions: FreeSessions,
}

impl Params {
    /// The conversations of each month, reduced to sums or the like by `count`.
    fn counted(
        &self,
        tables: &Tables,
        count: impl Fn(&Points<units::ConversationAnalytics>, LazyFrame) -> LazyFrame
        + Send
        + Sync
        + 'static,
    ) -> PolarsResult<LazyFrame> {
        let points = self.points.clone();
        units::conversations(tables, self.points.span(), self.free_sessions, move |units, _| {
            count(&points, units)
        })
    }

    /// The sums of points. A bucket that begins in UTC may lie in two months of the reporting zone.
    fn sums(&self, tables: &Tables) -> PolarsResult<LazyFrame> {
        Ok(self.points.summed_again(self.counted(tables, Points::summed)?))
    }
}

impl Query for ConversationAnalytics {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "conversation-analytics",
        title: "Conversations and what they cost, as Meta counts them",
        question: "How many conversations were there, and what did they cost? Meta's conversation \
                   analytics, computed from the lake: each conversation counts in the bucket of its \
                   first message that did not fail; start and end are seconds since 1970. With \
                   --source meta, the points that Meta reported.",
        reads: &[&messages::TABLE, &rates::TABLE, &markets::TABLE, &meta_points::TABLE],
        range: Range::History,
        columns: units::ConversationAnalytics::MEASURES,
        key: &[],
        order: &[],
        example: &[
            "--fields",
            "conversation_analytics.start(1748736000).end(1751328000)\
             .granularity(MONTHLY).dimensions([COUNTRY,CONVERSATION_TYPE])",
        ],
        sql: include_str!("twin.sql"),
    };

    const META: Option<MetaShape<Self>> = Some(MetaShape {
        field: units::ConversationAnalytics::NAME,
        columns: |params| params.points.columns(),
        envelope: |tables, params| {
            params.points.envelope_of(tables, || params.counted(tables, Points::met_in))
        },
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.points.resolve(defaults)
    }

    fn invalidation(params: &Params, table: &Table) -> Vec<Invalidation> {
        params.points.invalidation(table, conversations::invalidation)
    }

    fn buckets(params: &Params, _zone: Tz) -> Option<AnswerBuckets> {
        params.points.buckets()
    }

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.points.by()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        params.points.plan_of_sums(tables, || params.sums(tables))
    }

    fn bind(params: &Params) -> Bindings {
        params.free_sessions.bind(params.points.bind(Bindings::new()))
    }
}
