//! The reference pages `docs/queries/*.md` and `docs/tables/*.md`, and their entries in the site's
//! navigation, generated from [`CATALOG`], [`TABLES`] and the doc comments of their modules.
//!
//! `BLESS=1` rewrites the files. Without it the test compares them, so that no page goes stale.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Arg, Command};
use polars::prelude::{DataType, Expr, Operator};
use wabalake_data::tables::{OWN_PERSON, USER_ID, USER_PHONE};
use wabalake_data::{Column, Meaning, TABLES, Table};
use wabalake_queries::CATALOG;
use wabalake_queries::query::{CatalogEntry, Order};

use crate::columns::HOLDS;
use crate::golden::{self, Case};

/// An example answer with more rows is cut off here.
const MOST_ROWS: usize = 12;

const QUERIES_INDEX: &str = "\
# Queries

Every query of the catalog, with its columns, options, an example and its SQL twin. Ask one with
`wabalake query NAME --lake LAKE`; [Asking questions](../analyst/asking.md) explains the options and
formats that all of them share. A type such as *text: person* says what the texts of a column are; see
[marked column](../glossary.md#marked-column).

| query | answers |
|---|---|
";

const TABLES_INDEX: &str = "\
# Tables

Every table that exports are loaded into, with its columns, header spellings, key and precedence. [The
lake](../engineer/lake.md) explains the folder, the types and the partitions. A type such as *text: person*
says what the texts of a column are; see [marked column](../glossary.md#marked-column).

| table | from | key | day |
|---|---|---|---|
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn reference_pages_match_the_catalog_and_the_tables() {
    let blesses = std::env::var_os("BLESS").is_some();
    let mut expected = pages();
    expected.insert("zensical.toml".to_owned(), with_navigation());
    for folder in ["docs/queries", "docs/tables"] {
        fs::create_dir_all(root().join(folder)).unwrap();
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let name = format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap());
            assert!(blesses || expected.contains_key(&name), "{name} has no query or table");
            if !expected.contains_key(&name) {
                fs::remove_file(root().join(name)).unwrap();
            }
        }
    }
    for (name, text) in expected {
        let path = root().join(&name);
        let is_current = fs::read_to_string(&path).is_ok_and(|found| found == text);
        if blesses && !is_current {
            fs::write(path, text).unwrap();
        } else {
            assert!(is_current, "{name} is stale: `make docs-write` rewrites it");
        }
    }
}

#[test]
fn every_column_of_an_answer_is_documented() {
    let mut blank = String::new();
    // While pages are rewritten they are not judged.
    let is_judged = std::env::var_os("BLESS").is_none();
    for entry in CATALOG.iter().filter(|_| is_judged) {
        let name = entry.spec.name;
        let page = fs::read_to_string(root().join(format!("docs/queries/{name}.md"))).unwrap();
        let columns = page.split("\n## ").find(|part| part.starts_with("Columns")).unwrap();
        for row in columns.lines().filter(|line| line.ends_with("|  |")) {
            let _ = writeln!(blank, "{name}: {row}");
        }
    }
    assert!(blank.is_empty(), "give the constant a doc comment, or add it to HOLDS:\n{blank}");
}

/// The text of every page, by its path in the repository.
fn pages() -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    let mut index = String::from(QUERIES_INDEX);
    for entry in CATALOG {
        let (name, title) = (entry.spec.name, entry.spec.title);
        let _ = writeln!(index, "| [`{name}`]({name}.md) | {} |", cell(title));
        pages.insert(format!("docs/queries/{name}.md"), query_page(entry));
    }
    pages.insert("docs/queries/index.md".to_owned(), index);
    let mut index = String::from(TABLES_INDEX);
    for table in TABLES {
        let Table { name, source, day_of, .. } = table;
        let day = if day_of.is_empty() { "–".to_owned() } else { code(&[*day_of]) };
        let _ = writeln!(
            index,
            "| [`{name}`]({name}.md) | {source} | {} | {day} |",
            key_columns(table)
        );
        pages.insert(format!("docs/tables/{name}.md"), table_page(table));
    }
    pages.insert("docs/tables/index.md".to_owned(), index);
    pages
}

