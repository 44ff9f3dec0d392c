//! `make demo` as a newcomer runs it, twice.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use wabalake_queries::CATALOG;

use crate::support::files_below;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What `make demo` prints, and the bytes of each answer by its file's name.
fn make_demo(folder: &Path) -> (String, BTreeMap<String, Vec<u8>>) {
    let mut make = Command::new("make");
    make.current_dir(ROOT).args(["--no-print-directory", "demo"]);
    make.arg(format!("DEMO={}", folder.display()));
    make.env("WABALAKE", env!("CARGO_BIN_EXE_wabalake"));
    for name in ["MAKEFLAGS", "MAKELEVEL", "WABALAKE_LAKE", "WABALAKE_TIMEZONE"] {
        make.env_remove(name);
    }
    let output = make.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}{error}");
    let answers = files_below(&folder.join("answers")).into_iter().map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read(path).unwrap())
    });
    (printed, answers.collect())
}

#[test]
fn second_demo_loads_nothing_and_answers_the_same_bytes() {
    let folder = TempDir::new().unwrap();
    let [(first, answers), (second, again)] = [(); 2].map(|()| make_demo(folder.path()));

    let names: Vec<String> = answers.keys().cloned().collect();
    let mut expected: Vec<String> =
        CATALOG.iter().map(|entry| format!("{}.csv", entry.spec.name)).collect();
    expected.sort();
    assert_eq!(names, expected);
    for (name, answer) in &answers {
        let lines = answer.split(|byte| *byte == b'\n').count() - 1;
        assert!(lines > 1, "{name} has no row");
    }

    // One export is a copy of another.
    assert_eq!(first.matches("already loaded").count(), 1, "{first}");
    let mut exports = files_below(&Path::new(ROOT).join("data/exports"));
    exports.retain(|path| !path.ends_with("README.md") && !path.ends_with(".gitattributes"));
    assert_eq!(second.matches("already loaded").count(), exports.len(), "{second}");
    assert_eq!(again, answers);
}
