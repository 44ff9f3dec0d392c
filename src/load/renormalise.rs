//! Normalises persons of rows in the lake again, by the current phone rules.
//!
//! ```text
//! stored user_phone      country  user_phone       why
//! 541123456789           AR       5491123456789    mobile numbers of Argentina have a 9
//! U+202A 573005550101    null     573005550101     an invisible mark is not a digit
//! BR.1a2b…               null     null, user_id    a user id; of a truncated one, another column has all
//! 573005550101           CO       –                unchanged
//! ```
//!
//! A day's rows are normalised before they are merged with new rows, so two spellings of a number
//! are one person, and no row is stored twice.

use polars::prelude::*;
use wabalake_data::Table;
use wabalake_data::cells::phone::{self, Person, is_user_id};
use wabalake_data::tables::{
    OWN_PERSON, USER_ID, USER_PHONE, USER_PHONE_VALID, messages, sessions, text_key,
};

use super::key_hash::row_key_hashes;

/// Length to which user ids were truncated, in bytes.
const CUT: usize = 30;

/// A stored person by the current rules.
#[derive(Clone, Debug)]
enum Current {
    /// Another spelling of the number.
    Phone(Person),
    /// Not a number: the whole user id.
    UserId(String),
}

/// Columns of numbers as an export has them, in which older versions kept user ids.
const WRITTEN: [&str; 3] = [sessions::USER_CELLPHONE, messages::FROM, messages::TO];

/// The columns that tell whether [`renormalise`] changes a row.
pub(super) fn columns_of_persons(table: &Table) -> impl Iterator<Item = &'static str> {
    [USER_PHONE].into_iter().filter(|_| table.has_people()).chain(written(table))
}

/// Those of [`WRITTEN`] that a table stores.
fn written(table: &Table) -> impl Iterator<Item = &'static str> {
    let is_stored = |name: &str| table.columns.iter().any(|column| column.name == name);
    WRITTEN.into_iter().filter(move |name| is_stored(name))
}

/// Moves user ids in columns of numbers to `user_id`, if that is null. The line of a message has no user
/// id. Returns `true` for each row that changed.
fn move_user_ids(table: &Table, rows: &mut DataFrame) -> PolarsResult<Vec<bool>> {
    let mut moved = vec![false; rows.height()];
    for name in written(table) {
        let numbers = rows.column(name)?.str()?.clone();
        if !numbers.iter().flatten().any(is_user_id) {
            continue;
        }
        let is_incoming = match table.position(messages::MESSAGE_DIRECTION) {
            Some(_) => Some(rows.column(messages::MESSAGE_DIRECTION)?.str()?.clone()),
            None => None,
        };
        let user_ids = rows.column(USER_ID)?.str()?.clone();
        let mut user_ids: Vec<Option<&str>> = user_ids.iter().collect();
        let mut lines = vec![false; rows.height()];
        for (row, number) in numbers.iter().enumerate() {
            let Some(number) = number.filter(|number| is_user_id(number)) else { continue };
            moved[row] = true;
            lines[row] = is_incoming.as_ref().is_some_and(|directions| {
                let is_incoming = directions.get(row) == Some("incoming");
                is_incoming != (name == messages::FROM)
            });
            if !lines[row] {
                user_ids[row] = user_ids[row].or(Some(number));
            }
        }
        let left = numbers.iter().map(|number| number.filter(|number| !is_user_id(number)));
        let left: StringChunked = left.collect();
        rows.with_column(Column::new(USER_ID.into(), user_ids))?;
        rows.with_column(left.with_name(name.into()).into_series().into())?;
        if lines.contains(&true) {
            let stored = rows.column(messages::LINE)?.str()?.clone();
            let line = stored.iter().zip(lines).map(|(line, had_id)| line.filter(|_| !had_id));
            let line: StringChunked = line.collect();
            rows.with_column(line.with_name(messages::LINE.into()).into_series().into())?;
        }
    }
    Ok(moved)
}

