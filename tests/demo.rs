//! `make demo` as a newcomer runs it, `wabalake demo` in the same folder, and every query of its lake.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use wabalake_queries::CATALOG;

use crate::support::{Said, files_below, wabalake};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The arguments without which a query has no answer, of names and days that the demo has.
fn needs(query: &str) -> &'static [&'static str] {
    match query {
        "holdout-lift" => &["--treated", "june-treated", "--control", "june-control"],
        "user-history" => &["--phone", "573160007506"],
        "what-changed" => &["--from", "2025-05-21", "--to", "2025-06-09"],
        _ => &[],
    }
}

fn make_demo(folder: &Path) -> Said {
    let mut make = Command::new("make");
    make.current_dir(ROOT).args(["--no-print-directory", "demo"]);
    make.arg(format!("DEMO={}", folder.display()));
    make.env("WABALAKE", env!("CARGO_BIN_EXE_wabalake"));
    for name in ["MAKEFLAGS", "MAKELEVEL", "WABALAKE_LAKE", "WABALAKE_TIMEZONE"] {
        make.env_remove(name);
    }
    Said::of(make.output().unwrap())
}

/// The files of the lake's tables, with their sizes.
fn table_files(folder: &Path) -> Vec<(PathBuf, u64)> {
    let files = files_below(&folder.join("lake/tables")).into_iter();
    files.map(|path| (path.clone(), path.metadata().unwrap().len())).collect()
}

#[test]
fn demo_loads_once_and_every_query_has_an_answer() {
    let folder = TempDir::new().unwrap();
    let first = make_demo(folder.path());
    assert_eq!(first.code, 0, "{}{}", first.out, first.err);
    assert!(first.err.contains("rows were rejected\n"), "{}", first.err);
    let page = fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(page.contains("</html>"));
    let loaded = table_files(folder.path());

    let mut command = wabalake(folder.path());
    let second = Said::of(command.args(["demo", "--out"]).arg(folder.path()).output().unwrap());
    assert_eq!((second.code, second.err.as_str()), (0, ""), "{}", second.out);
    assert_eq!(second.out, first.out);
    assert_eq!(table_files(folder.path()), loaded);

    // Each command is printed before its answer.
    let commands: Vec<_> =
        second.out.lines().filter_map(|line| line.strip_prefix("+ wabalake ")).collect();
    let names: Vec<_> = commands.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["load", "query", "query", "query", "report"]);
    for (command, column) in
        commands[1..4].iter().zip([" last_node_id ", " channel ", " status_detail "])
    {
        let (_, answer) = second.out.split_once(command).unwrap();
        let rows: Vec<_> = answer.lines().skip(1).take(4).collect();
        assert!(rows[0].contains(column) && !rows[2].trim().is_empty(), "{command}\n{rows:?}");
    }

    for entry in CATALOG {
        let name = entry.spec.name;
        let mut query = wabalake(folder.path());
        let query = query.args(["query", name, "--lake", "lake", "-f", "csv"]).args(needs(name));
        let said = Said::of(query.output().unwrap());
        assert_eq!(said.code, 0, "{name}: {}", said.err);
        assert!(said.out.lines().count() > 1, "{name} has no row");
    }
}
