//! `[[alerts]]`: values of answers that are judged after each nightly run.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Param, arguments};

/// `[[alerts]]`: a column of an answer by day, week or month, and what fires.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertSettings {
    /// The alert's name.
    pub name: String,
    /// The name of its query.
    pub query: String,
    /// Options of the query, as those of a mart. `by` has one of day, week and month.
    #[serde(default)]
    pub params: BTreeMap<String, Param>,
    /// The column that is judged, a number.
    pub column: String,
    /// How a value is judged.
    pub rule: AlertRule,
    /// The limit of the rule: a value, a percentage, or a multiple of the spread.
    #[serde(deserialize_with = "number")]
    pub value: f64,
    /// Which changes fire. Default: any.
    pub direction: Option<AlertDirection>,
    /// Days after which a bucket that ended is complete. Default: 2.
    #[serde(default, deserialize_with = "mature_days")]
    pub mature_days: Option<u16>,
    /// Weeks before the bucket in which groups are looked for, and with whose values an anomaly is compared.
    /// Default: 8.
    #[serde(default, deserialize_with = "weeks")]
    pub weeks: Option<u16>,
    /// Earlier values without which an anomaly is unknown. Default: 5.
    #[serde(default, deserialize_with = "min_points")]
    pub min_points: Option<u16>,
    /// The least change that fires. Default: 0.
    #[serde(default, deserialize_with = "min_change")]
    pub min_change: Option<f64>,
    /// The size of a bucket below which its value counts as null.
    pub min_count: Option<MinCount>,
    /// The state of a group without a row in the bucket. Default: ok.
    #[serde(default)]
    pub missing: AlertState,
}

/// How a value is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertRule {
    /// It fires below a limit.
    Below,
    /// It fires above a limit.
    Above,
    /// It fires if it differs from the value of the bucket before by more than a percentage.
    ChangePct,
    /// It fires if it is farther from the median of the same weekday than a multiple of the usual distance.
    Anomaly,
}

impl AlertRule {
    /// Returns the value in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Below => "below",
            Self::Above => "above",
            Self::ChangePct => "change_pct",
            Self::Anomaly => "anomaly",
        }
    }

    /// Returns `true` if a value is compared with earlier ones, not with a limit.
    pub fn is_of_change(self) -> bool {
        matches!(self, Self::ChangePct | Self::Anomaly)
    }
}

/// The changes that fire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertDirection {
    /// Both.
    #[default]
    Any,
    /// Increases.
    Up,
    /// Decreases.
    Down,
}

/// What a value was judged to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// As usual, or within the limit.
    #[default]
    Ok,
    /// Unusual, or beyond the limit.
    Fires,
    /// There is too little to judge.
    Unknown,
}

impl AlertState {
    /// Returns the value in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Fires => "fires",
            Self::Unknown => "unknown",
        }
    }
}

/// The size of a bucket that is large enough to be judged.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of a column and a value")]
pub struct MinCount {
    /// A column of the answer, a number.
    pub column: String,
    /// Its least value.
    #[serde(deserialize_with = "number")]
    pub value: f64,
}

impl AlertSettings {
    /// Returns the options of the query as command line arguments.
    ///
    /// ```
    /// use wabalake::config::Config;
    /// let config = Config::read(
    ///     "[[alerts]]
    ///     name = 'no-sends'
    ///     query = 'delivery-rate'
    ///     params.by = ['day', 'country']
    ///     column = 'deployments'
    ///     rule = 'below'
    ///     value = 1",
    /// );
    /// assert_eq!(config.unwrap().alerts[0].arguments(), ["--by=day,country"]);
    /// ```
    pub fn arguments(&self) -> Vec<String> {
        arguments(&self.query, &self.params)
    }
}

fn number<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let value = toml::Value::deserialize(from)?;
    let number = value.as_float().or_else(|| value.as_integer().map(|number| number as f64));
    number.filter(|number| number.is_finite()).ok_or_else(|| D::Error::custom("not a number"))
}

fn min_change<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let number = number(from).ok().filter(|number| *number >= 0.0);
    number.ok_or_else(|| D::Error::custom("not a number from 0 on")).map(Some)
}

fn mature_days<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u16>, D::Error> {
    whole(0, from)
}

fn weeks<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u16>, D::Error> {
    whole(1, from)
}

fn min_points<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u16>, D::Error> {
    whole(1, from)
}

/// The greatest number of days, weeks or points.
const MOST: u16 = 1_000;

fn whole<'de, D: Deserializer<'de>>(least: u16, from: D) -> Result<Option<u16>, D::Error> {
    let value = toml::Value::deserialize(from)?;
    let number = value.as_integer().and_then(|number| u16::try_from(number).ok());
    let number = number.filter(|number| (least..=MOST).contains(number));
    let invalid = || D::Error::custom(format!("not a whole number from {least} to {MOST}"));
    number.ok_or_else(invalid).map(Some)
}
