//! `wabalake views`: writes views of the lake for DuckDB.

use std::path::PathBuf;

use clap::Args;

use super::output::to_file_or_stdout;
use super::shared::LakeOption;
use super::{Run, Subcommand};
use crate::config::Config;
use crate::error::Result;
use crate::files::Access;
use crate::views;

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand::of::<Options>("views", "Write views of tables and marts for DuckDB");

#[derive(Args)]
#[command(
    long_about = "Write SQL that creates a view of each table (schema `lake`) and each mart (schema `marts`) in \
                  DuckDB, for dashboards and other programs that read it. A view reads the newest version \
                  of its table whenever it is asked. A table or a mart that is new needs a new file: \
                  `views` under [nightly] in `wabalake.toml` writes it each night.\n\n\
                  The views have no phone numbers, user ids and texts of people, unless \
                  `people_in_views = true` under [privacy]. `user_key`, a hash, counts people; whoever has \
                  the lake's files can still find out who they are.",
    after_help = "Example:\n  \
                  wabalake views --lake lake -o views.sql\n  \
                  duckdb lake.duckdb < views.sql"
)]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    /// Output file, replaced atomically [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Leave out `INSTALL delta; LOAD delta;`, for a program that has loaded the extension
    #[arg(long)]
    no_install: bool,
}

impl Run for Options {
    fn run(self) -> Result<()> {
        let lake = self.lake.open()?;
        let config = Config::of(&lake)?;
        let sql = views::script(&lake, &config, !self.no_install)?;
        let access = if config.privacy.people_in_views { Access::Owner } else { Access::Usual };
        let path = self.output.unwrap_or_else(|| PathBuf::from("-"));
        to_file_or_stdout(access, &path, |out| Ok(out.write_all(sql.as_bytes())?))
    }
}
