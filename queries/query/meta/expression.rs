//! Parser of Meta's field expressions: `conversation_analytics.start(1685602800).end(1688194800)
//! .granularity(MONTHLY).dimensions(["COUNTRY","PHONE"])`.
//!
//! ```text
//! expression  ?fields=  FIELD  call*  &access_token=…     all but FIELD may be missing
//! call        . name ( value )
//! value       word, or [ word , … ]                       words may be quoted
//! ```
//!
//! White space is ignored. The text before `fields=` and after `&` is dropped first, so that no error
//! message repeats an access token.

use chrono::NaiveDate;
use chrono_tz::Tz;
use wabalake_data::Invalid;
use wabalake_data::tables::meta_points::{END, FIELDS, NAME, START};
use wabalake_data::words::suggestion_and;

use super::fields::Field;
use super::options::{WABA_TIMEZONE, of};
use super::points::Granularity;
use crate::CATALOG;
use crate::query::time::{SECOND, Span, day_start, read_date};

/// An instant, or a date whose zone is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// Microseconds since 1970.
    At(i64),
    /// The start of a local date.
    Date(NaiveDate),
}

/// The values of `start` and `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    start: Option<Moment>,
    end: Option<Moment>,
}

impl Bounds {
    /// The interval from `start` to `end`, with dates in a time zone.
    pub(super) fn span(self, timezone: Tz) -> Span {
        let micros = |moment| match moment {
            Moment::At(at) => at,
            Moment::Date(date) => day_start(timezone, date),
        };
        Span { from: self.start.map(micros), until: self.end.map(micros), timezone }
    }
}

/// The calls of an expression: each name with the words of its value.
#[derive(Debug)]
pub(super) struct Expression {
    calls: Vec<(String, Vec<String>)>,
}

impl Expression {
    /// Parses an expression of a field.
    ///
    /// # Errors
    /// A syntax error, an unknown name or another field. No error repeats the value of a call.
    pub(super) fn read<F: Field>(text: &str) -> Result<Self, Invalid> {
        let head = text.split('(').next().unwrap_or_default();
        let text = head.find("fields=").map_or(text, |at| &text[at + "fields=".len()..]);
        let text = text.split('&').next().unwrap_or_default();
        let mut rest = Letters { rest: text.trim_start().trim_start_matches('?') };

        let field = rest.name();
        if field != F::NAME {
            return Err(another_field::<F>(&field));
        }
        let mut calls: Vec<(String, Vec<String>)> = Vec::new();
        while let Some(letter) = rest.next() {
            if letter != '.' {
                return Err(malformed("a dot and a name", calls.last()));
            }
            let name = rest.name();
            if !names::<F>().any(|known| known == name) {
                return Err(unknown_name::<F>(&name));
            }
            if calls.iter().any(|(before, _)| *before == name) {
                let twice = Invalid::new(format!("`{name}` is given twice"));
                return Err(twice.hint("leave one of them out"));
            }
            if rest.next() != Some('(') {
                let bare = Invalid::new(format!("`{name}` is followed by no value"));
                return Err(bare.hint(format!("write {name}(…)")));
            }
            let words = rest.words().ok_or_else(|| {
                Invalid::new(format!("the value of `{name}` does not end"))
                    .hint("close its quotes and brackets")
            })?;
            calls.push((name, words));
        }
        Ok(Self { calls })
    }

    /// The words of a call; `None` if there is no such call.
    pub(super) fn words(&self, name: &str) -> Option<&[String]> {
        let call = self.calls.iter().find(|(called, _)| called == name);
        call.map(|(_, words)| words.as_slice())
    }

    /// The only word of a call; `None` if there is no such call.
    fn word(&self, name: &str) -> Result<Option<&str>, Invalid> {
        match self.words(name) {
            None => Ok(None),
            Some([word]) => Ok(Some(word.as_str())),
            Some(_) => {
                Err(Invalid::new(format!("`{name}` takes one value"))
                    .hint(format!("write {name}(…)")))
            }
        }
    }

    /// The values of `start` and `end`.
    pub(super) fn bounds(&self) -> Result<Bounds, Invalid> {
        Ok(Bounds { start: self.moment(START)?, end: self.moment(END)? })
    }

    /// The value of `use_waba_timezone`.
    pub(super) fn uses_waba_timezone(&self) -> Result<Option<bool>, Invalid> {
        self.boolean(WABA_TIMEZONE)
    }

