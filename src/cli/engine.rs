//! Which engine answers a query, and where it is.

use ::polars::prelude::DataFrame;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, ValueEnum};
use wabalake_queries::query::Question;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::marts::Dates;
use crate::marts::fresh::{self, FromMart};
use crate::render::{Answer, Response};
use crate::run::polars;

/// What answers a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Engine {
    /// Polars, on this machine.
    Polars,
    /// Spark or Sail, on a cluster.
    Spark,
}

// No doc comment: clap would take it for the description of the whole subcommand.
#[derive(Args, Clone)]
#[group(skip)]
pub(super) struct EngineOptions {
    /// What answers: polars on this machine, spark on a cluster
    #[arg(long, value_enum, default_value = "polars", hide_possible_values = true)]
    engine: Engine,

    /// The cluster for `--engine spark`: a Spark Connect server
    #[arg(
        long,
        value_name = "URL",
        env = "WABALAKE_REMOTE",
        hide_env_values = true,
        long_help = "The cluster for `--engine spark`: a Spark Connect server of Spark 4, Databricks \
                     or Sail, such as sc://host:15002, with TLS sc://host:443/;use_ssl=true. Its \
                     token, if it wants one, is best put into WABALAKE_TOKEN"
    )]
    remote: Option<String>,

    /// How the cluster calls the lake's folder [default: as it is called here]
    #[arg(
        long,
        value_name = "HERE=THERE",
        long_help = "How the cluster calls the lake's folder, or one above it, such as \
                     /mnt/lake=s3://bucket/lake [default: as it is called here]"
    )]
    map_path: Option<String>,
}

impl EngineOptions {
    /// Refuses options that the engine has no use for.
    pub(super) fn check(&self, matches: &ArgMatches) -> Result<()> {
        let for_spark = ["remote", "map_path"]
            .into_iter()
            .find(|option| matches.value_source(option) == Some(ValueSource::CommandLine));
        match for_spark {
            Some(option) if self.engine == Engine::Polars => {
                let option = option.replace('_', "-");
                Err(Error::usage(format!("`--{option}` is about a cluster"))
                    .hint("ask it with `--engine spark`"))
            }
            _ => Ok(()),
        }
    }

    /// What stands around the answer of a question in a response of Meta's API.
    pub(super) fn response(&self, lake: &Lake, question: &Question) -> Result<Response> {
        if self.engine == Engine::Spark {
            let error = Error::usage("a cluster does not tell what stands around points");
            return Err(error.hint("ask for `meta-json` without `--engine spark`"));
        }
        let envelope = polars::envelope(lake, question)?;
        let (envelope, met) = envelope.ok_or_else(|| Error::bug("an answer in no response"))?;
        Response::of(&envelope, &met)
    }

    /// Has a question answered, and the answer written: from a fresh mart of those settings, if one
    /// holds it.
    pub(super) fn answer(
        &self,
        lake: &Lake,
        question: &Question,
        limit: Option<u64>,
        marts: Option<(&Config, Dates)>,
        write: impl FnOnce(Answer) -> Result<()>,
    ) -> Result<()> {
        match self.engine {
            Engine::Polars => {
                let from_mart = match marts {
                    Some((config, dates)) => fresh::answer(lake, config, question, dates)?,
                    None => None,
                };
                let needed = needed(question, limit);
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
            Engine::Spark => self.answer_there(lake, question, limit, write),
        }
    }

    #[cfg(feature = "cluster")]
    fn answer_there(
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
        paths.check(lake.root())?;
        let cluster = Cluster::connect(&remote)?;
        let rows = cluster.answer(lake, question, &paths, needed(question, limit))?;
        cluster.on_interrupt(|| std::process::exit(130));
        show(question, &rows, limit, write)
    }

    #[cfg(not(feature = "cluster"))]
    #[expect(clippy::unused_self, reason = "with the feature it is used")]
    fn answer_there(
        &self,
        _: &Lake,
        _: &Question,
        _: Option<u64>,
        _: impl FnOnce(Answer) -> Result<()>,
    ) -> Result<()> {
        Err(Error::usage("this wabalake was built without what speaks to a cluster").hint(
            "build it with `make cluster`, or, where protoc is, with `cargo install --path . \
             --features cluster`",
        ))
    }
}

/// How many rows are needed to show so many.
fn needed(question: &Question, limit: Option<u64>) -> Option<u64> {
    limit.filter(|_| !question.is_judged())
}

/// Has the first rows of an answer written, then says what is at fault by all of them.
fn show(
    question: &Question,
    rows: &DataFrame,
    limit: Option<u64>,
    write: impl FnOnce(Answer) -> Result<()>,
) -> Result<()> {
    let first = rows.head(limit.and_then(|rows| rows.try_into().ok()).or(Some(usize::MAX)));
    write(Answer::new(&first, question.columns(), question.timezone())?)?;
    match question.fault(rows)? {
        Some(fault) => Err(Error::data(fault).hint(
            "the answer has an example of each; `wabalake rejects` lists the rows that were rejected",
        )),
        None => Ok(()),
    }
}
