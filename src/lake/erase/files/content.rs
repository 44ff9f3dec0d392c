//! Searches the content of a file of others for a person.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;

use wabalake_data::cells::phone::Phones;

use crate::lake::erase::number::MatchMode;
use crate::lake::erase::records::ParsedRecord;
use crate::lake::erase::rows::{Role, Roles};
use crate::lake::erase::target::Target;
use crate::load::person::{Content, PersonReader, ReadResult, read_through};

/// Searches a file of this machine, unpacked into a folder. A search that stopped found the number.
pub(super) fn search_file(file: &Path, target: &Target, spool: &Path) -> ReadResult {
    let mut reader = FileSearch::new(target);
    let home = target.home.as_deref();
    read_through(file, spool, home, &mut |passage| reader.take(passage))
}

/// Searches the content of one file.
struct FileSearch<'s> {
    target: &'s Target,
    /// The last digits of each number; a text without any of them cannot hold one.
    tails: Option<Vec<String>>,
    roles: HashMap<&'static str, Roles>,
    phones: Phones,
}

impl<'s> FileSearch<'s> {
    fn new(target: &'s Target) -> Self {
        const TAIL: usize = 7;
        let tail = |phone: &String| {
            let is_digits = phone.bytes().all(|b| b.is_ascii_digit());
            is_digits.then(|| phone[phone.len().saturating_sub(TAIL)..].to_owned())
        };
        let tails = target.people.iter().map(tail).collect();
        Self { target, tails, roles: HashMap::new(), phones: Phones::default() }
    }

    fn take(&mut self, passage: Content<'_>) -> ControlFlow<()> {
        let number = &self.target.number;
        let holds = match passage {
            Content::Text(text) => number.is_in(text, MatchMode::National),
            Content::Row(cells) => cells.iter().any(|cell| number.is_in(cell, MatchMode::National)),
            Content::Record(witness, raw, is_quoted) => {
                self.may_hold(raw) && self.record(witness, raw, is_quoted)
            }
        };
        if holds { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn record(&mut self, witness: &mut PersonReader, raw: &str, is_quoted: bool) -> bool {
        let table = witness.table();
        let roles = self.roles.entry(table).or_insert_with(|| Roles::of_table(table));
        let reading = ParsedRecord::of(witness, roles, raw, is_quoted, &self.phones);
        // An id of another row may contain it by chance.
        let is_text = |column: Option<&str>| column.is_none_or(|of| roles.role(of) == Role::Text);
        reading.is_theirs(self.target)
            || !reading.is_known(self.target) && reading.holds_in_full(raw, self.target)
            || reading.testimony.fields.iter().any(|(column, field)| {
                is_text(*column) && self.target.number.is_in(field, MatchMode::National)
            })
    }

    /// Returns `true` if a record may hold the number, whatever separates its digits.
    fn may_hold(&self, raw: &str) -> bool {
        let Some(tails) = self.tails.as_deref().filter(|_| raw.is_ascii()) else { return true };
        let digits: Vec<u8> = raw.bytes().filter(u8::is_ascii_digit).collect();
        tails.iter().any(|tail| memchr::memmem::find(&digits, tail.as_bytes()).is_some())
            || self.target.number.is_in(raw, MatchMode::Contiguous)
    }
}