/// `zensical.toml` with an entry for each generated page.
fn with_navigation() -> String {
    let text = fs::read_to_string(root().join("zensical.toml")).unwrap();
    let queries = CATALOG.iter().map(|entry| entry.spec.name).collect();
    let tables = TABLES.iter().map(|table| table.name).collect();
    let of_pages: [(&str, Vec<&str>); 2] = [("queries", queries), ("tables", tables)];
    of_pages.into_iter().fold(text, |text, (folder, names)| {
        let (begin, end) = (format!("    # {folder}\n"), format!("    # /{folder}\n"));
        let (before, rest) = text.split_once(&begin).unwrap();
        let (_, after) = rest.split_once(&end).unwrap();
        let lines =
            names.iter().map(|name| format!("    {{ \"{name}\" = \"{folder}/{name}.md\" }},\n"));
        format!("{before}{begin}{}{end}{after}", lines.collect::<String>())
    })
}

fn query_page(entry: &CatalogEntry) -> String {
    let spec = &entry.spec;
    let module = root().join("queries").join(spec.folder());
    let mut page = format!("# {}\n\n{}\n", spec.name, spec.question);
    let reads: BTreeSet<_> = spec.reads.iter().map(|table| table.name).collect();
    let reads = reads.into_iter().map(|name| match TABLES.iter().any(|table| table.name == name) {
        true => format!("[`{name}`](../tables/{name}.md)"),
        false => format!("`{name}`"),
    });
    let _ = write!(page, "\nReads {}.\n", reads.collect::<Vec<_>>().join(", "));
    let details = module_docs(&module.join("mod.rs"));
    // The first paragraph repeats the question.
    let details = details.split_once("\n\n").map_or("", |(_, rest)| rest);
    if !details.is_empty() {
        let _ = write!(page, "\n## What counts\n\n{}\n", details.trim_end());
    }
    page.push_str("\n## Options\n\n| option | what it does | default |\n|---|---|---|\n");
    let command: Command = entry.command();
    for option in command.get_arguments().filter(|option| !option.is_hide_set()) {
        page.push_str(&option_row(option));
    }

    let cases = golden::cases(entry);
    let fewest = cases.iter().min_by_key(|case| case.arguments.len()).unwrap();
    let question = golden::ask(entry, &fewest.arguments);
    page.push_str("\n## Columns\n\n| column | type | unit | holds |\n|---|---|---|---|\n");
    let own = documented(&rust_files(&module));
    let stored = documented(&table_files(spec.reads.iter().map(|table| table.name)));
    for column in question.columns() {
        let (name, kind) = (column.name, with_content(column.of.name(), column.meaning));
        let common = HOLDS.iter().find(|(of, _)| *of == name).map(|(_, holds)| *holds);
        let holds = own.get(name).or_else(|| stored.get(name)).map(String::as_str).or(common);
        let unit = column.unit.unwrap_or_default();
        let holds = cell(holds.unwrap_or_default());
        let _ = writeln!(page, "| `{name}` | {kind} | {unit} | {holds} |");
    }
    let splits = |option: &Arg| {
        let help = option.get_help().map(ToString::to_string).unwrap_or_default();
        option.get_id() == "by" && help.contains("columns come first")
    };
    if command.get_arguments().any(splits) {
        page.push_str("\nThe columns of `--by` come first, in the order given.\n");
    }
    let order = question.order();
    let order = order.iter().map(|by| match by {
        Order::Ascending(name) => format!("`{name}`"),
        Order::Descending(name) => format!("`{name}` descending"),
        Order::Largest(name) => format!("`{name}` descending, whatever its sign"),
        Order::Listed(name, words) => format!("`{name}` as {}", words.join(", ")),
    });
    let order = order.collect::<Vec<_>>().join(", ");
    let key = question.key();
    match key.is_empty() {
        true => page.push_str("\nThe answer has one row.\n"),
        false => {
            let _ = write!(page, "\nOne row for each {}. Order: {order}.\n", code(&key));
        }
    }

    let (case, answer) = worked_example(entry, &cases);
    let arguments: Vec<_> = case.arguments.iter().map(|word| quoted(word)).collect();
    let command = [&["wabalake query".to_owned(), spec.name.to_owned()], &arguments[..]].concat();
    let _ = write!(
        page,
        "\n## Example\n\nOver the rows in `queries/fixtures/`:\n\n```text\n{} --lake lake\n```\n\n",
        command.join(" ")
    );
    page.push_str(&answer_table(&answer));
    let twin = golden::ask(entry, &case.arguments).twin();
    let _ = write!(
        page,
        "\n## In SQL\n\nThe twin, with its parameters as `:name`. `wabalake queries {} --sql` prints it for Spark \
         with your options filled in.\n\n```sql\n{}\n```\n",
        spec.name,
        twin.trim_end()
    );
    page
}

