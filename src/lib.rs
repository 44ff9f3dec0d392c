//! A columnar batch analytics engine over exports of WhatsApp Business platforms.
//!
//! The path of one row:
//!
//! ```text
//! sessions.csv            an export of Treble, Kaleyra, Meta, Ads Manager, …: csv, json, xlsx, xlsb
//!    │  load              detects table, encoding, delimiter → records → typed rows
//!    ├──────────► rejects: file, record, line, column, reason, raw text  → table `rejects`
//!    ▼
//! lake/tables/sessions/utc_day=2025-06-01/….parquet     Delta Lake: one atomic commit per table and load
//!    │  queries           a query of the catalog: a lazy Polars plan, nothing read yet
//!    ▼
//! run                     collects the plan here, or runs its SQL twin on a Spark cluster
//!    ▼
//! render                  table csv tsv json ndjson parquet arrow markdown html meta-json
//! report                  one HTML page of many answers, also as a mail
//! views                   SQL for DuckDB: a view of each table and mart
//! ```
//!
//! Crates and modules:
//!
//! | name | content |
//! |---|---|
//! | [`wabalake_data`] | the data model: tables, parsers of cells, reference lists |
//! | [`wabalake_queries`] | the catalog of queries: one folder per query |
//! | [`wabalake_sample`] | generator of synthetic exports of every table |
//! | [`load`] | exports to rows: file formats, header detection, rejects, merge by key |
//! | [`lake`] | Delta tables: snapshots, commits, history, check, undo, compact, vacuum, erase |
//! | [`place`] | where a lake is: a folder, or an object store |
//! | [`run`] | runs queries: Polars, Spark Connect, users' own SQL |
//! | [`marts`] | stored answers of queries and of users' own SQL: definition, inputs, whether they are up to date |
//! | [`alerts`] | values of answers that are judged by rules: limits, changes, anomalies |
//! | [`audience`] | the people whom a rule chooses, as files for a sender |
//! | [`nightly`] | the scheduled run: loads the inbox, refreshes the marts that changed, judges the alerts |
//! | [`render`] | output formats, one file each |
//! | [`report`] | the HTML page: sections, charts, escaping; the same as a mail |
//! | [`views`] | views of tables and marts for DuckDB |
//! | [`cli`] | the command line: one file per subcommand |
//! | [`config`] | the settings of a lake, `wabalake.toml` |
//! | [`error`] | the error type, with fault, exit code and hint |
//! | [`files`] | atomic writes and file permissions |
//!
//! Dependencies point downwards: `wabalake_data` ← `wabalake_queries` ← this crate. Here, `cli` calls
//! `nightly`, `report`, `alerts`, `audience`, `run` and `views`, and these call `load` and `lake`. Plans are
//! collected in `run`, never in a query, and only `cli` prints.

pub mod alerts;
pub mod audience;
pub mod cli;
pub mod config;
pub mod error;
pub mod files;
pub mod lake;
pub mod load;
pub mod marts;
pub mod nightly;
pub mod place;
pub mod render;
pub mod report;
pub mod run;
pub mod views;
