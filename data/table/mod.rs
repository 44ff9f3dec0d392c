//! The language in which tables are described: [`Table`], [`Column`], [`Row`], and the columns that
//! several tables share.

/// Declares constants for column names.
macro_rules! columns {
    ($($(#[$doc:meta])* $constant:ident = $name:literal),* $(,)?) => {
        $($(#[$doc])* pub const $constant: &str = $name;)*
    };
}

/// Declares constants for the positions of cells in a row of `TABLE`. An unknown column name does
/// not compile.
macro_rules! positions {
    ($($constant:ident = $name:path),* $(,)?) => {
        $(const $constant: usize = TABLE.position($name).expect("a cell of the table");)*
    };
}

pub(crate) use {columns, positions};

mod column;
mod row;

use polars::prelude::*;

use crate::cells::DecimalMark;

pub use column::{CellKind, Column, Meaning, instant};
pub(crate) use row::PersonCells;
pub use row::{Cell, Fate, Row, Spread, text_key};

columns! {
    /// The partition column of every table, a Date: the UTC date of its [`Table::day_of`] column.
    UTC_DAY = "utc_day",
    /// The person. Stored are the E.164 digits of the row's own number. A query sees for a row without
    /// a number the person of its `user_id`: a number that is linked to it, else the id. Every table with
    /// people has this column.
    USER_PHONE = "user_phone",
    /// Meta's id of the person within the business, such as `CO.13491208655302741918`.
    USER_ID = "user_id",
    /// The person in a key: the row's own `user_phone`, else its own `user_id`. Computed, not stored.
    OWN_PERSON = "own_person",
    /// Boolean: the person's number is valid by the country's numbering plan. Stored next to
    /// `user_phone`.
    USER_PHONE_VALID = "user_phone_valid",
    /// Hash of the person, a join and group key. Stored is that of [`OWN_PERSON`].
    USER_KEY = "user_key",
    /// Hash of `session_id`, a join and group key.
    SESSION_KEY = "session_key",
    /// Hash of `whatsapp_id`, the merge key of `messages`.
    MESSAGE_KEY = "message_key",
    /// Hash of `closure_id`, the merge key of `closures`.
    CLOSURE_KEY = "closure_key",
    /// Hash of `conversion_id`, the merge key of `conversions`.
    CONVERSION_KEY = "conversion_key",
    /// Hash of the person and `tag`, the merge key of `audience_tags`.
    TAG_KEY = "tag_key",
    /// Hash of `user_id` and `linked`, the merge key of `identities`.
    IDENTITY_KEY = "identity_key",
    /// The currency of amounts, ISO 4217. Every table with amounts has this column.
    CURRENCY = "currency",
}

/// A column and the expression that aggregates it over rows.
pub type Aggregate = (&'static str, fn() -> Expr);

/// The description of one table of a lake.
///
/// A row is stored as [`columns`](Table::columns), [`internal`](Table::internal) columns and hash
/// columns; [`inputs`](Table::inputs) are parsed but not stored.
pub struct Table {
    /// The name in the catalog, a plural noun.
    pub name: &'static str,
    /// The export that it is loaded from, as people call it.
    pub source: &'static str,
    /// The columns that answers show: the export's, in the order of the vendor's document, then
    /// the derived ones.
    pub columns: &'static [Column],
    /// Columns of the export that only [`Table::derive`] reads.
    pub inputs: &'static [Column],
    /// Derived columns that are stored but not shown in answers.
    pub internal: &'static [Column],
    /// The internal columns that the query `data-quality` checks; views on clusters have them too.
    pub checked: &'static [&'static str],
    /// The natural key: rows that agree in these columns are merged into one. Null equals null.
    /// [`OWN_PERSON`] stands for two columns: see [`key_part`].
    pub key: &'static [&'static str],
    /// The column that assigns a row to a day: an instant, a date, or seconds since 1970. Empty for a table
    /// without days: all of its rows are in the partition of rows without a timestamp.
    pub day_of: &'static str,
    /// The expressions that decide which of several rows with one key is kept: compared in order,
    /// the greatest value wins, null is less than any value. A tie is broken by
    /// [`Table::columns`].
    pub precedence: fn() -> Vec<Expr>,
    /// [`Table::precedence`] in SQL. Only tables have it whose rows may become one by their person when
    /// they are read: see [`Table::requires_person`].
    pub precedence_sql: &'static [&'static str],
    /// Columns that are summed over the rows of one file that agree in all other stored columns but
    /// [`Table::named`]; identical records count once. If there are any, rows with equal keys share a day.
    pub summed: &'static [&'static str],
    /// Text columns in which rows may differ that [`Table::summed`] adds up: the greatest text stays.
    pub named: &'static [&'static str],
    /// Columns that summarise all rows with one key, not just the one that is kept. Each expression
    /// must be associative, commutative and idempotent. Rows with equal keys share a day, or the key has
    /// a hash: then the row moves to the day that it has after all are summarised. If only derived columns
    /// are missing, the table [folds](Table::folds).
    pub aggregates: &'static [Aggregate],
    /// The sort order of rows within a file.
    pub sort: &'static [&'static str],
    /// The hash columns, each with the text column that it hashes, or [`OWN_PERSON`]. Stored, not
    /// shown in answers.
    pub hashes: &'static [(&'static str, &'static str)],
    /// A stored hash column over the whole key, for a key of several columns without a time.
    pub whole_key: Option<&'static str>,
    /// The columns with min/max statistics in the transaction log. Never a phone, a name or a
    /// message: log entries outlive an erasure.
    pub statistics: &'static [&'static str],
    /// Computes the derived columns of a row whose exported columns are parsed.
    pub derive: fn(&mut Row<'_, '_>),
    /// `true` reads stamps without an offset as UTC, whatever the source time zone is.
    pub stamps_are_utc: bool,
    /// The currency of amounts if the export does not name one.
    pub currency: Option<&'static str>,
    /// The label of a skipped record in the load report, singular and plural: "row of totals",
    /// "rows of totals".
    pub skipped: [&'static str; 2],
    /// The decimal mark that a header title implies by its language. A plain column name implies
    /// none, since anybody may have written it.
    pub decimal_mark: fn(&str) -> Option<DecimalMark>,
}