/// The first golden case whose answer has a row and is short, or else the first of all.
fn worked_example<'a>(entry: &CatalogEntry, cases: &'a [Case]) -> (&'a Case, Vec<String>) {
    let answered =
        |case: &'a Case| (case, golden::lines(&golden::of_fixtures(entry, &case.arguments)));
    let is_short = |lines: &[String]| (2..=MOST_ROWS + 1).contains(&lines.len());
    let mut answers = cases.iter().map(answered);
    answers.find(|(_, lines)| is_short(lines)).unwrap_or_else(|| answered(&cases[0]))
}

fn option_row(option: &Arg) -> String {
    let long = option.get_long().unwrap_or_default();
    let takes_values = option.get_action().takes_values();
    let values = option.get_value_names().filter(|_| takes_values);
    let value = values.map(|names| format!(" {}", names.join(" "))).unwrap_or_default();
    let help = option.get_long_help().or(option.get_help()).map(ToString::to_string);
    let help = help.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    // Some help texts say the default, in brackets at their end.
    let (help, said) = match help.strip_suffix(']').and_then(|text| text.split_once(" [default: "))
    {
        Some((help, default)) => (help.to_owned(), default.to_owned()),
        None => (help, String::new()),
    };
    let words = option.get_possible_values();
    let words: Vec<_> = words
        .iter()
        .filter(|_| takes_values)
        .map(|word| format!("`{}`", word.get_name()))
        .collect();
    let words =
        if words.is_empty() { String::new() } else { format!(". One of {}", words.join(", ")) };
    let defaults = option.get_default_values().iter().filter(|_| takes_values);
    let defaults: Vec<_> = defaults.map(|value| format!("`{}`", value.to_string_lossy())).collect();
    let default = match defaults.is_empty() {
        _ if option.is_required_set() => "required".to_owned(),
        true => said,
        false => defaults.join(", "),
    };
    format!("| `--{long}{}` | {}{words} | {default} |\n", cell(&value), cell(&help))
}

/// The columns of a table's key.
fn key_columns(table: &Table) -> String {
    let person = format!("`{USER_PHONE}` else `{USER_ID}`");
    code(table.key).replace(&format!("`{OWN_PERSON}`"), &person)
}

