//! Meta's rules of prices: which delivered messages are free, by date.
//!
//! | rules from | not a template | a utility template within 24 hours of the person's message | any other template |
//! |---|---|---|---|
//! | 1 July 2025, and before | free | free | charged |
//! | 1 October 2026 | the first of a line and calendar month are free | charged | charged |
//!
//! Messages of a conversation that an ad led to are free under all rules: those whose conversation type says so,
//! or those in a [window](super::entry_windows) that the answer to a click opens. Source: Meta's page "Pricing on
//! the WhatsApp Business Platform" of 2026. It does not state the number of free service messages, so that
//! is an option.

use chrono::NaiveDate;
use clap::{Args, Error, ValueEnum};
use polars::prelude::{Expr, col, lit};
use wabalake_data::tables::messages::CREATED_AT;
use wabalake_data::tables::sessions;
use wabalake_data::{Invalid, Table};

use super::entry_windows::Windows;
use super::prices::UnitsSql;
use crate::query::numbers::whole;
use crate::query::sql::Bindings;
use crate::query::time::{Clock, Span, date_literal, day_start, instant_literal, read_date};
use crate::query::usage::misfit;
use crate::query::words::Word;
use crate::query::{Defaults, NeedsTables};

/// The units of the SQL fragment `{deliveries}`.
const UNITS: UnitsSql = UnitsSql {
    numbered: "numbered_deliveries",
    unit: "numbered_deliveries.whatsapp_id",
    category: "lower(numbered_deliveries.pricing_category)",
    card: "tiers",
};

/// The options of prices of messages.
#[derive(Args, Clone, Copy, Debug)]
pub struct PricingOptions {
    /// Number of service messages per line and calendar month that Meta does not charge, from October
    /// 2026 on; 0 for none [default: 1000]
    #[arg(long, value_name = "COUNT", value_parser = whole::<i64>(0..=i64::MAX))]
    free_service_messages: Option<i64>,

    /// Which messages are free because an ad led to their conversation [default: type]
    #[arg(long, value_name = "HOW", value_parser = Word::of::<EntryPoint>())]
    entry_point: Option<EntryPoint>,

    /// Where the pricing type and category of a message come from [default: reported]
    #[arg(long, value_name = "SOURCE", value_parser = Word::of::<PricingSource>())]
    pricing: Option<PricingSource>,

    /// Price every message by the rules, market and rates of this date, as YYYY-MM-DD, whatever its own;
    /// implies `--pricing computed` [default: each message's own date]
    #[arg(long, value_name = "DATE", value_parser = read_date)]
    rules: Option<NaiveDate>,
}

/// The options of prices that Meta's rules alone decide, whatever Meta reported.
#[derive(Args, Clone, Copy, Debug)]
pub struct ComputedPrices {
    /// Number of service messages per line and calendar month that Meta does not charge, from October
    /// 2026 on; 0 for none [default: 1000]
    #[arg(long, value_name = "COUNT", value_parser = whole::<i64>(0..=i64::MAX))]
    free_service_messages: Option<i64>,

    /// Price every message by the rules, market and rates of this date, as YYYY-MM-DD, whatever its own
    /// [default: each message's own date]
    #[arg(long, value_name = "DATE", value_parser = read_date)]
    rules: Option<NaiveDate>,
}

impl ComputedPrices {
    /// Fills in the defaults.
    pub fn resolve(&mut self, defaults: &Defaults) {
        self.free_service_messages.get_or_insert(defaults.pricing.free_service_messages());
    }

    /// The options of prices, with the messages that are free because of an ad.
    pub fn options(&self, entry_point: EntryPoint) -> PricingOptions {
        PricingOptions {
            free_service_messages: self.free_service_messages,
            entry_point: Some(entry_point),
            pricing: Some(PricingSource::Computed),
            rules: self.rules,
        }
    }
}

/// The lake's values of pricing options that were not typed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PricingDefaults {
    /// The number of free service messages per line and calendar month.
    pub free_service_messages: Option<i64>,
    /// Which messages are free because of an ad.
    pub entry_point: Option<EntryPoint>,
    /// Where the pricing type and category come from.
    pub pricing: Option<PricingSource>,
}

impl PricingDefaults {
    /// The number of free service messages of a line and month.
    pub fn free_service_messages(&self) -> i64 {
        self.free_service_messages.unwrap_or(1000)
    }

    /// Which messages are free because of an ad.
    pub fn entry_point(&self) -> EntryPoint {
        self.entry_point.unwrap_or(EntryPoint::Type)
    }

    /// Where the pricing type and category come from.
    pub fn pricing(&self) -> PricingSource {
        self.pricing.unwrap_or(PricingSource::Reported)
    }
}

/// Which messages are free because an ad led to their conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EntryPoint {
    /// Those whose conversation type is a referral
    Type,
    /// Those in the hours after the answer to a click on an ad
    Window,
    /// Those of type and of window
    Either,
    /// None
    None,
}

impl EntryPoint {
    /// `true` if messages whose conversation type is a referral are free.
    const fn has_types(self) -> bool {
        matches!(self, Self::Type | Self::Either)
    }

    /// `true` if messages in a window are free.
    const fn has_windows(self) -> bool {
        matches!(self, Self::Window | Self::Either)
    }
}

