//! Was the clock of an export the one that the load took it for?
//!
//! Sessions and deployments come from exports whose stamps may have no offset; closing events and messages come
//! from sources that tell it. Where both tell of one event, the stamps differ by the offset that was missed:
//!
//! ```text
//! table        its stamp                 reference   the other stamp           pairs
//! sessions     finish                    closures    latest closing event      of one session
//! deployments  delivery                  messages    delivery of a template    to one person within 15 hours,
//!                                                                              each the only one near the other
//! ```
//!
//! One row per table and UTC month of the reference, and one for all months of a table, without pairs none. A
//! difference is the first stamp less the other, to the nearest 15 minutes; the mode is the most frequent one, of
//! several the one nearest to 0, then the smaller. A month has a mode if it has `--min-pairs`, of which
//! `--min-share-pct` are at it.
//!
//! Zones are those of `--candidates` whose offset on the 15th of the month is the mode. If the files were loaded
//! as UTC, they are what `--source-timezone` should have been. The row of all months has the zones that fit each
//! month with a mode: summer time tells zones apart.
//!
//! The date range restricts the reference; the other stamp is looked up in the whole lake.

use chrono::{Datelike, NaiveDate, Offset, TimeZone};
use chrono_tz::Tz;
use polars::prelude::{Column, DataFrame, Schema, UnionArgs, concat};
use wabalake_data::tables::{closures, deployments, messages, sessions};

use crate::kernels::node;
use crate::query::clocks::{self, MINUTES, REFERENCE_AT, Threshold};
use crate::query::numbers::whole;
use crate::query::prelude::*;
use crate::query::sql::SqlLiteral;
use crate::query::time::read_zone;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct ClockCheck;

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,

    /// Fewest pairs of a month that has a mode
    #[arg(
        long,
        value_name = "PAIRS",
        default_value_t = 30,
        value_parser = whole::<i64>(1..=u32::MAX.into())
    )]
    min_pairs: i64,

    /// Smallest share of a month's pairs that are at its mode, in percent
    #[arg(
        long,
        value_name = "PERCENT",
        default_value_t = 60,
        value_parser = whole::<i64>(1..=100)
    )]
    min_share_pct: i64,

    /// Time zones that the export's clock may be of, separated by commas
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "UTC,America/Argentina/Buenos_Aires,America/Bogota,America/Lima,\
                         America/Los_Angeles,America/Mexico_City,America/New_York,\
                         America/Santiago,America/Sao_Paulo,Europe/Madrid",
        value_parser = read_zone
    )]
    candidates: Vec<Tz>,
}

impl Params {
    fn threshold(&self) -> Threshold {
        Threshold { min_pairs: self.min_pairs, min_share_pct: self.min_share_pct }
    }

    /// The candidates by name, each once.
    fn zones(&self) -> Vec<Tz> {
        let mut zones = self.candidates.clone();
        zones.sort_unstable_by_key(|zone| zone.name());
        zones.dedup();
        zones
    }
}

/// The table whose clock is checked.
pub const TABLE: &str = "table";
/// The table that it is compared with.
pub const REFERENCE: &str = "reference";
/// UTC month of the reference's stamps, as its first date; null for all months.
pub const MONTH: &str = "month";
/// Events that both tables tell of.
pub const PAIRS: &str = "pairs";
/// The most frequent difference in minutes; null if too few pairs have it.
pub const MODE_MINUTES: &str = "mode_minutes";
/// Share of the pairs with the most frequent difference.
pub const SHARE_AT_MODE_PCT: &str = "share_at_mode_pct";
/// The candidates with that offset from UTC, joined by `+`.
pub const ZONES: &str = "zones";

impl Query for ClockCheck {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "clock-check",
        title: "Whether exports were read in the right time zone",
        question: "Was the clock of an export the one that the load took it for? Finishes of \
                   sessions against their closing events, and deliveries of deployments against \
                   those of template messages, by the month of the latter: the most frequent \
                   difference, and the time zones that explain it.",
        reads: &[&sessions::TABLE, &closures::TABLE, &deployments::TABLE, &messages::TABLE],
        // The two stamps of a pair may lie on different days.
        range: Range::History,
        columns: &[
            OutputColumn::term(TABLE),
            OutputColumn::term(REFERENCE),
            OutputColumn::date(MONTH),
            OutputColumn::count(PAIRS),
            OutputColumn::count(MODE_MINUTES),
            OutputColumn::pct(SHARE_AT_MODE_PCT),
            OutputColumn::term(ZONES),
        ],
        key: &[TABLE, MONTH],
        order: &[],
        example: &["--from", "2025-06-01", "--min-pairs", "3"],
        sql: include_str!("twin.sql"),
    };

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let of_sessions = clocks::of_sessions(tables)?;
        let of_deployments = clocks::of_deployments(tables, &[])?;
        let answers = [
            by_month(of_sessions, [sessions::NAME, closures::NAME], params),
            by_month(of_deployments, [deployments::NAME, messages::NAME], params),
        ];
        concat(answers, UnionArgs::default())
    }

    fn bind(params: &Params) -> Bindings {
        let each = params.zones().into_iter().map(|zone| {
            let zone = zone.name().literal();
            let local = format!("from_utc_timestamp(noon, {zone})");
            format!("SELECT *, {zone} AS zone, {local} AS local_noon FROM noons")
        });
        let in_zones = each.collect::<Vec<_>>().join("\n    UNION ALL\n    ");
        params.threshold().bind(params.days.bind(Bindings::new())).slot("candidates", in_zones)
    }
}