/// The lines of a golden answer as a Markdown table.
fn answer_table(lines: &[String]) -> String {
    let (header, rows) = lines.split_first().unwrap();
    let names: Vec<_> =
        header.split(" | ").map(|column| column.split(": ").next().unwrap()).collect();
    let mut table = format!("| {} |\n|{}\n", names.join(" | "), "---|".repeat(names.len()));
    for row in rows.iter().take(MOST_ROWS) {
        let cells =
            row.split(" | ").map(|text| if text == "null" { String::new() } else { cell(text) });
        let _ = writeln!(table, "| {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    if rows.len() > MOST_ROWS {
        let _ = write!(table, "\nand {} more rows.\n", rows.len() - MOST_ROWS);
    }
    table
}

fn table_page(table: &Table) -> String {
    let Table { name, source, day_of, .. } = table;
    let files = table_files([*name].into_iter());
    let docs = documented(&files);
    let shared = documented(&rust_files(&root().join("data")));
    let holds = |column: &Column| {
        let docs = docs.get(column.name).or_else(|| shared.get(column.name));
        cell(docs.map_or("", String::as_str))
    };
    let kind = |column: &Column| with_content(&type_name(&column.data_type()), column.meaning());
    let is_exported = |name: &str| table.exported().any(|column| column.name == name);
    let mut page =
        format!("# {name}\n\nSource: {source}.\n\n{}\n", module_docs(&files[0]).trim_end());
    page.push_str("\n## Columns\n\n| column | type | holds | in an export |\n|---|---|---|---|\n");
    for column in table.columns {
        let presence = match column {
            column if !is_exported(column.name) => "no: computed at load",
            Column { required: true, .. } => "required in every row",
            Column { expected: true, .. } => "required in the file",
            _ => "optional",
        };
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {presence} |",
            column.name,
            kind(column),
            holds(column)
        );
    }
    let day = match *day_of {
        "" => "none, `utc_day` is null in every row.".to_owned(),
        day_of => format!("the UTC date of `{day_of}` is the partition `utc_day`."),
    };
    let _ = write!(
        page,
        "\n- **Key**: {}. Rows with the same key are one row.\n- **Day**: {day}\n",
        key_columns(table)
    );
    let precedence = (table.precedence)();
    if !precedence.is_empty() {
        let compared = precedence.iter().map(columns_of).collect::<Vec<_>>().join(", then ");
        let _ = writeln!(
            page,
            "- **Precedence**: of two rows with the same key the newer state stays, compared by \
             {compared}."
        );
    }
    if table.folds() && !table.aggregates.is_empty() {
        page.push_str(
            "- **Folded**: of rows with the same key every column is merged for itself.\n",
        );
    }
    let _ = writeln!(page, "- **Sorted by** {} within a file.", code(table.sort));

    if !table.inputs.is_empty() {
        page.push_str("\n## Read but not stored\n\n| column | type | holds |\n|---|---|---|\n");
        for column in table.inputs {
            let _ = writeln!(page, "| `{}` | {} | {} |", column.name, kind(column), holds(column));
        }
    }
    page.push_str(
        "\n## Header spellings\n\nA header matches a column by its name. Case, spaces and punctuation do not count.",
    );
    let spelt: Vec<_> = table.exported().filter(|column| !column.aliases.is_empty()).collect();
    page.push_str(if spelt.is_empty() { "\n" } else { " These match as well:\n\n" });
    for column in spelt {
        let spellings = column.aliases.iter().map(|alias| format!("\"{alias}\""));
        let _ = writeln!(page, "- `{}`: {}", column.name, spellings.collect::<Vec<_>>().join(", "));
    }
    let read_by = CATALOG.iter().filter(|entry| entry.spec.reads.contains(&table));
    let read_by = read_by.map(|entry| format!("[`{0}`](../queries/{0}.md)", entry.spec.name));
    let _ = write!(page, "\n## Queries\n\nRead by {}.\n", read_by.collect::<Vec<_>>().join(", "));
    page
}

/// The columns that an expression reads.
fn columns_of(expression: &Expr) -> String {
    let names = expression.into_iter().filter_map(|node| match node {
        Expr::Column(name) => Some(format!("`{name}`")),
        _ => None,
    });
    let names = names.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" and ");
    // 0 - column: the smallest is the newest.
    let is_negated = matches!(
        expression,
        Expr::BinaryExpr { left, op: Operator::Minus, .. } if matches!(**left, Expr::Literal(_))
    );
    if is_negated { format!("{names} (the smaller stays)") } else { names }
}

