//! The ids and numbers that `identities` links to the person to erase.
//!
//! ```text
//! asked for CO.2     CO.2 – CO.1 (user)   CO.1 – 573005550101 (phone)   CO.7 – 573005550101 (phone)
//! erased             CO.2, CO.1, 573005550101, CO.7
//! ```
//!
//! Links of old versions count too: an erasure that was killed may have erased the newest ones.

use std::collections::{BTreeSet, HashMap};

use polars::prelude::*;
use wabalake_data::cells::phone::{Person, renormalise};
use wabalake_data::tables::USER_ID;
use wabalake_data::tables::identities::{self, LINKED};

use super::journal::Journal;
use super::search::StoredTable;
use crate::error::Result;

/// The number or id asked for, and all ids and numbers that links lead to, whatever their kind.
pub(super) fn linked(
    tables: &[StoredTable],
    asked: &str,
    journal: Option<&Journal>,
) -> Result<BTreeSet<String>> {
    let mut links: HashMap<String, Vec<String>> = HashMap::new();
    for stored in tables.iter().filter(|stored| *stored.table == identities::TABLE) {
        stored.each_file(|_, scan| add(&mut links, scan))?;
        stored.each_replaced(|_, scan| {
            // A file that cannot be read belongs to no version.
            let _ = scan.and_then(|scan| add(&mut links, scan));
            Ok(())
        })?;
    }
    let mut people = BTreeSet::from([asked.to_owned()]);
    let mut ahead = vec![asked.to_owned()];
    if let Some(journal) = journal.filter(|journal| journal.people.contains(asked)) {
        ahead.extend(journal.people.iter().cloned());
        people.extend(journal.people.iter().cloned());
    }
    while let Some(person) = ahead.pop() {
        for other in links.remove(&person).unwrap_or_default() {
            if people.insert(other.clone()) {
                ahead.push(other);
            }
        }
    }
    Ok(people)
}

/// Adds the links in rows of `identities`, in both directions.
fn add(links: &mut HashMap<String, Vec<String>>, scan: LazyFrame) -> Result<()> {
    let rows = scan.select([col(USER_ID), col(LINKED)]).collect()?;
    for (user_id, linked) in
        rows.column(USER_ID)?.str()?.iter().zip(rows.column(LINKED)?.str()?.iter())
    {
        let (Some(user_id), Some(linked)) = (user_id, linked) else { continue };
        let linked = renormalise(linked).map_or_else(|| linked.to_owned(), Person::into_phone);
        links.entry(user_id.to_owned()).or_default().push(linked.clone());
        links.entry(linked).or_default().push(user_id.to_owned());
    }
    Ok(())
}
