//! Rows that webhooks feed, by table, written as CSV for the parser of chunks.

use std::borrow::Cow;
use std::collections::BTreeMap;

use wabalake_data::Table;
use wabalake_data::cells::phone::Phones;
use wabalake_data::tables::{closures, events, identities, messages, variables};

use crate::error::Result;
use crate::load::chunk::Chunk;
use crate::load::header::Header;
use crate::load::json::{INVALID, NO_OBJECT, header_of};
use crate::load::reader::CsvBuffer;
use crate::load::redact;
use crate::load::source::Source;

/// The tables that webhooks feed. The first holds what cannot be read at all.
pub(super) const TABLES: [&Table; 5] =
    [&messages::TABLE, &identities::TABLE, &events::TABLE, &closures::TABLE, &variables::TABLE];

const CLOSURES: usize = 3;

/// The index of `variables` in [`TABLES`].
pub(super) const VARIABLES: usize = VariableRow::TABLE;

/// A row with named fields, the columns of a table that webhooks fill.
pub(super) trait FedRow {
    /// The index in [`TABLES`].
    const TABLE: usize;
    /// The columns, in the order of the fields.
    const COLUMNS: &'static [&'static str];

    fn fields(&self) -> impl Iterator<Item = &str>;
}

macro_rules! fed_row {
    ($(#[$doc:meta])* $name:ident, $table:literal, { $($field:ident = $column:expr),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(super) struct $name<'v> {
            $(pub(super) $field: Cow<'v, str>,)*
        }

        impl FedRow for $name<'_> {
            const TABLE: usize = $table;
            const COLUMNS: &'static [&'static str] = &[$($column),*];

            fn fields(&self) -> impl Iterator<Item = &str> {
                [$(self.$field.as_ref()),*].into_iter()
            }
        }
    };
}

fed_row!(
    /// A row of `messages`.
    MessageRow, 0, {
        waba_id = messages::WABA_ID,
        whatsapp_id = messages::WHATSAPP_ID,
        from = messages::FROM,
        to = messages::TO,
        user_id = messages::USER_ID,
        direction = messages::MESSAGE_DIRECTION,
        source = messages::SOURCE,
        format = messages::FORMAT,
        message = messages::MESSAGE,
        created_at = messages::CREATED_AT,
        sent_at = messages::SENT_AT,
        delivered_at = messages::DELIVERED_AT,
        seen_at = messages::SEEN_AT,
        failed_at = messages::FAILED_AT,
        reason = messages::REASON_FOR_FAILURE,
        error_code = messages::ERROR_CODE,
        conversation_id = messages::CONVERSATION_ID,
        conversation_type = messages::CONVERSATION_TYPE,
        reference = messages::REF,
        pricing_type = messages::PRICING_TYPE,
        pricing_category = messages::PRICING_CATEGORY,
        referral_type = messages::REFERRAL_TYPE,
        referral_id = messages::REFERRAL_ID,
        referral_headline = messages::REFERRAL_HEADLINE,
        ctwa_clid = messages::CTWA_CLID,
        context_id = messages::CONTEXT_ID,
        button_payload = messages::BUTTON_PAYLOAD,
        reaction = messages::REACTION,
    }
);

fed_row!(
    /// A row of `identities`.
    IdentityRow, 1, {
        user_id = identities::USER_ID,
        linked = identities::LINKED,
        first_seen = identities::FIRST_SEEN,
        last_seen = identities::LAST_SEEN,
    }
);

fed_row!(
    /// A row of `events`.
    EventRow, 2, {
        source = events::SOURCE,
        event = events::EVENT,
        at = events::AT,
        waba_id = events::WABA_ID,
        line = events::LINE,
        user_phone = events::USER_PHONE,
        user_id = events::USER_ID,
        template_id = events::TEMPLATE_ID,
        template_name = events::TEMPLATE_NAME,
        template_language = events::TEMPLATE_LANGUAGE,
        old_value = events::OLD_VALUE,
        new_value = events::NEW_VALUE,
        reason = events::REASON,
        conversation_ids = events::CONVERSATION_IDS,
        event_id = events::EVENT_ID,
    }
);

