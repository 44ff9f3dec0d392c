//! Meta's field expressions: `conversation_analytics.start(1685602800).end(1688194800)
//! .granularity(MONTHLY).dimensions(["COUNTRY","PHONE"])`.
//!
//! ```text
//! expression  ?fields=  FIELD  call*  &access_token=…     all but FIELD may be missing
//! call        . name ( value )
//! value       word, or [ word , … ]                       words with quotes or without
//! ```
//!
//! Spaces and line breaks count nowhere. What stands before `fields=` and after `&` is dropped
//! before anything is looked at: no error repeats a token.

use chrono_tz::Tz;
use wabalake_data::tables::meta_points::FIELDS;
use wabalake_data::words::suggestion_and;

use super::super::days::read_date;
use super::super::zone::day_start;
use super::{Field, Granularity};

const SECOND: i64 = 1_000_000;

/// The calls of an expression: each name with the words of its value.
#[derive(Debug)]
pub(super) struct Expression {
    calls: Vec<(String, Vec<String>)>,
}

impl Expression {
    /// Reads an expression that asks for a field.
    ///
    /// # Errors
    /// What is wrong with it, without the value of any call.
    pub(super) fn read<F: Field>(text: &str) -> Result<Self, String> {
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
                return Err(format!("`{name}` is said twice\n  hint: leave one of them out"));
            }
            if rest.next() != Some('(') {
                return Err(format!("`{name}` is followed by no value\n  hint: write {name}(…)"));
            }
            let words = rest.words().ok_or_else(|| {
                format!("the value of `{name}` does not end\n  hint: close its quotes and brackets")
            })?;
            calls.push((name, words));
        }
        Ok(Self { calls })
    }

    /// The words of a call, if it is there.
    pub(super) fn words(&self, name: &str) -> Option<&[String]> {
        let call = self.calls.iter().find(|(called, _)| called == name);
        call.map(|(_, words)| words.as_slice())
    }

    /// The one word of a call, if it is there.
    fn word(&self, name: &str) -> Result<Option<&str>, String> {
        match self.words(name) {
            None => Ok(None),
            Some([word]) => Ok(Some(word.as_str())),
            Some(_) => Err(format!("`{name}` takes one value\n  hint: write {name}(…)")),
        }
    }

    /// The value of a call that is true or false.
    pub(super) fn truth(&self, name: &str) -> Result<Option<bool>, String> {
        let read = |word: &str| match word.to_lowercase().as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(format!("`{name}` is neither true nor false\n  hint: write {name}(true)")),
        };
        self.word(name)?.map(read).transpose()
    }

    /// The value of a call that is a number of seconds since 1970, or a date of a zone, in
    /// microseconds.
    pub(super) fn instant(&self, name: &str, zone: Tz) -> Result<Option<i64>, String> {
        let read = |word: &str| {
            if let Ok(seconds) = word.parse::<i64>() {
                // No later than SQL has years.
                let known = (-62_135_596_800..=253_402_300_799).contains(&seconds);
                let micros = known.then_some(seconds.saturating_mul(SECOND));
                return micros.ok_or_else(|| {
                    format!("`{name}` is no time\n  hint: it is in seconds since 1970")
                });
            }
            let date = read_date(word).map_err(|fault| format!("`{name}`: {fault}"));
            date.map(|date| day_start(zone, date))
        };
        self.word(name)?.map(read).transpose()
    }

    /// How long buckets are, if it is said.
    pub(super) fn granularity(&self, days_only: bool) -> Result<Option<Granularity>, String> {
        let Some(word) = self.word("granularity")? else { return Ok(None) };
        let known = if days_only { "DAY, DAILY" } else { "HALF_HOUR, DAY, DAILY, MONTH, MONTHLY" };
        let read = Granularity::read(word);
        let read = read.filter(|read| !days_only || *read == Granularity::Day);
        let fault = || format!("`granularity`: no such length\n  hint: it takes {known}");
        read.ok_or_else(fault).map(Some)
    }
}

/// What can be called on a field.
fn names<F: Field>() -> impl Iterator<Item = &'static str> {
    let dimensions = (!F::DIMENSIONS.is_empty()).then_some("dimensions");
    let metrics = F::CHOOSES.then_some("metric_types");
    let filters = F::FILTERS.iter().map(|filter| filter.name);
    ["start", "end", "granularity", "use_waba_timezone"]
        .into_iter()
        .chain(filters)
        .chain(dimensions)
        .chain(metrics)
}

fn unknown_name<F: Field>(name: &str) -> String {
    let all = names::<F>().collect::<Vec<_>>().join(", ");
    let hint = suggestion_and(name, names::<F>(), &format!("it takes {all}"));
    format!("`{}` takes no `{}`\n  hint: {hint}", F::NAME, shown(name))
}