/// Normalises `user_phone` of rows of [`Table::stored`], and the columns derived from it. Returns a
/// mask of the rows that changed, if any did.
pub(crate) fn renormalise(
    table: &Table,
    mut rows: DataFrame,
) -> PolarsResult<(DataFrame, Option<BooleanChunked>)> {
    if !table.has_people() {
        return Ok((rows, None));
    }
    let before = rows.column(USER_PHONE)?.str()?.clone();
    // Consecutive rows often have the same person.
    let mut known: PlHashMap<&str, Option<Current>> = PlHashMap::default();
    let mut now: Vec<(usize, Current)> = Vec::new();
    let raw: Vec<StringChunked> = WRITTEN
        .iter()
        .filter_map(|name| rows.column(name).and_then(Column::str).ok().cloned())
        .collect();
    let mut changed = move_user_ids(table, &mut rows)?;
    for (row, phone) in before.iter().enumerate() {
        let Some(phone) = phone else { continue };
        if is_user_id(phone) {
            let mut cells = raw.iter().filter_map(|cells| cells.get(row));
            let is_whole =
                |cell: &&str| phone.len() == CUT && cell.starts_with(phone) && is_user_id(cell);
            let user_id = cells.find(is_whole).unwrap_or(phone);
            now.push((row, Current::UserId(user_id.to_owned())));
            continue;
        }
        if phone::is_current(phone) {
            continue;
        }
        let current =
            known.entry(phone).or_insert_with(|| phone::renormalise(phone).map(Current::Phone));
        now.extend(current.clone().map(|current| (row, current)));
    }
    if now.is_empty() && !changed.contains(&true) {
        return Ok((rows, None));
    }
    let texts = |name| Ok::<_, PolarsError>(rows.column(name)?.str()?.clone());
    let user_ids = texts(USER_ID)?;
    let mut phones: Vec<Option<&str>> = before.iter().collect();
    let mut user_ids: Vec<Option<&str>> = user_ids.iter().collect();
    let mut valid: Vec<Option<bool>> = rows.column(USER_PHONE_VALID)?.bool()?.iter().collect();
    for (row, current) in &now {
        let row = *row;
        (phones[row], valid[row]) = match current {
            Current::Phone(person) => (Some(person.phone()), Some(person.valid)),
            Current::UserId(user_id) => {
                user_ids[row] = user_ids[row].or(Some(user_id));
                (None, None)
            }
        };
        changed[row] = true;
    }
    if table.position(sessions::COUNTRY).is_some() {
        let old = texts(sessions::COUNTRY)?;
        let mut countries: Vec<Option<&str>> = old.iter().collect();
        for (row, current) in &now {
            countries[*row] = match current {
                Current::Phone(person) => person.country.or(countries[*row]),
                Current::UserId(_) => user_ids[*row].map(|id| &id[..2]).or(countries[*row]),
            };
        }
        rows.with_column(Column::new(sessions::COUNTRY.into(), countries))?;
    }
    for (hash, _) in table.hashes.iter().filter(|(_, of)| *of == OWN_PERSON) {
        let own = phones.iter().zip(&user_ids).map(|(phone, user_id)| phone.or(*user_id));
        let hashes: Vec<Option<i64>> = own.map(|own| own.map(text_key)).collect();
        rows.with_column(Column::new((*hash).into(), hashes))?;
    }
    rows.with_column(Column::new(USER_PHONE.into(), phones))?;
    rows.with_column(Column::new(USER_ID.into(), user_ids))?;
    rows.with_column(Column::new(USER_PHONE_VALID.into(), valid))?;
    if let Some(whole_key) = table.whole_key {
        let hashes = row_key_hashes(table, &rows)?;
        rows.with_column(Column::new(whole_key.into(), hashes))?;
    }
    Ok((rows, Some(changed.into_iter().map(Some).collect())))
}

/// Returns `true` if the key contains the person and not the time, so that normalising may change
/// it.
pub(crate) fn has_person_in_key(table: &Table) -> bool {
    table.whole_key.is_some() && table.key.contains(&OWN_PERSON)
}

#[cfg(test)]
mod tests {
    use wabalake_data::tables::{TAG_KEY, USER_KEY, ad_spend, audience_tags, deployments};

    use super::*;

    /// Rows that have only a person.
    fn rows(table: &Table, people: &[(&str, bool, Option<&str>)]) -> DataFrame {
        let column = |(name, kind): (&PlSmallStr, &DataType)| match name.as_str() {
            USER_PHONE => Column::new(name.clone(), people.iter().map(|p| p.0).collect::<Vec<_>>()),
            USER_PHONE_VALID => {
                Column::new(name.clone(), people.iter().map(|p| p.1).collect::<Vec<_>>())
            }
            sessions::COUNTRY => {
                Column::new(name.clone(), people.iter().map(|p| p.2).collect::<Vec<_>>())
            }
            USER_KEY => {
                Column::new(name.clone(), people.iter().map(|p| text_key(p.0)).collect::<Vec<_>>())
            }
            _ => Column::full_null(name.clone(), people.len(), kind),
        };
        let columns = table.stored().iter().map(column).collect();
        DataFrame::new(people.len(), columns).unwrap()
    }

