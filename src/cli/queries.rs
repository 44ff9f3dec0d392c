//! `wabalake queries [NAME]`: lists the catalog, or describes one query.

use clap::{Arg, ArgAction, Args, Command, ValueEnum};
use serde_json::{Value, json};
use wabalake_queries::CATALOG;
use wabalake_queries::query::CatalogEntry;

use super::entries::{self, Named};
use super::output::{styled, to_stdout};
use super::{Invocation, Subcommand};
use crate::config::Config;
use crate::error::{Error, Result};

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand { name: "queries", about: "List the named queries, or describe one", define, run };

/// The output format of the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CatalogFormat {
    Text,
    Json,
}

#[derive(Args)]
#[group(skip)]
struct Options {
    /// Output format
    #[arg(short, long, value_enum, default_value = "text")]
    format: CatalogFormat,
}

#[derive(Args)]
#[group(skip)]
struct ListOptions {
    #[command(flatten)]
    common: Options,

    /// Print only the names
    #[arg(long, conflicts_with = "format")]
    names: bool,
}

/// The option that prints the SQL of a query.
const SQL: &str = "sql";

fn define(command: Command) -> Command {
    let command = ListOptions::augment_args(command)
        .args_conflicts_with_subcommands(true)
        .subcommand_value_name("NAME")
        .subcommand_help_heading("Queries")
        .disable_help_subcommand(true)
        .after_help("`wabalake queries NAME` describes a query, its options and its columns.");
    entries::subcommands(command, |command| {
        let sql = Arg::new(SQL)
            .long(SQL)
            .action(ArgAction::SetTrue)
            .conflicts_with("format")
            .help("Print the query in SQL for Spark, with its options filled in");
        // Options that a query requires are not required to describe it.
        let entry = entries::define(command).mut_args(|argument| argument.required(false));
        Options::augment_args(entry).arg(sql)
    })
}

fn run(invocation: &Invocation<'_>) -> Result<()> {
    let Some(named) = Named::of(invocation.matches) else { return list(&invocation.parse()?) };
    if named.matches.get_flag(SQL) {
        let sql = named.question(&Config::default())?.sql();
        return to_stdout(|out| Ok(writeln!(out, "{}", sql.trim_end())?));
    }
    let options: Options = invocation.parse_from(named.matches)?;
    match options.format {
        CatalogFormat::Json => print_json(&json_of(named.entry)),
        CatalogFormat::Text => {
            let mut command = super::query::command(named.entry);
            let help = command.render_long_help();
            to_stdout(|out| Ok(write!(out, "{}", styled(&help))?))
        }
    }
}

fn list(options: &ListOptions) -> Result<()> {
    if options.common.format == CatalogFormat::Json {
        return print_json(&CATALOG.iter().map(json_of).collect());
    }
    let specs = || CATALOG.iter().map(|entry| &entry.spec);
    let width = specs().map(|spec| spec.name.len()).max().unwrap_or(0);
    to_stdout(|out| {
        for spec in specs() {
            match options.names {
                true => writeln!(out, "{}", spec.name)?,
                false => writeln!(out, "{:width$}  {}", spec.name, spec.title)?,
            }
        }
        Ok(())
    })
}

fn print_json(value: &Value) -> Result<()> {
    let json = serde_json::to_string_pretty(value)
        .map_err(|error| Error::bug(format!("the catalog: {error}")))?;
    to_stdout(|out| Ok(writeln!(out, "{json}")?))
}

/// Describes a query as JSON.
fn json_of(entry: &CatalogEntry) -> Value {
    let spec = &entry.spec;
    let columns = entries::columns(entry).into_iter().map(
        |column| json!({ "name": column.name, "type": column.of.name(), "unit": column.unit }),
    );
    let command = entry.command();
    let parameters = command.get_arguments().map(|arg| {
        let default: Vec<_> =
            arg.get_default_values().iter().map(|v| v.to_string_lossy()).collect();
        let values: Vec<_> =
            arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
        json!({
            "name": arg.get_long().map(|name| format!("--{name}")),
            "help": arg.get_help().map(ToString::to_string),
            "default": if default.is_empty() { None } else { Some(default.join(",")) },
            "values": if values.is_empty() { None } else { Some(values) },
            "required": arg.is_required_set(),
        })
    });
    json!({
        "name": spec.name,
        "title": spec.title,
        "question": spec.question,
        "reads": spec.reads.iter().map(|table| table.name).collect::<Vec<_>>(),
        "parameters": parameters.collect::<Vec<_>>(),
        "filters": entries::filters(entry),
        "dimensions": entries::dimensions(entry).unwrap_or_default(),
        "counts": entry.counts,
        "columns": columns.collect::<Vec<_>>(),
        "key": spec.key,
        "example": entries::example(entry),
    })
}
