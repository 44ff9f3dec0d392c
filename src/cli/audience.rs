//! `wabalake audience`: writes the people whom a rule chooses as a file for a sender.

use std::fmt::Write as _;
use std::path::PathBuf;

use chrono::{DateTime, SubsecRound as _, Utc};
use chrono_tz::Tz;
use clap::Args;
use serde_json::json;
use wabalake_data::words::grouped;
use wabalake_queries::query::time::read_instant;

use super::output::{to_file_or_stdout, to_stderr, warn};
use super::shared::{LakeOption, ZoneOption};
use super::{Run, Subcommand, usage};
use crate::audience::{self, Columns, Counts, Form, HoldOut, Rule, Share, write, write_groups};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::files::Access;
use crate::lake::runs::{self, RunOutcome};

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand::of::<Options>("audience", "Write the people whom a rule chooses, for a sender");

#[derive(Args)]
#[command(
    long_about = "Write the people whom a rule chooses as a file for a sender, or count them. The rule is that of \
                  an audience of `wabalake.toml`, by its name, or typed. People without a number, with an \
                  invalid one, who stopped marketing messages, or who cannot be reached any more (unless \
                  the rule names `lost`) are left out, and counted by the first of these reasons. Files are \
                  for their owner alone; the table `runs` records how many people were written, and no \
                  number. Treble's own exclusion list still counts when the file is sent.",
    after_help = HELP
)]
struct Options {
    /// Name of an audience in the lake's settings
    #[arg(required_unless_present = "rule")]
    name: Option<String>,

    #[command(flatten)]
    lake: LakeOption,

    /// Whom to choose, in place of an audience of the settings
    #[arg(long, value_parser = Rule::read, conflicts_with = "name")]
    rule: Option<Rule>,

    /// File for the people, replaced atomically; `-` is standard output [default: none, they are
    /// counted only]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Form of the file
    #[arg(short, long, value_enum, default_value_t = Form::Treble)]
    format: Form,

    /// Titles of the two columns of the form treble [default: `country_code,cellphone`]
    #[arg(long, value_name = "A,B")]
    columns: Option<Columns>,

    /// The instant at which the rule holds, such as 2025-06-01T10:00:00Z; without an offset it is in
    /// the time zone [default: now]
    #[arg(long, value_name = "INSTANT")]
    at: Option<String>,

    #[command(flatten)]
    zone: ZoneOption,

    /// Leave so many percent of the people out of the file, drawn by a hash of name and number: the
    /// same ones every time
    #[arg(long, value_name = "PCT")]
    holdout: Option<Share>,

    /// File of both groups with the tags NAME-control and NAME-treated, to be loaded into
    /// `audience_tags`
    #[arg(long, value_name = "FILE", requires = "holdout")]
    holdout_out: Option<PathBuf>,

    /// Write the files, which name people
    #[arg(long)]
    with_people: bool,
}

const HELP: &str = "\
Conditions, each at most so many days or hours before the instant:
  sent in 30d         a deployment started
  delivered in 30d    a deployment started that was delivered
  failed in 30d       a deployment started that failed
  replied in 30d      the person answered a deployment
  read in 30d         the person saw a message
  visited in 30d      a session started
  clicked-ad in 30d   the person clicked an ad that led to a session
  wrote in 48h        the person wrote, or answered a deployment
  converted in 7d     a conversion of the person, or of a session of theirs
  capped in 24h       a deployment started that Meta capped
Others:
  tag:vip             the person has the tag; tag:\"two words\"
  country:CO          the person's number is of the country
  window open         the person wrote in the last 24 hours, and can be answered
  lost                the last deployment that tells did not reach the person

`and`, `or`, `not` and parentheses join them; `not` binds tightest, then `and`. `not` is of all people whom \
sessions, deployments, messages, conversions or tags name.

Filters stand in brackets, values with `|` between: delivered[conversation-id=34820,country=CO|MX] in 30d. \
sent, delivered, failed and replied take those of deployments, read those of messages, visited and clicked-ad \
those of sessions, converted takes event.

