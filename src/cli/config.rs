//! `wabalake config`: shows the effective settings and where each comes from.

use chrono_tz::Tz;
use clap::Args;
use polars::prelude::{Column, DataFrame};
use wabalake_queries::query::OutputColumn;

use super::output::{Listing, OutputOptions};
use super::settings::SettingsOptions;
use super::shared::LakeOption;
use super::{Invocation, Subcommand};
use crate::error::Result;
use crate::render::Answer;

pub(super) const SUBCOMMAND: Subcommand = Subcommand {
    name: "config",
    about: "Show the effective settings and where each comes from",
    define: Options::augment_args,
    run,
};

#[derive(Args)]
#[command(
    long_about = "Show the effective settings and where each value comes from: the command line, else the \
                  environment, else the lake's `wabalake.toml`, else a default. `wabalake init` writes \
                  that file."
)]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    #[command(flatten)]
    output: OutputOptions,

    #[command(flatten)]
    settings: SettingsOptions,
}

fn run(invocation: &Invocation<'_>) -> Result<()> {
    let options: Options = invocation.parse()?;
    options.output.check(Listing::ToRead)?;
    let lake = options.lake.open()?;
    let settings = options.settings.settings(invocation.matches, &lake, options.lake.store())?;
    let keys: Vec<&str> = settings.iter().map(|setting| setting.key.as_str()).collect();
    let values: Vec<_> = settings.iter().map(|setting| setting.value.as_deref()).collect();
    let from: Vec<&str> = settings.iter().map(|setting| setting.from.as_str()).collect();
    let frame = DataFrame::new(
        settings.len(),
        vec![
            Column::new("key".into(), keys),
            Column::new("value".into(), values),
            Column::new("from".into(), from),
        ],
    )?;
    let columns = ["key", "value", "from"].map(OutputColumn::text).to_vec();
    options.output.write(&Answer::new(&frame, columns, Tz::UTC)?, Listing::ToRead)
}
