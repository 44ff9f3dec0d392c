//! The catalog: every named query, and nothing else.

use query::Room;

pub mod activity_hours;
pub mod campaign_performance;
pub mod conversation_summary;
pub mod country_breakdown;
pub mod coverage;
pub mod data_quality;
pub mod delivery_rate;
pub mod deployment_sessions;
pub mod drop_off;
pub mod failure_reasons;
pub mod inactivity_gaps;
pub mod inbound_channels;
pub mod lifecycle;
pub mod message_failures;
pub mod message_latency;
pub mod message_log;
pub mod message_summary;
pub mod meta_sources;
pub mod open_windows;
pub mod query;
pub mod redirect_paths;
pub mod return_rate;
pub mod session_chains;
pub mod session_closures;
pub mod session_duration;
pub mod template_performance;

/// Every query, by name.
pub const CATALOG: &[Room] = &[
    Room::of::<activity_hours::ActivityHours>(),
    Room::of::<campaign_performance::CampaignPerformance>(),
    Room::of::<conversation_summary::ConversationSummary>(),
    Room::of::<country_breakdown::CountryBreakdown>(),
    Room::of::<coverage::Coverage>(),
    Room::of::<data_quality::DataQuality>(),
    Room::of::<delivery_rate::DeliveryRate>(),
    Room::of::<deployment_sessions::DeploymentSessions>(),
    Room::of::<drop_off::DropOff>(),
    Room::of::<failure_reasons::FailureReasons>(),
    Room::of::<inactivity_gaps::InactivityGaps>(),
    Room::of::<inbound_channels::InboundChannels>(),
    Room::of::<lifecycle::Lifecycle>(),
    Room::of::<message_failures::MessageFailures>(),
    Room::of::<message_latency::MessageLatency>(),
    Room::of::<message_log::MessageLog>(),
    Room::of::<message_summary::MessageSummary>(),
    Room::of::<meta_sources::MetaSources>(),
    Room::of::<open_windows::OpenWindows>(),
    Room::of::<redirect_paths::RedirectPaths>(),
    Room::of::<return_rate::ReturnRate>(),
    Room::of::<session_chains::SessionChains>(),
    Room::of::<session_closures::SessionClosures>(),
    Room::of::<session_duration::SessionDuration>(),
    Room::of::<template_performance::TemplatePerformance>(),
];