Examples:
  wabalake audience --rule 'delivered in 30d and not replied in 30d' --lake lake
  wabalake audience june-promo --lake lake --with-people -o june.csv
  wabalake audience june-promo --lake lake --with-people -o june.csv --holdout 10 --holdout-out groups.csv
  wabalake load groups.csv --lake lake
  wabalake query holdout-lift --treated june-promo-treated --control june-promo-control --lake lake";

impl Run for Options {
    fn run(self) -> Result<()> {
        self.check()?;
        let started = Utc::now();
        let asks_for_files = self.output.is_some() || self.holdout_out.is_some();
        // What is written is recorded in the lake.
        let lake = match asks_for_files {
            true => self.lake.open_to_change()?,
            false => self.lake.open()?,
        };
        let config = Config::of(&lake)?;
        let at = match &self.at {
            Some(text) => instant(text, self.zone.of(&lake)?)?,
            None => started.trunc_subsecs(0),
        };
        let rule = match (&self.rule, &self.name) {
            (Some(rule), _) => rule.clone(),
            (None, Some(name)) => audience::named(name, &config)?,
            (None, None) => return Err(Error::bug("neither a rule nor a name was given")),
        };
        let mut selected = audience::select(&lake, &rule, at)?;
        let hold_out = self.hold_out();
        if let Some(hold_out) = &hold_out {
            selected = selected.without(hold_out);
        }
        to_stderr(&text(&selected.counts, !rule.names_lost(), hold_out.is_some()));
        if !asks_for_files {
            return Ok(());
        }
        if !self.with_people && !config.privacy.people_in_audiences {
            warn(
                "no file was written: it would name people",
                Some("add `--with-people`, or set people_in_audiences = true in [privacy]"),
            );
            return Ok(());
        }
        if let (Some(file), Some(hold_out)) = (&self.holdout_out, &hold_out) {
            to_file_or_stdout(Access::Owner, file, |out| {
                write_groups(&selected, hold_out, at, out)
            })?;
        }
        if let Some(file) = &self.output {
            let columns = self.columns.clone().unwrap_or_default();
            to_file_or_stdout(Access::Owner, file, |out| {
                write(&selected.people, self.format, &columns, out)
            })?;
        }
        lake.log_run(&runs::Run {
            rule: self.name.clone(),
            counts: Some(json!(selected.counts)),
            ..runs::Run::new("audience", RunOutcome::Done, started)
        })
    }
}

impl Options {
    fn check(&self) -> Result<()> {
        if self.columns.is_some() && self.format != Form::Treble {
            return Err(Error::usage("`--columns` names the columns of the form `treble`")
                .hint("leave it out: the other forms have one column"));
        }
        if self.holdout.is_some() && self.name.is_none() {
            return Err(Error::usage(
                "`--holdout` needs the name of an audience, which it is drawn by",
            )
            .hint("write the rule into wabalake.toml, under [[audiences]]"));
        }
        if self.output.is_some() && self.output == self.holdout_out {
            return Err(Error::usage("`--output` and `--holdout-out` name one file")
                .hint("give each a file of its own"));
        }
        Ok(())
    }

    fn hold_out(&self) -> Option<HoldOut> {
        Some(HoldOut { name: self.name.clone()?, share: self.holdout? })
    }
}

/// Parses the instant of `--at`.
fn instant(text: &str, zone: Tz) -> Result<DateTime<Utc>> {
    let micros = read_instant("--at", text.trim(), zone);
    let micros = micros.map_err(|error| usage::error(&error, &[]))?;
    DateTime::from_timestamp_micros(micros).ok_or_else(|| {
        Error::usage("`--at` is out of range").hint("write it as 2025-06-01T10:00:00Z")
    })
}

/// The counts, a line each.
fn text(counts: &Counts, leaves_out_lost: bool, holds_out: bool) -> String {
    let lines = [
        ("matched", counts.matched, true),
        ("no phone", counts.no_phone, true),
        ("invalid phone", counts.invalid_phone, true),
        ("stopped", counts.stopped, true),
        ("lost", counts.lost, leaves_out_lost),
        ("held out", counts.held_out, holds_out),
        ("audience", counts.audience, true),
    ];
    let mut text = String::new();
    for (what, count, is_told) in lines {
        if is_told {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{what}: {}", grouped(count));
        }
    }
    text
}
