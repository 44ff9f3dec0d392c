//! Dimensions: what `--by day,country` splits an answer by.
//!
//! A dimension is one column of the answer, or two for a conversation. These columns come first, in the
//! order of the option. Each is defined twice, as a Polars expression and in the SQL of the twins.

use std::marker::PhantomData;

use chrono_tz::Tz;
use clap::builder::TypedValueParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use polars::prelude::{
    DataType, Expr, LazyFrame, NULL, UniqueKeepStrategy, col, concat_str, lit, when,
};
use wabalake_data::Table;
use wabalake_data::cells::Enumeration;
use wabalake_data::tables::audience_tags::TAG;
use wabalake_data::tables::{agent_chats, deployments, messages, sessions};

use super::filters::line_column;
use super::sql::Bindings;
use super::tables::Tables;
use super::time::Clock;
use super::words::Word;
use super::{Filtered, Invalidation, NeedsTables, OutputColumn, Type, tags};
use crate::kernels::groups::Groups;

/// A dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// The half-hour in the reporting time zone.
    HalfHour,
    /// The hour in the reporting time zone.
    Hour,
    /// The local date.
    Day,
    /// The local week, as its Monday.
    Week,
    /// The local month, as its first date.
    Month,
    /// The flow and its version.
    Conversation,
    /// The person's country.
    Country,
    /// The business's phone line.
    Line,
    /// The session type: Outbound or Inbound.
    SessionType,
    /// The session status: BOT, AGENTS or RATING.
    SessionStatus,
    /// The channel that led to a session.
    Channel,
    /// The template of a message.
    Template,
    /// The tag of the person.
    Tag,
    /// The state of a deployment.
    State,
    /// The WhatsApp Business account.
    Waba,
    /// The campaign of a message.
    Campaign,
    /// The API caller's reference of a message.
    Ref,
    /// How a message was submitted.
    MessageSource,
    /// The format of a message.
    Format,
    /// The number of a deployment among those that were delivered to its person. Rows have it as a column.
    Exposure,
    /// The agent of a chat.
    Agent,
}

impl Dimension {
    /// The buckets of local time.
    pub const TIMES: &'static [Self] =
        &[Self::HalfHour, Self::Hour, Self::Day, Self::Week, Self::Month];