fn type_name(of: &DataType) -> String {
    match of {
        DataType::String => "text".to_owned(),
        DataType::Int32 => "int32".to_owned(),
        DataType::Int64 => "int64".to_owned(),
        DataType::Float64 => "float64".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Date => "date".to_owned(),
        DataType::Datetime(..) => "timestamp".to_owned(),
        DataType::Decimal(precision, scale) => format!("decimal({precision},{scale})"),
        other => panic!("no column of a table is {other}"),
    }
}

/// The type of a column, and what its texts are.
fn with_content(of: &str, meaning: Option<Meaning>) -> String {
    let texts = match meaning {
        Some(Meaning::Person) => "person",
        Some(Meaning::Line) => "line",
        Some(Meaning::Written) => "free text",
        Some(Meaning::Word) => "word",
        Some(Meaning::Country) => "country",
        Some(Meaning::Term) => "id or code",
        None => return of.to_owned(),
    };
    format!("{of}: {texts}")
}

/// The doc comments of constants `NAME = "column"`, by the column's name.
fn documented(files: &[PathBuf]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for file in files {
        let mut docs: Vec<String> = Vec::new();
        for line in fs::read_to_string(file).unwrap().lines().map(str::trim) {
            if let Some(text) = line.strip_prefix("///") {
                docs.push(text.trim().to_owned());
                continue;
            }
            if let Some((before, value)) = line.split_once(" = \"") {
                let is_constant = before.split([' ', ':']).any(|word| {
                    word.len() > 1
                        && word != "NAME"
                        && word.chars().all(|c| c.is_ascii_uppercase() || "_0123456789".contains(c))
                });
                let name = value.split('"').next().unwrap_or_default();
                if is_constant && !docs.is_empty() {
                    found.entry(name.to_owned()).or_insert_with(|| markdown(&docs.join(" ")));
                }
            }
            docs.clear();
        }
    }
    found
}

/// The `//!` text at the head of a file.
fn module_docs(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    let lines: Vec<_> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    markdown(&lines.join("\n"))
}

/// Rustdoc as Markdown: a link to the module of a query becomes one to its page, others plain code.
fn markdown(docs: &str) -> String {
    let mut parts = docs.split("[`");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("`]").unwrap();
        let (target, rest) = match rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
            Some((target, rest)) => (Some(target), rest),
            None => (None, rest),
        };
        let target = target.and_then(|path| path.strip_prefix("crate::"));
        let linked = CATALOG.iter().find(|entry| Some(entry.spec.folder().as_str()) == target);
        let _ = match linked {
            Some(entry) => write!(text, "[`{0}`]({0}.md){rest}", entry.spec.name),
            None => write!(text, "`{name}`{rest}"),
        };
    }
    text
}

/// The files of tables: `data/tables/NAME.rs`, or those of a folder of that name.
fn table_files<'a>(names: impl Iterator<Item = &'a str>) -> Vec<PathBuf> {
    let folder = root().join("data/tables");
    let of_name = |name: &str| match folder.join(name) {
        folder if folder.is_dir() => rust_files(&folder),
        file => vec![file.with_extension("rs")],
    };
    names.flat_map(of_name).collect()
}

/// The Rust files of a folder and of those in it; `mod.rs` first.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort_by_key(|path| (!path.ends_with("mod.rs"), path.clone()));
    let files = paths.into_iter().flat_map(|path| match path.extension() {
        None if path.is_dir() => rust_files(&path),
        Some(extension) if extension == "rs" => vec![path],
        _ => Vec::new(),
    });
    files.collect()
}

/// Names as code, with commas between.
fn code(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Text that stays in one cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

/// An argument as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_.,:/=+".contains(c);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{word}'") }
}
