//! Files of audiences.
//!
//! | form | file |
//! |---|---|
//! | `treble` | CSV, `country_code,cellphone`: `+57,3005550102` |
//! | `phones` | no header: `+573005550102` |
//! | `meta-sha256` | CSV, `phone`: the SHA-256 of `573005550102` in lower-case hexadecimal |
//! | of both groups | CSV, `phone,tag,since`: loads as `audience_tags` |

use std::io::Write;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::ValueEnum;
use sha2::{Digest as _, Sha256};
use wabalake_data::Invalid;
use wabalake_data::cells::phone::spellings;

use super::{HoldOut, Selected};
use crate::error::{Error, Result};

/// The form of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// CSV for Treble: dialling code and national number
    #[default]
    #[value(name = "treble")]
    Treble,
    /// International numbers, without a header
    #[value(name = "phones")]
    Phones,
    /// CSV for Meta's custom audiences: hashes of numbers
    #[value(name = "meta-sha256")]
    MetaSha256,
}

/// The titles of the two columns of [`Form::Treble`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns([String; 2]);

impl Default for Columns {
    fn default() -> Self {
        Self(["country_code", "cellphone"].map(str::to_owned))
    }
}

impl FromStr for Columns {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_plain = |title: &str| !title.is_empty() && !title.contains(['"', '\n', '\r']);
        let titles: Vec<String> = text.split(',').map(|title| title.trim().to_owned()).collect();
        let titles = <[String; 2]>::try_from(titles).ok();
        titles.filter(|titles| titles.iter().all(|title| is_plain(title))).map(Self).ok_or_else(
            || Invalid::new("not two titles").hint("write them as A,B: country_code,cellphone"),
        )
    }
}

/// Writes the numbers of people, ascending and each once.
///
/// # Errors
/// Those of writing.
pub fn write(people: &[String], form: Form, columns: &Columns, out: &mut dyn Write) -> Result<()> {
    match form {
        Form::Treble => {
            writeln!(out, "{}", columns.0.join(","))?;
            for person in people {
                let (code, number) = parted(person)?;
                writeln!(out, "+{code},{number}")?;
            }
        }
        Form::Phones => {
            for person in people {
                writeln!(out, "+{person}")?;
            }
        }
        Form::MetaSha256 => {
            // In the order of the hashes, which tells nothing of the numbers.
            let hash = |person: &String| hex::encode(Sha256::digest(person));
            let mut hashes: Vec<String> = people.iter().map(hash).collect();
            hashes.sort_unstable();
            writeln!(out, "phone")?;
            for hash in hashes {
                writeln!(out, "{hash}")?;
            }
        }
    }
    Ok(())
}

/// Writes the people who are held out and those who are not, each with the tag of their group, as a file
/// that loads as `audience_tags`.
///
/// # Errors
/// Those of writing.
pub fn write_groups(
    selected: &Selected,
    hold_out: &HoldOut,
    at: DateTime<Utc>,
    out: &mut dyn Write,
) -> Result<()> {
    let (control, treated) = (hold_out.control(), hold_out.treated());
    let held = selected.held_out.iter().map(|person| (person, &control));
    let mut all: Vec<_> =
        held.chain(selected.people.iter().map(|person| (person, &treated))).collect();
    all.sort_unstable();
    let since = at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    writeln!(out, "phone,tag,since")?;
    for (person, tag) in all {
        writeln!(out, "+{person},{tag},{since}")?;
    }
    Ok(())
}

/// Splits a valid number into its dialling code and its national part.
fn parted(person: &str) -> Result<(&str, &str)> {
    let national = spellings(person).national.into_iter().next();
    let code = national.and_then(|national| person.strip_suffix(national.as_str()));
    let code = code.filter(|code| !code.is_empty());
    code.map(|code| (code, &person[code.len()..]))
        .ok_or_else(|| Error::bug("a valid number has no dialling code"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(form: Form, columns: &Columns) -> String {
        let people = ["12025550140", "525555550123", "573005550102"].map(str::to_owned);
        let mut out = Vec::new();
        write(&people, form, columns, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_in_three_forms() {
        let usual = Columns::default();
        assert_eq!(
            written(Form::Treble, &usual),
            "country_code,cellphone\n+1,2025550140\n+52,5555550123\n+57,3005550102\n"
        );
        let renamed = "Código, Celular".parse().unwrap();
        assert!(written(Form::Treble, &renamed).starts_with("Código,Celular\n+1,2025550140\n"));
        assert_eq!(written(Form::Phones, &usual), "+12025550140\n+525555550123\n+573005550102\n");
        assert_eq!(
            written(Form::MetaSha256, &usual),
            "phone\n\
             1ae196f8477a5d800d92a3e40a217fed98d7f359c221e0dc2efee205d4fc2183\n\
             9012752f259ad8b32f780c19464d4b1155ac078a4cdbb7bbef06a0f02e8307d3\n\
             a5df32ec65583223b854a2b5930ac4aad83044de16a377bc1f8cf8bc6182ade9\n"
        );
    }

    #[test]
    fn titles_are_two() {
        for text in ["", "a", "a,", "a,b,c", "a,\"b\""] {
            assert!(text.parse::<Columns>().is_err(), "{text}");
        }
    }
}