    /// The name in `--by`.
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
            Self::State => "state",
            Self::Waba => "waba",
            Self::Campaign => "campaign",
            Self::Ref => "ref",
            Self::MessageSource => "message-source",
            Self::Format => "format",
            Self::Exposure => "exposure",
            Self::Agent => "agent",
        }
    }

    /// The columns in an answer.
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
            Self::State => const { &[OutputColumn::word(deployments::STATE)] },
            Self::Waba => const { &[OutputColumn::term(messages::WABA_ID)] },
            Self::Campaign => const { &[OutputColumn::term(messages::CAMPAIGN_ID)] },
            Self::Ref => const { &[OutputColumn::term(messages::REF)] },
            Self::MessageSource => const { &[OutputColumn::word(messages::SOURCE)] },
            Self::Format => const { &[OutputColumn::word(messages::FORMAT)] },
            Self::Exposure => const { &[OutputColumn::count("exposure")] },
            Self::Agent => const { &[OutputColumn::written(agent_chats::AGENT)] },
        }
    }

    /// The bucket of local time, if the dimension is one.
    pub const fn clock(self) -> Option<Clock> {
        match self {
            Self::HalfHour => Some(Clock::HalfHour),
            Self::Hour => Some(Clock::Hour),
            Self::Day => Some(Clock::Day),
            Self::Week => Some(Clock::Week),
            Self::Month => Some(Clock::Month),
            _ => None,
        }
    }

    /// The column as an expression and in SQL, if it is not simply the table's column of that name.
    fn computed(self, table: &Table, zone: Tz) -> Option<(Expr, String)> {
        match self {
            Self::Line => {
                let line = line_column(table);
                Some((col(line), line.to_owned()))
            }
            Self::Channel => Some((channel(), CHANNEL_SQL.to_owned())),
            _ => {
                let clock = self.clock()?;
                Some((clock.start(col(table.day_of), zone), clock.start_sql(table.day_of)))
            }
        }
    }

    /// The value of a dimension, other than one of time, as a single text of its columns: `ID/VERSION` of a
    /// conversation, in which a null is empty. Null if all of its columns are.
    pub fn text(self) -> Expr {
        match self.columns() {
            [id, version] => {
                let or_empty = |name: &str| col(name).cast(DataType::String).fill_null(lit(""));
                let both = [or_empty(id.name), lit("/"), or_empty(version.name)];
                let is_set = col(id.name).is_not_null().or(col(version.name).is_not_null());
                when(is_set).then(concat_str(both, "", false)).otherwise(lit(NULL))
            }
            columns => col(columns.first().map_or("", |column| column.name)),
        }
    }

    /// [`Dimension::text`] of rows of a table, in SQL.
    pub fn text_sql(self, table: &Table) -> String {
        match (self.computed(table, Tz::UTC), self.columns()) {
            (Some((_, sql)), _) => sql,
            (None, [id, version]) => {
                let (id, version) = (id.name, version.name);
                format!(
                    "CASE
            WHEN {id} IS NOT NULL OR {version} IS NOT NULL
            THEN concat(coalesce({id}, ''), '/', coalesce(CAST({version} AS STRING), ''))
        END"
                )
            }
            (None, columns) => columns.first().map_or("", |column| column.name).to_owned(),
        }
    }

    /// The columns as expressions over a table.
    pub fn expressions(self, table: &Table, zone: Tz) -> Vec<Expr> {
        match (self.computed(table, zone), self.columns()) {
            (Some((expression, _)), [only]) => vec![expression.alias(only.name)],
            (_, columns) => columns.iter().map(|column| col(column.name)).collect(),
        }
    }

    fn sql(self, table: &Table, zone: Tz) -> Vec<String> {
        match (self.computed(table, zone), self.columns()) {
            (Some((_, sql)), [only]) => vec![format!("{sql} AS {}", only.name)],
            (_, columns) => columns.iter().map(|column| column.name.to_owned()).collect(),
        }
    }
}

/// The channels that lead to sessions.
pub static CHANNELS: Enumeration = Enumeration::new(&[
    ("meta-ad", &[]),
    ("meta-post", &[]),
    ("whatsapp-link", &[]),
    ("outbound", &[]),
    ("redirection", &[]),
    ("organic", &[]),
]);

/// The channel that led to a session: an ad or a post of Meta, a WhatsApp link, a deployment, a
/// redirection, or none of them (`organic`).
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

/// Meta's word for an ad, and the type of a source whose type is unknown.
pub const AD: &str = "Ad";

/// The type of the source of a session that an ad or a post led to.
pub fn meta_type() -> Expr {
    col(sessions::META_SOURCE_TYPE).fill_null(lit(AD))
}

/// [`channel`] in SQL.
pub const CHANNEL_SQL: &str = "CASE
        WHEN meta_source_type = 'Post' THEN 'meta-post'
        WHEN meta_source_id IS NOT NULL OR meta_source_type IS NOT NULL THEN 'meta-ad'
        WHEN whatsapp_link_campaign_name IS NOT NULL OR whatsapp_link_campaign_source IS NOT NULL
            THEN 'whatsapp-link'
        WHEN session_type = 'Outbound' THEN 'outbound'
        WHEN parent_session_id IS NOT NULL THEN 'redirection'
        ELSE 'organic'
    END";

/// A query that takes `--by`.
pub trait Grouped: Filtered {
    /// The buckets of time that it accepts, if help names them before other dimensions.
    const TIMES: &'static [Dimension] = &[];
    /// The other dimensions that it accepts.
    const TAKES: &'static [Dimension];
    /// The dimensions without `--by`.
    const DEFAULT: &'static [Dimension] = &[];
}