    /// The boolean value of a call.
    fn boolean(&self, name: &str) -> Result<Option<bool>, Invalid> {
        let read = |word: &str| match word.to_lowercase().as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(Invalid::new(format!("`{name}` is neither true nor false"))
                .hint(format!("write {name}(true)"))),
        };
        self.word(name)?.map(read).transpose()
    }

    /// The value of a call that is a number of seconds since 1970 or a date.
    fn moment(&self, name: &str) -> Result<Option<Moment>, Invalid> {
        let read = |word: &str| {
            if let Ok(seconds) = word.parse::<i64>() {
                // SQL timestamps go from year 1 to year 9999.
                let known = (-62_135_596_800..=253_402_300_799).contains(&seconds);
                let at = known.then_some(Moment::At(seconds.saturating_mul(SECOND)));
                return at.ok_or_else(|| {
                    Invalid::new(format!("`{name}` is no time")).hint("it is in seconds since 1970")
                });
            }
            read_date(word).map(Moment::Date).map_err(|invalid| of(name, invalid))
        };
        self.word(name)?.map(read).transpose()
    }

    /// The value of `granularity`.
    pub(super) fn granularity(&self, days_only: bool) -> Result<Option<Granularity>, Invalid> {
        let Some(word) = self.word("granularity")? else { return Ok(None) };
        let known = if days_only { "DAY, DAILY" } else { "HALF_HOUR, DAY, DAILY, MONTH, MONTHLY" };
        let read = Granularity::read(word);
        let read = read.filter(|read| !days_only || *read == Granularity::Day);
        let fault =
            || Invalid::new("`granularity`: no such length").hint(format!("it takes {known}"));
        read.ok_or_else(fault).map(Some)
    }
}

/// The names of the calls that a field takes.
fn names<F: Field>() -> impl Iterator<Item = &'static str> {
    let dimensions = (!F::DIMENSIONS.is_empty()).then_some("dimensions");
    let metrics = F::CHOOSES.then_some("metric_types");
    let filters = F::FILTERS.iter().map(|filter| filter.name);
    ["start", "end", "granularity", WABA_TIMEZONE]
        .into_iter()
        .chain(filters)
        .chain(dimensions)
        .chain(metrics)
}

fn unknown_name<F: Field>(name: &str) -> Invalid {
    let all = names::<F>().collect::<Vec<_>>().join(", ");
    let hint = suggestion_and(name, names::<F>(), &format!("it takes {all}"));
    Invalid::new(format!("`{}` takes no `{}`", F::NAME, shown(name))).hint(hint)
}

fn another_field<F: Field>(field: &str) -> Invalid {
    let query = field.replace('_', "-");
    let hint = match FIELDS.iter().find(|known| **known == field) {
        Some(_) if CATALOG.iter().any(|entry| entry.spec.name == query) => {
            format!("ask `wabalake query {query}`")
        }
        Some(_) => format!("no query answers it; `wabalake sql` reads its points in `{NAME}`"),
        None => format!("write {}.start(…).end(…)", F::NAME),
    };
    Invalid::new(format!("`--fields` asks for `{}`, not for `{}`", shown(field), F::NAME))
        .hint(hint)
}

fn malformed(expected: &str, after: Option<&(String, Vec<String>)>) -> Invalid {
    let after = after.map_or("the field".to_owned(), |(name, _)| format!("`{name}(…)`"));
    Invalid::new(format!("`--fields` needs {expected} after {after}"))
        .hint("write FIELD.name(value).name(value)")
}

/// A name for an error message; `…` if it may be a phone number or a token.
fn shown(name: &str) -> &str {
    let digits = name.chars().filter(char::is_ascii_digit).count();
    if digits > 8 || name.len() > 40 { "…" } else { name }
}

/// The rest of an expression that is not parsed yet.
struct Letters<'a> {
    rest: &'a str,
}

impl Letters<'_> {
    fn next(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        let mut letters = self.rest.chars();
        let letter = letters.next();
        self.rest = letters.as_str();
        letter
    }

    /// Parses a name of letters, digits and `_`, ignoring white space within.
    fn name(&mut self) -> String {
        let mut name = String::new();
        loop {
            self.rest = self.rest.trim_start();
            match self.rest.chars().next() {
                Some(letter) if letter.is_alphanumeric() || letter == '_' => {
                    name.push(letter);
                    self.rest = &self.rest[letter.len_utf8()..];
                }
                _ => return name,
            }
        }
    }

    /// Parses the words of a value up to its closing parenthesis; `None` if it is not closed.
    fn words(&mut self) -> Option<Vec<String>> {
        let mut words = vec![String::new()];
        let mut quote = None;
        loop {
            let letter = self.rest.chars().next()?;
            self.rest = &self.rest[letter.len_utf8()..];
            match (letter, quote) {
                (letter, Some(open)) if closes(open, letter) => quote = None,
                ('"' | '\'' | '“' | '”' | '‘' | '’', None) => quote = Some(letter),
                (')', None) => break,
                // Quotes do not escape a comma: `"COUNTRY,PHONE"` is two words.
                (',', _) => words.push(String::new()),
                ('[' | ']', None) => {}
                (letter, None) if letter.is_whitespace() => {}
                (letter, _) => words.last_mut()?.push(letter),
            }
        }
        let words = words.iter().map(|word| word.trim().to_owned());
        Some(words.filter(|word| !word.is_empty()).collect())
    }
}

