//! Alerts: numbers of answers that are judged by a rule, one bucket of time after each nightly run.
//!
//! ```text
//! [[alerts]] in wabalake.toml   a query by day, week or month, a column, a rule
//!   │ bucket    the latest that ended `mature_days` ago, so that late rows have arrived
//!   │ answer    from a fresh mart, else from the tables: that bucket and those it is compared with
//!   │ rule      judges each group of the answer
//!   ▼ judged    fires, ok or unknown; with the value, and what was expected
//! ```
//!
//! [`nightly`](crate::nightly) judges all alerts after its marts, `wabalake alerts` at any time.

mod rule;
#[cfg(test)]
mod tests;

use chrono::{DateTime, NaiveDate, Utc};
use polars::prelude::DataFrame;
use serde::{Serialize, Serializer};
use wabalake_data::words::{listed, suggestion_and};
use wabalake_queries::query::{
    AnswerBuckets, CatalogEntry, Defaults, OutputColumn, Question, Type,
};

use self::rule::{Group, Row, Rule, Step};
use crate::config::{AlertRule, AlertSettings, AlertState, Config};
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::marts::fresh::{self, FromMart};
use crate::marts::{Dates, PinnedTables, entry_named, wrong};
use crate::render::{Cells, Value, key_text};
use crate::run::polars::collect;

/// A number of an answer, and the rule that it is judged by.
#[derive(Debug)]
pub struct Alert {
    /// Its name.
    pub name: String,
    question: Question,
    entry: &'static CatalogEntry,
    /// The options of its query without `--from` and `--to`.
    words: Vec<String>,
    defaults: Defaults,
    rule: Rule,
    /// The column with the start of the bucket.
    bucket: &'static str,
    /// The other columns of the key.
    groups: Vec<&'static str>,
    /// The column that is judged.
    column: &'static str,
    /// The column with the size of a bucket.
    count: Option<&'static str>,
}

/// A judgement of an alert about one group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgement {
    /// The alert's name.
    pub alert: String,
    /// The start of the bucket.
    pub bucket: NaiveDate,
    /// The group as `name=value`, with `; ` between; null for the whole.
    pub group: Option<String>,
    /// The value of the bucket; null if there is none, or if the bucket is too small.
    pub value: Option<f64>,
    /// The limit, the value of the bucket before, or the median of the same weekday.
    pub expected: Option<f64>,
    /// The least value that is no anomaly; null for other rules.
    pub low: Option<f64>,
    /// The greatest value that is no anomaly; null for other rules.
    pub high: Option<f64>,
    /// What the value was judged to be.
    pub state: AlertState,
}

/// The judgements of one alert, by group.
#[derive(Clone, Debug)]
pub struct JudgedAlert {
    /// The alert's name.
    pub name: String,
    /// The start of the bucket.
    pub bucket: NaiveDate,
    /// A judgement for each group.
    pub groups: Vec<Judgement>,
}

impl JudgedAlert {
    /// The number of groups in a state.
    pub fn count(&self, state: AlertState) -> usize {
        self.groups.iter().filter(|judgement| judgement.state == state).count()
    }
}

/// The judgements of alerts at one instant. Serialized as a list of [`Judgement`].
#[derive(Clone, Debug)]
pub struct Judgements {
    /// The instant that counts as now.
    pub now: DateTime<Utc>,
    /// The alerts, in the order of the settings.
    pub alerts: Vec<JudgedAlert>,
}

impl Judgements {
    /// No judgements at an instant.
    pub fn none(now: DateTime<Utc>) -> Self {
        Self { now, alerts: Vec::new() }
    }

    /// All judgements, by alert and group.
    pub fn all(&self) -> impl Iterator<Item = &Judgement> {
        self.alerts.iter().flat_map(|alert| &alert.groups)
    }

    /// The number of alerts that fire in some group.
    pub fn firing(&self) -> usize {
        let fires = |alert: &&JudgedAlert| alert.count(AlertState::Fires) > 0;
        self.alerts.iter().filter(fires).count()
    }
}

impl Serialize for Judgements {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.all())
    }
}

impl Alert {
    /// The alerts that the lake settings define.
    ///
    /// # Errors
    /// Two alerts of one name; an unknown query, option or column; an answer that names people, or that is
    /// not by day, week or month; settings that do not go together.
    pub fn all(config: &Config) -> Result<Vec<Self>> {
        let mut alerts: Vec<Self> = Vec::new();
        for settings in &config.alerts {
            let name = &settings.name;
            if alerts.iter().any(|alert| alert.name == *name) {
                return Err(Error::lake(format!("there are two alerts `{name}`"))
                    .hint("give one of them another name in wabalake.toml"));
            }
            let alert = Self::of(settings, config);
            alerts.push(alert.map_err(|error| error.context(format!("alert `{name}`")))?);
        }
        Ok(alerts)
    }

