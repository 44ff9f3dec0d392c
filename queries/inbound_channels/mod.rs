//! Which channels bring inbound users, and what do these convert to?
//!
//! One row per channel and campaign: an ad or a post by type and id, a WhatsApp link by source and name.
//! Only inbound sessions count. Their conversions are looked up in the whole lake; a session counts
//! once as converted, and each of its conversions adds to the revenue. `--by` splits each campaign; by tag,
//! a session counts once under each tag of its person.

use wabalake_data::Table;
use wabalake_data::tables::conversions::VALUE;
use wabalake_data::tables::sessions::{
    self, META_SOURCE_ID, SESSION_FINISHED_TIMESTAMP, SESSION_ID, SESSION_STATUS, SESSION_TYPE,
    WHATSAPP_LINK_CAMPAIGN_NAME, WHATSAPP_LINK_CAMPAIGN_SOURCE,
};
use wabalake_data::tables::{CURRENCY, SESSION_KEY, audience_tags, conversions};

use crate::query::billing::money::{self, AMOUNT};
use crate::query::conversions::{CONVERSIONS, CONVERTED_SESSIONS};
use crate::query::dimensions::{channel, meta_type};
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct InboundChannels;

impl Filtered for InboundChannels {
    const TABLE: &'static Table = &sessions::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_SESSIONS;
}

impl Grouped for InboundChannels {
    const TIMES: &'static [Dimension] = Dimension::TIMES;
    const TAKES: &'static [Dimension] = &[
        Dimension::Conversation,
        Dimension::Country,
        Dimension::Line,
        Dimension::Tag,
        Dimension::SessionType,
        Dimension::SessionStatus,
    ];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<InboundChannels>,
    #[command(flatten)]
    by: Dimensions<InboundChannels>,
    #[command(flatten)]
    conversions: Conversions,
}

/// The channel that led to the sessions.
pub const CHANNEL: &str = "channel";
/// Ad or Post, or the source of a WhatsApp link.
pub const SOURCE: &str = "source";
/// The id of an ad or post, or the campaign name of a WhatsApp link.
pub const CAMPAIGN: &str = "campaign";
/// Inbound sessions.
pub const SESSIONS: &str = "sessions";
/// People in them.
pub const USERS: &str = "users";
/// Average duration of finished sessions.
pub const AVG_DURATION_SECONDS: &str = "avg_duration_seconds";
/// Share of the sessions with an agent.
pub const AGENT_PCT: &str = "agent_pct";
/// Share of the sessions that converted.
pub const CONVERSION_PCT: &str = "conversion_pct";
/// Revenue of their conversions.
pub const REVENUE: &str = "revenue";
/// Currency of the revenue; several are joined by `+`.
pub const REVENUE_CURRENCY: &str = "revenue_currency";

const DURATION: &str = "duration";
const FINISHED_SESSIONS: &str = "finished_sessions";
const AGENT_SESSIONS: &str = "agent_sessions";

