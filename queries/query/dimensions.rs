//! What an answer can be split by: `--by day,country`.
//!
//! A dimension is one column of the answer, or two for a conversation; they come first, in the
//! order asked. It is stated twice, as an expression and in the dialect of the twins.

use std::marker::PhantomData;

use chrono_tz::Tz;
use clap::builder::TypedValueParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use polars::prelude::{Expr, LazyFrame, PolarsResult, col, lit, when};
use wabalake_data::Table;
use wabalake_data::tables::audience_tags::TAG;
use wabalake_data::tables::{messages, sessions};

use super::sql::Bindings;
use super::tables::Tables;
use super::words::Word;
use super::zone::Clock;
use super::{OutputColumn, tags};

/// One thing to split by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// The half-hour of the reporting zone.
    HalfHour,
    /// The hour of the reporting zone.
    Hour,
    /// The local date.
    Day,
    /// The Monday of the local date's week.
    Week,
    /// The first of the local date's month.
    Month,
    /// A flow and its version.
    Conversation,
    /// The person's country.
    Country,
    /// The business's line.
    Line,
    /// Outbound or Inbound.
    SessionType,
    /// BOT, AGENTS or RATING.
    SessionStatus,
    /// What led to a session.
    Channel,
    /// The template of a message.
    Template,
    /// What the business calls the person.
    Tag,
}

impl Dimension {
    /// Its name in `--by`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HalfHour => "half-hour",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Conversation => "conversation",
            Self::Country => "country",
            Self::Line => "line",
            Self::SessionType => "session-type",
            Self::SessionStatus => "session-status",
            Self::Channel => "channel",
            Self::Template => "template",
            Self::Tag => "tag",
        }
    }

    /// Its columns in an answer.
    pub const fn columns(self) -> &'static [OutputColumn] {
        match self {
            Self::HalfHour => const { &[OutputColumn::instant("half_hour")] },
            Self::Hour => const { &[OutputColumn::instant("hour")] },
            Self::Day => const { &[OutputColumn::date("day")] },
            Self::Week => const { &[OutputColumn::date("week")] },
            Self::Month => const { &[OutputColumn::date("month")] },
            Self::Conversation => {
                const {
                    &[
                        OutputColumn::term(sessions::CONVERSATION_ID),
                        OutputColumn::version(sessions::CONVERSATION_VERSION),
                    ]
                }
            }
            Self::Country => const { &[OutputColumn::country(sessions::COUNTRY)] },
            Self::Line => const { &[OutputColumn::line(sessions::LINE_WHATSAPP_NUMBER)] },
            Self::SessionType => const { &[OutputColumn::word(sessions::SESSION_TYPE)] },
            Self::SessionStatus => const { &[OutputColumn::word(sessions::SESSION_STATUS)] },
            Self::Channel => const { &[OutputColumn::word("channel")] },
            Self::Template => const { &[OutputColumn::term(messages::TEMPLATE_NAME)] },
            Self::Tag => const { &[OutputColumn::written(TAG)] },
        }
    }

    /// The unit of local time, if it is one.
    const fn clock(self) -> Option<Clock> {
        match self {
            Self::HalfHour => Some(Clock::HalfHour),
            Self::Hour => Some(Clock::Hour),
            Self::Day => Some(Clock::Day),
            Self::Week => Some(Clock::Week),
            Self::Month => Some(Clock::Month),
            _ => None,
        }
    }

    /// Its columns worked out from the rows of a table, each as an expression and in SQL, where
    /// that is more than the column of the same name.
    fn worked_out(self, table: &Table, zone: Tz) -> Option<(Expr, String)> {
        match self {
            Self::Line if table.position(messages::LINE).is_some() => {
                Some((col(messages::LINE), messages::LINE.to_owned()))
            }
            Self::Channel => Some((channel(), CHANNEL_SQL.to_owned())),
            _ => {
                let clock = self.clock()?;
                Some((clock.start(col(table.day_of), zone), clock.start_sql(table.day_of)))
            }
        }
    }

    fn expressions(self, table: &Table, zone: Tz) -> Vec<Expr> {
        match (self.worked_out(table, zone), self.columns()) {
            (Some((expression, _)), [only]) => vec![expression.alias(only.name)],
            (_, columns) => columns.iter().map(|column| col(column.name)).collect(),
        }
    }

    fn sql(self, table: &Table, zone: Tz) -> Vec<String> {
        match (self.worked_out(table, zone), self.columns()) {
            (Some((_, sql)), [only]) => vec![format!("{sql} AS {}", only.name)],
            (_, columns) => columns.iter().map(|column| column.name.to_owned()).collect(),
        }
    }
}

/// What led to a session: an ad or a post of Meta, a WhatsApp link, a deployment, a redirection,
/// or nothing that is known.
pub fn channel() -> Expr {
    let set = |column| col(column).is_not_null();
    let meta = set(sessions::META_SOURCE_ID).or(set(sessions::META_SOURCE_TYPE));
    let link =
        set(sessions::WHATSAPP_LINK_CAMPAIGN_NAME).or(set(sessions::WHATSAPP_LINK_CAMPAIGN_SOURCE));
    when(meta.clone().and(col(sessions::META_SOURCE_TYPE).eq(lit("Post"))))
        .then(lit("meta-post"))
        .when(meta)
        .then(lit("meta-ad"))
        .when(link)
        .then(lit("whatsapp-link"))
        .when(col(sessions::SESSION_TYPE).eq(lit("Outbound")))
        .then(lit("outbound"))
        .when(set(sessions::PARENT_SESSION_ID))
        .then(lit("redirection"))
        .otherwise(lit("organic"))
}

