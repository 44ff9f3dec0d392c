//! Parser of rules.

use std::borrow::Cow;
use std::fmt;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Args, Command};
use wabalake_data::Invalid;
use wabalake_data::words::{listed, suggestion, suggestion_and};
use wabalake_queries::query::usage::invalid_of;

use super::{Condition, Happening, Rule};
use crate::config::read_country;
use crate::render::visible;

/// The most conditions of a rule: each is a join.
pub(super) const MOST: usize = 100;

/// The most `not` and brackets around a condition.
pub(super) const DEEPEST: usize = 50;

/// Microseconds in an hour.
pub(super) const HOUR: i64 = 3_600_000_000;

/// The words that begin a condition.
const CONDITIONS: [&str; 14] = [
    "sent",
    "delivered",
    "failed",
    "replied",
    "read",
    "visited",
    "wrote",
    "clicked-ad",
    "converted",
    "tag:",
    "country:",
    "window open",
    "lost",
    "capped",
];

/// A hundred years.
const MOST_HOURS: i64 = 876_000;

const EXAMPLE: &str = "such as: delivered in 30d and not (replied in 30d or tag:vip)";

/// A condition without filters.
#[derive(Args)]
struct Unfiltered {}

/// Parses a rule.
pub(super) fn read(text: &str) -> Result<Rule, Invalid> {
    let mut parser = Parser { text, at: 0, depth: 0, conditions: 0 };
    let rule = parser.any()?;
    let at = parser.skip_spaces();
    match parser.rest().is_empty() {
        true => Ok(rule),
        false => Err(parser.fault(at, "expected `and`, `or` or the end").hint(EXAMPLE)),
    }
}

struct Parser<'t> {
    text: &'t str,
    /// The byte that is read next.
    at: usize,
    depth: usize,
    conditions: usize,
}

/// A word of a rule, and the byte at which it begins.
struct Word {
    at: usize,
    text: String,
    /// `true` if a part of it is in quotes: then it is no keyword.
    is_quoted: bool,
}

impl Word {
    fn is(&self, keyword: &str) -> bool {
        !self.is_quoted && self.text.eq_ignore_ascii_case(keyword)
    }
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// Creates an error at a byte.
    fn fault(&self, at: usize, what: impl fmt::Display) -> Invalid {
        Invalid::new(format!("column {}: {what}", self.text[..at].chars().count() + 1))
    }

    /// Skips whitespace. Returns the byte after it.
    fn skip_spaces(&mut self) -> usize {
        self.at = self.text.len() - self.rest().trim_start().len();
        self.at
    }

    /// Reads a sign if it is next.
    fn takes(&mut self, sign: char) -> bool {
        self.skip_spaces();
        let is_next = self.rest().starts_with(sign);
        self.at += if is_next { sign.len_utf8() } else { 0 };
        is_next
    }

    /// Reads the next word, which ends before a space or bracket outside of quotes; empty if there is none.
    fn word(&mut self) -> Result<Word, Invalid> {
        let at = self.skip_spaces();
        let mut word = Word { at, text: String::new(), is_quoted: false };
        let mut quote = None;
        let mut length = self.rest().len();
        for (place, c) in self.rest().char_indices() {
            match (quote, c) {
                (None, '"') => {
                    quote = Some(at + place);
                    word.is_quoted = true;
                }
                (Some(_), '"') => quote = None,
                (None, c) if c.is_whitespace() || "()[]".contains(c) => {
                    length = place;
                    break;
                }
                _ => word.text.push(c),
            }
        }
        match quote {
            Some(at) => Err(self.fault(at, "`\"` is not closed").hint("write tag:\"two words\"")),
            None => {
                self.at += length;
                Ok(word)
            }
        }
    }

    /// Reads a keyword if it is next.
    fn takes_word(&mut self, keyword: &str) -> Result<bool, Invalid> {
        let before = self.at;
        let is_next = self.word()?.is(keyword);
        if !is_next {
            self.at = before;
        }
        Ok(is_next)
    }

    fn any(&mut self) -> Result<Rule, Invalid> {
        let mut rules = vec![self.all()?];
        while self.takes_word("or")? {
            rules.push(self.all()?);
        }
        Ok(joined(rules, Rule::Any))
    }