impl Query for InboundChannels {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "inbound-channels",
        title: "Channels that bring inbound users",
        question: "Which channels bring inbound users, and what do these convert to? Inbound sessions \
                   by the ad, post or WhatsApp link that led to them, with conversions and revenue.",
        reads: &[&sessions::TABLE, &conversions::TABLE, &audience_tags::TABLE],
        range: Range::History,
        columns: &[
            OutputColumn::word(CHANNEL),
            OutputColumn::term(SOURCE),
            OutputColumn::written(CAMPAIGN),
            OutputColumn::count(SESSIONS),
            OutputColumn::count(USERS),
            OutputColumn::count(FINISHED_SESSIONS),
            OutputColumn::seconds(AVG_DURATION_SECONDS),
            OutputColumn::count(AGENT_SESSIONS),
            OutputColumn::pct(AGENT_PCT),
            OutputColumn::count(CONVERSIONS),
            OutputColumn::pct(CONVERSION_PCT),
            OutputColumn::money(REVENUE),
            OutputColumn::term(REVENUE_CURRENCY),
        ],
        key: &[CHANNEL, SOURCE, CAMPAIGN],
        order: &[Order::Descending(SESSIONS)],
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--event", "purchase"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &sessions::TABLE,
        cells: &[CHANNEL, SOURCE, CAMPAIGN],
        counts: &[SESSIONS, AGENT_SESSIONS, FINISHED_SESSIONS, CONVERTED_SESSIONS],
        id: &[SESSION_ID],
        rows: |tables, params| {
            let converted = params
                .conversions
                .by_session(tables)?
                .select([col(SESSION_KEY), lit(true).alias(CONVERTED_SESSIONS)]);
            let split = params.by.split(inbound(tables, params), tables, params.days.timezone());
            Ok(look_up(split, converted, SESSION_KEY).with_columns([
                lit(true).alias(SESSIONS),
                col(SESSION_STATUS).eq(lit("AGENTS")).alias(AGENT_SESSIONS),
                col(SESSION_FINISHED_TIMESTAMP).is_not_null().alias(FINISHED_SESSIONS),
            ]))
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

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let of_campaign = [CHANNEL, SOURCE, CAMPAIGN];
        let earned = params.conversions.by_currency(tables)?;
        let campaigns = params
            .by
            .group_with(inbound(tables, params), &of_campaign, tables, params.days.timezone())
            .measured(|inbound, campaign| {
                let of_session = [col(SESSION_KEY)];
                let inner = JoinArgs::new(JoinType::Inner);
                let converted = inbound.select([campaign, SESSION_KEY].map(col));
                let earned = converted.join(earned, &of_session, &of_session, inner);
                money::summed_with(
                    earned,
                    &[col(campaign)],
                    VALUE,
                    &[CONVERSIONS, CONVERTED_SESSIONS],
                )
            })
            .users(USERS)
            .agg([
                rows().alias(SESSIONS),
                col(SESSION_FINISHED_TIMESTAMP).count().alias(FINISHED_SESSIONS),
                average_seconds(DURATION).alias(AVG_DURATION_SECONDS),
                agent_sessions().alias(AGENT_SESSIONS),
            ])
            .with_columns(
                [CONVERSIONS, CONVERTED_SESSIONS].map(|count| col(count).fill_null(lit(0))),
            );
        Ok(campaigns.with_columns([
            share_pct(col(AGENT_SESSIONS), col(SESSIONS)).alias(AGENT_PCT),
            share_pct(col(CONVERTED_SESSIONS), col(SESSIONS)).alias(CONVERSION_PCT),
            col(AMOUNT).alias(REVENUE),
            col(CURRENCY).alias(REVENUE_CURRENCY),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.conversions.bind(params.days.bind(Bindings::new()));
        params.filters.bind(params.by.bind(bindings))
    }
}

/// The inbound sessions of the range with their channel, source, campaign and duration.
fn inbound(tables: &Tables, params: &Params) -> LazyFrame {
    let is_channel = |name: &'static str| col(CHANNEL).eq(lit(name));
    let either = |meta: Expr, link: &str| {
        when(is_channel("meta-ad").or(is_channel("meta-post")))
            .then(meta)
            .when(is_channel("whatsapp-link"))
            .then(col(link))
            .otherwise(lit(Null {}))
    };
    params
        .filters
        .of(params.days.scan(tables, &sessions::TABLE), tables)
        .filter(col(SESSION_TYPE).eq(lit("Inbound")))
        .with_columns([channel().alias(CHANNEL), session_duration().alias(DURATION)])
        .with_columns([
            either(meta_type(), WHATSAPP_LINK_CAMPAIGN_SOURCE).alias(SOURCE),
            either(col(META_SOURCE_ID), WHATSAPP_LINK_CAMPAIGN_NAME).alias(CAMPAIGN),
        ])
}
