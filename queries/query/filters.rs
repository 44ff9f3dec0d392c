//! Options that filter rows: comma-separated lists of the values that a column may have.
//!
//! ```text
//! --country co,MX            country is CO or MX
//! --session-type inbound     session_type is Inbound, in any spelling
//! --stage none,finished      conversation_stage is null or Finished
//! --conversation-id ''       all rows: an empty list filters nothing
//! ```

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::Debug;
use std::marker::PhantomData;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use polars::prelude::{Expr, LazyFrame, NamedFrom, PolarsResult, Series, col, lit};
use wabalake_data::cells::Enumeration;
use wabalake_data::cells::number::integer;
use wabalake_data::cells::phone::{digits, full_number};
use wabalake_data::reference::deployment_states;
use wabalake_data::tables::{
    agent_chats, audience_tags, deployments, messages, meta_points, sessions, variables,
};
use wabalake_data::{Invalid, Table};

use super::dimensions::{CHANNEL_SQL, CHANNELS, channel};
use super::people;
use super::sql::{Bindings, SqlLiteral};
use super::tables::Tables;

/// The heading of filters in help.
pub const HEADING: &str = "Filters";

/// A column that rows can be filtered by.
pub trait Choice: Debug + Send + Sync + 'static {
    /// The type of the column and of the values.
    type Value: SqlLiteral + Clone + Debug + Send + Sync + 'static;

    /// Name in `snake_case`: the option has `-` for `_`, the parameter of the twin a `:` before it.
    const NAME: &'static str;

    /// The parameter of the twin that is `true` if null passes: the name with `_none`.
    const NONE: &'static str;

    /// The column that is filtered.
    const COLUMN: &'static str;

    /// The help text.
    const HELP: &'static str;

    /// The enumeration of the column's values, if there is one. They are accepted in any spelling.
    fn words() -> Option<&'static Enumeration> {
        None
    }

    /// Parses one word of the list, trimmed and not empty.
    ///
    /// # Errors
    /// A word that cannot be a value of the column.
    fn read(word: &str) -> Result<Self::Value, Invalid>;

    /// The values as a Polars series.
    fn series(values: &[Self::Value]) -> Series;

    /// The expression that is compared with the values.
    fn compared() -> Expr {
        col(Self::COLUMN)
    }

    /// What is compared with the values in rows of a table, as an expression and in SQL.
    fn compared_in(_table: &Table) -> (Expr, String) {
        (Self::compared(), Self::COLUMN.to_owned())
    }
}

/// The option of a [`Choice`].
#[derive(Clone, Debug)]
pub struct Only<C: Choice> {
    allowed: Vec<C::Value>,
    /// `true` lets null pass.
    none: bool,
}

impl<C: Choice> Only<C> {
    /// Keeps the rows that pass the filter.
    pub fn of(&self, rows: LazyFrame) -> LazyFrame {
        if self.is_given() { rows.filter(self.keep(C::compared())) } else { rows }
    }

    /// The values that pass. It is empty for all, and if only null passes.
    pub fn allowed(&self) -> &[C::Value] {
        &self.allowed
    }

    /// Returns `true` if null passes although the filter is given.
    pub fn lets_null_pass(&self) -> bool {
        self.none
    }

    /// Returns `true` unless all rows pass.
    pub fn is_given(&self) -> bool {
        self.none || !self.allowed.is_empty()
    }

    pub(super) fn keep(&self, compared: Expr) -> Expr {
        let allowed = lit(C::series(&self.allowed)).implode(true);
        let is_allowed = compared.clone().is_in(allowed, false);
        if self.none { is_allowed.or(compared.is_null()) } else { is_allowed }
    }

    /// Binds the values to the parameter of the option's name, and [`Choice::NONE`]. All rows pass if
    /// the list is empty and null is not asked for.
    pub fn bind(&self, bindings: Bindings) -> Bindings {
        bindings.list(C::NAME, &self.allowed).boolean(C::NONE, self.none)
    }
}

impl Only<Phone> {
    /// The people who pass; none if rows of other people pass, or rows of nobody.
    pub fn people(&self) -> Vec<String> {
        if self.none { Vec::new() } else { self.allowed.clone() }
    }

    /// Keeps the rows of the people. A user id stands for its person.
    ///
    /// # Errors
    /// Those of building a plan.
    pub fn of_people(&self, rows: LazyFrame, tables: &Tables) -> PolarsResult<LazyFrame> {
        if !self.needs_persons() {
            return Ok(self.of(rows));
        }
        people::rows_of(rows, &self.allowed, self.none, tables)
    }

    /// Returns `true` if user ids are among the values, whose person the table `persons` tells.
    pub fn needs_persons(&self) -> bool {
        !people::are_numbers(&self.allowed)
    }
}

