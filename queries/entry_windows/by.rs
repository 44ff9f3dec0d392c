//! `--by`: what clicks, and what their ads cost, are grouped by.
//!
//! An ad has no line and no country, its spend is of a day, and people have tags: what an ad cost
//! is unknown for each line, country, hour and tag.

use chrono_tz::Tz;
use clap::builder::TypedValueParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use polars::prelude::{Expr, LazyFrame, col, lit};
use wabalake_data::Table;
use wabalake_data::tables::ad_spend::{AD_ID, DAY};
use wabalake_data::tables::messages::LINE;
use wabalake_data::tables::sessions::{COUNTRY, META_SOURCE_ID};

use super::CLICKS;
use crate::meta_sources::names::{Named, with_names};
use crate::query::billing::entry_windows::Clicks;
use crate::query::filters::line_column;
use crate::query::time::Clock;
use crate::query::words::Word;
use crate::query::{Dimension, NeedsTables, Order, OutputColumn, Tables, tags};

/// A dimension of this query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Split {
    /// The ad that was clicked.
    Ad,
    /// The campaign of the ad.
    Campaign,
    /// The ad set of the ad.
    AdSet,
    /// A dimension of sessions and messages.
    Common(Dimension),
}

impl Split {
    const ALL: [Self; 11] = [
        Self::Ad,
        Self::Common(Dimension::HalfHour),
        Self::Common(Dimension::Hour),
        Self::Common(Dimension::Day),
        Self::Common(Dimension::Week),
        Self::Common(Dimension::Month),
        Self::Campaign,
        Self::AdSet,
        Self::Common(Dimension::Line),
        Self::Common(Dimension::Country),
        Self::Common(Dimension::Tag),
    ];

    /// The name in `--by`.
    const fn name(self) -> &'static str {
        match self {
            Self::Ad => "ad",
            Self::Campaign => "campaign",
            Self::AdSet => "ad-set",
            Self::Common(dimension) => dimension.name(),
        }
    }

    /// What the rows of `ad_spend` tell of an ad, if the dimension is made of it.
    const fn named(self) -> Option<Named> {
        match self {
            Self::Campaign => Some(Named::Campaign),
            Self::AdSet => Some(Named::AdSet),
            _ => None,
        }
    }

    /// The columns in an answer.
    pub(super) fn columns(self) -> Vec<OutputColumn> {
        match (self, self.named()) {
            (Self::Common(dimension), _) => dimension.columns().to_vec(),
            (_, Some(named)) => named.columns().map(OutputColumn::term).to_vec(),
            _ => vec![OutputColumn::term(META_SOURCE_ID)],
        }
    }

    /// The columns that groups are made of.
    fn keys(self, clicks: Clicks, zone: Tz) -> Vec<Key> {
        let key = |name, of_click, click_sql, of_spend| Key { name, of_click, click_sql, of_spend };
        let of_clicks_alone = |of_click: &str, click_sql: String| {
            let name = self.columns().first().map_or("", |column| column.name);
            vec![key(name, col(of_click), click_sql, None)]
        };
        let at = clicks.table().day_of;
        let of_time = |name, clock: Clock, of_spend| {
            let sql = clock.start_sql(&format!("clicked.{at}"));
            vec![key(name, clock.start(col(at), zone), sql, of_spend)]
        };
        let since = |unit: &str| {
            format!("CAST(date_trunc('{unit}', CAST(ad_spend.day AS TIMESTAMP_LTZ)) AS DATE)")
        };
        let truncated = |width: &'static str| col(DAY).dt().truncate(lit(width));
        match self {
            Self::Ad => {
                let of_spend = Some((col(AD_ID), format!("ad_spend.{AD_ID}")));
                let sql = format!("clicked.{}", clicks.ad());
                vec![key(META_SOURCE_ID, col(META_SOURCE_ID), sql, of_spend)]
            }
            Self::Campaign | Self::AdSet => {
                let named = self.named().into_iter();
                let named = named.flat_map(|named| named.columns().map(|name| (named, name)));
                let of_ad = |(named, name): (Named, &'static str)| {
                    let sql = format!("{}.{name}", named.relation());
                    key(name, col(name), sql.clone(), Some((col(name), sql)))
                };
                named.map(of_ad).collect()
            }
            Self::Common(Dimension::HalfHour) => of_time("half_hour", Clock::HalfHour, None),
            Self::Common(Dimension::Hour) => of_time("hour", Clock::Hour, None),
            Self::Common(Dimension::Day) => {
                of_time("day", Clock::Day, Some((col(DAY), "ad_spend.day".to_owned())))
            }
            Self::Common(Dimension::Week) => {
                of_time("week", Clock::Week, Some((truncated("1w"), since("WEEK"))))
            }
            Self::Common(Dimension::Month) => {
                of_time("month", Clock::Month, Some((truncated("1mo"), since("MONTH"))))
            }
            Self::Common(Dimension::Line) => {
                of_clicks_alone(LINE, format!("clicked.{}", line_column(clicks.table())))
            }
            Self::Common(Dimension::Country) => {
                of_clicks_alone(COUNTRY, format!("clicked.{COUNTRY}"))
            }
            Self::Common(dimension) => {
                let name = dimension.columns().first().map_or("", |column| column.name);
                of_clicks_alone(name, name.to_owned())
            }
        }
    }
}

