use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::*;

/// Extracts the names in `--rename 'FROM=TO'` or `did you mean …` from an error.
fn suggested(error: &Error) -> (Option<String>, Option<String>) {
    let lines = error.lines();
    let cut = |from: &str, to: &str| {
        let rest = &lines[lines.find(from)? + from.len()..];
        Some(rest[..rest.find(to)?].to_owned())
    };
    (cut("--rename '", "'"), cut("did you mean `", "`"))
}

/// A title as an export may have it: exact, in another spelling, or similar.
fn title(table: &'static Table) -> impl Strategy<Value = String> {
    let columns: Vec<&Column> = table.exported().collect();
    let known = (select(columns), any::<Index>()).prop_map(|(column, at)| {
        let names = [&[column.name], column.aliases].concat();
        names[at.index(names.len())].to_owned()
    });
    prop_oneof![
        3 => known.clone(),
        1 => known.clone().prop_map(|name| name.to_uppercase().replace('_', " ")),
        2 => known.clone().prop_map(|name| format!("{name}_2")),
        1 => known.prop_map(|name| name.chars().skip(1).collect()),
        1 => select(vec!["", " ", REJECT_NAME, "flow", "id"]).prop_map(str::to_owned),
    ]
}

fn header() -> impl Strategy<Value = (&'static Table, Vec<String>)> {
    select(TABLES.to_vec()).prop_flat_map(|table| {
        let some = table.exported().map(|column| column.name.to_owned()).collect::<Vec<_>>();
        let some = subsequence(some.clone(), 0..=some.len());
        let others = prop::collection::vec(title(table), 0..4);
        (Just(table), some, others)
            .prop_map(|(table, some, others)| (table, [some, others].concat()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// The suggested rename is from a title that is no known column to a column that is missing,
    /// and it brings the header closer to being accepted.
    #[test]
    fn suggested_renames_are_from_unknown_titles((table, cells) in header(), is_named in any::<bool>()) {
        let line = cells.join(",");
        let kind = is_named.then_some(table);
        let Err(error) = Header::read("a.csv", &line, b',', kind, &[]) else { return Ok(()) };
        let (Some(rename), _) = suggested(&error) else { return Ok(()) };
        let (from, to) = rename.rsplit_once('=').unwrap();
        // Another table may have a column of that name.
        let table = TABLES.iter().find(|table| error.lines().contains(&format!("`{}` needs", table.name)));
        let table = table.unwrap();
        prop_assert!(!cells.iter().any(|cell| table.exported().any(|c| c.name == to && names(c, cell))));
        if from == "ITS TITLE" {
            return Ok(());
        }
        prop_assert!(!table.exported().any(|column| names(column, from)), "{line}: {rename}");
        let renames = [(from.to_owned(), to.to_owned())];
        if let Err(next) = Header::read("a.csv", &line, b',', Some(table), &renames) {
            prop_assert!(next.lines() != error.lines(), "{line}: {rename}");
            prop_assert!(!next.lines().contains(&format!("two columns `{to}`")), "{line}: {rename}");
        }
    }

    /// A misspelt target of a rename is corrected to a missing column only.
    #[test]
    fn misspelt_renames_are_corrected_to_missing_columns((table, cells) in header(), at in any::<Index>()) {
        let columns: Vec<&Column> = table.exported().collect();
        let meant = columns[at.index(columns.len())].name;
        let renames = [("its own".to_owned(), format!("{meant}s"))];
        let line = [&cells[..], &["its own".to_owned()]].concat().join(",");
        let Err(error) = Header::read("a.csv", &line, b',', Some(table), &renames) else { return Ok(()) };
        if let (_, Some(near)) = suggested(&error) {
            let near = table.exported().find(|column| column.name == near).unwrap();
            prop_assert!(!cells.iter().any(|cell| names(near, cell)), "{line}: {}", near.name);
        }
    }
}
