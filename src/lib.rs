//! A columnar batch analytics engine over exports of WhatsApp Business conversations.
//!
//! The journey of one row:
//!
//! ```text
//! general_sessions_report_2025_06_01.csv       Treble; Kaleyra likewise
//!    │  load      kind, encoding, delimiter → records → typed rows
//!    ├──────────► rejected: file, record, line, column, reason, raw text  → table `rejects`
//!    ▼
//! lake/tables/sessions/utc_day=2025-06-01/….parquet     one Delta commit a load: all of it or none
//!    │  queries   a named plan: LazyFrame in, LazyFrame out, nothing read yet
//!    ▼
//! run             collected here, by the engine that the query's spec names; or on a cluster
//!    ▼
//! render          table csv tsv json ndjson parquet arrow markdown; report, a page of many answers
//! ```
//!
//! | place | what is there |
//! |---|---|
//! | [`wabalake_data`] | what the data is: tables, cells, reference lists |
//! | [`wabalake_queries`] | the catalog: one folder a query |
//! | [`wabalake_sample`] | made-up exports of every table |
//! | [`load`] | exports in, rows of the lake out |
//! | [`lake`] | Delta tables: snapshots, commits, history, undo, compact, vacuum, erase |
//! | [`run`] | collects a query's plan here, or asks a cluster its SQL twin |
//! | [`marts`] | stored answers of queries: what each is, what it was computed from, whether it is fresh |
//! | [`nightly`] | what arrived is loaded; what that changes in marts, and nothing else, is worked out |
//! | [`render`] | one file per output format |
//! | [`report`] | the page: sections, charts, and how no text becomes markup |
//! | [`cli`] | one file per subcommand |
//! | [`config`] | what a lake says of itself |
//! | [`files`] | files that are written whole, and who may read them |

pub mod cli;
pub mod config;
pub mod error;
pub mod files;
pub mod lake;
pub mod load;
pub mod marts;
pub mod nightly;
pub mod render;
pub mod report;
pub mod run;