    fn all(&mut self) -> Result<Rule, Invalid> {
        let mut rules = vec![self.one()?];
        while self.takes_word("and")? {
            rules.push(self.one()?);
        }
        Ok(joined(rules, Rule::All))
    }

    /// Reads a condition, or a rule in brackets, with or without a `not` before it.
    fn one(&mut self) -> Result<Rule, Invalid> {
        let at = self.skip_spaces();
        if self.depth == DEEPEST {
            let fault = self.fault(at, format!("more than {DEEPEST} `not` and brackets"));
            return Err(fault.hint("write the rule with fewer of them"));
        }
        self.depth += 1;
        let rule = if self.takes_word("not")? {
            Rule::Not(Box::new(self.one()?))
        } else if self.takes('(') {
            let rule = self.any()?;
            if !self.takes(')') {
                return Err(self.fault(at, "`(` is not closed").hint("add a `)`"));
            }
            rule
        } else {
            Rule::Is(self.condition()?)
        };
        self.depth -= 1;
        Ok(rule)
    }

    fn condition(&mut self) -> Result<Condition, Invalid> {
        let word = self.word()?;
        self.conditions += 1;
        if self.conditions > MOST {
            let fault = self.fault(word.at, format!("more than {MOST} conditions"));
            return Err(fault.hint("several values of a filter are one condition: country=CO|MX"));
        }
        if let Some(tag) = word.text.strip_prefix("tag:") {
            return match tag.is_empty() {
                true => Err(self.fault(word.at, "`tag:` has no tag").hint("write it as tag:vip")),
                false => Ok(Condition::Tag(tag.to_owned())),
            };
        }
        if let Some(country) = word.text.strip_prefix("country:") {
            return read_country(country).map(Condition::Country).map_err(|invalid| Invalid {
                what: self.fault(word.at, invalid.what).what,
                hint: invalid.hint,
            });
        }
        if word.is("lost") {
            self.no_filters(&word)?;
            return Ok(Condition::Lost);
        }
        if word.is("window") {
            return match self.takes_word("open")? {
                true => Ok(Condition::WindowOpen),
                false => Err(self
                    .fault(word.at, "`window` is half a condition")
                    .hint("write: window open")),
            };
        }
        let what = self.happening(&word)?;
        let within = self.within()?;
        Ok(Condition::Happened(what, within))
    }

    /// Reads the filters of something that happened.
    fn happening(&mut self, word: &Word) -> Result<Happening, Invalid> {
        if word.is_quoted {
            return Err(self.unknown(word));
        }
        Ok(match word.text.to_ascii_lowercase().as_str() {
            "sent" => Happening::Sent(self.filters(word)?),
            "delivered" => Happening::Delivered(self.filters(word)?),
            "failed" => Happening::Failed(self.filters(word)?),
            "replied" => Happening::Replied(self.filters(word)?),
            "capped" => {
                self.no_filters(word)?;
                Happening::Capped
            }
            "read" => Happening::Read(self.filters(word)?),
            "visited" => Happening::Visited(self.filters(word)?),
            "clicked-ad" => Happening::ClickedAd(self.filters(word)?),
            "wrote" => {
                self.no_filters(word)?;
                Happening::Wrote
            }
            "converted" => Happening::Converted(self.filters(word)?),
            _ => return Err(self.unknown(word)),
        })
    }

    fn unknown(&self, word: &Word) -> Invalid {
        if word.text.is_empty() {
            return self.fault(word.at, "a condition is missing").hint(EXAMPLE);
        }
        let hint = suggestion(&word.text, CONDITIONS)
            .unwrap_or_else(|| format!("it is one of {}", listed(&CONDITIONS)));
        self.fault(word.at, format!("no condition `{}`", shown(&word.text))).hint(hint)
    }

    fn no_filters(&mut self, word: &Word) -> Result<(), Invalid> {
        self.filters::<Unfiltered>(word).map(drop)
    }

