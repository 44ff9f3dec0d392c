//! `demo` as it is typed, where it must not write. `tests/demo.rs` runs it.

use crate::support::Bench;

#[test]
fn demo_leaves_a_folder_with_other_files_alone() {
    let bench = Bench::new();
    bench.file("mine/lake/notes.txt", "mine");
    let (said, code) = bench.failure("demo --out mine");
    assert_eq!(
        said,
        "error: `mine` has files that are not of a demo\n  \
         hint: name a new folder: `wabalake demo --out DIR`\n"
    );
    assert_eq!(code, 2);
    assert_eq!(std::fs::read_dir(bench.path("mine")).unwrap().count(), 1);
}

#[test]
fn demo_is_not_made_on_a_store() {
    let (said, code) = Bench::new().failure("demo --out s3://bucket/demo");
    assert_eq!(
        said,
        "error: a demo is made in a folder of this machine\n  \
         hint: name one: `wabalake demo --out DIR`\n"
    );
    assert_eq!(code, 2);
}
