//! The columns of a wide file, by its titles.

use wabalake_data::Column;
use wabalake_data::cells::normalise_header;
use wabalake_data::tables::CellKind;
use wabalake_data::tables::variables::{
    AT, CONVERSATION_ID, SESSION_ID, TABLE, USER_ID, USER_PHONE, VALUE,
};

use crate::load::header::{Header, REJECT_NAME};

/// The titles of the person's number, the first that is there counts.
const PHONES: [&str; 6] = ["phone", "user_phone", "Celular", "cellphone", "Teléfono", "Telefone"];

/// The column of dialling codes.
pub(super) static COUNTRY_CODE: Column = Column::new("country_code", CellKind::Phone);

/// The indices of the columns of a wide file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) phone: Option<usize>,
    pub(crate) user_id: Option<usize>,
    pub(crate) country_code: Option<usize>,
    pub(crate) session_id: Option<usize>,
    pub(crate) conversation_id: Option<usize>,
    pub(crate) at: Option<usize>,
    /// The titles of all other columns as printed, and their indices.
    pub(crate) variables: Vec<(String, usize)>,
}

impl Columns {
    /// Finds the columns of titles. `at` is the title of the column of times.
    pub(crate) fn of(titles: &[String], at: Option<&str>) -> Self {
        let is_at = |place: usize| at.is_some_and(|at| place_of(titles, at) == Some(place));
        let free = |name: &str| place_of(titles, name).filter(|place| !is_at(*place));
        let column = |name: &str| {
            let column = TABLE.exported().find(|column| column.name == name);
            let mut names = column
                .into_iter()
                .flat_map(|c| [c.name].into_iter().chain(c.aliases.iter().copied()));
            names.find_map(free)
        };
        let mut found = Self {
            phone: PHONES.into_iter().find_map(free),
            user_id: column(USER_ID),
            country_code: free(COUNTRY_CODE.name),
            session_id: free(SESSION_ID),
            conversation_id: free(CONVERSATION_ID),
            at: at.and_then(|at| place_of(titles, at)),
            variables: Vec::new(),
        };
        let taken = found.named().map(|(_, place)| place).collect::<Vec<_>>();
        let others = titles.iter().enumerate().filter(|(place, title)| {
            !taken.contains(place) && !title.is_empty() && *title != REJECT_NAME
        });
        found.variables = others.map(|(place, title)| (title.clone(), place)).collect();
        found
    }

    /// Names variables by their titles as printed.
    pub(crate) fn with_printed(mut self, printed: &[String]) -> Self {
        for (title, at) in &mut self.variables {
            title.clone_from(&printed[*at]);
        }
        self
    }

    /// The columns of a header that [`Columns::cells`] made.
    pub(crate) fn of_header(header: &Header) -> Self {
        let mut columns = Self::default();
        let titles = header.titles();
        for (column, place) in header.cells.iter().zip(&header.places) {
            let Some(at) = *place else { continue };
            match column.name {
                USER_PHONE => columns.phone = Some(at),
                USER_ID => columns.user_id = Some(at),
                SESSION_ID => columns.session_id = Some(at),
                CONVERSATION_ID => columns.conversation_id = Some(at),
                AT => columns.at = Some(at),
                VALUE => columns.variables.extend(titles.get(at).map(|title| (title.clone(), at))),
                _ => columns.country_code = Some(at),
            }
        }
        columns
    }

    /// The columns of a header and their indices, without those of variables.
    fn named(&self) -> impl Iterator<Item = (&'static Column, usize)> {
        let column = |name: &str| TABLE.exported().find(|column| column.name == name);
        let own = [
            (column(USER_PHONE), self.phone),
            (column(USER_ID), self.user_id),
            (column(SESSION_ID), self.session_id),
            (column(CONVERSATION_ID), self.conversation_id),
            (column(AT), self.at),
            (Some(&COUNTRY_CODE), self.country_code),
        ];
        own.into_iter().filter_map(|(column, place)| Some((column?, place?)))
    }

    /// The cells of a header and their indices; that of a variable is a `value`.
    pub(crate) fn cells(&self) -> (Vec<&'static Column>, Vec<Option<usize>>) {
        let value = TABLE.exported().find(|column| column.name == VALUE);
        let values = self.variables.iter().filter_map(|(_, place)| Some((value?, *place)));
        self.named().chain(values).map(|(column, place)| (column, Some(place))).unzip()
    }

    /// Returns `true` if a column names persons.
    pub(crate) fn has_people(&self) -> bool {
        self.phone.is_some() || self.user_id.is_some()
    }

    /// Returns the first title that two variables have.
    pub(crate) fn repeated(&self) -> Option<&str> {
        let titles: Vec<&str> = self.variables.iter().map(|(title, _)| title.as_str()).collect();
        let twice = titles.iter().enumerate().find(|(at, title)| titles[..*at].contains(title));
        twice.map(|(_, title)| *title)
    }
}

/// The index of a title: one that is the same, else one that differs by case, spaces and punctuation.
fn place_of(titles: &[String], name: &str) -> Option<usize> {
    let name = name.trim();
    let folded = normalise_header(name);
    let same = titles.iter().position(|title| title == name);
    same.or_else(|| {
        let folds = |title: &String| !folded.is_empty() && normalise_header(title) == folded;
        titles.iter().position(folds)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: &str, at: Option<&str>) -> Columns {
        let titles: Vec<String> = header.split('|').map(str::to_owned).collect();
        Columns::of(&titles, at)
    }

    fn variables(columns: &Columns) -> Vec<&str> {
        columns.variables.iter().map(|(title, _)| title.as_str()).collect()
    }

    #[test]
    fn first_known_title_of_a_number_counts_and_the_others_are_variables() {
        let columns = of("Telefone|Celular|phone|Country Code|Ciudad|", None);
        assert_eq!((columns.phone, columns.country_code), (Some(2), Some(3)));
        assert_eq!(variables(&columns), ["Telefone", "Celular", "Ciudad"]);
        let columns = of("Teléfono|Session ID|conversation_version|at|bsuid", None);
        assert_eq!(
            (columns.phone, columns.session_id, columns.user_id),
            (Some(0), Some(1), Some(4))
        );
        assert_eq!(variables(&columns), ["conversation_version", "at"]);
        assert!(!of("Ciudad|NPS", None).has_people());
    }

    #[test]
    fn column_of_times_is_named() {
        assert_eq!(variables(&of("phone|Fecha|NPS", None)), ["Fecha", "NPS"]);
        let columns = of("phone|Fecha|fecha|NPS", Some("fecha"));
        assert_eq!((columns.at, variables(&columns)), (Some(2), vec!["Fecha", "NPS"]));
        assert_eq!(of("phone|FECHA|NPS", Some("fecha")).at, Some(1));
        assert_eq!(of("phone|Celular", Some("phone")).phone, Some(1));
        assert_eq!(of("phone|a|b|a", None).repeated(), Some("a"));
    }
}
