//! `wabalake queries [NAME]`: the catalog.

use clap::{Arg, ArgAction, Args, Command, FromArgMatches as _, ValueEnum};
use serde_json::{Value, json};
use wabalake_queries::CATALOG;
use wabalake_queries::query::CatalogEntry;

use super::entries::{self, Named};
use super::output::{styled, to_stdout};
use super::{Asked, Subcommand, usage};
use crate::error::Result;

pub(super) const SUBCOMMAND: Subcommand = Subcommand { name: "queries", define, run };

/// How the catalog is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CatalogFormat {
    Text,
    Json,
}

#[derive(Args, Debug)]
#[group(skip)]
struct Options {
    /// How to write it
    #[arg(short, long, value_enum, default_value = "text")]
    format: CatalogFormat,
}

#[derive(Args, Debug)]
#[group(skip)]
struct ListOptions {
    #[command(flatten)]
    common: Options,

    /// Only the names
    #[arg(long, conflicts_with = "format")]
    names: bool,
}

/// Asks for the SQL of a query.
const SQL: &str = "sql";

fn define(command: Command) -> Command {
    let command = ListOptions::augment_args(command)
        .args_conflicts_with_subcommands(true)
        .subcommand_value_name("NAME")
        .subcommand_help_heading("Queries")
        .disable_help_subcommand(true)
        .after_help("`wabalake queries NAME` tells all about one.");
    entries::subcommands(command, |command| {
        let sql = Arg::new(SQL)
            .long(SQL)
            .action(ArgAction::SetTrue)
            .conflicts_with("format")
            .help("Print the query in SQL for Spark, its options filled in");
        // What a query needs is needed only to ask it.
        let entry = entries::define(command).mut_args(|argument| argument.required(false));
        Options::augment_args(entry).arg(sql)
    })
}

fn run(asked: &Asked<'_>) -> Result<()> {
    let Some(named) = Named::of(asked.matches) else { return list(asked) };
    if named.matches.get_flag(SQL) {
        let sql = named.question(None)?.sql();
        return to_stdout(|out| Ok(writeln!(out, "{}", sql.trim_end())?));
    }
    let options =
        Options::from_arg_matches(named.matches).map_err(|e| usage::error(&e, asked.words))?;
    match options.format {
        CatalogFormat::Json => to_stdout(|out| {
            let told = serde_json::to_string_pretty(&tell(named.entry)).unwrap_or_default();
            Ok(writeln!(out, "{told}")?)
        }),
        CatalogFormat::Text => {
            let mut command = super::query::command(named.entry);
            let help = command.render_long_help();
            to_stdout(|out| Ok(write!(out, "{}", styled(&help))?))
        }
    }
}

fn list(asked: &Asked<'_>) -> Result<()> {
    let options =
        ListOptions::from_arg_matches(asked.matches).map_err(|e| usage::error(&e, asked.words))?;
    let specs = || CATALOG.iter().map(|entry| &entry.spec);
    to_stdout(|out| {
        if options.names {
            for spec in specs() {
                writeln!(out, "{}", spec.name)?;
            }
        } else if options.common.format == CatalogFormat::Json {
            let told: Vec<Value> = CATALOG.iter().map(tell).collect();
            writeln!(out, "{}", serde_json::to_string_pretty(&told).unwrap_or_default())?;
        } else {
            let width = specs().map(|spec| spec.name.len()).max().unwrap_or(0);
            for spec in specs() {
                writeln!(out, "{:width$}  {}", spec.name, spec.title)?;
            }
        }
        Ok(())
    })
}

/// All there is to say of a query, for a program.
fn tell(entry: &CatalogEntry) -> Value {
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
        "dimensions": entries::dimensions(entry).unwrap_or_default(),
        "columns": columns.collect::<Vec<_>>(),
        "key": spec.key,
        "example": entries::example(entry),
    })
}
