//! `wabalake alerts`: judges the alerts of the settings.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use clap::Args;
use polars::prelude::{Column, DataFrame, DataType};
use wabalake_data::words::counted_as;
use wabalake_queries::query::OutputColumn;
use wabalake_queries::query::time::read_instant;

use super::output::{Listing, OutputOptions};
use super::shared::{LakeOption, MartsOption, ZoneOption};
use super::{Run, Subcommand, usage};
use crate::alerts::{Alert, Judgement, Judgements};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::lake::AsOf;
use crate::marts::PinnedTables;
use crate::render::Answer;

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand::of::<Options>("alerts", "Judge the alerts of the settings");

#[derive(Args)]
#[command(
    long_about = "Judge the alerts of the lake's `wabalake.toml`: the latest day, week or month of a query's \
                  answer whose rows have arrived, against a limit, the one before, or the same weekday of the \
                  weeks before. `wabalake nightly` judges them after each run; this command does so at any \
                  time, and changes nothing.",
    after_help = "Columns:\n  \
                  alert     text, its name\n  \
                  bucket    date, the start of the day, week or month\n  \
                  group     text, name=value of each further dimension; null for the whole\n  \
                  value     float64\n  \
                  expected  float64: the limit, the value before, or the median\n  \
                  low       float64, the least value that is no anomaly\n  \
                  high      float64, the greatest value that is no anomaly\n  \
                  state     text: fires, ok or unknown\n\n\
                  Exit codes: 0 no alert fires; 1 an alert fires, unless `--no-fail` is given, or one cannot be \
                  judged; 2 wrong command line; 3 a bug in wabalake.\n\n\
                  Examples:\n  \
                  wabalake alerts --lake lake\n  \
                  wabalake alerts --lake lake --now 2026-11-30T03:15:00Z --no-fail"
)]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    #[command(flatten)]
    output: OutputOptions,

    /// The instant that is now, such as 2025-06-01T10:00:00Z; without an offset it is in the time zone
    /// [default: the present one]
    #[arg(long, value_name = "INSTANT")]
    now: Option<String>,

    /// Exit with 0 even if an alert fires
    #[arg(long)]
    no_fail: bool,

    #[command(flatten)]
    zone: ZoneOption,

    #[command(flatten)]
    marts: MartsOption,
}

impl Run for Options {
    fn run(self) -> Result<()> {
        self.output.check(Listing::Answer)?;
        let lake = self.lake.open()?;
        let mut config = Config::of(&lake)?;
        self.zone.apply(&mut config);
        let now = match &self.now {
            Some(word) => instant(word, config.timezone.unwrap_or(Tz::UTC))?,
            None => Utc::now(),
        };
        let marts = self.marts.of(&config);
        let tables = PinnedTables::of(&lake, AsOf::Now);
        let mut judged = Judgements::none(now);
        for alert in Alert::all(&config)? {
            let of_alert = alert.judge(&lake, marts.as_ref(), &tables, now);
            let of_alert =
                of_alert.map_err(|error| error.context(format!("alert `{}`", alert.name)));
            judged.alerts.push(of_alert?);
        }
        self.output.write(&answer(&judged)?, Listing::Answer)?;
        let hint = "the answer has a line for each group; with `--no-fail` the exit code is 0";
        match firing(&judged, hint) {
            Some(error) if !self.no_fail => Err(error),
            _ => Ok(()),
        }
    }
}

/// Parses the value of `--now`.
fn instant(word: &str, zone: Tz) -> Result<DateTime<Utc>> {
    let micros = read_instant("--now", word, zone).map_err(|error| usage::error(&error, &[]))?;
    DateTime::from_timestamp_micros(micros)
        .ok_or_else(|| Error::usage("`--now` is no instant of the calendar"))
}

/// Returns an error that counts the alerts that fire, if any does.
pub(super) fn firing(judged: &Judgements, hint: &str) -> Option<Error> {
    let firing = judged.firing() as u64;
    let what = counted_as(firing, "alert fires", "alerts fire");
    (firing > 0).then(|| Error::data(what).hint(hint))
}

/// The judgements as an answer.
fn answer(judged: &Judgements) -> Result<Answer> {
    let rows: Vec<&Judgement> = judged.all().collect();
    let texts = |name: &str, text: fn(&Judgement) -> Option<&str>| {
        let texts: Vec<Option<&str>> = rows.iter().map(|row| text(row)).collect();
        Column::new(name.into(), texts)
    };
    let numbers = |name: &str, number: fn(&Judgement) -> Option<f64>| {
        let numbers: Vec<Option<f64>> = rows.iter().map(|row| number(row)).collect();
        Column::new(name.into(), numbers)
    };
    let buckets: Vec<i32> = rows.iter().map(|row| row.bucket.to_epoch_days()).collect();
    let frame = DataFrame::new(
        rows.len(),
        vec![
            texts("alert", |row| Some(row.alert.as_str())),
            Column::new("bucket".into(), buckets).cast(&DataType::Date)?,
            texts("group", |row| row.group.as_deref()),
            numbers("value", |row| row.value),
            numbers("expected", |row| row.expected),
            numbers("low", |row| row.low),
            numbers("high", |row| row.high),
            texts("state", |row| Some(row.state.name())),
        ],
    )?;
    let columns = vec![
        OutputColumn::term("alert"),
        OutputColumn::date("bucket"),
        OutputColumn::term("group"),
        OutputColumn::number("value"),
        OutputColumn::number("expected"),
        OutputColumn::number("low"),
        OutputColumn::number("high"),
        OutputColumn::word("state"),
    ];
    // Dates have no time zone.
    Ok(Answer::new(&frame, columns, Tz::UTC)?)
}