/// The rows of a table and its reference.
fn by_month(pairs: LazyFrame, tables: [&'static str; 2], params: &Params) -> LazyFrame {
    let pairs = match params.days.holds_instant(&col(REFERENCE_AT)) {
        Some(in_range) => pairs.filter(in_range),
        None => pairs,
    };
    let counts =
        pairs.group_by([col(MONTH), col(MINUTES)]).agg([rows().cast(DataType::Int64).alias(PAIRS)]);
    let (threshold, zones) = (params.threshold(), params.zones());
    let name = format!("modes of {tables:?}: {threshold:?} {zones:?}");
    node(counts, name, schema(), move |counts| answer(&counts, tables, threshold, &zones))
}

fn schema() -> Schema {
    Schema::from_iter([
        (TABLE.into(), DataType::String),
        (REFERENCE.into(), DataType::String),
        (MONTH.into(), DataType::Date),
        (PAIRS.into(), DataType::Int64),
        (MODE_MINUTES.into(), DataType::Int64),
        (SHARE_AT_MODE_PCT.into(), DataType::Float64),
        (ZONES.into(), DataType::String),
    ])
}

/// A row of the answer, without the names of its tables.
#[derive(Default)]
struct Row {
    month: Option<i32>,
    pairs: i64,
    mode: Option<i64>,
    share: Option<f64>,
    zones: Option<String>,
}

/// The answer for the counts of pairs by month and difference.
fn answer(
    counts: &DataFrame,
    [table, reference]: [&str; 2],
    threshold: Threshold,
    candidates: &[Tz],
) -> PolarsResult<DataFrame> {
    let mut rows = Vec::new();
    let mut all = 0;
    // The zones of every month with a mode, once there is one.
    let mut of_all: Option<Vec<Tz>> = None;
    for (month, found) in clocks::months(counts)? {
        let mode = found.mode(threshold);
        let zones = mode.map(|mode| with_offset(candidates, month, mode)).unwrap_or_default();
        if mode.is_some() {
            let before = of_all.get_or_insert_with(|| zones.clone());
            before.retain(|zone| zones.contains(zone));
        }
        all += found.pairs;
        rows.push(Row {
            month: Some(month),
            pairs: found.pairs,
            mode,
            share: Some(100.0 * found.at_most_frequent as f64 / found.pairs as f64),
            zones: named(&zones),
        });
    }
    if !rows.is_empty() {
        let zones = named(&of_all.unwrap_or_default());
        rows.push(Row { pairs: all, zones, ..Row::default() });
    }
    let months: Vec<Option<i32>> = rows.iter().map(|row| row.month).collect();
    let columns = vec![
        Column::new(TABLE.into(), vec![table; rows.len()]),
        Column::new(REFERENCE.into(), vec![reference; rows.len()]),
        Column::new(MONTH.into(), months).cast(&DataType::Date)?,
        Column::new(PAIRS.into(), rows.iter().map(|row| row.pairs).collect::<Vec<_>>()),
        Column::new(MODE_MINUTES.into(), rows.iter().map(|row| row.mode).collect::<Vec<_>>()),
        Column::new(SHARE_AT_MODE_PCT.into(), rows.iter().map(|row| row.share).collect::<Vec<_>>()),
        Column::new(ZONES.into(), rows.iter().map(|row| row.zones.clone()).collect::<Vec<_>>()),
    ];
    DataFrame::new(rows.len(), columns)
}

/// The zones that are so many minutes from UTC at noon UTC on the 15th of a month, which is given by the number
/// of days from 1970 to its first date.
fn with_offset(zones: &[Tz], month: i32, minutes: i64) -> Vec<Tz> {
    let middle = NaiveDate::from_epoch_days(month).and_then(|first| first.with_day(15));
    let Some(noon) = middle.and_then(|date| date.and_hms_opt(12, 0, 0)) else { return Vec::new() };
    let is_apart = |zone: &Tz| {
        let offset = zone.offset_from_utc_datetime(&noon).fix();
        i64::from(offset.local_minus_utc()) == minutes * 60
    };
    zones.iter().copied().filter(is_apart).collect()
}

/// The names of zones, joined by `+`; `None` without any.
fn named(zones: &[Tz]) -> Option<String> {
    let names: Vec<&str> = zones.iter().map(|zone| zone.name()).collect();
    (!names.is_empty()).then(|| names.join("+"))
}