fed_row!(
    /// A row of `variables`.
    VariableRow, 4, {
        session_id = variables::SESSION_ID,
        user_phone = variables::USER_PHONE,
        user_id = variables::USER_ID,
        conversation_id = variables::CONVERSATION_ID,
        name = variables::VARIABLE,
        value = variables::VALUE,
        at = variables::AT,
    }
);

/// The beginning of the reason of a part that is no object.
pub(super) const ELEMENT: &str = "an element of ";

/// Returns `true` for a reject that is a broken part of a webhook, by its header and reason: its text is
/// JSON, not a record.
pub(crate) fn is_broken_part(header: &str, reason: &str) -> bool {
    let is_broken = [INVALID, NO_OBJECT, ELEMENT].iter().any(|start| reason.starts_with(start));
    is_broken && header.split(',').eq(MessageRow::COLUMNS.iter().copied())
}

/// The headers of the rows, in the order of [`TABLES`].
pub(crate) fn headers(source: &Source) -> Result<Vec<Header>> {
    fn of<R: FedRow>(source: &Source) -> Result<Header> {
        let (table, columns) = (TABLES[R::TABLE], R::COLUMNS.join(","));
        Header::read(&source.name, &columns, CsvBuffer::DELIMITER, Some(table), &[])
    }
    Ok(vec![
        of::<MessageRow<'_>>(source)?,
        of::<IdentityRow<'_>>(source)?,
        of::<EventRow<'_>>(source)?,
        header_of(source, &closures::TABLE)?,
        of::<VariableRow<'_>>(source)?,
    ])
}

/// The rows read so far, and what was left out.
#[derive(Default)]
pub(super) struct FedRows {
    written: [CsvBuffer; TABLES.len()],
    /// The number of the last row, of any table: rejects are named by it.
    number: u64,
    /// The line on which the current part of the file begins.
    pub(super) line: u64,
    /// What belongs to no table, by its kind.
    pub(super) left_out: BTreeMap<String, u64>,
    /// `true` if some object is known to be a webhook's.
    pub(super) is_known: bool,
    pub(super) phones: Phones,
}

impl FedRows {
    /// So many kinds of what is left out are counted by themselves.
    const MOST_KINDS: usize = 100;

    pub(super) fn push<R: FedRow>(&mut self, row: &R) {
        self.number += 1;
        self.written[R::TABLE].push(self.number, self.line, row.fields());
    }

    /// Appends the fields of a row of `closures`, one for each of its exported columns.
    pub(super) fn push_closure<'f>(
        &mut self,
        line: u64,
        fields: impl IntoIterator<Item = &'f str>,
    ) {
        self.number += 1;
        self.written[CLOSURES].push(self.number, line, fields);
    }

    /// Appends a text that cannot be read, to be rejected.
    pub(super) fn push_broken(&mut self, raw: &[u8], reason: String) {
        self.number += 1;
        self.written[0].push_broken(self.number, self.line, raw, reason);
    }

    /// Counts what belongs to no table. `named` is a word of the vendor's, which is redacted.
    pub(super) fn leave_out(&mut self, what: &str, named: &str) {
        let kind = match named {
            "" => what.to_owned(),
            named => format!("{what} `{}`", redact::shown(named)),
        };
        let is_new = !self.left_out.contains_key(&kind);
        let kind = if is_new && self.left_out.len() >= Self::MOST_KINDS {
            "others".to_owned()
        } else {
            kind
        };
        *self.left_out.entry(kind).or_default() += 1;
    }

    /// The bytes of the rows that were not taken yet.
    pub(super) fn len(&self) -> usize {
        self.written.iter().map(CsvBuffer::len).sum()
    }

    /// Takes the rows as one chunk for each table. `read` bytes of the file are theirs.
    pub(super) fn take(&mut self, mut read: u64) -> Vec<Chunk> {
        let taken = self.written.iter_mut().enumerate().filter_map(|(table, written)| {
            let chunk = written.take(read)?;
            read = 0;
            Some(Chunk { table, ..chunk })
        });
        taken.collect()
    }
}
