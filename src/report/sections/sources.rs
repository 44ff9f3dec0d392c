//! Where users come from: countries, ads, channels.

use wabalake_data::tables::{deployments, sessions};
use wabalake_queries::country_breakdown::{self, CountryBreakdown};
use wabalake_queries::inbound_channels::{self, InboundChannels};
use wabalake_queries::meta_sources::{self, MetaSources};

use super::ROWS;
use super::costs::{MATCHED, costs_of, explain, per_reply};
use crate::error::Result;
use crate::report::tables::{TableColumn, table};
use crate::report::{PageContext, Section};

pub(super) fn countries(page: &PageContext<'_>) -> Result<Section> {
    let options = costs_of(page, MATCHED)?;
    let answer = page.ask::<CountryBreakdown>(&options)?;
    let countries =
        answer.texts(country_breakdown::NAME)?.into_iter().zip(answer.texts(deployments::COUNTRY)?);
    let names = countries.map(|(name, code)| name.or(code).or(Some("Unknown".to_owned())));
    let mut columns = vec![
        TableColumn::texts("Country", names.collect()),
        answer.shaded("Sends", country_breakdown::DEPLOYMENTS)?,
        answer.shown("Delivered", country_breakdown::DELIVERED_PCT)?,
        answer.shown("Opened a session", country_breakdown::CLICK_THROUGH_PCT)?,
        answer.shown("Answered", country_breakdown::REPLY_PCT)?,
    ];
    let cost = per_reply(&answer, &options)?;
    let has_cost = cost.is_some();
    columns.extend(cost);
    columns.extend([
        answer.shown("Inbound sessions", country_breakdown::INBOUND_SESSIONS)?,
        answer.shown("Session", country_breakdown::AVG_SESSION_SECONDS)?,
        answer.shown("Converted", country_breakdown::CONVERSION_PCT)?,
        answer.money("Revenue", country_breakdown::REVENUE, country_breakdown::REVENUE_CURRENCY)?,
    ]);
    let mut body = table("Countries", &columns, ROWS);
    if has_cost {
        explain(&mut body);
    }
    Ok(answer.section("countries", "Countries", body))
}

pub(super) fn ads(page: &PageContext<'_>) -> Result<Section> {
    let answer = page.ask::<MetaSources>(&[])?;
    let headlines = answer.texts(sessions::META_SOURCE_HEADLINE)?.into_iter();
    let named = headlines.zip(answer.texts(sessions::META_SOURCE_ID)?);
    let body = table(
        "Ads and posts",
        &[
            TableColumn::texts("Headline", named.map(|(headline, id)| headline.or(id)).collect()),
            answer.shown("Type", sessions::META_SOURCE_TYPE)?,
            answer.shaded("Sessions", meta_sources::SESSIONS)?,
            answer.shown("People", meta_sources::USERS)?,
            answer.shown("Session", meta_sources::AVG_DURATION_SECONDS)?,
            answer.money("Spend", meta_sources::COST, meta_sources::COST_CURRENCY)?,
            answer.shown("Per session", meta_sources::COST_PER_SESSION)?,
            answer.shown("Conversions", meta_sources::CONVERSIONS)?,
            answer.money("Revenue", meta_sources::REVENUE, meta_sources::REVENUE_CURRENCY)?,
            answer.shown("ROAS", meta_sources::ROAS)?,
        ],
        ROWS,
    );
    Ok(answer.section("ads", "Ads and posts, and what they earn", body))
}

pub(super) fn channels(page: &PageContext<'_>) -> Result<Section> {
    let answer = page.ask::<InboundChannels>(&[])?;
    let body = table(
        "Channels",
        &[
            TableColumn::texts("Channel", answer.labels(inbound_channels::CHANNEL)?),
            answer.shown("Source", inbound_channels::SOURCE)?,
            answer.shown("Campaign", inbound_channels::CAMPAIGN)?,
            answer.shaded("Sessions", inbound_channels::SESSIONS)?,
            answer.shown("People", inbound_channels::USERS)?,
            answer.shown("Session", inbound_channels::AVG_DURATION_SECONDS)?,
            answer.shown("With an agent", inbound_channels::AGENT_PCT)?,
            answer.shown("Converted", inbound_channels::CONVERSION_PCT)?,
            answer.money(
                "Revenue",
                inbound_channels::REVENUE,
                inbound_channels::REVENUE_CURRENCY,
            )?,
        ],
        ROWS,
    );
    Ok(answer.section("channels", "Channels of inbound users", body))
}
