//! The committed exports in `data/exports`.

use std::path::Path;

use wabalake_data::cells::phone::{Phones, digits};

use super::*;

/// `BLESS=1` rewrites the committed exports.
#[test]
fn committed_exports_equal_their_plan() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/exports");
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let mut names = BTreeSet::from(["README.md", ".gitattributes", BY_HAND].map(str::to_owned));
    let mut files = Vec::new();
    for file in COMMITTED.files() {
        assert!(!file.gzip, "{}", file.name);
        let (bytes, summary) = written(&file);
        files.push((file.name, bytes, summary));
    }
    for file in COMMITTED.companions().filter(|file| !file.name.starts_with("webhooks")) {
        let mut bytes = Vec::new();
        let summary = file.write(&mut bytes).unwrap();
        files.push((file.name, bytes, summary));
    }
    let mut missing = Vec::new();
    for (name, bytes, summary) in files {
        let path = folder.join(&name);
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &bytes).unwrap();
        }
        assert!(std::fs::read(&path).unwrap() == bytes, "{name} differs");
        let line = format!("| `{name}` | {} | {} |", summary.good, summary.rejected);
        if !readme.contains(&line) {
            missing.push(line);
        }
        names.insert(name);
    }
    assert!(missing.is_empty(), "README.md lacks\n{}", missing.join("\n"));
    let found = std::fs::read_dir(&folder).unwrap();
    let found: BTreeSet<_> = found.map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(found, names);
    let [sessions, deployments, messages] = TABLES.map(|table| COMMITTED.rows(table));
    let line = format!(
        "{} sessions, {deployments} deployments, {messages} messages",
        sessions + BY_HAND_SESSIONS
    );
    assert!(readme.contains(&line), "{line}");
}

const BY_HAND: &str = "general_sessions_report_by_hand.csv";
const BY_HAND_GOOD: u64 = 10;
/// Two of the rows are the same session.
const BY_HAND_SESSIONS: u64 = 9;

#[test]
fn the_file_by_hand_has_the_rows_that_the_readme_says() {
    let bytes = include_bytes!("../../data/exports/general_sessions_report_by_hand.csv");
    let readme = include_str!("../../data/exports/README.md");
    let records = records(bytes, b',');
    let (header, records) = records.split_first().unwrap();
    let header = header_of(&sessions::TABLE, header);
    let rows: Vec<_> = records.iter().map(|r| row(&header, r)).collect();
    let good = rows.iter().flatten().count() as u64;
    assert_eq!(good, BY_HAND_GOOD);
    let keys: BTreeSet<_> = rows.iter().flatten().map(|r| key(&sessions::TABLE, r)).collect();
    assert_eq!(keys.len() as u64, BY_HAND_SESSIONS);
    assert!(readme.contains(&format!("| `{BY_HAND}` | {good} | {} |", rows.len() as u64 - good)));

    let phones = Phones::default();
    let mut people = BTreeSet::new();
    for row in rows.iter().flatten() {
        let [code, number] = person(row).map(|cell| digits(&cell).unwrap().into_owned());
        people.insert(phones.person(Some(&code), Some(&number)).unwrap().into_phone());
    }
    let people: Vec<_> = people.iter().map(String::as_str).collect();
    assert_eq!(
        people,
        ["12025550123", "14165550123", "525550000001", "5511999999999", "573000000001"]
    );
}
