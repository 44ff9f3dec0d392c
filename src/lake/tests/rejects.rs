//! The table of rejects.

use super::*;
use crate::lake::rejects::{self, REJECTS, Which};

#[test]
fn rejects_count_if_their_file_is_loaded() {
    let (_folder, lake) = lake();
    let reject = |file_id: &str, resolved_by: Option<&str>| {
        let rejects = df!(
            rejects::RECORD => [2_i64, 1], rejects::LINE => [9_i64, 4],
            rejects::COLUMN => [None::<&str>, Some("x")], rejects::REASON => ["short", "no date"],
            rejects::RAW => ["a", "b"], rejects::ROW_KEY => [Some(5_i64), None],
        );
        let at = DateTime::from_timestamp(1_750_000_000, 0).unwrap();
        let origin = rejects::RejectOrigin {
            file_id,
            file: "a.csv",
            kind: SESSIONS.name,
            header: "session id",
            delimiter: b';',
            at,
        };
        let mut rows = rejects::complete(rejects.unwrap(), &origin).unwrap();
        if let Some(by) = resolved_by {
            let by = Column::new(rejects::RESOLVED_BY.into(), [by, by]);
            rows.with_column(by).unwrap();
            let when = Column::new(rejects::RESOLVED.into(), [1_i64, 1]).cast(&instant()).unwrap();
            rows.with_column(when).unwrap();
        }
        rows
    };
    let snapshot = lake.snapshot(&REJECTS).unwrap();
    let staging = lake.staging(&REJECTS).unwrap();
    let files = ["open", "fixed", "killed"].map(|file| {
        staging.write(day(15), reject(file, (file == "fixed").then_some("fixer"))).unwrap()
    });
    let change =
        Change { add: files.into(), info: load_info("some"), ..Change::new(Operation::Load) };
    assert_eq!(lake.commit(&snapshot, change).unwrap(), Commit::Done(0));
    let counting = |which| {
        let rows = rejects::read(&lake, which).unwrap().collect().unwrap();
        assert_eq!(rows.schema().as_ref(), &REJECTS.stored());
        let column = |name| rows.column(name).unwrap().str().unwrap().clone();
        let files = column(rejects::FILE_ID);
        let by = column(rejects::RESOLVED_BY);
        let pairs = files.iter().zip(by.iter());
        pairs
            .map(|(file, by)| format!("{}:{}", file.unwrap(), by.unwrap_or("-")))
            .collect::<Vec<_>>()
    };
    assert!(counting(Which::All).is_empty(), "no file is loaded yet");
    load(&lake, "open", day(1), &["s1"]);
    load(&lake, "fixed", day(1), &["s2"]);
    assert_eq!(counting(Which::Open), ["fixed:-", "fixed:-", "open:-", "open:-"]);
    load(&lake, "fixer", day(1), &["s3"]);
    assert_eq!(counting(Which::Open), ["open:-", "open:-"]);
    assert_eq!(counting(Which::All), ["fixed:fixer", "fixed:fixer", "open:-", "open:-"]);
    let tables = lake.snapshots(wabalake_data::TABLES.iter().copied()).unwrap();
    let open = rejects::open_keys(&lake.snapshot(&REJECTS).unwrap(), &tables).unwrap();
    assert_eq!(open, [(SESSIONS.name.to_owned(), [5].into())].into());
    assert_eq!(lake.status().unwrap().open_rejects, 2);
    lake.undo().unwrap();
    assert_eq!(counting(Which::All), ["fixed:-", "fixed:-", "open:-", "open:-"]);
}