    /// One alert of the lake settings.
    fn of(settings: &AlertSettings, config: &Config) -> Result<Self> {
        if settings.name.trim().is_empty() {
            return Err(Error::lake("it has no name").hint("write a name that says what fired"));
        }
        check(settings)?;
        let entry = entry_named(&settings.query)?;
        let mut words = settings.arguments();
        // So that an option that names people is refused below, with the reason.
        let defaults = Defaults { people_in_answers: true, ..config.defaults() };
        let question = entry.ask_for(&words, &defaults).map_err(|error| wrong(entry, &error))?;
        words.retain(|word| !word.starts_with("--from=") && !word.starts_with("--to="));
        let columns = question.columns();
        if let Some(people) = columns.iter().find(|column| column.names_people()) {
            let fault = format!("the column `{}` of its answer names people", people.name);
            return Err(Error::lake(fault).hint("choose a query, or options, that name nobody"));
        }
        let step = step(&question)?;
        if settings.rule == AlertRule::Anomaly && step != Step::Day {
            return Err(Error::lake("the rule `anomaly` compares days")
                .hint("write params = { by = [\"day\"] }, or choose another rule"));
        }
        let mut groups = question.key();
        groups.retain(|name| *name != step.column());
        let is_number = |column: &&OutputColumn| {
            let number = matches!(column.of, Type::Integer | Type::Float | Type::Money);
            number && !groups.contains(&column.name)
        };
        let numbers = columns.iter().filter(is_number).map(|column| column.name);
        let numbers: Vec<&'static str> = numbers.collect();
        let column = number(&settings.column, &columns, &numbers)?;
        let count = settings.min_count.as_ref();
        let count = count.map(|least| number(&least.column, &columns, &numbers)).transpose()?;
        Ok(Self {
            name: settings.name.clone(),
            rule: Rule::of(settings, step, groups.is_empty()),
            question,
            entry,
            words,
            defaults,
            bucket: step.column(),
            groups,
            column,
            count,
        })
    }

    /// Judges the latest bucket that is complete at an instant. Fresh marts of `marts` answer in place of the
    /// tables.
    ///
    /// # Errors
    /// A table that cannot be read.
    pub fn judge(
        &self,
        lake: &Lake,
        marts: Option<&Config>,
        tables: &PinnedTables<'_>,
        now: DateTime<Utc>,
    ) -> Result<JudgedAlert> {
        let zone = self.question.buckets().map(AnswerBuckets::zone);
        let bucket = self.rule.bucket(now, zone.unwrap_or_else(|| self.question.timezone()));
        let rows = match self.dates(bucket) {
            Some(dates) => self.rows(&self.answer(lake, marts, tables, dates)?)?,
            None => Vec::new(),
        };
        let judged = self.rule.judge(rows, bucket).into_iter();
        let groups = judged.map(|(group, verdict)| Judgement {
            alert: self.name.clone(),
            bucket,
            group: group.text,
            value: verdict.value,
            expected: verdict.expected,
            low: verdict.low,
            high: verdict.high,
            state: verdict.state,
        });
        Ok(JudgedAlert { name: self.name.clone(), bucket, groups: groups.collect() })
    }

    /// The dates to ask about, both inclusive: those that decide about a bucket, within `from` and `to` of the
    /// settings. `None` if no date is left.
    fn dates(&self, bucket: NaiveDate) -> Option<Dates> {
        let (from, to) = self.question.dates();
        // Asked about fewer dates, another answer would have other values for them.
        let Some(buckets) = self.question.buckets() else { return Some((from, to)) };
        let (first, last) = self.rule.dates(bucket);
        let (first, last) = (buckets.around(first).0, buckets.around(last).1);
        let first = from.map_or(first, |from| first.max(from));
        let last = to.map_or(last, |to| last.min(to));
        (first <= last).then_some((Some(first), Some(last)))
    }

    /// The rows of the answer about some dates, or more of them.
    fn answer(
        &self,
        lake: &Lake,
        marts: Option<&Config>,
        tables: &PinnedTables<'_>,
        (from, to): Dates,
    ) -> Result<DataFrame> {
        let defaults = Defaults { from, to, ..self.defaults.clone() };
        let question = self.entry.ask_for(&self.words, &defaults);
        let question = question.map_err(|error| wrong(self.entry, &error))?;
        if let Some(config) = marts {
            // A mart by week or month answers only about all of its dates.
            for asked in [&question, &self.question] {
                let Some(FromMart { mart, plan }) = fresh::answer(lake, config, asked)? else {
                    continue;
                };
                match collect(plan, asked) {
                    Ok(rows) => return Ok(rows),
                    Err(error) => fresh::warn_skipped(lake, &mart, &error),
                }
            }
        }
        collect(question.unsorted(&tables.tables(&question)?)?, &question)
    }

