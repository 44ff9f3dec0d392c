//! `make demo` as a newcomer runs it, twice.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use wabalake_queries::CATALOG;

use crate::support::files_below;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What `make demo` prints, and each answer by its file's name.
fn make_demo(folder: &Path) -> (String, BTreeMap<String, String>) {
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
        (name, fs::read_to_string(path).unwrap())
    });
    (printed, answers.collect())
}

/// An answer of `coverage` without its last column, how long ago the latest row is.
fn without_lag_hours(coverage: &str) -> String {
    let (lines, last): (Vec<_>, Vec<_>) =
        coverage.lines().map(|line| line.rsplit_once(',').unwrap()).unzip();
    assert_eq!(last[0], "lag_hours");
    lines.join("\n")
}

#[test]
fn second_demo_loads_nothing_and_answers_the_same_bytes() {
    let folder = TempDir::new().unwrap();
    let [(first, answers), (second, again)] = [(); 2].map(|()| {
        let (printed, mut answers) = make_demo(folder.path());
        let coverage = answers.get_mut("coverage.csv").unwrap();
        *coverage = without_lag_hours(coverage);
        (printed, answers)
    });

    let names: Vec<String> = answers.keys().cloned().collect();
    let mut expected: Vec<String> =
        CATALOG.iter().map(|entry| format!("{}.csv", entry.spec.name)).collect();
    expected.sort();
    assert_eq!(names, expected);
    for (name, answer) in &answers {
        assert!(answer.lines().count() > 1, "{name} has no row");
    }

    // One export is a copy of another.
    assert_eq!(first.matches("already loaded").count(), 1, "{first}");
    let mut exports = files_below(&Path::new(ROOT).join("data/exports"));
    exports.retain(|path| !path.ends_with("README.md") && !path.ends_with(".gitattributes"));
    assert_eq!(second.matches("already loaded").count(), exports.len(), "{second}");
    for (name, answer) in &answers {
        assert_eq!(&again[name], answer, "{name}");
    }
    assert_eq!(again.len(), answers.len());
}
