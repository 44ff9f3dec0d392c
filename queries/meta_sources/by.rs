//! `--by`: what sessions, and what their ads cost, are grouped by.
//!
//! ```text
//! --by week,campaign
//!   sessions   week of the start         campaign of the ad   ─┬─► one row for each pair
//!   ad_spend   week of the reported day  campaign of the ad   ─┘
//! ```
//!
//! An ad has no line and no country, so what it cost is unknown for each of these.

use chrono_tz::Tz;
use clap::builder::TypedValueParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use polars::prelude::{DataType, Expr, LazyFrame, NULL, col, lit, when};
use wabalake_data::tables::ad_spend::{
    AD_ID, AD_NAME, AD_SET_ID, AD_SET_NAME, CAMPAIGN_ID, CAMPAIGN_NAME, DAY,
};
use wabalake_data::tables::conversions::EVENT;
use wabalake_data::tables::sessions::{
    COUNTRY, LINE_WHATSAPP_NUMBER, META_SOURCE_HEADLINE, META_SOURCE_ID, META_SOURCE_TYPE,
    SESSION_STARTED_TIMESTAMP,
};

use super::SESSIONS;
use super::names::{Named, with_names};
use crate::query::dimensions::{AD, meta_type};
use crate::query::time::Clock;
use crate::query::words::Word;
use crate::query::{Order, OutputColumn, Tables};

/// A dimension of this query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Split {
    /// The ad or post that led to the session.
    Source,
    /// The local date.
    Day,
    /// The local week, as its Monday.
    Week,
    /// The local month, as its first date.
    Month,
    /// The campaign of the ad.
    Campaign,
    /// The ad set of the ad.
    AdSet,
    /// The ad, by its name too.
    Ad,
    /// The business's phone line.
    Line,
    /// The person's country.
    Country,
    /// The event of the conversions.
    Event,
}

/// [`meta_type`] in SQL.
const META_TYPE_SQL: &str = "coalesce(sessions.meta_source_type, 'Ad')";

/// The ad that led to a session; null for a post.
fn ad_of_session() -> Expr {
    when(meta_type().eq(lit(AD))).then(col(META_SOURCE_ID)).otherwise(lit(NULL))
}

/// [`ad_of_session`] in SQL.
pub(super) const AD_OF_SESSION_SQL: &str =
    "CASE WHEN coalesce(sessions.meta_source_type, 'Ad') = 'Ad' THEN sessions.meta_source_id END";

impl Split {
    const ALL: [Self; 10] = [
        Self::Source,
        Self::Day,
        Self::Week,
        Self::Month,
        Self::Campaign,
        Self::AdSet,
        Self::Ad,
        Self::Line,
        Self::Country,
        Self::Event,
    ];