/// An empty description, from which tables are built by struct update syntax.
pub(crate) const BLANK: Table = Table {
    name: "",
    source: "",
    columns: &[],
    inputs: &[],
    internal: &[],
    checked: &[],
    key: &[],
    day_of: "",
    precedence: Vec::new,
    precedence_sql: &[],
    summed: &[],
    named: &[],
    aggregates: &[],
    sort: &[],
    hashes: &[],
    whole_key: None,
    statistics: &[],
    derive: |_| {},
    stamps_are_utc: false,
    currency: None,
    skipped: [""; 2],
    decimal_mark: |_| None,
};

impl Table {
    /// Returns `true` if this is the table's name; usable in constants.
    pub const fn is_named(&self, name: &str) -> bool {
        is_same(self.name.as_bytes(), name.as_bytes())
    }

    /// The cells of a row: columns, internal columns, inputs.
    pub fn cells(&self) -> impl Iterator<Item = &'static Column> + Clone {
        self.columns.iter().chain(self.internal).chain(self.inputs)
    }

    /// The position of a column in [`Table::cells`].
    pub const fn position(&self, name: &str) -> Option<usize> {
        let parts = [self.columns, self.internal, self.inputs];
        let (mut part, mut before) = (0, 0);
        while part < parts.len() {
            let mut at = 0;
            while at < parts[part].len() {
                if is_same(parts[part][at].name.as_bytes(), name.as_bytes()) {
                    return Some(before + at);
                }
                at += 1;
            }
            before += at;
            part += 1;
        }
        None
    }

    /// The hash column over the whole key, if the key has no time. Only then can two exports
    /// put one row into two partitions.
    pub fn key_hash(&self) -> Option<&'static str> {
        match self.key {
            [only] => self.hashes.iter().find(|(_, of)| of == only).map(|(hash, _)| *hash),
            _ => self.whole_key,
        }
    }

    /// Returns `true` if rows with one key are folded: each column is a part of the key, an aggregate of all
    /// rows, or derived again from the aggregates. Then [`Table::derive`] must be a function of columns
    /// that are neither inputs nor rejected.
    pub fn folds(&self) -> bool {
        let is_aggregate = |name| self.aggregates.iter().any(|(column, _)| *column == name);
        let is_folded = |column: &Column| {
            column.is_derived || self.key.contains(&column.name) || is_aggregate(column.name)
        };
        self.columns.iter().chain(self.internal).all(is_folded)
    }

    /// Returns `true` if a row without a person is rejected. If the key has the person, rows with a number
    /// and rows with a user id may be the same row: which, `identities` tells when they are read.
    pub fn requires_person(&self) -> bool {
        self.cells().any(|column| column.required && column.fallback == Some(USER_ID))
    }

    /// Returns `true` if its rows are about people, whom its column [`USER_PHONE`] names.
    pub const fn has_people(&self) -> bool {
        self.position(USER_PHONE).is_some()
    }

    /// The hash columns by which the rows of a person are found: [`USER_KEY`], and [`SESSION_KEY`] if a row
    /// may name a session in place of a person.
    pub fn person_keys(&self) -> &'static [&'static str] {
        let has = |name| self.hashes.iter().any(|(hash, _)| *hash == name);
        let names_sessions = has(SESSION_KEY) && self.key_hash() != Some(SESSION_KEY);
        match (has(USER_KEY), names_sessions && !self.requires_person()) {
            (true, true) => &[USER_KEY, SESSION_KEY],
            (true, false) => &[USER_KEY],
            (false, _) => &[],
        }
    }

    /// The columns of which the log holds the number of nulls, beside [`Table::statistics`]: they tell
    /// which files have rows without a number.
    pub fn null_counts(&self) -> &'static [&'static str] {
        if self.has_people() { &[USER_PHONE, USER_ID] } else { &[] }
    }

    /// The stored columns that the key consists of.
    pub fn stored_key(&self) -> impl Iterator<Item = &'static str> {
        self.key.iter().flat_map(|name| match *name {
            OWN_PERSON => vec![USER_PHONE, USER_ID],
            name => vec![name],
        })
    }

    /// The key's columns for a reader, separated by commas.
    ///
    /// ```
    /// use wabalake_data::tables::agent_chats;
    /// assert_eq!(agent_chats::TABLE.shown_key(), "user_phone or user_id, created_at");
    /// ```
    pub fn shown_key(&self) -> String {
        let person = format!("{USER_PHONE} or {USER_ID}");
        let shown = |name: &&'static str| match *name {
            OWN_PERSON => person.clone(),
            name => name.to_owned(),
        };
        self.key.iter().map(shown).collect::<Vec<_>>().join(", ")
    }

    /// Returns `true` if a column decides the day of a row.
    pub fn has_days(&self) -> bool {
        !self.day_of.is_empty()
    }

    /// The schema of the Parquet files: columns, internal columns, `user_phone_valid` if there is a
    /// person, hash columns. The partition column is not in the files.
    pub fn stored(&self) -> Schema {
        let stored = self.columns.iter().chain(self.internal);
        let mut schema: Schema = stored.map(|c| (c.name.into(), c.data_type())).collect();
        if self.has_people() {
            schema.insert(USER_PHONE_VALID.into(), DataType::Boolean);
        }
        let hashes = self.hashes.iter().map(|(hash, _)| *hash);
        for hash in hashes.chain(self.whole_key) {
            schema.insert(hash.into(), DataType::Int64);
        }
        schema
    }

    /// The schema of the view on a cluster: the columns, and those stored columns that SQL cannot
    /// compute from them: `user_phone_valid` and [`Table::checked`].
    pub fn cluster_schema(&self) -> Schema {
        let is_column = |name: &str| self.columns.iter().any(|column| column.name == name);
        let is_viewed = |name: &str| {
            is_column(name) || name == USER_PHONE_VALID || self.checked.contains(&name)
        };
        self.stored().into_iter().filter(|(name, _)| is_viewed(name)).collect()
    }

    /// The schema of a scan: [`Table::stored`] and the partition column.
    pub fn schema(&self) -> Schema {
        let mut schema = self.stored();
        schema.insert(UTC_DAY.into(), DataType::Date);
        schema
    }

    /// The columns and inputs that exports have, without the derived ones.
    pub fn exported(&self) -> impl Iterator<Item = &'static Column> + Clone {
        self.cells().filter(|column| !column.is_derived)
    }

    /// The decimal mark of a report that exists in English only: a point, if `title` is one of its
    /// titles in words (`FREE TIER`), not a column name (`free_tier`).
    pub(crate) fn english_mark(&self, title: &str) -> Option<DecimalMark> {
        let is_title = title.trim().contains(' ') && self.exported().any(|c| c.is_named(title));
        is_title.then_some(DecimalMark::Point)
    }
}

/// A part of a key as an expression over stored columns.
pub fn key_part(name: &str) -> Expr {
    match name {
        OWN_PERSON => coalesce(&[col(USER_PHONE), col(USER_ID)]).alias(OWN_PERSON),
        name => col(name),
    }
}

/// `==` for `const fn`.
pub(crate) const fn is_same(left: &[u8], right: &[u8]) -> bool {
    match (left, right) {
        ([], []) => true,
        ([first, left @ ..], [other, right @ ..]) => *first == *other && is_same(left, right),
        _ => false,
    }
}

impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Table").field(&self.name).finish()
    }
}
