//! The exports of `wabalake demo`, which `data/exports` holds too.

use std::io;

use crate::Plan;

/// The export that no plan generates.
const BY_HAND: &str = "general_sessions_report_by_hand.csv";

/// Returns the name and the bytes of each export. All are generated but one, which is written by hand.
///
/// Webhooks are left out: they are of a line of their own, which would be in most answers.
///
/// # Errors
/// Those of generating them.
pub fn exports() -> io::Result<Vec<(String, Vec<u8>)>> {
    let plan = Plan { days: 40, sessions_per_day: 4, seed: 34, dirt: true, ..Plan::default() };
    let by_hand = include_bytes!("../data/exports/general_sessions_report_by_hand.csv");
    let mut exports = vec![(BY_HAND.to_owned(), by_hand.to_vec())];
    for file in plan.files() {
        let mut bytes = Vec::new();
        file.write(&mut bytes)?;
        exports.push((file.name, bytes));
    }
    for file in plan.companions().filter(|file| !file.name.starts_with("webhooks")) {
        let mut bytes = Vec::new();
        file.write(&mut bytes)?;
        exports.push((file.name, bytes));
    }
    Ok(exports)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn exports_of_the_demo_are_the_committed_ones() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/exports");
        let mut committed = BTreeMap::new();
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if name != "README.md" && name != ".gitattributes" {
                committed.insert(name, fs::read(entry.path()).unwrap());
            }
        }
        let exports: BTreeMap<_, _> = exports().unwrap().into_iter().collect();
        assert!(exports.keys().eq(committed.keys()), "{:?}", exports.keys());
        for (name, bytes) in &exports {
            assert!(committed[name] == *bytes, "{name} differs");
        }
    }
}