/// The value of `--by`: dimensions in the order typed, without duplicates.
#[derive(Clone, Debug)]
pub struct Dimensions<Q: Grouped> {
    dimensions: Vec<Dimension>,
    of: PhantomData<Q>,
}

impl<Q: Grouped> Dimensions<Q> {
    /// The dimensions themselves.
    pub fn asked(&self) -> &[Dimension] {
        &self.dimensions
    }

    /// Puts a dimension before the others.
    pub fn put_first(&mut self, dimension: Dimension) {
        self.dimensions.insert(0, dimension);
    }

    /// The columns of the dimensions in the answer.
    pub fn columns(&self) -> Vec<OutputColumn> {
        self.dimensions.iter().flat_map(|dimension| dimension.columns()).copied().collect()
    }

    /// The columns by name, for rows that have them already.
    pub fn names(&self) -> Vec<Expr> {
        self.columns().iter().map(|column| col(column.name)).collect()
    }

    /// The columns as expressions over the query's table.
    pub fn expressions(&self, zone: Tz) -> Vec<Expr> {
        self.dimensions.iter().flat_map(|dimension| dimension.expressions(Q::TABLE, zone)).collect()
    }

    /// Groups rows of the query's table by the dimensions. By tag, a row counts once for each tag of
    /// its person.
    pub fn group(&self, rows: LazyFrame, tables: &Tables, zone: Tz) -> Groups {
        self.group_with(rows, &[], tables, zone)
    }