    #[test]
    fn example_of_the_module_docs() {
        let before = rows(
            &deployments::TABLE,
            &[
                ("541123456789", true, Some("AR")),
                ("\u{202a}573005550101", false, None),
                ("573005550101", true, Some("CO")),
                ("5.73006E11", false, Some("CO")),
            ],
        );
        let (now, changed) = renormalise(&deployments::TABLE, before.clone()).unwrap();
        let changed: Vec<bool> = changed.unwrap().iter().flatten().collect();
        assert_eq!(changed, [true, true, false, false]);
        let text = |name: &str| {
            now.column(name).unwrap().str().unwrap().iter().map(|t| t.map(str::to_owned)).collect()
        };
        let phones: Vec<Option<String>> = text(USER_PHONE);
        let expected = ["5491123456789", "573005550101", "573005550101", "5.73006E11"];
        assert_eq!(phones, expected.map(|phone| Some(phone.to_owned())));
        let countries: Vec<Option<String>> = text(sessions::COUNTRY);
        assert_eq!(countries, ["AR", "CO", "CO", "CO"].map(|code| Some(code.to_owned())));
        let keys: Vec<i64> =
            now.column(USER_KEY).unwrap().i64().unwrap().iter().flatten().collect();
        assert_eq!(keys, expected.map(text_key));
        let valid = now.column(USER_PHONE_VALID).unwrap().bool().unwrap();
        assert_eq!(valid.iter().flatten().collect::<Vec<_>>(), [true, true, true, false]);
        assert_eq!(now.schema(), before.schema());
        let (again, changed) = renormalise(&deployments::TABLE, now.clone()).unwrap();
        assert!(changed.is_none() && again.equals_missing(&now));
    }

    #[test]
    fn a_truncated_user_id_is_restored_from_another_column() {
        let whole = ["A", "B"].map(|last| format!("BR.{}{last}", "1a2b3c4d".repeat(5)));
        let cut = &whole[0][..CUT];
        let table = &deployments::TABLE;
        let mut before = rows(table, &[(cut, false, None), (cut, false, None), (cut, false, None)]);
        let raw = [Some(whole[0].as_str()), Some(&whole[1]), None];
        before.with_column(Column::new(sessions::USER_CELLPHONE.into(), raw)).unwrap();
        let (now, _) = renormalise(table, before).unwrap();
        let text = |name: &str, row| now.column(name).unwrap().str().unwrap().get(row);
        assert_eq!(text(USER_ID, 0), Some(whole[0].as_str()));
        assert_eq!(text(USER_ID, 1), Some(whole[1].as_str()));
        assert_eq!(text(USER_ID, 2), Some(cut), "no column has all of it");
        assert_eq!(now.column(USER_PHONE).unwrap().null_count(), 3);
        assert_eq!(now.column(USER_PHONE_VALID).unwrap().null_count(), 3);
        let key = now.column(USER_KEY).unwrap().i64().unwrap().get(0);
        assert_eq!(key, Some(text_key(&whole[0])));
        assert_eq!(text(sessions::COUNTRY, 0), Some("BR"));
    }

    #[test]
    fn a_user_id_moves_from_a_cell_of_a_number() {
        let table = &messages::TABLE;
        let mut before = rows(table, &[("", false, None), ("", false, None), ("", false, None)]);
        let nobody = Column::full_null(USER_PHONE.into(), 3, &DataType::String);
        before.with_column(nobody).unwrap();
        for (name, cells) in [
            (messages::MESSAGE_DIRECTION, ["incoming", "outgoing", "incoming"].map(Some)),
            (messages::FROM, [Some("CO.1"), Some("12025550140"), Some("CO.4")]),
            (messages::TO, [Some("12025550140"), Some("CO.2"), Some("CO.9")]),
            (messages::LINE, [Some("12025550140"), Some("12025550140"), Some("CO.9")]),
            (USER_ID, [None, Some("CO.3"), None]),
        ] {
            before.with_column(Column::new(name.into(), cells)).unwrap();
        }
        let (now, changed) = renormalise(table, before.clone()).unwrap();
        assert!(changed.unwrap().all());
        let text = |name: &str| {
            let cells = now.column(name).unwrap().str().unwrap().iter();
            cells.map(|cell| cell.unwrap_or("-").to_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(text(messages::FROM), "- 12025550140 -");
        assert_eq!(text(messages::TO), "12025550140 - -");
        assert_eq!(text(messages::LINE), "12025550140 12025550140 -");
        assert_eq!(text(USER_ID), "CO.1 CO.3 CO.4");
        assert_eq!(now.schema(), before.schema());
        assert!(renormalise(table, now).unwrap().1.is_none());
    }

    #[test]
    fn the_hash_of_the_whole_key_is_updated() {
        let one = rows(&audience_tags::TABLE, &[("22997123456", false, None)]);
        let other = rows(&audience_tags::TABLE, &[("2290197123456", true, None)]);
        let (one, changed) = renormalise(&audience_tags::TABLE, one).unwrap();
        assert!(changed.is_some());
        let key = row_key_hashes(&audience_tags::TABLE, &other).unwrap();
        let found = one.column(TAG_KEY).unwrap().i64().unwrap().get(0);
        assert_eq!(found, Some(key[0]));
        let spend = rows(&ad_spend::TABLE, &[("", false, None)]);
        assert!(renormalise(&ad_spend::TABLE, spend).unwrap().1.is_none());
        assert!(has_person_in_key(&audience_tags::TABLE));
        assert!(!has_person_in_key(&deployments::TABLE), "its key contains the time");
    }
}
