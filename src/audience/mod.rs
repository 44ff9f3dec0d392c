//! Audiences: the people whom a rule chooses, written as a file for a sender.
//!
//! ```text
//! june-promo: delivered in 30d and not replied in 30d
//!   │ select     of 12 people 1 has no phone, 1 an invalid one, 2 stopped, 1 is lost
//!   │ HoldOut    of the 7 who are left, 1 is held out: the same one every time
//!   ▼ write      +57,3005550102 …
//! ```
//!
//! No error, log or report of this module names a person.

mod file;
mod people;
mod rule;

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use wabalake_data::Invalid;
use wabalake_data::cells::phone::{Phones, is_user_id};
use wabalake_data::tables::USER_PHONE;
use wabalake_data::words::suggestion_and;

pub use self::file::{Columns, Form, write, write_groups};
use self::people::{IS_LOST, IS_STOPPED};
use self::rule::shown;
pub use self::rule::{Condition, Happening, OfDeployments, OfMessages, OfSessions, Rule};
use crate::config::{AudienceSettings, Config, is_name};
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::run::polars::collect_of;

/// Who of a rule is chosen, and how many are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    /// The numbers of those who are chosen: E.164 digits, ascending, each once.
    pub people: Vec<String>,
    /// The numbers of those who are held out.
    pub held_out: Vec<String>,
    /// How many.
    pub counts: Counts,
}

/// How many people a rule matches, and how many of them are left out, each by the first reason that holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All whom the rule matches.
    pub matched: u64,
    /// Those of whom only a user id is known.
    pub no_phone: u64,
    /// Those whose number is not valid by its country's numbering plan.
    pub invalid_phone: u64,
    /// Those who stopped marketing messages.
    pub stopped: u64,
    /// Those who cannot be reached any more; 0 if the rule names them.
    pub lost: u64,
    /// Those who are held out of the rest.
    pub held_out: u64,
    /// Those who are left.
    pub audience: u64,
}

/// The rule of an audience in the settings.
///
/// # Errors
/// No audience of that name, or several; a name that cannot be part of a tag; an invalid rule.
pub fn named(name: &str, config: &Config) -> Result<Rule> {
    let names = config.audiences.iter().map(|audience| audience.name.as_str());
    let of_name: Vec<&AudienceSettings> =
        config.audiences.iter().filter(|audience| audience.name == name).collect();
    let audience = match of_name.as_slice() {
        [audience] => audience,
        [] => {
            let hint =
                suggestion_and(name, names, "`wabalake config` lists them, as audiences.NAME");
            let name = shown(name);
            return Err(Error::usage(format!("there is no audience `{name}`")).hint(hint));
        }
        _ => {
            return Err(Error::lake(format!("there are two audiences `{name}`"))
                .hint("give one of them another name in wabalake.toml"));
        }
    };
    if !is_name(name) {
        return Err(Error::lake(format!(
            "the name of the audience `{name}` becomes part of a tag"
        ))
        .hint("use lower-case letters, digits, `-` and `_`, beginning with a letter"));
    }
    Rule::read(&audience.rule).map_err(|Invalid { what, hint }| {
        let error = Error::lake(format!("the rule of the audience `{name}`: {what}"));
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })
}

/// Chooses the people whom a rule matches at an instant.
///
/// # Errors
/// A table that cannot be read.
pub fn select(lake: &Lake, rule: &Rule, at: DateTime<Utc>) -> Result<Selected> {
    let tables = lake.tables(&people::READS)?;
    let plan = people::plan(&tables, rule, at.timestamp_micros())?;
    let rows = collect_of(plan, "audience")?;
    let persons = rows.column(USER_PHONE)?.str()?.iter();
    let (stopped, lost) = (rows.column(IS_STOPPED)?.bool()?, rows.column(IS_LOST)?.bool()?);
    let mut counts = Counts { matched: rows.height() as u64, ..Counts::default() };
    let mut people = Vec::new();
    let phones = Phones::default();
    for ((person, is_stopped), is_lost) in persons.zip(stopped.iter()).zip(lost.iter()) {
        let number = person.filter(|person| !is_user_id(person));
        match phones.person(None, number) {
            None => counts.no_phone += 1,
            Some(number) if !number.valid => counts.invalid_phone += 1,
            Some(_) if is_stopped == Some(true) => counts.stopped += 1,
            Some(_) if is_lost == Some(true) => counts.lost += 1,
            Some(number) => people.push(number.into_phone()),
        }
    }
    people.sort_unstable();
    people.dedup();
    counts.audience = people.len() as u64;
    Ok(Selected { people, held_out: Vec::new(), counts })
}

impl Selected {
    /// Takes the people of a hold-out out of those who are chosen.
    #[must_use]
    pub fn without(mut self, hold_out: &HoldOut) -> Self {
        let is_held = |person: &mut String| hold_out.holds(person);
        self.held_out = self.people.extract_if(.., is_held).collect();
        self.counts.held_out = self.held_out.len() as u64;
        self.counts.audience = self.people.len() as u64;
        self
    }
}

/// A share of an audience that is left out of its file, drawn by a hash of the name and the person: the same
/// people every time, and others for another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldOut {
    /// The name of the audience.
    pub name: String,
    /// How many are held out.
    pub share: Share,
}

impl HoldOut {
    /// Returns `true` for a person who is held out, by their `user_phone`.
    ///
    /// ```
    /// use wabalake::audience::{HoldOut, Share};
    /// let of = |share: &str| HoldOut { name: "june".to_owned(), share: share.parse().unwrap() };
    /// // sha256("june|573005550101") begins with bfd7 96ab 95f1 7512, which is 162 modulo 10,000.
    /// assert!(of("1.63").holds("573005550101") && !of("1.62").holds("573005550101"));
    /// assert!(of("100").holds("573005550101") && !of("0").holds("573005550101"));
    /// ```
    pub fn holds(&self, person: &str) -> bool {
        let hash = Sha256::digest(format!("{}|{person}", self.name));
        let first = hash.first_chunk::<8>().copied().unwrap_or_default();
        u64::from_be_bytes(first) % Share::WHOLE < self.share.0
    }

    /// The tag of the people who are held out.
    pub fn control(&self) -> String {
        format!("{}-control", self.name)
    }

    /// The tag of the people who are not.
    pub fn treated(&self) -> String {
        format!("{}-treated", self.name)
    }
}

/// A share from 0 to 100 percent, with two decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u64);

impl Share {
    const WHOLE: u64 = 10_000;
}

impl FromStr for Share {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (whole, decimals) = text.trim().split_once('.').unwrap_or((text.trim(), "0"));
        let is_number = |digits: &str, most: usize| {
            (1..=most).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        let hundredths = format!("{whole}{decimals:0<2}").parse().ok();
        hundredths
            .filter(|hundredths| *hundredths <= Self::WHOLE)
            .filter(|_| is_number(whole, 3) && is_number(decimals, 2))
            .map(Self)
            .ok_or_else(|| {
                Invalid::new("not a share in percent").hint(
                    "write a number from 0 to 100 with at most two decimals, such as 10 or 2.5",
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_has_two_decimals() {
        for (text, share) in [("0", 0), ("10", 1000), ("2.5", 250), ("0.01", 1), ("100.00", 10_000)]
        {
            assert_eq!(text.parse::<Share>().unwrap(), Share(share), "{text}");
        }
        for text in ["", "-1", "+1", "100.01", "101", "1.", ".5", "1.005", "1e1", "ten", "1,5"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }
}