    /// [`Dimensions::group`], within each group by columns of the rows too. A column that is also a dimension
    /// is no second key.
    pub fn group_with(
        &self,
        rows: LazyFrame,
        columns: &[&'static str],
        tables: &Tables,
        zone: Tz,
    ) -> Groups {
        let schema = Q::TABLE.schema();
        let is_text = |name: &&'static str| schema.get(name).is_some_and(DataType::is_string);
        let of_dimensions = self.columns().into_iter().filter(|column| column.of == Type::Text);
        let texts = of_dimensions.map(|column| column.name);
        Groups::of(self.split(rows, tables, zone), self.names_with(columns))
            .texts(texts.chain(columns.iter().copied().filter(is_text)))
    }

    /// Rows of the query's table with the columns of the dimensions. By tag, a row occurs once for each tag
    /// of its person.
    pub fn split(&self, rows: LazyFrame, tables: &Tables, zone: Tz) -> LazyFrame {
        if !self.has_tags() {
            return rows.with_columns(self.expressions(zone));
        }
        // Tags multiply rows, so they come last.
        let others = self.dimensions.iter().filter(|dimension| **dimension != Dimension::Tag);
        let others = others.flat_map(|dimension| dimension.expressions(Q::TABLE, zone));
        tags::tagged(rows.with_columns(others.collect::<Vec<_>>()), Q::TABLE, tables)
    }

    /// The columns by name, then others, none of them twice.
    pub fn names_with(&self, others: &[&'static str]) -> Vec<Expr> {
        let mut names: Vec<&str> = self.columns().iter().map(|column| column.name).collect();
        for other in others {
            if !names.contains(other) {
                names.push(other);
            }
        }
        names.into_iter().map(col).collect()
    }

    /// The rows that are promised for each group, with the columns of the dimensions. A group is one that
    /// occurs in `groups`, which have these columns, too. Without dimensions, `promised` alone.
    pub fn for_each_group(&self, groups: LazyFrame, promised: LazyFrame) -> LazyFrame {
        if self.dimensions.is_empty() {
            return promised;
        }
        let groups = groups.select(self.names()).unique(None, UniqueKeepStrategy::Any);
        groups.cross_join(promised, None)
    }

    /// How changed tags affect an answer: by tag, a deployment or the like counts under the tags of its
    /// person.
    pub fn invalidation_by_tags(&self) -> Vec<Invalidation> {
        tags::invalidation(self.has_tags(), Q::TABLE)
    }

    /// Returns `true` if rows count under the tags of their person.
    fn has_tags(&self) -> bool {
        self.dimensions.contains(&Dimension::Tag)
    }

    /// Fills the slots of the twin:
    ///
    /// | slot | SQL |
    /// |---|---|
    /// | `{by}` | the select list over the query's table |
    /// | `{by_columns}`, `{by_order}` | the column names, and the sort keys |
    /// | `{tagged}` | the join with tags, to follow the table |
    /// | `{by_then}`, `{by_columns_then}`, `{by_order_then}` | the same lists with a comma after; empty without dimensions |
    /// | `{then_by}`, `{then_by_columns}` | with a comma before |
    /// | `{group_by}` | `GROUP BY` the columns; empty without dimensions |
    /// | `{here_by_then}` | the columns of the relation `here`, with a comma after |
    /// | `{and_by}` | the columns of `here` and `there` are equal, with `AND` before |
    pub fn bind(&self, bindings: Bindings) -> Bindings {
        let selected: Vec<String> =
            self.dimensions.iter().flat_map(|dimension| dimension.sql(Q::TABLE, Tz::UTC)).collect();
        let names: Vec<&str> = self.columns().iter().map(|column| column.name).collect();
        let order: Vec<String> = names.iter().map(|name| format!("{name} NULLS LAST")).collect();
        let tagged = if self.has_tags() { tags::tagged_sql(Q::TABLE) } else { String::new() };
        let of_here: Vec<String> = names.iter().map(|name| format!("here.{name}")).collect();
        let of_here = of_here.join(", ");
        let equal = names.iter().map(|name| format!("\n    AND here.{name} <=> there.{name}"));
        let equal = equal.collect::<Vec<_>>().concat();
        let with = |text: String, before: &str, after: &str| {
            if names.is_empty() { text } else { format!("{before}{text}{after}") }
        };
        bindings
            .slot("tagged", tagged)
            .slot("then_by", with(selected.join(",\n    "), ",\n    ", ""))
            .slot("then_by_columns", with(names.join(", "), ",\n    ", ""))
            .slot("by_then", with(selected.join(",\n    "), "", ",\n    "))
            .slot("and_by", equal)
            .slot("here_by_then", with(of_here, "", ",\n    "))
            .slot("group_by", with(names.join(", "), "GROUP BY ", ""))
            .slot("by_columns_then", with(names.join(", "), "", ",\n    "))
            .slot("by_order_then", with(order.join(", "), "", ",\n    "))
            .slot("by", selected.join(",\n    "))
            .slot("by_columns", names.join(", "))
            .slot("by_order", order.join(", "))
    }
}

impl<Q: Grouped> NeedsTables for Dimensions<Q> {
    fn tables(&self) -> &'static [&'static Table] {
        tags::TABLES
    }

    fn is_read(&self, _table: &Table) -> bool {
        self.has_tags()
    }
}

impl<Q: Grouped> Args for Dimensions<Q> {
    fn augment_args(command: Command) -> Command {
        let taken = || Q::TIMES.iter().chain(Q::TAKES);
        let default: Vec<&str> = Q::DEFAULT.iter().map(|dimension| dimension.name()).collect();
        let by = Arg::new("by")
            .long("by")
            .value_name("LIST")
            .value_delimiter(',')
            .action(ArgAction::Append)
            .value_parser(Word::listed(taken().map(|dimension| dimension.name())).try_map(
                move |name| {
                    let of_that_name = |dimension: &&Dimension| dimension.name() == name;
                    taken().find(of_that_name).copied().ok_or("no such dimension")
                },
            ))
            .help_heading("Split")
            .help("Split by these dimensions, separated by commas; their columns come first, in this order");
        command.arg(if default.is_empty() { by } else { by.default_value(default.join(",")) })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<Q: Grouped> FromArgMatches for Dimensions<Q> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut dimensions = Vec::new();
        for dimension in matches.get_many::<Dimension>("by").unwrap_or_default() {
            if !dimensions.contains(dimension) {
                dimensions.push(*dimension);
            }
        }
        Ok(Self { dimensions, of: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
