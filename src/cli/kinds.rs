//! Kinds of files that `wabalake load` takes by name, and the options of single kinds.

use chrono_tz::Tz;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use wabalake_data::cells::stamp::{self, Stamp};
use wabalake_data::tables::{rates, variables};
use wabalake_data::{TABLES, Table};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::load::WideOptions;

/// A kind of files: exports of a table, published rate cards, wide files of variables, or webhooks.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) source: &'static str,
    /// The only table of its files, if there is one.
    pub(super) table: Option<&'static Table>,
    pub(super) form: Form,
}

/// The form of a kind's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A row is a row of the table.
    Export,
    /// A rate card as Meta publishes it.
    RateCard,
    /// A row is a person, and a column a variable.
    Wide,
    /// Bodies of webhooks, which feed several tables.
    Webhooks,
}

/// The kinds of files.
pub(super) fn kinds() -> impl Iterator<Item = Kind> {
    let card = Kind {
        name: "rate-card",
        source: "Meta's rate card as published, into rates",
        table: Some(&rates::TABLE),
        form: Form::RateCard,
    };
    let wide = Kind {
        name: "variables-wide",
        source: "a row per person and a column per variable, into variables; never detected",
        table: Some(&variables::TABLE),
        form: Form::Wide,
    };
    let exports = TABLES.iter().map(|table| Kind {
        name: table.name,
        source: table.source,
        table: Some(table),
        form: Form::Export,
    });
    let webhooks = Kind {
        name: "webhooks",
        source: "bodies of Meta's and Treble's webhooks, into several tables",
        table: None,
        form: Form::Webhooks,
    };
    exports.chain([card, wide, webhooks])
}

/// The kind with a name.
pub(super) fn kind_named(name: &str) -> Option<Kind> {
    kinds().find(|kind| kind.name == name)
}

// The options of the kind `variables-wide`. A documentation comment would be the help of `load`.
#[derive(Args)]
pub(super) struct WideArguments {
    /// Flow of the answers of variables-wide, in rows that do not name one
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    conversation_id: Option<String>,

    /// Version of the flow of variables-wide, a whole number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    conversation_version: Option<i32>,

    /// When the answers of variables-wide were given, in rows without a time, such as
    /// 2025-06-01T10:00:00Z; without an offset it is in the source time zone
    #[arg(long, value_name = "INSTANT")]
    at: Option<String>,

    /// Title of the column of variables-wide with the time of the answers [default: none, as every column
    /// may be a variable]
    #[arg(long, value_name = "TITLE", value_parser = NonEmptyStringValueParser::new())]
    at_column: Option<String>,
}

impl WideArguments {
    /// Refuses the options with another kind.
    pub(super) fn check(&self, kind: Option<&Kind>) -> Result<()> {
        if kind.is_some_and(|kind| kind.form == Form::Wide) {
            return Ok(());
        }
        let given = [
            ("--conversation-id", self.conversation_id.is_some()),
            ("--conversation-version", self.conversation_version.is_some()),
            ("--at", self.at.is_some()),
            ("--at-column", self.at_column.is_some()),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) => {
                Err(Error::usage(format!("`{option}` is an option of the kind `variables-wide`"))
                    .hint("name the kind before the files: `wabalake load variables-wide FILE`"))
            }
            None => Ok(()),
        }
    }

    /// The options of a load; `None` for another kind.
    pub(super) fn options(
        &self,
        kind: Option<&Kind>,
        config: &Config,
    ) -> Result<Option<WideOptions>> {
        if kind.is_none_or(|kind| kind.form != Form::Wide) {
            return Ok(None);
        }
        let zone = config.source_timezone_of(variables::NAME);
        let at = self.at.as_deref().map(|at| instant(at, zone)).transpose()?;
        Ok(Some(WideOptions {
            conversation_id: self.conversation_id.clone(),
            conversation_version: self.conversation_version,
            at,
            at_column: self.at_column.clone(),
        }))
    }
}

/// Parses `--at` to microseconds.
fn instant(text: &str, zone: Tz) -> Result<i64> {
    match stamp::read(text.trim(), zone) {
        Stamp::At(micros) => Ok(micros),
        Stamp::Sentinel | Stamp::Skipped | Stamp::Bad => Err(Error::usage(format!(
            "`--at {text}` is no instant in {zone}"
        ))
        .hint("write it as 2025-06-01T10:00:00, which is of that zone, or 2025-06-01T10:00:00Z")),
    }
}
