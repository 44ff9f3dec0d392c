//! The engine that answers a query: Polars here, or Spark on a cluster.

use ::polars::prelude::DataFrame;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, ValueEnum};
use wabalake_queries::query::Question;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::marts::fresh::{self, FromMart};
use crate::render::{Answer, Response};
use crate::run::{polars, spread};

/// The engine that answers a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Engine {
    /// Polars, on this machine.
    Polars,
    /// Spark or Sail, on a cluster.
    Spark,
}

// No doc comment: clap would take it for the description of the subcommand.
#[derive(Args, Clone)]
#[group(skip)]
pub(super) struct EngineOptions {
    /// Engine: polars on this machine, or spark on a cluster
    #[arg(long, value_enum, default_value = "polars", hide_possible_values = true)]
    engine: Engine,

    /// Cluster for `--engine spark`: URL of a Spark Connect server
    #[arg(
        long,
        value_name = "URL",
        env = "WABALAKE_REMOTE",
        hide_env_values = true,
        long_help = "Cluster for `--engine spark`: URL of a Spark Connect server of Spark 4, Databricks \
                     or Sail, such as sc://host:15002, with TLS sc://host:443/;use_ssl=true. A token \
                     belongs in WABALAKE_TOKEN"
    )]
    remote: Option<String>,

    /// Path or URL of the lake on the cluster [default: that on this machine]
    #[arg(
        long,
        value_name = "HERE=THERE",
        long_help = "Path or URL on the cluster of the lake's folder or URL, or of one above it, such as \
                     /mnt/lake=s3://bucket/lake, or s3://bucket=s3a://bucket for Spark with hadoop-aws \
                     [default: that on this machine; `abfss://` for `az://`]. The cluster reads a store \
                     with credentials of its own"
    )]
    map_path: Option<String>,
}

impl EngineOptions {
    /// Checks that options of a cluster come with `--engine spark`.
    pub(super) fn check(&self, matches: &ArgMatches) -> Result<()> {
        let for_spark = ["remote", "map_path"]
            .into_iter()
            .find(|option| matches.value_source(option) == Some(ValueSource::CommandLine));
        match for_spark {
            Some(option) if self.engine == Engine::Polars => {
                let option = option.replace('_', "-");
                Err(Error::usage(format!("`--{option}` needs a cluster"))
                    .hint("add `--engine spark`"))
            }
            _ => Ok(()),
        }
    }

    /// Returns the envelope of the answer for `meta-json`, a response of Meta's API.
    pub(super) fn response(&self, lake: &Lake, question: &Question) -> Result<Response> {
        if self.engine == Engine::Spark {
            let error = Error::usage("a cluster cannot answer as `meta-json`");
            return Err(error.hint("leave `--engine spark` out"));
        }
        let envelope = polars::envelope(lake, question)?;
        let (envelope, met) =
            envelope.ok_or_else(|| Error::bug("an answer without an envelope"))?;
        Response::of(&envelope, &met)
    }

    /// Answers a question and writes the answer. Reads an up-to-date mart of the given settings instead
    /// of the tables, if it holds the answer.
    pub(super) fn answer(
        &self,
        lake: &Lake,
        question: &Question,
        limit: Option<u64>,
        marts: Option<&Config>,
        write: impl FnOnce(Answer) -> Result<()>,
    ) -> Result<()> {
        match self.engine {
            Engine::Polars => {
                let from_mart = match marts {
                    Some(config) => fresh::answer(lake, config, question)?,
                    None => None,
                };
                let needed = needed(question, limit);
                if from_mart.is_none()
                    && limit.is_none()
                    && !needs_all(question)
                    && let Some(parts) = polars::plan_in_parts(lake, question)?
                {
                    let name = question.spec().name;
                    let collect = move |plan| polars::collect_of(plan, name);
                    let (columns, zone) = (question.columns(), question.timezone());
                    return write(Answer::planned(parts, collect, columns, zone));
                }
                let from_tables =
                    || polars::collect(polars::plan(lake, question, needed)?, question);
                let rows = match from_mart {
                    Some(FromMart { mart, plan }) => {
                        let rows = polars::collect(polars::limited(plan, needed), question);
                        rows.or_else(|error| {
                            fresh::warn_skipped(lake, &mart, &error);
                            from_tables()
                        })
                    }
                    None => from_tables(),
                };
                show(question, &rows?, limit, write)
            }
            Engine::Spark => self.answer_on_cluster(lake, question, limit, write),
        }
    }

    #[cfg(feature = "cluster")]
    fn answer_on_cluster(
        &self,
        lake: &Lake,
        question: &Question,
        limit: Option<u64>,
        write: impl FnOnce(Answer) -> Result<()>,
    ) -> Result<()> {
        use crate::run::spark::{Cluster, Paths, Remote, remote};

        let address = self.remote.as_deref().filter(|address| !address.is_empty());
        let address = address.ok_or_else(|| {
            Error::usage("`--engine spark` needs a cluster")
                .hint("name it with `--remote sc://host:15002`, or in WABALAKE_REMOTE")
        })?;
        let token = std::env::var(remote::TOKEN).ok();
        let remote = Remote::parse(address, token.as_deref())?;
        let paths = self.map_path.as_deref().map_or_else(|| Ok(Paths::same()), Paths::read)?;
        paths.check(lake.place())?;
        let cluster = Cluster::connect(&remote)?;
        let rows = cluster.answer(lake, question, &paths, needed(question, limit))?;
        cluster.on_interrupt(|| std::process::exit(130));
        show(question, &rows, limit, write)
    }

    #[cfg(not(feature = "cluster"))]
    #[expect(clippy::unused_self, reason = "the feature `cluster` uses it")]
    fn answer_on_cluster(
        &self,
        _: &Lake,
        _: &Question,
        _: Option<u64>,
        _: impl FnOnce(Answer) -> Result<()>,
    ) -> Result<()> {
        Err(Error::usage("this wabalake was built without the feature `cluster`").hint(
            "build it with `make cluster`, or, with protoc installed, with `cargo install --path . \
             --features cluster`",
        ))
    }
}

/// Returns `true` if the whole answer decides the exit code, or which columns are shown.
fn needs_all(question: &Question) -> bool {
    question.is_judged() || question.spread().is_some()
}

/// Returns the row limit to push down into the plan; none if the whole answer is needed.
fn needed(question: &Question, limit: Option<u64>) -> Option<u64> {
    limit.filter(|_| !needs_all(question))
}

/// Writes the first rows of an answer, then returns the fault that all of its rows show, if any.
fn show(
    question: &Question,
    rows: &DataFrame,
    limit: Option<u64>,
    write: impl FnOnce(Answer) -> Result<()>,
) -> Result<()> {
    let limit = limit.and_then(|rows| rows.try_into().ok());
    let (first, columns) = spread::first_rows(question, rows, limit)?;
    write(Answer::new(&first, columns, question.timezone())?)?;
    match question.fault(rows)? {
        Some(fault) => Err(Error::data(fault)
            .hint("the answer has an example of each; `wabalake rejects` lists rejected rows")),
        None => Ok(()),
    }
}
