//! `wabalake report`: writes the HTML page, or the same as a mail.

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::{Args, ValueEnum};
use wabalake_queries::query::numbers::whole;
use wabalake_queries::query::time::read_date;

use super::output::{to_file_for, to_stdout};
use super::shared::{LakeOption, ZoneOption};
use super::{Run, Subcommand};
use crate::config::Config;
use crate::error::Result;
use crate::files::Access;
use crate::report;

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand::of::<Options>("report", "Write an HTML page of figures, charts and tables");

#[derive(Args)]
#[command(
    long_about = "Write an HTML page: headline figures compared with the period before, what changed and \
                  why, who waits for an answer, sessions and their duration, delivery and failures, \
                  drop-off, returning users, hours, countries, templates, coverage. It is a single file \
                  that works offline, can be printed, and loads nothing from the network. It names no person \
                  unless `--with-people` or `--phone` is given. `--form email` writes it as a mail for a \
                  program that sends mail: without sender and recipients, with plain text and images of \
                  the charts. A mail never names a person.",
    after_help = "Examples:\n  \
                  wabalake report --lake lake -o page.html\n  \
                  wabalake report --lake lake --from 2025-05-01 --to 2025-05-31 -o may.html\n  \
                  wabalake report --lake lake --conversation-id 41214 -o welcome.html\n  \
                  wabalake report --lake lake --form email -o mail.eml"
)]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    /// A page for a browser, or a mail
    #[arg(long, value_enum, default_value = "page")]
    form: Form,

    /// Output file, replaced atomically [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// First local date [default: 28 days up to the last]
    #[arg(long, value_name = "DATE", value_parser = read_date)]
    from: Option<NaiveDate>,

    /// Last local date [default: the last with sessions, deployments or messages]
    #[arg(long, value_name = "DATE", value_parser = read_date)]
    to: Option<NaiveDate>,

    /// Number of days up to the last [default: 28]
    #[arg(long, value_name = "DAYS", conflicts_with = "from")]
    #[arg(value_parser = whole::<u32>(1..=36_500))]
    days: Option<u32>,

    #[command(flatten)]
    zone: ZoneOption,

    /// Write the page of this conversation
    #[arg(long, value_name = "ID")]
    conversation_id: Option<String>,

    /// Only this version of the conversation [default: all]
    #[arg(long, value_name = "NUMBER")]
    conversation_version: Option<i32>,

    /// Show persons: their phone numbers, answers and messages
    #[arg(long)]
    with_people: bool,

    /// Show the history of the person with this phone number, which needs its country code
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    phone: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Page,
    Email,
}

impl Run for Options {
    fn run(self) -> Result<()> {
        let lake = self.lake.open()?;
        let mut config = Config::of(&lake)?;
        self.zone.apply(&mut config);
        let options = report::Options {
            from: self.from,
            to: self.to,
            days: self.days,
            conversation: self.conversation_id,
            version: self.conversation_version,
            with_people: self.with_people,
            phone: self.phone,
            ..report::Options::of(&config)
        };
        let names_people = options.with_people || options.phone.is_some();
        let access = if names_people { Access::Owner } else { Access::Usual };
        let content = match self.form {
            Form::Page => report::page(&lake, &options)?.into_bytes(),
            Form::Email => report::email(&lake, &options, config.page.subject.as_deref())?,
        };
        match self.output.filter(|path| path.as_os_str() != "-") {
            Some(path) => to_file_for(access, &path, |out| Ok(out.write_all(&content)?)),
            None => to_stdout(|out| Ok(out.write_all(&content)?)),
        }
    }
}
