//! Companions of a plan's exports: the vendors' summaries, webhooks, ad spend, and files of the
//! business's own.
//!
//! They are generated from the same episodes. Kaleyra's summaries and Meta's points count the messages,
//! closures close the sessions, agents take them over, conversions and variables refer to them, and spend is on the ads that
//! led to visits. Some tags of people are the groups of an experiment. Meta's webhooks are of a line that no
//! vendor reports. In a clean plan the counts equal those of the exports; a dirty plan's exports have
//! rejected records and misspelt words.

mod agents;
mod events;
mod experiment;
mod points;
mod prices;
mod summaries;
mod webhooks;

use std::cell::OnceCell;
use std::fmt::Write as _;
use std::io;
use std::ops::Range;
use std::rc::Rc;

use chrono::NaiveDate;

use crate::ledger::Ledger;
use crate::{Plan, Summary};
use wabalake_data::tables::{
    Table, ad_spend, agent_chats, audience_tags, closures, conversions, events as events_table,
    identities, markets, message_summaries, messages, meta_points, nodes, rates, session_summaries,
    variables,
};

/// A companion file. It is UTF-8 and not compressed.
#[derive(Clone, Debug)]
pub struct Companion {
    /// The file name.
    pub name: String,
    /// The tables that it is loaded into.
    pub tables: &'static [&'static Table],
    kind: CompanionKind,
    plan: Plan,
    days: Range<i64>,
    /// `true` for the first download, the third, …: they differ in format from the others.
    even: bool,
    /// Computed once for all files of a download.
    ledger: Rc<OnceCell<Ledger>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CompanionKind {
    MessageSummary,
    SessionSummary,
    ConversationSummary,
    Closures,
    AgentChats,
    Analytics,
    ConversationAnalytics,
    PricingAnalytics,
    TemplateAnalytics,
    AdSpend,
    Conversions,
    Tags,
    Variables,
    Webhooks,
    Markets,
    Nodes,
    Rates,
}

/// The files of a download: kind, stem and suffix of the name, tables.
const DOWNLOADED: [(CompanionKind, &str, &str, &[&Table]); 14] = [
    (
        CompanionKind::MessageSummary,
        "kaleyra_summary_messages",
        "csv",
        &[&message_summaries::TABLE],
    ),
    (
        CompanionKind::SessionSummary,
        "kaleyra_summary_sessions",
        "csv",
        &[&session_summaries::TABLE],
    ),
    (
        CompanionKind::ConversationSummary,
        "kaleyra_summary_conversations",
        "csv",
        &[&session_summaries::TABLE],
    ),
    (CompanionKind::Closures, "session_close", "jsonl", &[&closures::TABLE]),
    (CompanionKind::AgentChats, "agent_chats", "csv", &[&agent_chats::TABLE]),
    (CompanionKind::Analytics, "meta_analytics", "jsonl", &[&meta_points::TABLE]),
    (
        CompanionKind::ConversationAnalytics,
        "meta_conversation_analytics",
        "jsonl",
        &[&meta_points::TABLE],
    ),
    (CompanionKind::PricingAnalytics, "meta_pricing_analytics", "jsonl", &[&meta_points::TABLE]),
    (CompanionKind::TemplateAnalytics, "meta_template_analytics", "jsonl", &[&meta_points::TABLE]),
    (CompanionKind::AdSpend, "ads_manager", "csv", &[&ad_spend::TABLE]),
    (CompanionKind::Conversions, "conversions", "csv", &[&conversions::TABLE]),
    (CompanionKind::Tags, "audience_tags", "csv", &[&audience_tags::TABLE]),
    (CompanionKind::Variables, "variables", "csv", &[&variables::TABLE]),
    (
        CompanionKind::Webhooks,
        "webhooks",
        "jsonl",
        &[&messages::TABLE, &identities::TABLE, &events_table::TABLE],
    ),
];

/// The files of the business's own: kind, name, tables.
const OWN: [(CompanionKind, &str, &[&Table]); 3] = [
    (CompanionKind::Markets, "markets.csv", &[&markets::TABLE]),
    (CompanionKind::Nodes, "nodes.csv", &[&nodes::TABLE]),
    (CompanionKind::Rates, "rates.csv", &[&rates::TABLE]),
];

impl Plan {
    /// The companion files, by download; the markets, the nodes and the rate card come last.
    ///
    /// ```
    /// use wabalake_sample::Plan;
    /// let plan = Plan { days: 40, sessions_per_day: 20, ..Plan::default() };
    /// let names: Vec<_> = plan.companions().map(|file| file.name).collect();
    /// assert_eq!(names[0], "kaleyra_summary_messages_2025_05_31.csv");
    /// assert_eq!(names.last().unwrap(), "rates.csv");
    /// assert_eq!(names.len(), 2 * 14 + 3);
    /// ```
    pub fn companions(&self) -> impl Iterator<Item = Companion> {
        let plan = *self;
        let downloads = self.downloads();
        let all = 0..self.end();
        let files = downloads.into_iter().enumerate().flat_map(move |(index, days)| {
            let ledger = Rc::default();
            let made_on = plan.date(days.end).unwrap_or(NaiveDate::MAX).format("%Y_%m_%d");
            let made_on = made_on.to_string();
            DOWNLOADED.into_iter().map(move |(kind, stem, suffix, tables)| Companion {
                name: format!("{stem}_{made_on}.{suffix}"),
                tables,
                kind,
                plan,
                days: days.clone(),
                even: index % 2 == 0,
                ledger: Rc::clone(&ledger),
            })
        });
        let own = OWN.into_iter().map(move |(kind, name, tables)| Companion {
            name: name.to_owned(),
            tables,
            kind,
            plan,
            days: all.clone(),
            even: true,
            ledger: Rc::default(),
        });
        files.chain(own.filter(move |_| plan.days > 0))
    }
}

impl Companion {
    /// Writes the file, and returns how many rows a load of it gives.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl io::Write) -> io::Result<Summary> {
        let mut text = String::new();
        let good = match self.kind {
            CompanionKind::MessageSummary => self.message_summary(&mut text),
            CompanionKind::SessionSummary => self.session_summary(false, &mut text),
            CompanionKind::ConversationSummary => self.session_summary(true, &mut text),
            CompanionKind::Analytics => self.analytics(&mut text),
            CompanionKind::ConversationAnalytics => self.conversation_analytics(&mut text),
            CompanionKind::PricingAnalytics => self.pricing_analytics(&mut text),
            CompanionKind::TemplateAnalytics => self.template_analytics(&mut text),
            CompanionKind::AdSpend => self.ad_spend(&mut text),
            CompanionKind::Markets => prices::markets(&mut text),
            CompanionKind::Nodes => events::nodes(&mut text),
            CompanionKind::Rates => prices::rate_card(&mut text),
            CompanionKind::Closures
            | CompanionKind::AgentChats
            | CompanionKind::Conversions
            | CompanionKind::Tags
            | CompanionKind::Variables => {
                return self.events(out);
            }
            CompanionKind::Webhooks => return self.webhooks(out),
        };
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(Summary { good, rejected: 0 })
    }

    /// The instant at which the file was made; later events are not in it.
    fn horizon(&self) -> i64 {
        let known = if self.plan.dirt { self.days.end } else { self.plan.end() };
        self.plan.generator().midnight(known)
    }

    fn ledger(&self) -> &Ledger {
        self.ledger.get_or_init(|| Ledger::of(&self.plan, &self.days, self.horizon()))
    }
}

/// Appends a line.
fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = writeln!(out, "{text}");
}

/// Formats millionths as an amount.
fn amount(millionths: i64) -> String {
    let text = format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