fn another_field<F: Field>(field: &str) -> String {
    let hint = match FIELDS.iter().find(|known| **known == field) {
        Some(known) => format!("ask `wabalake query {}`", known.replace('_', "-")),
        None => format!("write {}.start(…).end(…)", F::NAME),
    };
    format!("`--fields` asks for `{}`, not for `{}`\n  hint: {hint}", shown(field), F::NAME)
}

fn malformed(expected: &str, after: Option<&(String, Vec<String>)>) -> String {
    let after = after.map_or("the field".to_owned(), |(name, _)| format!("`{name}(…)`"));
    format!(
        "`--fields` needs {expected} after {after}\n  hint: write FIELD.name(value).name(value)"
    )
}

/// A name as it may be repeated.
fn shown(name: &str) -> &str {
    let digits = name.chars().filter(char::is_ascii_digit).count();
    if digits > 8 || name.len() > 40 { "…" } else { name }
}

/// The letters of an expression that are yet to be read, but for space.
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

    /// Letters, digits and `_`; space within is none.
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

    /// The words of a value and its closing parenthesis; none where there is none.
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
                // A quoted `COUNTRY,PHONE` is two words.
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

/// Whether a letter closes a quote; curly ones are as they came from a document.
fn closes(open: char, letter: char) -> bool {
    match open {
        '“' | '”' => matches!(letter, '“' | '”'),
        '‘' | '’' => matches!(letter, '‘' | '’'),
        open => open == letter,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::OutputColumn;
    use super::super::{BY_CONVERSATION_CATEGORY, BY_PHONE, Filter};
    use super::*;

    struct Conversations;

    impl Field for Conversations {
        const NAME: &'static str = "conversation_analytics";
        const FILTERS: &'static [Filter] = &[BY_PHONE, BY_CONVERSATION_CATEGORY];
        const DIMENSIONS: &'static [&'static str] = &["COUNTRY", "PHONE"];
        const MEASURES: &'static [OutputColumn] = &[];
    }

    fn read(text: &str) -> Result<Expression, String> {
        Expression::read::<Conversations>(text)
    }

    #[test]
    fn an_expression_is_read_as_a_document_has_it() {
        let verbatim = "?fields=conversation_analytics\n.start(1685602800)\n.end(1685689200)\n\
                        .granularity(HALF_HOUR)\n.phone_numbers([\"19195552584\"])\n\
                        .dimensions([\"CONVERSATION_CATEGORY\",“CONVERSATION_TYPE”,\"COUNTRY,PHONE\"])\n\
                        &access_token=your-access-token";
        for text in [verbatim, &format!("https://graph.facebook.com/v17.0\n/1/{verbatim}")] {
            let read = read(text).unwrap();
            assert_eq!(read.instant("start", Tz::UTC), Ok(Some(1_685_602_800_000_000)));
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
        assert_eq!(read.instant("start", chrono_tz::America::Bogota), Ok(Some(midnight)));
        assert_eq!(read.words("phone_numbers"), Some(&[][..]));
        assert_eq!(read.words("dimensions"), None);
    }

    #[test]
    fn what_is_wrong_is_said_without_the_token() {
        for (text, said) in [
            ("analytics.start(1)", "ask `wabalake query analytics`"),
            ("conversation_analytics.dimension([])", "did you mean `dimensions`?"),
            ("conversation_analytics.product_types([0])", "takes no `product_types`"),
            ("conversation_analytics.access_tokens(SECRET)", "takes no `access_tokens`"),
            ("conversation_analytics.start(1).start(2)", "`start` is said twice"),
            ("conversation_analytics.start(1", "the value of `start` does not end"),
            ("conversation_analytics.start", "`start` is followed by no value"),
            ("conversation_analytics.start(1)end(2)", "a dot and a name after `start(…)`"),
            ("", "write conversation_analytics.start(…)"),
        ] {
            let fault = read(&format!("{text}&access_token=SECRET")).unwrap_err();
            assert!(fault.contains(said), "{text}: {fault}");
            assert!(!fault.contains("SECRET"), "{text}: {fault}");
        }
        let value = |text: &str| read(&format!("conversation_analytics.{text}")).unwrap();
        assert!(value("start([1,2])").instant("start", Tz::UTC).is_err());
        assert!(value("start(soon)").instant("start", Tz::UTC).is_err());
        assert!(value("granularity(YEAR)").granularity(false).is_err());
        assert!(value("granularity(MONTHLY)").granularity(true).is_err());
        assert!(value("use_waba_timezone(maybe)").truth("use_waba_timezone").is_err());
    }
}
