//! Takes a person out of rows, whatever table they are of.
//!
//! | where the number stands | what happens |
//! |---|---|
//! | in a column that is a phone | the row goes |
//! | in what names the row, or a session | the row goes |
//! | in a rejected record | the row goes |
//! | in any other text: somebody wrote it | it is struck out, the row stays |
//!
//! A row that names a session of the person goes as well, unless it says by itself whose it is.

use std::collections::{HashMap, HashSet};

use polars::prelude::*;
use wabalake_data::tables::{
    Kind, USER_PHONE_VALID, deployments, message_summaries, messages, meta_points,
    session_summaries, sessions,
};

use super::number::{Look, Number};
use crate::error::Result;
use crate::lake::Layout;
use crate::lake::rejects;

/// The columns that name the business's lines.
pub(super) const LINES: [(&str, &str); 6] = [
    (sessions::NAME, sessions::LINE_WHATSAPP_NUMBER),
    (messages::NAME, messages::LINE),
    (message_summaries::NAME, message_summaries::WA_PHONE_NUMBER),
    (session_summaries::NAME, session_summaries::WA_PHONE_NUMBER),
    (meta_points::NAME, meta_points::PHONE_NUMBER),
    (meta_points::NAME, meta_points::PHONE_NUMBERS),
];

/// The person in every table that has one.
pub(super) const USER_PHONE: &str = sessions::USER_PHONE;

/// The session in every table that has one.
pub(super) const SESSION_ID: &str = sessions::SESSION_ID;

/// Who is to be erased.
#[derive(Debug)]
pub(super) struct Sought {
    pub(super) number: Number,
    /// The person's sessions.
    pub(super) sessions: HashSet<String>,
}

/// What a column's texts say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Whose the row is.
    Person,
    /// A phone.
    Phone,
    /// What names the row or something else.
    Name,
    /// A record that could not be taken.
    Record,
    /// Anything.
    Text,
}

/// Rows without a person.
#[derive(Debug)]
pub(super) struct Struck {
    pub(super) rows: DataFrame,
    /// Rows that are gone.
    pub(super) gone: u64,
    /// Rows in which a text was struck out.
    pub(super) changed: u64,
}

impl Struck {
    pub(super) fn is_as_before(&self) -> bool {
        self.gone == 0 && self.changed == 0
    }
}

/// What the columns of a table say.
#[derive(Debug)]
pub(super) struct Roles {
    of: HashMap<&'static str, Role>,
    /// Whether a row goes that names a session of the person and another person: a closing or a
    /// conversion belongs to its session, a send does not.
    follows_session: bool,
}

impl Roles {
    pub(super) fn of(layout: &dyn Layout) -> Self {
        let mut of = HashMap::new();
        if layout.name() == rejects::REJECTS.name() {
            of.insert(rejects::RAW, Role::Record);
        }
        let Some(table) = wabalake_data::table(layout.name()) else {
            return Self { of, follows_session: false };
        };
        let hashed = table.hashes.iter().map(|(_, of)| *of);
        let names: HashSet<&str> = table.key.iter().copied().chain(hashed).collect();
        for column in table.columns.iter().chain(table.beside) {
            let is_line = LINES.contains(&(table.name, column.name));
            let role = match column.kind {
                _ if column.name == USER_PHONE => Role::Person,
                Kind::Phone => Role::Phone,
                Kind::Word if is_line => Role::Phone,
                _ if is_line || names.contains(column.name) => Role::Name,
                _ => Role::Text,
            };
            of.insert(column.name, role);
        }
        let alone = [sessions::NAME, deployments::NAME].contains(&table.name);
        Self { of, follows_session: !alone }
    }

    fn role(&self, column: &str) -> Role {
        self.of.get(column).copied().unwrap_or(Role::Text)
    }

    /// The rows without the person. Columns that are missing say nothing.
    pub(super) fn strike(&self, rows: DataFrame, sought: &Sought) -> Result<Struck> {
        let mut goes = vec![false; rows.height()];
        let mut struck: Vec<Column> = Vec::new();
        let mut touched = vec![false; rows.height()];
        let whose = theirs(&rows, &sought.number)?;
        for column in rows.columns() {
            let Ok(texts) = column.str() else { continue };
            let role = self.role(column.name());
            let mut revised: Vec<(usize, String)> = Vec::new();
            for (row, text) in texts.iter().enumerate() {
                let Some(text) = text.filter(|text| !text.is_empty()) else { continue };
                goes[row] |= match role {
                    Role::Person => whose[row] == Some(true),
                    Role::Phone => sought.number.is(text),
                    Role::Name => sought.number.is_in(text, Look::Tight),
                    Role::Record => {
                        sought.number.is_in(text, Look::Loose) || names_session(text, sought)
                    }
                    Role::Text => {
                        let gone = sought.number.strike(text, Look::Loose);
                        revised.extend(gone.map(|gone| (row, gone)));
                        false
                    }
                };
                if column.name() == SESSION_ID && sought.sessions.contains(text) {
                    goes[row] |= self.follows_session || whose[row].is_none();
                }
            }
            if !revised.is_empty() {
                let mut texts: Vec<Option<String>> =
                    texts.iter().map(|text| text.map(str::to_owned)).collect();
                for (row, text) in revised {
                    texts[row] = Some(text);
                    touched[row] = true;
                }
                struck.push(Column::new(column.name().clone(), texts));
            }
        }
        let count = |rows: &mut dyn Iterator<Item = bool>| rows.filter(|row| *row).count() as u64;
        let gone = count(&mut goes.iter().copied());
        let changed =
            count(&mut goes.iter().zip(&touched).map(|(gone, touched)| !gone && *touched));
        let mut rows = rows;
        for column in struck {
            rows.with_column(column)?;
        }
        if gone > 0 {
            rows = rows.filter(&goes.iter().map(|goes| Some(!goes)).collect::<BooleanChunked>())?;
        }
        Ok(Struck { rows, gone, changed })
    }
}

/// For each row whether it is the person's; none where it does not say whose it is.
pub(super) fn theirs(rows: &DataFrame, number: &Number) -> PolarsResult<Vec<Option<bool>>> {
    let Ok(phones) = rows.column(USER_PHONE) else { return Ok(vec![None; rows.height()]) };
    let valid = rows.column(USER_PHONE_VALID).and_then(Column::bool).ok();
    let whose = phones.str()?.iter().enumerate().map(|(row, phone)| {
        let phone = phone?;
        // A number whose code an export left out is no valid one, or somebody else's.
        let valid = valid.and_then(|valid| valid.get(row)).unwrap_or(true);
        Some(number.is(phone) || (!valid && number.is_national(phone)))
    });
    Ok(whose.collect())
}

/// Whether a field of a record is a session of the person.
fn names_session(record: &str, sought: &Sought) -> bool {
    let between = |c: char| ",;|\t\"{}[]\n\r".contains(c);
    !sought.sessions.is_empty()
        && record.split(between).any(|field| sought.sessions.contains(field.trim()))
}