    /// Reads filters in brackets, such as `[country=CO|MX, tag=vip]`; none if no bracket is next.
    fn filters<F: Args>(&mut self, word: &Word) -> Result<F, Invalid> {
        let command =
            F::augment_args(Command::new("rule").no_binary_name(true).disable_help_flag(true));
        let known: Vec<String> =
            command.get_arguments().filter_map(Arg::get_long).map(str::to_owned).collect();
        let mut words = Vec::new();
        let mut places = Vec::new();
        let opened = self.skip_spaces();
        if self.takes('[') {
            let rest = self.rest();
            let Some(length) = rest.find(']') else {
                return Err(self.fault(opened, "`[` is not closed").hint("add a `]`"));
            };
            let mut at = self.at;
            for filter in rest[..length].split(',') {
                let (name, values) = filter.split_once('=').unwrap_or((filter, ""));
                let name = name.trim().to_ascii_lowercase().replace('_', "-");
                let begins = at + filter.len() - filter.trim_start().len();
                at += filter.len() + 1;
                if !known.contains(&name) {
                    return Err(self.no_filter(begins, word, &name, &known));
                }
                for value in values.split('|').map(str::trim) {
                    if value.is_empty() {
                        let fault = self.fault(begins, format!("`{name}` has no value"));
                        return Err(fault.hint(format!("write it as {name}=VALUE, or {name}=A|B")));
                    }
                    words.push(format!("--{name}={value}"));
                }
                places.push((name, begins));
            }
            self.at += length + 1;
        }
        let read = command.try_get_matches_from(words).and_then(|m| F::from_arg_matches(&m));
        read.map_err(|error| self.invalid(&error, &places))
    }

    fn no_filter(&self, at: usize, word: &Word, name: &str, known: &[String]) -> Invalid {
        let what = format!("`{}` has no filter `{}`", word.text, shown(name));
        let fault = self.fault(at, what);
        if known.is_empty() {
            return fault.hint("leave out the brackets: it takes no filters");
        }
        let all = format!("it takes {}", listed(known));
        fault.hint(suggestion_and(name, known.iter().map(String::as_str), &all))
    }

    /// Converts an error about the value of a filter.
    fn invalid(&self, error: &clap::Error, places: &[(String, usize)]) -> Invalid {
        let option = match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(option)) => option.trim_start_matches('-'),
            _ => "",
        };
        let option = option.split([' ', '=']).next().unwrap_or_default();
        let at = places.iter().find(|(name, _)| name == option).map_or(self.at, |(_, at)| *at);
        let Invalid { what, hint } =
            invalid_of(error).unwrap_or_else(|| Invalid::new("a value that it does not take"));
        Invalid { what: self.fault(at, format!("`{option}`: {what}")).what, hint }
    }

    /// Reads a time such as `in 30d` or `in 48h`, in microseconds.
    fn within(&mut self) -> Result<i64, Invalid> {
        const HINT: &str = "write it as in 30d, or as in 48h";
        if !self.takes_word("in")? {
            let at = self.skip_spaces();
            return Err(self.fault(at, "a time is missing").hint(HINT));
        }
        let word = self.word()?;
        let hours = match word.text.char_indices().last() {
            Some((place, 'd' | 'D')) => Some((place, 24)),
            Some((place, 'h' | 'H')) => Some((place, 1)),
            _ => None,
        };
        let hours = hours.and_then(|(place, hours)| {
            let digits = &word.text[..place];
            let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
            let number = digits.parse::<i64>().ok().filter(|_| is_number)?;
            Some(number.saturating_mul(hours)).filter(|hours| (1..=MOST_HOURS).contains(hours))
        });
        match hours {
            Some(hours) => Ok(hours * HOUR),
            None => Err(self.fault(word.at, "no time").hint(HINT)),
        }
    }
}

/// The rule itself, or several joined.
fn joined(mut rules: Vec<Rule>, join: fn(Vec<Rule>) -> Rule) -> Rule {
    match rules.len() {
        1 => rules.swap_remove(0),
        _ => join(rules),
    }
}

/// A word of a rule for a message. What may be a phone number is masked.
pub(in crate::audience) fn shown(word: &str) -> Cow<'_, str> {
    let digits = word.chars().filter(|c| c.is_numeric()).count();
    if digits >= 7 { "…".into() } else { visible(word) }
}
