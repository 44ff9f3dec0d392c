//! Parser of listed words, such as dimensions, measures and periods, in any spelling.
//!
//! ```text
//! --dimensions conversation-type     CONVERSATION_TYPE
//! --mode 'On or after'               on-or-after
//! --check orphan                     an error that shows the list
//! ```

use std::ffi::OsStr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Arg, Command, Error, ValueEnum};
use wabalake_data::cells::enumeration::normalise;

/// Parser of a listed word. Case is ignored, and `-`, `_` and spaces are equal. The result is spelt as
/// in the list.
#[derive(Clone, Debug)]
pub struct Word {
    listed: Vec<PossibleValue>,
    is_open: bool,
}

impl Word {
    /// Accepts listed words only.
    pub fn listed(words: impl IntoIterator<Item = impl Into<PossibleValue>>) -> Self {
        Self { listed: words.into_iter().map(Into::into).collect(), is_open: false }
    }

    /// Accepts any other word unchanged.
    #[must_use]
    pub fn or_any(self) -> Self {
        Self { is_open: true, ..self }
    }

    /// Accepts the values of a clap enumeration.
    pub fn of<T: ValueEnum + Clone + Send + Sync + 'static>() -> impl TypedValueParser<Value = T> {
        let names = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        Self::listed(names).try_map(|name| T::from_str(&name, false))
    }
}

impl TypedValueParser for Word {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<String, Error> {
        let word = value.to_str().map(normalise);
        let is_meant = |listed: &&PossibleValue| {
            word.as_ref().is_some_and(|word| {
                listed.get_name_and_aliases().any(|name| normalise(name) == *word)
            })
        };
        match (self.listed.iter().find(is_meant), value.to_str()) {
            (Some(listed), _) => Ok(listed.get_name().to_owned()),
            (None, Some(other)) if self.is_open => Ok(other.trim().to_owned()),
            _ => PossibleValuesParser::new(self.listed.clone()).parse_ref(command, arg, value),
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.listed.iter().cloned()))
    }
}