/// What Meta calls an ad, and what a source is whose type is not known.
pub const AD: &str = "Ad";

/// Whether an ad or a post led to a session that one of them did.
pub fn meta_type() -> Expr {
    col(sessions::META_SOURCE_TYPE).fill_null(lit(AD))
}

const CHANNEL_SQL: &str = "CASE
        WHEN meta_source_type = 'Post' THEN 'meta-post'
        WHEN meta_source_id IS NOT NULL OR meta_source_type IS NOT NULL THEN 'meta-ad'
        WHEN whatsapp_link_campaign_name IS NOT NULL OR whatsapp_link_campaign_source IS NOT NULL
            THEN 'whatsapp-link'
        WHEN session_type = 'Outbound' THEN 'outbound'
        WHEN parent_session_id IS NOT NULL THEN 'redirection'
        ELSE 'organic'
    END";

/// A query that takes `--by`.
pub trait Grouped: Send + Sync + 'static {
    /// The table whose rows are split.
    const TABLE: &'static Table;
    /// What it takes.
    const TAKES: &'static [Dimension];
    /// What it is split by unless asked otherwise.
    const DEFAULT: &'static [Dimension];
}

/// The `--by` of a query: what was asked for, in that order, each once.
#[derive(Clone, Debug)]
pub struct Dimensions<Q: Grouped> {
    asked: Vec<Dimension>,
    of: PhantomData<Q>,
}

impl<Q: Grouped> Dimensions<Q> {
    /// Their columns in the answer.
    pub fn columns(&self) -> Vec<OutputColumn> {
        self.asked.iter().flat_map(|dimension| dimension.columns()).copied().collect()
    }

    /// Their columns by name, to group rows by that hold them.
    pub fn names(&self) -> Vec<Expr> {
        self.columns().iter().map(|column| col(column.name)).collect()
    }

    /// Their columns worked out from the rows of the query's table.
    pub fn expressions(&self, zone: Tz) -> Vec<Expr> {
        self.asked.iter().flat_map(|dimension| dimension.expressions(Q::TABLE, zone)).collect()
    }

    /// Rows of the query's table with what their expressions need beside its columns: split by
    /// tag, a row stands for each tag of its person.
    ///
    /// # Errors
    /// Those of building a plan.
    pub fn of(&self, rows: LazyFrame, tables: &Tables) -> PolarsResult<LazyFrame> {
        if self.asked.contains(&Dimension::Tag) {
            tags::tagged(rows, Q::TABLE, tables)
        } else {
            Ok(rows)
        }
    }

    /// Fills the slots `{by}` (a select list over the query's table), `{by_columns}` (their
    /// names), `{by_order}` (their names to order by) and, for queries that are split by tag,
    /// `{tagged}` (a join to follow the table). For queries that need not be split there are
    /// `{then_by}`, `{by_columns_then}` and `{by_order_then}`, which bring the comma between them
    /// and what they follow or precede.
    pub fn bind(&self, bindings: Bindings) -> Bindings {
        let selected: Vec<String> =
            self.asked.iter().flat_map(|dimension| dimension.sql(Q::TABLE, Tz::UTC)).collect();
        let names: Vec<&str> = self.columns().iter().map(|column| column.name).collect();
        let order: Vec<String> = names.iter().map(|name| format!("{name} NULLS LAST")).collect();
        let tagged = if self.asked.contains(&Dimension::Tag) {
            tags::tagged_sql(Q::TABLE)
        } else {
            String::new()
        };
        let with = |text: String, before: &str, after: &str| {
            if names.is_empty() { text } else { format!("{before}{text}{after}") }
        };
        bindings
            .slot("tagged", tagged)
            .slot("then_by", with(selected.join(",\n    "), ",\n    ", ""))
            .slot("by_columns_then", with(names.join(", "), "", ",\n    "))
            .slot("by_order_then", with(order.join(", "), "", ",\n    "))
            .slot("by", selected.join(",\n    "))
            .slot("by_columns", names.join(", "))
            .slot("by_order", order.join(", "))
    }
}

impl<Q: Grouped> Args for Dimensions<Q> {
    fn augment_args(command: Command) -> Command {
        let names = Q::TAKES.iter().map(|dimension| dimension.name());
        let default: Vec<&str> = Q::DEFAULT.iter().map(|dimension| dimension.name()).collect();
        let by = Arg::new("by")
            .long("by")
            .value_name("LIST")
            .value_delimiter(',')
            .action(ArgAction::Append)
            .value_parser(Word::listed(names).try_map(|name| {
                let of_that_name = |dimension: &&Dimension| dimension.name() == name;
                Q::TAKES.iter().find(of_that_name).copied().ok_or("no such dimension")
            }))
            .help("Split by these, separated by commas; their columns come first, in this order");
        command.arg(if default.is_empty() { by } else { by.default_value(default.join(",")) })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<Q: Grouped> FromArgMatches for Dimensions<Q> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut asked = Vec::new();
        for dimension in matches.get_many::<Dimension>("by").unwrap_or_default() {
            if !asked.contains(dimension) {
                asked.push(*dimension);
            }
        }
        Ok(Self { asked, of: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
