//! The catalog: every named query, and nothing else.

use query::Room;

pub mod activity_hours;
pub mod analytics;
pub mod campaign_performance;
pub mod conversation_analytics;
pub mod conversation_summary;
pub mod country_breakdown;
pub mod delivery_rate;
pub mod deployment_sessions;
pub mod drop_off;
pub mod failure_reasons;
pub mod inactivity_gaps;
pub mod message_failures;
pub mod message_latency;
pub mod message_summary;
pub mod pricing_analytics;
pub mod query;
pub mod reconcile;
pub mod return_rate;
pub mod session_duration;
pub mod session_summary;
pub mod template_analytics;
pub mod template_performance;

/// Every query, by name.
pub const CATALOG: &[Room] = &[
    Room::of::<activity_hours::ActivityHours>(),
    Room::of::<analytics::Analytics>(),
    Room::of::<campaign_performance::CampaignPerformance>(),
    Room::of::<conversation_analytics::ConversationAnalytics>(),
    Room::of::<conversation_summary::ConversationSummary>(),
    Room::of::<country_breakdown::CountryBreakdown>(),
    Room::of::<delivery_rate::DeliveryRate>(),
    Room::of::<deployment_sessions::DeploymentSessions>(),
    Room::of::<drop_off::DropOff>(),
    Room::of::<failure_reasons::FailureReasons>(),
    Room::of::<inactivity_gaps::InactivityGaps>(),
    Room::of::<message_failures::MessageFailures>(),
    Room::of::<message_latency::MessageLatency>(),
    Room::of::<message_summary::MessageSummary>(),
    Room::of::<pricing_analytics::PricingAnalytics>(),
    Room::of::<reconcile::Reconcile>(),
    Room::of::<return_rate::ReturnRate>(),
    Room::of::<session_duration::SessionDuration>(),
    Room::of::<session_summary::SessionSummary>(),
    Room::of::<template_analytics::TemplateAnalytics>(),
    Room::of::<template_performance::TemplatePerformance>(),
];