    /// The name in `--by`.
    const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Campaign => "campaign",
            Self::AdSet => "ad-set",
            Self::Ad => "ad",
            Self::Line => "line",
            Self::Country => "country",
            Self::Event => "event",
        }
    }

    /// The columns in an answer.
    pub(super) const fn columns(self) -> &'static [OutputColumn] {
        match self {
            Self::Source => {
                const {
                    &[
                        OutputColumn::term(META_SOURCE_TYPE),
                        OutputColumn::term(META_SOURCE_ID),
                        OutputColumn::written(META_SOURCE_HEADLINE),
                    ]
                }
            }
            Self::Day => const { &[OutputColumn::date("day")] },
            Self::Week => const { &[OutputColumn::date("week")] },
            Self::Month => const { &[OutputColumn::date("month")] },
            Self::Campaign => {
                const { &[OutputColumn::term(CAMPAIGN_ID), OutputColumn::term(CAMPAIGN_NAME)] }
            }
            Self::AdSet => {
                const { &[OutputColumn::term(AD_SET_ID), OutputColumn::term(AD_SET_NAME)] }
            }
            Self::Ad => {
                const { &[OutputColumn::term(META_SOURCE_ID), OutputColumn::term(AD_NAME)] }
            }
            Self::Line => const { &[OutputColumn::line(LINE_WHATSAPP_NUMBER)] },
            Self::Country => const { &[OutputColumn::country(COUNTRY)] },
            Self::Event => const { &[OutputColumn::written(EVENT)] },
        }
    }

    /// What the rows of `ad_spend` tell of an ad, if the dimension is made of it.
    const fn named(self) -> Option<Named> {
        match self {
            Self::Campaign => Some(Named::Campaign),
            Self::AdSet => Some(Named::AdSet),
            Self::Ad => Some(Named::Ad),
            _ => None,
        }
    }

    /// The columns that groups are made of. Without `with_posts` the id of a post is null.
    fn keys(self, zone: Tz, with_posts: bool) -> Vec<Key> {
        let name = self.columns().first().map_or("", |column| column.name);
        let of_time = |clock: Clock, of_spend, spend_sql| Key {
            name,
            of_session: clock.start(col(SESSION_STARTED_TIMESTAMP), zone),
            session_sql: clock.start_sql(SESSION_STARTED_TIMESTAMP),
            of_spend: Some((of_spend, spend_sql)),
        };
        let of_sessions_alone = || Key {
            name,
            of_session: col(name),
            session_sql: format!("sessions.{name}"),
            of_spend: None,
        };
        let since = |unit: &str| {
            format!("CAST(date_trunc('{unit}', CAST(ad_spend.day AS TIMESTAMP_LTZ)) AS DATE)")
        };
        let day = || col(DAY);
        match self {
            Self::Source => vec![Key::of_type(), Key::of_id(true)],
            Self::Day => vec![of_time(Clock::Day, day(), "ad_spend.day".to_owned())],
            Self::Week => {
                vec![of_time(Clock::Week, day().dt().truncate(lit("1w")), since("WEEK"))]
            }
            Self::Month => {
                vec![of_time(Clock::Month, day().dt().truncate(lit("1mo")), since("MONTH"))]
            }
            Self::Campaign => Key::all_named(Named::Campaign).into(),
            Self::AdSet => Key::all_named(Named::AdSet).into(),
            Self::Ad => vec![Key::of_id(with_posts), Key::named(Named::Ad, AD_NAME)],
            Self::Line | Self::Country => vec![of_sessions_alone()],
            Self::Event => Vec::new(),
        }
    }
}

/// A column that groups are made of, as an expression and in SQL.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// Of a session with the names of its ad.
    of_session: Expr,
    pub(super) session_sql: String,
    /// Of a row of `ad_spend` with the names of its ad; `None` if ads do not have the column.
    pub(super) of_spend: Option<(Expr, String)>,
}

impl Key {
    /// The type of an ad or post.
    fn of_type() -> Self {
        Self {
            name: META_SOURCE_TYPE,
            of_session: meta_type(),
            session_sql: META_TYPE_SQL.to_owned(),
            of_spend: Some((lit(AD), format!("'{AD}'"))),
        }
    }

    /// The id of an ad, and with posts of a post.
    fn of_id(with_posts: bool) -> Self {
        let (of_session, session_sql) = if with_posts {
            (col(META_SOURCE_ID), format!("sessions.{META_SOURCE_ID}"))
        } else {
            (ad_of_session(), AD_OF_SESSION_SQL.to_owned())
        };
        let of_spend = Some((col(AD_ID), format!("ad_spend.{AD_ID}")));
        Self { name: META_SOURCE_ID, of_session, session_sql, of_spend }
    }

    /// A column of what an ad is called.
    fn named(named: Named, name: &'static str) -> Self {
        let sql = format!("{}.{name}", named.relation());
        let of_spend = Some((col(name), sql.clone()));
        Self { name, of_session: col(name), session_sql: sql, of_spend }
    }

    /// The columns of the id and of the name.
    fn all_named(named: Named) -> [Self; 2] {
        named.columns().map(|name| Self::named(named, name))
    }

