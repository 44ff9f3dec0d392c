//! The catalog: every named query, and nothing else.

use query::Room;

pub mod activity_hours;
pub mod analytics;
pub mod audience_breakdown;
pub mod campaign_performance;
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
pub mod failure_reasons;
pub mod funnel;
pub mod inactivity_gaps;
pub mod inbound_channels;
pub mod lifecycle;
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
pub mod return_rate;
pub mod session_chains;
pub mod session_closures;
pub mod session_duration;
pub mod session_summary;
pub mod template_analytics;
pub mod template_performance;
pub mod user_history;
pub mod version_comparison;

/// Every query, by name.
pub const CATALOG: &[Room] = &[
    Room::of::<activity_hours::ActivityHours>(),
    Room::of::<analytics::Analytics>(),
    Room::of::<audience_breakdown::AudienceBreakdown>(),
    Room::of::<campaign_performance::CampaignPerformance>(),
    Room::of::<contact_frequency::ContactFrequency>(),
    Room::of::<conversation_analytics::ConversationAnalytics>(),
    Room::of::<conversation_summary::ConversationSummary>(),
    Room::of::<conversation_users::ConversationUsers>(),
    Room::of::<country_breakdown::CountryBreakdown>(),
    Room::of::<coverage::Coverage>(),
    Room::of::<data_quality::DataQuality>(),
    Room::of::<delivery_rate::DeliveryRate>(),
    Room::of::<deployment_sessions::DeploymentSessions>(),
    Room::of::<deployment_states::DeploymentStates>(),
    Room::of::<drop_off::DropOff>(),
    Room::of::<failure_reasons::FailureReasons>(),
    Room::of::<funnel::Funnel>(),
    Room::of::<inactivity_gaps::InactivityGaps>(),
    Room::of::<inbound_channels::InboundChannels>(),
    Room::of::<lifecycle::Lifecycle>(),
    Room::of::<message_failures::MessageFailures>(),
    Room::of::<message_latency::MessageLatency>(),
    Room::of::<message_log::MessageLog>(),
    Room::of::<message_summary::MessageSummary>(),
    Room::of::<meta_sources::MetaSources>(),
    Room::of::<open_windows::OpenWindows>(),
    Room::of::<pricing_analytics::PricingAnalytics>(),
    Room::of::<reconcile::Reconcile>(),
    Room::of::<redirect_paths::RedirectPaths>(),
    Room::of::<return_rate::ReturnRate>(),
    Room::of::<session_chains::SessionChains>(),
    Room::of::<session_closures::SessionClosures>(),
    Room::of::<session_duration::SessionDuration>(),
    Room::of::<session_summary::SessionSummary>(),
    Room::of::<template_analytics::TemplateAnalytics>(),
    Room::of::<template_performance::TemplatePerformance>(),
    Room::of::<user_history::UserHistory>(),
    Room::of::<version_comparison::VersionComparison>(),
];