/// Where the pricing type and category of a message come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PricingSource {
    /// Meta's report of the message; what it does not report is computed
    Reported,
    /// The rules alone
    Computed,
}

impl PricingOptions {
    /// Fills in the defaults.
    ///
    /// # Errors
    /// Reported prices by the rules of another date.
    pub fn resolve(&mut self, defaults: &Defaults) -> Result<(), Error> {
        if self.rules.is_some() {
            if self.pricing == Some(PricingSource::Reported) {
                let what = "`--rules` and `--pricing reported` exclude each other";
                return Err(misfit(Invalid::new(what).hint(
                    "Meta reports what it charged by the rules of the day: leave `--pricing` out",
                )));
            }
            self.pricing = Some(PricingSource::Computed);
        }
        let defaults = defaults.pricing;
        self.free_service_messages.get_or_insert(defaults.free_service_messages());
        self.entry_point.get_or_insert(defaults.entry_point());
        self.pricing.get_or_insert(defaults.pricing());
        Ok(())
    }

    /// Returns `true` if an option was typed.
    pub(super) fn are_given(&self) -> bool {
        let Self { free_service_messages, entry_point, pricing, rules } = self;
        free_service_messages.is_some()
            || entry_point.is_some()
            || pricing.is_some()
            || rules.is_some()
    }

    /// The number of free service messages of a line and month.
    pub fn free_service_messages(&self) -> i64 {
        self.free_service_messages.unwrap_or(PricingDefaults::default().free_service_messages())
    }

    /// Which messages are free because of an ad.
    fn entry_point(&self) -> EntryPoint {
        self.entry_point.unwrap_or(PricingDefaults::default().entry_point())
    }

    /// `true` if messages whose conversation type says that an ad led to it are free.
    pub(super) fn has_entry_types(&self) -> bool {
        self.entry_point().has_types()
    }

    /// The windows in which messages are free, if they are.
    pub(super) fn entry_windows(&self) -> Option<Windows> {
        self.entry_point().has_windows().then_some(Windows::USUAL)
    }

    /// `true` if messages in the hours after the answer to a click on an ad are free.
    pub fn has_entry_windows(&self) -> bool {
        self.entry_windows().is_some()
    }

    /// `true` if a reported pricing type and category are preferred to the computed ones.
    pub(super) fn is_reported(&self) -> bool {
        self.pricing != Some(PricingSource::Computed)
    }

    /// The local date of a message's rules, market and rates.
    pub fn date(&self, within: Span) -> Expr {
        match self.rules {
            Some(rules) => date_literal(rules),
            None => Clock::Day.start(col(CREATED_AT), within.timezone),
        }
    }

    /// Returns `true` if the rules of 1 October 2026 apply to every message.
    pub(super) fn always_charges_answers(&self) -> bool {
        self.rules.is_some_and(|rules| rules >= charged_from())
    }

    /// Returns `true` if the rules of 1 October 2026 may apply to a message of an interval.
    pub fn may_charge_answers(&self, within: Span) -> bool {
        match self.rules {
            Some(rules) => rules >= charged_from(),
            None => within.until.is_none_or(|until| until > charged_at(within)),
        }
    }

    /// Predicate: the rules of 1 October 2026 apply to a message.
    pub(super) fn charges_answers(&self, within: Span) -> Expr {
        match self.rules {
            Some(rules) => lit(rules >= charged_from()),
            None => col(CREATED_AT).gt_eq(instant_literal(charged_at(within))),
        }
    }

    /// Binds the parameters of the SQL fragment `{deliveries}`, and fills its slots.
    pub fn bind(&self, bindings: Bindings) -> Bindings {
        let bindings = UNITS
            .bind(bindings)
            .integer("free_service_messages", self.free_service_messages())
            .boolean("free_entry_point", self.has_entry_types())
            .boolean("reported_pricing", self.is_reported())
            .date("rules", self.rules);
        let Some(windows) = self.entry_windows() else {
            let slots = ENTRY_SLOTS.into_iter();
            return slots.fold(bindings, |bindings, slot| bindings.slot(slot, String::new()));
        };
        let slots = [
            windows.sql("", "messages") + ",\n",
            "OR entered_id IS NOT NULL\n                ".to_owned(),
            Windows::join_sql("", "messages"),
        ];
        let slots = ENTRY_SLOTS.into_iter().zip(slots);
        slots.fold(windows.bind(bindings), |bindings, (slot, sql)| bindings.slot(slot, sql))
    }
}

impl NeedsTables for PricingOptions {
    fn tables(&self) -> &'static [&'static Table] {
        const { &[&sessions::TABLE] }
    }

    fn is_read(&self, _table: &Table) -> bool {
        self.has_entry_windows()
    }
}

/// The slots of the SQL fragment `{deliveries}`: the relations of windows, the predicate that a message is in one,
/// and the join that tells it.
const ENTRY_SLOTS: [&str; 3] = ["entry_windows_then", "or_entered", "join_entered"];

/// The first day on which service messages, and utility templates within 24 hours of a person's message,
/// are charged.
fn charged_from() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 10, 1).unwrap_or_default()
}

/// The instant at which [`charged_from`] begins.
fn charged_at(within: Span) -> i64 {
    day_start(within.timezone, charged_from())
}