    /// The rows of an answer, as far as they are judged. Those without a bucket are left out.
    fn rows(&self, answer: &DataFrame) -> Result<Vec<Row>> {
        let zone = self.question.timezone();
        let cells = |name: &str| -> Result<Cells> { Ok(Cells::of(answer.column(name)?, zone)?) };
        let (buckets, values) = (cells(self.bucket)?, cells(self.column)?);
        let counts = self.count.map(cells).transpose()?;
        let mut groups = Vec::new();
        for &name in &self.groups {
            groups.push((name, cells(name)?));
        }
        let mut rows = Vec::new();
        for row in 0..answer.height() {
            let Value::Date(bucket) = buckets.get(row) else { continue };
            rows.push(Row {
                bucket,
                group: group(&groups, row),
                value: as_number(values.get(row)),
                count: counts.as_ref().and_then(|counts| as_number(counts.get(row))),
            });
        }
        Ok(rows)
    }
}

/// Checks that the settings of an alert go together.
fn check(settings: &AlertSettings) -> Result<()> {
    let (rule, name) = (settings.rule, settings.rule.name());
    let is_of_change = rule.is_of_change();
    let is_anomaly = rule == AlertRule::Anomaly;
    for (key, is_set, is_taken) in [
        ("direction", settings.direction.is_some(), is_of_change),
        ("min_change", settings.min_change.is_some(), is_of_change),
        ("min_points", settings.min_points.is_some(), is_anomaly),
    ] {
        if is_set && !is_taken {
            return Err(Error::lake(format!("the rule `{name}` has no `{key}`"))
                .hint("leave it out, or choose another rule"));
        }
    }
    if is_of_change && settings.value < 0.0 {
        return Err(Error::lake(format!("the value of the rule `{name}` is negative"))
            .hint("`direction` says whether a value fires that goes up or down"));
    }
    let weeks = settings.weeks.unwrap_or(Rule::WEEKS);
    let points = settings.min_points.unwrap_or(Rule::MIN_POINTS);
    if is_anomaly && points > weeks {
        return Err(Error::lake(format!("there are never {points} points in {weeks} weeks"))
            .hint(format!("write min_points = {weeks}, or less, or more weeks")));
    }
    Ok(())
}

/// The buckets of an answer.
fn step(question: &Question) -> Result<Step> {
    let by = question.by();
    let has = |name: &str| by.iter().any(|column| column.name == name);
    let steps: Vec<Step> = Step::ALL.into_iter().filter(|step| has(step.column())).collect();
    // An hour of another day is another group, which never has an earlier value.
    let is_finer = by.iter().any(|column| column.of == Type::Instant);
    match steps[..] {
        [step] if !is_finer => Ok(step),
        _ => Err(Error::lake("its answer is not by one of day, week and month")
            .hint("write params = { by = [\"day\"] }, or further dimensions beside it")),
    }
}

/// The column of a name among those that hold numbers.
fn number(name: &str, columns: &[OutputColumn], numbers: &[&'static str]) -> Result<&'static str> {
    if let Some(number) = numbers.iter().find(|number| **number == name) {
        return Ok(*number);
    }
    let known = format!("numbers are {}", listed(numbers));
    if columns.iter().any(|column| column.name == name) {
        return Err(Error::lake(format!("its column `{name}` is no number")).hint(known));
    }
    let hint = suggestion_and(name, numbers.iter().copied(), &known);
    Err(Error::lake(format!("its answer has no column `{name}`")).hint(hint))
}

/// The group of a row of an answer.
fn group(columns: &[(&'static str, Cells)], row: usize) -> Group {
    let value = |(_, cells): &(&str, Cells)| match cells.get(row) {
        Value::Null => None,
        value => {
            let mut text = String::new();
            value.write(&mut text);
            Some(text)
        }
    };
    let text = (!columns.is_empty()).then(|| key_text(columns, row));
    Group { text, values: columns.iter().map(value).collect() }
}

/// A number; `None` for null.
fn as_number(value: Value<'_>) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(number as f64),
        Value::Float(number) => Some(number),
        Value::Decimal(..) => {
            let mut text = String::new();
            value.write(&mut text);
            text.parse().ok()
        }
        _ => None,
    }
}