/// A column that groups are made of, as an expression and in SQL.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// Of a click with the names of its ad.
    of_click: Expr,
    pub(super) click_sql: String,
    /// Of a row of `ad_spend` with the names of its ad; `None` if ads do not have the column.
    pub(super) of_spend: Option<(Expr, String)>,
}

/// The value of `--by`: dimensions in the order typed, without duplicates.
#[derive(Clone, Debug)]
pub(super) struct By {
    splits: Vec<Split>,
    /// `false` if nothing was typed.
    is_given: bool,
}

impl By {
    /// The columns of the dimensions in the answer.
    pub(super) fn columns(&self) -> Vec<OutputColumn> {
        self.splits.iter().flat_map(|split| split.columns()).collect()
    }

    /// The columns that identify a row of the answer.
    pub(super) fn key(&self) -> Vec<&'static str> {
        self.columns().into_iter().map(|column| column.name).collect()
    }

    /// The order of the answer: by the dimensions that were asked for, or else ads by their clicks.
    pub(super) fn order(&self) -> Vec<Order> {
        let by_dimension = self.key().into_iter().map(Order::Ascending);
        if self.is_given { by_dimension.collect() } else { vec![Order::Descending(CLICKS)] }
    }

    /// The columns that groups are made of.
    pub(super) fn keys(&self, clicks: Clicks, zone: Tz) -> Vec<Key> {
        self.splits.iter().flat_map(|split| split.keys(clicks, zone)).collect()
    }

    /// The columns that groups are made of, by name, for rows that have them already.
    pub(super) fn names(&self) -> Vec<Expr> {
        self.key().into_iter().map(col).collect()
    }

    /// What is asked for of ads.
    pub(super) fn named(&self) -> Vec<Named> {
        self.splits.iter().filter_map(|split| split.named()).collect()
    }

    /// Returns `true` if clicks are split by their ads, or by what ads are called.
    pub(super) fn has_ads(&self) -> bool {
        self.splits.iter().any(|split| *split == Split::Ad || split.named().is_some())
    }

    /// Returns `true` if clicks are split by this dimension.
    pub(super) fn has(&self, dimension: Dimension) -> bool {
        self.splits.contains(&Split::Common(dimension))
    }

    /// Clicks with the columns that groups are made of. By tag, a click occurs once for each tag of
    /// its person.
    pub(super) fn split(
        &self,
        rows: LazyFrame,
        clicks: Clicks,
        tables: &Tables,
        zone: Tz,
    ) -> LazyFrame {
        let rows = with_names(rows, col(META_SOURCE_ID), &self.named(), tables);
        let is_tagged = self.has(Dimension::Tag);
        let rows = if is_tagged { tags::tagged(rows, clicks.table(), tables) } else { rows };
        let keys = self.keys(clicks, zone).into_iter();
        rows.with_columns(keys.map(|key| key.of_click.alias(key.name)).collect::<Vec<_>>())
    }

    /// Rows of `ad_spend` with these columns; `None` if ads do not have all of them.
    pub(super) fn split_spend(
        &self,
        spend: LazyFrame,
        clicks: Clicks,
        tables: &Tables,
    ) -> Option<LazyFrame> {
        let keys = self.keys(clicks, Tz::UTC).into_iter();
        let keys = keys.map(|key| Some(key.of_spend?.0.alias(key.name)));
        let keys: Vec<Expr> = keys.collect::<Option<_>>()?;
        Some(with_names(spend, col(AD_ID), &self.named(), tables).with_columns(keys))
    }
}

impl NeedsTables for By {
    fn tables(&self) -> &'static [&'static Table] {
        tags::TABLES
    }

    fn is_read(&self, _table: &Table) -> bool {
        self.has(Dimension::Tag)
    }
}

impl Args for By {
    fn augment_args(command: Command) -> Command {
        let by = Arg::new("by")
            .long("by")
            .value_name("LIST")
            .value_delimiter(',')
            .action(ArgAction::Append)
            .value_parser(Word::listed(Split::ALL.map(Split::name)).try_map(|name| {
                let of_that_name = |split: &Split| split.name() == name;
                Split::ALL.into_iter().find(of_that_name).ok_or("no such dimension")
            }))
            .default_value(Split::Ad.name())
            .help_heading("Split")
            .help("Split by these dimensions, separated by commas; their columns come first, in this order");
        command.arg(by)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for By {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let is_given = matches.value_source("by") != Some(ValueSource::DefaultValue);
        let mut splits = Vec::new();
        for split in matches.get_many::<Split>("by").unwrap_or_default() {
            if !splits.contains(split) {
                splits.push(*split);
            }
        }
        Ok(Self { splits, is_given })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