impl<C: Choice> Args for Only<C> {
    fn augment_args(command: Command) -> Command {
        command.arg(
            Arg::new(C::NAME)
                .long(C::NAME.replace('_', "-"))
                .value_name("LIST")
                .value_delimiter(',')
                .action(ArgAction::Append)
                .value_parser(Reader::<C>(PhantomData))
                .hide_possible_values(true)
                .help_heading(HEADING)
                .help(format!("{}, separated by commas [default: all]", C::HELP)),
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// One word of the list.
#[derive(Clone, Debug)]
enum Asked<T> {
    /// An empty word, which is ignored.
    Nothing,
    /// `none`: the rows without a value.
    None,
    Value(T),
}

/// Parser of one word of the list.
#[derive(Debug)]
struct Reader<C>(PhantomData<C>);

impl<C> Clone for Reader<C> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<C: Choice> TypedValueParser for Reader<C> {
    type Value = Asked<C::Value>;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Self::Value, Error> {
        let read = |word: &str| match word.trim() {
            "" => Ok(Asked::Nothing),
            "none" => Ok(Asked::None),
            // Words of an enumeration may have any case, ids may not.
            word if C::words().is_some() && word.eq_ignore_ascii_case("none") => Ok(Asked::None),
            word => C::read(word).map(Asked::Value),
        };
        read.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(C::words()?.values().map(PossibleValue::new)))
    }
}

impl<C: Choice> FromArgMatches for Only<C> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut only = Self { allowed: Vec::new(), none: false };
        for word in matches.get_many::<Asked<C::Value>>(C::NAME).unwrap_or_default() {
            match word {
                Asked::Nothing => {}
                Asked::None => only.none = true,
                Asked::Value(value) => only.allowed.push(value.clone()),
            }
        }
        Ok(only)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

macro_rules! choices {
    ($($(#[$doc:meta])* $choice:ident: $value:ty = $name:literal of $column:expr, $help:literal,
        $read:expr $(, in $words:expr)? $(, as $compared:expr)?;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $choice;

            impl Choice for $choice {
                type Value = $value;

                const NAME: &'static str = $name;
                const NONE: &'static str = concat!($name, "_none");
                const COLUMN: &'static str = $column;
                const HELP: &'static str = $help;

                $(fn words() -> Option<&'static Enumeration> {
                    Some(&$words)
                })?

                fn read(word: &str) -> Result<$value, Invalid> {
                    let read: fn(&str) -> Result<$value, Invalid> = $read;
                    read(word)
                }

                fn series(values: &[$value]) -> Series {
                    Series::new($name.into(), values)
                }

                $(fn compared_in(table: &Table) -> (Expr, String) {
                    let compared: fn(&Table) -> (Expr, String) = $compared;
                    compared(table)
                })?
            }
        )*
    };
}

choices! {
    /// `--conversation-id`, exactly as stored.
    ConversationId: String = "conversation_id" of sessions::CONVERSATION_ID,
        "Only these flows", |word| Ok(word.to_owned());

    /// `--conversation-version`.
    ConversationVersion: i32 = "conversation_version" of sessions::CONVERSATION_VERSION,
        "Only these versions of flows",
        |word| integer(word).ok_or_else(|| {
            Invalid::new("not a whole number").hint("write one or several, such as 1,2")
        });

    /// `--country`, in any case.
    Country: String = "country" of sessions::COUNTRY,
        "Only people of these countries (ISO 3166-1 alpha-2)", |word| Ok(word.to_uppercase());

    /// `--delivery-status`, in any spelling.
    DeliveryStatus: String = "delivery_status" of deployments::DELIVERY_STATUS,
        "Only deployments of these statuses (In Process, Sent, Delivered, Failed)",
        |word| Ok(listed_or_any(&deployments::DELIVERY_STATUSES, word)),
        in deployments::DELIVERY_STATUSES;

    /// `--session-status`, in any spelling.
    SessionStatus: String = "session_status" of sessions::SESSION_STATUS,
        "Only sessions of these statuses (BOT, AGENTS, RATING)",
        |word| Ok(listed_or_any(&sessions::SESSION_STATUSES, word)),
        in sessions::SESSION_STATUSES;

    /// `--session-type`, in any spelling.
    SessionType: String = "session_type" of sessions::SESSION_TYPE,
        "Only sessions of these types (Outbound, Inbound)",
        |word| Ok(listed_or_any(&sessions::SESSION_TYPES, word)),
        in sessions::SESSION_TYPES;

    /// `--waba`, exactly as stored.
    Waba: String = "waba" of meta_points::WABA_ID,
        "Only these WhatsApp Business accounts", |word| Ok(word.to_owned());

    /// `--ref`, exactly as stored.
    Ref: String = "ref" of messages::REF,
        "Only messages with these references of the API's caller", |word| Ok(word.to_owned());

    /// `--ref1`, exactly as stored.
    Ref1: String = "ref1" of messages::REF1,
        "Only messages with these second references of the API's caller", |word| Ok(word.to_owned());

    /// `--ref2`, exactly as stored.
    Ref2: String = "ref2" of messages::REF2,
        "Only messages with these third references of the API's caller", |word| Ok(word.to_owned());

    /// `--message-source`, in any spelling.
    MessageSource: String = "message_source" of messages::SOURCE,
        "Only messages of these sources (api, campaign, webhook, app)",
        |word| Ok(listed_or_any(&messages::SOURCES, word)),
        in messages::SOURCES;

    /// `--message-format`, in any spelling.
    MessageFormat: String = "message_format" of messages::FORMAT,
        "Only messages of these formats, such as text or image",
        |word| Ok(listed_or_any(&messages::FORMATS, word)),
        in messages::FORMATS;

    /// `--phone`, a number with country code, in any format, or a user id: see [`Only::of_people`].
    Phone: String = "phone" of messages::USER_PHONE,
        "Only people with these phone numbers, with country code, or with these user ids",
        |word| full_number(word).ok_or_else(|| Invalid::new("not a number"));

    /// `--line`, a phone number in any format.
    Line: String = "line" of messages::LINE,
        "Only these lines of the business",
        |word| digits(word).map(Cow::into_owned).ok_or_else(|| Invalid::new("not a number")),
        as |table| {
            let column = line_column(table);
            (col(column), column.to_owned())
        };

    /// `--tag`, exactly as stored.
    Tag: String = "tag" of audience_tags::TAG,
        "Only people with one of these tags at the time", |word| Ok(word.to_owned());

    /// `--channel`, in any spelling.
    Channel: String = "channel" of "channel",
        "Only sessions of these channels (meta-ad, meta-post, whatsapp-link, outbound, redirection, organic)",
        |word| one_of(&CHANNELS, word),
        in CHANNELS,
        as |_| (channel(), CHANNEL_SQL.to_owned());

    /// `--state`, in any spelling.
    State: String = "state" of deployments::STATE,
        "Only deployments of these states, such as frequency_capped",
        |word| Ok(listed_or_any(&STATES, word)),
        in STATES;

    /// `--direction`, in any spelling.
    Direction: String = "direction" of messages::MESSAGE_DIRECTION,
        "Only messages in these directions (incoming, outgoing)",
        |word| one_of(&messages::DIRECTIONS, word),
        in messages::DIRECTIONS;

    /// `--template`, exactly as stored.
    Template: String = "template" of messages::TEMPLATE_NAME,
        "Only messages of these templates", |word| Ok(word.to_owned());

    /// `--campaign`, exactly as stored.
    Campaign: String = "campaign" of messages::CAMPAIGN_ID,
        "Only messages of these campaigns", |word| Ok(word.to_owned());

    /// `--agent`, exactly as stored.
    Agent: String = "agent" of agent_chats::AGENT,
        "Only chats with these agents", |word| Ok(word.to_owned());

    /// `--name`, exactly as stored.
    VariableName: String = "name" of variables::VARIABLE,
        "Only these variables", |word| Ok(word.to_owned());

    /// `--status`, which the query applies to several columns.
    MessageStatus: String = "status" of "status",
        "Only outgoing messages in these states (created, sent, delivered, seen, failed)",
        |word| one_of(&MESSAGE_STATUSES, word),
        in MESSAGE_STATUSES;
}

/// The column of the line in rows of a table.
pub fn line_column(table: &Table) -> &'static str {
    match table.position(messages::LINE) {
        Some(_) => messages::LINE,
        None => sessions::LINE_WHATSAPP_NUMBER,
    }
}

/// The states of an outgoing message.
static MESSAGE_STATUSES: Enumeration = Enumeration::new(&[
    ("created", &[]),
    ("sent", &[]),
    ("delivered", &[]),
    ("seen", &[]),
    ("failed", &[]),
]);

/// The states of a deployment.
static STATES: Enumeration = Enumeration::new(&STATE_WORDS);

static STATE_WORDS: [(&str, &[&str]); deployment_states::STATES.len()] = {
    let mut words: [(&str, &[&str]); deployment_states::STATES.len()] =
        [("", &[]); deployment_states::STATES.len()];
    let mut place = 0;
    while place < words.len() {
        words[place].0 = deployment_states::STATES[place].name;
        place += 1;
    }
    words
};

/// The listed value that a word stands for, or the word itself if there is none.
pub fn listed_or_any(list: &Enumeration, word: &str) -> String {
    list.canonical(word).unwrap_or(word).to_owned()
}

/// The listed value that a word stands for.
fn one_of(known: &Enumeration, word: &str) -> Result<String, Invalid> {
    known.canonical(word).map(str::to_owned).ok_or_else(|| {
        let words: Vec<&str> = known.values().collect();
        Invalid::new("no such value").hint(format!("it is one of {}", words.join(", ")))
    })
}
