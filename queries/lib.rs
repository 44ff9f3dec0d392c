//! The catalog of named queries.

use query::CatalogEntry;

pub mod activity_hours;
pub mod agent_response;
pub mod analytics;
pub mod answers;
pub mod audience_breakdown;
pub mod campaign_performance;
pub mod clock_check;
pub mod contact_frequency;
pub mod conversation_analytics;
pub mod conversation_summary;
pub mod conversation_users;
pub mod country_breakdown;
pub mod coverage;
pub mod data_quality;
pub mod delivery_rate;
pub mod deployment_sessions;
pub mod deployment_states;
pub mod drop_off;
pub mod entry_windows;
pub mod failure_reasons;
pub mod funnel;
pub mod holdout_lift;
pub mod inactivity_gaps;
pub mod inbound_channels;
pub mod kernels;
pub mod lifecycle;
pub mod list_burn;
pub mod maturity;
pub mod message_failures;
pub mod message_latency;
pub mod message_log;
pub mod message_summary;
pub mod meta_sources;
pub mod open_windows;
pub mod pricing_analytics;
pub mod query;
pub mod reconcile;
pub mod redirect_paths;
pub mod reply_bursts;
pub mod retry_curve;
pub mod return_rate;
pub mod same_send;
pub mod session_chains;
pub mod session_closures;
pub mod session_duration;
pub mod session_summary;
pub mod template_analytics;
pub mod template_health;
pub mod template_performance;
pub mod user_history;
pub mod version_comparison;
pub mod waiting;
pub mod what_changed;

/// Every query, sorted by name.
pub const CATALOG: &[CatalogEntry] = &[
    CatalogEntry::of::<activity_hours::ActivityHours>(),
    CatalogEntry::of::<agent_response::AgentResponse>(),
    CatalogEntry::of::<analytics::Analytics>(),
    CatalogEntry::of::<answers::Answers>(),
    CatalogEntry::of::<audience_breakdown::AudienceBreakdown>(),
    CatalogEntry::of::<campaign_performance::CampaignPerformance>(),
    CatalogEntry::of::<clock_check::ClockCheck>(),
    CatalogEntry::of::<contact_frequency::ContactFrequency>(),
    CatalogEntry::of::<conversation_analytics::ConversationAnalytics>(),
    CatalogEntry::of::<conversation_summary::ConversationSummary>(),
    CatalogEntry::of::<conversation_users::ConversationUsers>(),
    CatalogEntry::of::<country_breakdown::CountryBreakdown>(),
    CatalogEntry::of::<coverage::Coverage>(),
    CatalogEntry::of::<data_quality::DataQuality>(),
    CatalogEntry::of::<delivery_rate::DeliveryRate>(),
    CatalogEntry::of::<deployment_sessions::DeploymentSessions>(),
    CatalogEntry::of::<deployment_states::DeploymentStates>(),
    CatalogEntry::of::<drop_off::DropOff>(),
    CatalogEntry::of::<entry_windows::EntryWindows>(),
    CatalogEntry::of::<failure_reasons::FailureReasons>(),
    CatalogEntry::of::<funnel::Funnel>(),
    CatalogEntry::of::<holdout_lift::HoldoutLift>(),
    CatalogEntry::of::<inactivity_gaps::InactivityGaps>(),
    CatalogEntry::of::<inbound_channels::InboundChannels>(),
    CatalogEntry::of::<lifecycle::Lifecycle>(),
    CatalogEntry::of::<list_burn::ListBurn>(),
    CatalogEntry::of::<maturity::Maturity>(),
    CatalogEntry::of::<message_failures::MessageFailures>(),
    CatalogEntry::of::<message_latency::MessageLatency>(),
    CatalogEntry::of::<message_log::MessageLog>(),
    CatalogEntry::of::<message_summary::MessageSummary>(),
    CatalogEntry::of::<meta_sources::MetaSources>(),
    CatalogEntry::of::<open_windows::OpenWindows>(),
    CatalogEntry::of::<pricing_analytics::PricingAnalytics>(),
    CatalogEntry::of::<reconcile::Reconcile>(),
    CatalogEntry::of::<redirect_paths::RedirectPaths>(),
    CatalogEntry::of::<reply_bursts::ReplyBursts>(),
    CatalogEntry::of::<retry_curve::RetryCurve>(),
    CatalogEntry::of::<return_rate::ReturnRate>(),
    CatalogEntry::of::<same_send::SameSend>(),
    CatalogEntry::of::<session_chains::SessionChains>(),
    CatalogEntry::of::<session_closures::SessionClosures>(),
    CatalogEntry::of::<session_duration::SessionDuration>(),
    CatalogEntry::of::<session_summary::SessionSummary>(),
    CatalogEntry::of::<template_analytics::TemplateAnalytics>(),
    CatalogEntry::of::<template_health::TemplateHealth>(),
    CatalogEntry::of::<template_performance::TemplatePerformance>(),
    CatalogEntry::of::<user_history::UserHistory>(),
    CatalogEntry::of::<version_comparison::VersionComparison>(),
    CatalogEntry::of::<waiting::Waiting>(),
    CatalogEntry::of::<what_changed::WhatChanged>(),
];
