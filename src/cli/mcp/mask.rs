//! Masks people in an answer: who they are, and what they wrote.
//!
//! ```text
//! user_phone     last_message              user_phone         last_message
//! 573005550101   I cannot pay      ──►     person-5e0c91d2a7  (hidden)
//! 573005550101   –                         person-5e0c91d2a7  –
//! ```
//!
//! A mark is an HMAC under a key that the server makes when it starts, so marks are equal where people are,
//! within one session only, and nobody finds a number by trying all of them.

use hmac::{Hmac, KeyInit as _, Mac as _};
use polars::prelude::{Column, DataFrame, IntoColumn as _, StringChunked};
use sha2::Sha256;
use wabalake_data::Meaning;
use wabalake_queries::query::{OutputColumn, Type};

use crate::error::{Error, Result};

/// What stands for a text that somebody wrote.
const HIDDEN: &str = "(hidden)";

/// The bytes of an HMAC that a mark shows, two digits each.
const SHOWN: usize = 5;

/// The key of one session.
pub(super) type MaskKey = [u8; 32];

/// Makes marks of people.
pub(super) struct Mask {
    keyed: Hmac<Sha256>,
}

impl Mask {
    pub(super) fn new(key: &MaskKey) -> Result<Self> {
        let keyed = Hmac::new_from_slice(key).map_err(|e| Error::bug(format!("the key: {e}")))?;
        Ok(Self { keyed })
    }

    /// Masks the personal columns of rows. Nulls stay.
    pub(super) fn apply(&self, rows: &DataFrame, columns: &[OutputColumn]) -> Result<DataFrame> {
        let mut masked = Vec::with_capacity(columns.len());
        for column in columns {
            let cells = rows.column(column.name)?;
            let meaning = column.meaning.filter(|meaning| meaning.is_personal(column.name));
            masked.push(match meaning {
                Some(Meaning::Person) if column.of == Type::Text => {
                    replaced(cells, |text| self.mark(text))?
                }
                Some(_) if column.of == Type::Text => replaced(cells, |_| HIDDEN.to_owned())?,
                _ => cells.clone(),
            });
        }
        Ok(DataFrame::new(rows.height(), masked)?)
    }

    /// The mark of a number, a user id or the id of a message.
    fn mark(&self, text: &str) -> String {
        let mut mac = self.keyed.clone();
        mac.update(text.as_bytes());
        let hash: [u8; 32] = mac.finalize().into_bytes().into();
        format!("person-{}", hex::encode(&hash[..SHOWN]))
    }
}

fn replaced(cells: &Column, by: impl Fn(&str) -> String) -> Result<Column> {
    let texts: StringChunked = cells.str()?.iter().map(|text| text.map(&by)).collect();
    Ok(texts.with_name(cells.name().clone()).into_column())
}

#[cfg(test)]
mod tests {
    use polars::prelude::df;

    use super::*;

    #[test]
    fn equal_people_have_equal_marks_and_texts_are_hidden() {
        let rows = df!(
            "user_phone" => [Some("573005550101"), None, Some("573005550102")],
            "from" => ["573005550102", "573005550101", "12025550140"],
            "message" => [Some("my number is 573005550101"), None, Some("")],
            "tag" => ["vip", "vip", "vip"],
            "value" => [1_i64, 2, 3],
        );
        let columns = [
            OutputColumn::person("user_phone"),
            OutputColumn::person("from"),
            OutputColumn::written("message"),
            OutputColumn::written("tag"),
            OutputColumn::count("value"),
        ];
        let rows = rows.unwrap();
        // HMAC-SHA-256 under 32 zeros, as Python's `hmac` computes it.
        let [one, two, three] = ["person-e357f1e050", "person-4a523b8469", "person-0da0acef68"];
        let expected = df!(
            "user_phone" => [Some(one), None, Some(two)],
            "from" => [two, one, three],
            "message" => [Some(HIDDEN), None, Some(HIDDEN)],
            "tag" => ["vip", "vip", "vip"],
            "value" => [1_i64, 2, 3],
        );
        let masked = Mask::new(&[0; 32]).unwrap().apply(&rows, &columns).unwrap();
        assert!(masked.equals_missing(&expected.unwrap()), "{masked}");
        let others = Mask::new(&[1; 32]).unwrap().apply(&rows, &columns).unwrap();
        assert!(!others.equals_missing(&masked));
    }

    #[test]
    fn columns_in_place_of_variables_are_hidden() {
        let rows = df!("var_city" => ["Cali"]).unwrap();
        let wide = OutputColumn { name: "var_city", ..OutputColumn::written("variables") };
        let masked = Mask::new(&[0; 32]).unwrap().apply(&rows, &[wide]).unwrap();
        assert!(masked.equals_missing(&df!("var_city" => [HIDDEN]).unwrap()));
    }
}
