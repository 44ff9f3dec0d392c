//! Headers of wide files of variables: persons, flows and times by title, all else a variable.

use wabalake_data::cells::{Spelling, normalise_header};
use wabalake_data::tables::variables::{self, CONVERSATION_ID};
use wabalake_data::words::suggestion;

use super::titles::{TitleWords, Titles};
use super::{Header, REJECT_NAME};
use crate::error::{Error, Result};
use crate::load::fields::{Fields, quoted};
use crate::load::redact;
use crate::load::wide::{Columns, KIND, WideOptions};

impl Header {
    /// Parses the header of a wide file of variables. Its cells are the columns that it names, and a
    /// `value` for each variable.
    ///
    /// # Errors
    ///
    /// A header without a column of persons, without one of variables, or with one twice; options
    /// that do not fit.
    pub(crate) fn read_wide(
        file: &str,
        header: &str,
        delimiter: u8,
        options: &WideOptions,
        renames: &[(String, String)],
    ) -> Result<Self> {
        let titles = Titles::read(header, delimiter, renames);
        let at = options.at_column.as_deref();
        let columns = Columns::of(&titles.cells, at).with_printed(&titles.printed);
        let found = || titles.found(Some(&variables::TABLE), &TitleWords::LINE);
        if !columns.has_people() {
            return Err(Error::data(format!(
                "`{file}` has no column of numbers or user ids, which `{KIND}` needs"
            ))
            .found(found())
            .hint(
                "it is titled phone, Celular, cellphone, Teléfono, Telefone or user_id; if it has \
                 another title, name it with `--rename 'ITS TITLE=phone'`",
            )
            .no_export());
        }
        titles.check_own(renames)?;
        if let (Some(at), None) = (at, columns.at) {
            let at = redact::shown(at);
            let plain = titles.own.iter().filter(|title| redact::shown(title) == **title);
            let hint = suggestion(&at, plain.map(String::as_str));
            let error = Error::usage(format!("`{file}` has no column `{at}`")).found(found());
            return Err(error.hint(hint.unwrap_or_else(|| {
                "`--at-column` names the column that has the time of the answers".to_owned()
            })));
        }
        if options.conversation_id.is_none() && columns.conversation_id.is_none() {
            return Err(Error::usage(format!(
                "`{file}` does not say which flow its answers are of"
            ))
            .found(format!("no column `{CONVERSATION_ID}`"))
            .hint("name the flow with `--conversation-id ID`"));
        }
        if let Some(title) = columns.repeated() {
            let title = redact::shown(title);
            return Err(Error::data(format!("`{file}` has two columns `{title}`"))
                .hint("remove one, or give it another name in the file"));
        }
        if columns.variables.is_empty() {
            return Err(Error::data(format!("`{file}` has no column of a variable"))
                .found(found())
                .hint("each column beside those of persons, flow and time is one"));
        }
        let (cells, places) = columns.cells();
        let past_last = titles.cells.iter().rposition(|cell| !cell.is_empty());
        let written: Vec<_> = titles.cells.iter().map(|cell| quoted(cell)).collect();
        Ok(Self {
            currency: None,
            table: &variables::TABLE,
            spellings: vec![Spelling::default(); cells.len()],
            cells,
            delimiter,
            reject_name: titles.cells.iter().position(|cell| cell == REJECT_NAME),
            fields: titles.cells.len(),
            titled: past_last.map_or(0, |last| last + 1),
            unknown: Vec::new(),
            places,
            own: titles.own,
            written: written.join(","),
            language: None,
        })
    }

    /// The titles after renames.
    pub(crate) fn titles(&self) -> Vec<String> {
        let mut fields = Fields::new(b',');
        let mut titles = Vec::new();
        fields.read(&self.written, self.written.contains('"'), b',', &mut titles);
        titles.into_iter().map(str::to_owned).collect()
    }
}

/// Counts the titles of a line that name persons and flows of a wide file.
pub(super) fn known(titles: &Titles) -> usize {
    let columns = Columns::of(&titles.cells, None);
    if columns.has_people() { columns.cells().0.len() - columns.variables.len() } else { 0 }
}

impl Titles {
    /// Checks that each rename has a title in the file, or is done already.
    fn check_own(&self, renames: &[(String, String)]) -> Result<()> {
        let is = |title: &str, name: &str| normalise_header(title) == normalise_header(name);
        for (from, to) in renames {
            if !self.own.iter().any(|title| is(title, from) || is(title, to)) {
                return Err(Error::usage(format!("no column `{from}` to rename"))
                    .found(self.found(Some(&variables::TABLE), &TitleWords::LINE)));
            }
        }
        Ok(())
    }
}