/// Returns `true` if a letter closes a quote. Curly quotes, pasted from a document, close in either
/// direction.
fn closes(open: char, letter: char) -> bool {
    match open {
        '“' | '”' => matches!(letter, '“' | '”'),
        '‘' | '’' => matches!(letter, '‘' | '’'),
        open => open == letter,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fields::{BY_CONVERSATION_CATEGORY, BY_PHONE, Filter};
    use super::*;
    use crate::query::OutputColumn;

    struct Conversations;

    impl Field for Conversations {
        const NAME: &'static str = "conversation_analytics";
        const FILTERS: &'static [Filter] = &[BY_PHONE, BY_CONVERSATION_CATEGORY];
        const DIMENSIONS: &'static [&'static str] = &["COUNTRY", "PHONE"];
        const MEASURES: &'static [OutputColumn] = &[];
    }

    fn read(text: &str) -> Result<Expression, Invalid> {
        Expression::read::<Conversations>(text)
    }

    #[test]
    fn expressions_pasted_from_documents_are_parsed() {
        let verbatim = "?fields=conversation_analytics\n.start(1685602800)\n.end(1685689200)\n\
                        .granularity(HALF_HOUR)\n.phone_numbers([\"19195552584\"])\n\
                        .dimensions([\"CONVERSATION_CATEGORY\",“CONVERSATION_TYPE”,\"COUNTRY,PHONE\"])\n\
                        &access_token=your-access-token";
        for text in [verbatim, &format!("https://graph.facebook.com/v17.0\n/1/{verbatim}")] {
            let read = read(text).unwrap();
            let from = read.bounds().unwrap().span(Tz::UTC).from;
            assert_eq!(from, Some(1_685_602_800_000_000));
            assert_eq!(read.granularity(false), Ok(Some(Granularity::HalfHour)));
            assert_eq!(read.words("phone_numbers"), Some(&["19195552584".to_owned()][..]));
            let dimensions = read.words("dimensions").unwrap();
            assert_eq!(
                dimensions,
                ["CONVERSATION_CATEGORY", "CONVERSATION_TYPE", "COUNTRY", "PHONE"]
            );
        }
        let read =
            read("conversation_analytics . start ( 2025-06-01 ) .phone_numbers([ ])").unwrap();
        let midnight = 1_748_754_000_000_000;
        let from = read.bounds().unwrap().span(chrono_tz::America::Bogota).from;
        assert_eq!(from, Some(midnight));
        assert_eq!(read.words("phone_numbers"), Some(&[][..]));
        assert_eq!(read.words("dimensions"), None);
    }

    #[test]
    fn errors_never_repeat_the_token() {
        for (text, said) in [
            ("analytics.start(1)", "ask `wabalake query analytics`"),
            ("call_analytics.start(1)", "`wabalake sql` reads its points in `meta_points`"),
            ("conversation_analytics.dimension([])", "did you mean `dimensions`?"),
            ("conversation_analytics.product_types([0])", "takes no `product_types`"),
            ("conversation_analytics.access_tokens(SECRET)", "takes no `access_tokens`"),
            ("conversation_analytics.start(1).start(2)", "`start` is given twice"),
            ("conversation_analytics.start(1", "the value of `start` does not end"),
            ("conversation_analytics.start", "`start` is followed by no value"),
            ("conversation_analytics.start(1)end(2)", "a dot and a name after `start(…)`"),
            ("", "write conversation_analytics.start(…)"),
        ] {
            let fault = read(&format!("{text}&access_token=SECRET")).unwrap_err();
            let fault = format!("{fault}: {}", fault.hint.as_deref().unwrap_or_default());
            assert!(fault.contains(said), "{text}: {fault}");
            assert!(!fault.contains("SECRET"), "{text}: {fault}");
        }
        let value = |text: &str| read(&format!("conversation_analytics.{text}")).unwrap();
        assert!(value("start([1,2])").bounds().is_err());
        assert!(value("start(soon)").bounds().is_err());
        assert!(value("use_waba_timezone(maybe)").uses_waba_timezone().is_err());
        assert!(value("granularity(YEAR)").granularity(false).is_err());
        assert!(value("granularity(MONTHLY)").granularity(true).is_err());
    }
}