    /// A column that is the same in all rows: without another they are one group.
    fn of_all() -> Self {
        let zero = || (lit(0).cast(DataType::Int64), "CAST(0 AS BIGINT)".to_owned());
        let (of_session, session_sql) = zero();
        Self { name: "of_all", of_session, session_sql, of_spend: Some(zero()) }
    }
}

/// The value of `--by`: dimensions in the order typed, without duplicates.
#[derive(Clone, Debug)]
pub(super) struct By {
    splits: Vec<Split>,
}

impl By {
    /// Returns `true` for a dimension that is asked for.
    pub(super) fn has(&self, split: Split) -> bool {
        self.splits.contains(&split)
    }

    /// The columns of the dimensions in the answer.
    pub(super) fn columns(&self) -> Vec<OutputColumn> {
        let columns = self.splits.iter().flat_map(|split| split.columns()).copied();
        once_each(columns, |column| column.name)
    }

    /// The columns that identify a row of the answer. A headline does not: an ad or post has one.
    pub(super) fn key(&self) -> Vec<&'static str> {
        let names = self.columns().into_iter().map(|column| column.name);
        names.filter(|name| *name != META_SOURCE_HEADLINE).collect()
    }

    /// The order of the answer: by the other dimensions, then ads and posts by their sessions.
    pub(super) fn order(&self) -> Vec<Order> {
        let others = self.splits.iter().filter(|split| **split != Split::Source);
        let others = others.flat_map(|split| split.columns()).map(|column| column.name);
        let others = once_each(others, |name| *name).into_iter().map(Order::Ascending);
        others.chain([Order::Descending(SESSIONS)]).collect()
    }

    /// The columns that groups are made of. The event is none: a group has conversions of several.
    pub(super) fn keys(&self, zone: Tz) -> Vec<Key> {
        let with_posts = self.has(Split::Source);
        let keys = self.splits.iter().flat_map(|split| split.keys(zone, with_posts));
        let keys = once_each(keys, |key| key.name);
        if keys.is_empty() { vec![Key::of_all()] } else { keys }
    }

    /// The columns that groups are made of, by name, for rows that have them already.
    pub(super) fn names(&self) -> Vec<Expr> {
        self.keys(Tz::UTC).iter().map(|key| col(key.name)).collect()
    }

    /// What is asked for of ads.
    pub(super) fn named(&self) -> Vec<Named> {
        self.splits.iter().filter_map(|split| split.named()).collect()
    }

    /// Sessions with the columns that groups are made of.
    pub(super) fn split(&self, sessions: LazyFrame, tables: &Tables, zone: Tz) -> LazyFrame {
        let keys = self.keys(zone).into_iter().map(|key| key.of_session.alias(key.name));
        let keys: Vec<Expr> = keys.collect();
        with_names(sessions, ad_of_session(), &self.named(), tables).with_columns(keys)
    }

    /// Rows of `ad_spend` with these columns; `None` if ads do not have all of them.
    pub(super) fn split_spend(&self, spend: LazyFrame, tables: &Tables) -> Option<LazyFrame> {
        let keys = self.keys(Tz::UTC).into_iter();
        let keys = keys.map(|key| Some(key.of_spend?.0.alias(key.name)));
        let keys: Vec<Expr> = keys.collect::<Option<_>>()?;
        Some(with_names(spend, col(AD_ID), &self.named(), tables).with_columns(keys))
    }
}

/// Things without those that are called as one before.
fn once_each<T>(things: impl Iterator<Item = T>, name: impl Fn(&T) -> &'static str) -> Vec<T> {
    things.fold(Vec::new(), |mut before, thing| {
        if before.iter().all(|other| name(other) != name(&thing)) {
            before.push(thing);
        }
        before
    })
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
            .default_value(Split::Source.name())
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
        let mut splits = Vec::new();
        for split in matches.get_many::<Split>("by").unwrap_or_default() {
            if !splits.contains(split) {
                splits.push(*split);
            }
        }
        Ok(Self { splits })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
