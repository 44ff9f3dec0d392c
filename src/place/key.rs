//! Keys: where a file lies below a lake's root.

use std::fmt;

use crate::error::{Error, Result};

/// A path below a lake's root, such as `tables/sessions/_delta_log/00000000000000000020.json`.
///
/// Parts are separated by `/`. No part is empty, `.` or `..`, and none holds a backslash or a control
/// character, so a key never leads out of a lake. Keys are ordered by bytes, as object stores list
/// them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// The root itself, to list from.
    pub fn root() -> Self {
        Self::default()
    }

    /// Parses a key, such as a path that another program wrote into a log.
    ///
    /// # Errors
    ///
    /// A text that is empty or that has a part that no key has.
    pub fn parse(text: &str) -> Result<Self> {
        match text.split('/').all(is_part) {
            true => Ok(Self(text.to_owned())),
            false => Err(Error::lake(format!("`{text}` is not a path below a lake"))
                .hint("a path has no `..`, no backslash, and neither starts nor ends with `/`")),
        }
    }

    /// Appends parts, such as `_delta_log` or `utc_day=2025-06-01/5e0c….parquet`. Only for names
    /// that wabalake makes: a part that no key has is left out.
    #[must_use]
    pub fn join(&self, below: impl fmt::Display) -> Self {
        let mut key = self.0.clone();
        for part in below.to_string().split('/').filter(|part| is_part(part)) {
            if !key.is_empty() {
                key.push('/');
            }
            key.push_str(part);
        }
        Self(key)
    }

    /// The last part; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The key without its last part.
    #[must_use]
    pub fn parent(&self) -> Self {
        Self(self.0.rsplit_once('/').map(|(parent, _)| parent.to_owned()).unwrap_or_default())
    }

    /// The path from a key above this one; `None` if that one is not above it.
    pub fn below(&self, above: &Self) -> Option<&str> {
        match above.0.as_str() {
            "" => Some(&self.0),
            above => self.0.strip_prefix(above)?.strip_prefix('/'),
        }
    }

    /// The key as text, empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns `true` for a text that may be a part of a key.
pub(super) fn is_part(part: &str) -> bool {
    !matches!(part, "" | "." | "..")
        && !part.contains(['\\', '/'])
        && !part.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn key_has_a_name_and_a_parent() {
        let table = Key::root().join("tables").join("sessions");
        let file = table.join("utc_day=2025-06-01/a b.parquet");
        assert_eq!(file.name(), "a b.parquet");
        assert_eq!(file.parent().as_str(), "tables/sessions/utc_day=2025-06-01");
        assert_eq!(file.below(&table), Some("utc_day=2025-06-01/a b.parquet"));
        assert_eq!(file.below(&Key::root()), Some(file.as_str()));
        assert_eq!(file.below(&Key::root().join("tables/sess")), None);
        assert_eq!(Key::root().join("a").parent(), Key::root());
    }

    proptest! {
        #[test]
        fn no_key_leads_out_of_a_lake(text in "[a-z./\\\\ =\\n]{0,12}") {
            let joined = Key::root().join("tables").join(&text);
            prop_assert!(joined.as_str().split('/').all(is_part));
            prop_assert!(joined.as_str().starts_with("tables"));
            if let Ok(key) = Key::parse(&text) {
                prop_assert_eq!(key.as_str(), &text);
                prop_assert_eq!(&Key::root().join(&text), &key);
            } else {
                prop_assert!(!text.split('/').all(is_part));
            }
        }
    }
}
