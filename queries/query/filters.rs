//! Filters that take a comma-separated list: only the rows whose column holds one of the values.
//!
//! ```text
//! --country co,MX            country is CO or MX
//! --session-type inbound     session_type is Inbound, spelt as in loading
//! --conversation-id ''       every row: an empty list means all
//! ```

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::Debug;
use std::marker::PhantomData;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use polars::prelude::{Expr, LazyFrame, NamedFrom, Series, col, lit};
use wabalake_data::cells::Enumeration;
use wabalake_data::cells::number::integer;
use wabalake_data::cells::phone::{digits, full_number};
use wabalake_data::tables::{deployments, messages, meta_points, sessions};

use super::sql::{Bindings, SqlLiteral};

/// What a filter chooses by.
pub trait Choice: Send + Sync + 'static {
    /// The type of the column and of the values.
    type Value: SqlLiteral + Clone + Debug + Send + Sync + 'static;

    /// The option in `snake_case`; on the command line with `-`, in a twin with `:`.
    const NAME: &'static str;

    /// The column that is compared.
    const COLUMN: &'static str;

    /// Its line in the help.
    const HELP: &'static str;

    /// The words that the column's list has, where it has one: taken in any spelling.
    fn words() -> Option<&'static Enumeration> {
        None
    }

    /// Reads one trimmed word of the list, which is not empty.
    ///
    /// # Errors
    /// A word that can be no value of the column.
    fn read(word: &str) -> Result<Self::Value, String>;

    /// The values as a column.
    fn series(values: &[Self::Value]) -> Series;

    /// What is compared with them.
    fn compared() -> Expr {
        col(Self::COLUMN)
    }
}

/// The option of a [`Choice`].
#[derive(Clone, Debug)]
pub struct Only<C: Choice> {
    allowed: Vec<C::Value>,
}

impl<C: Choice> Only<C> {
    /// The rows that are left.
    pub fn of(&self, rows: LazyFrame) -> LazyFrame {
        if self.allowed.is_empty() { rows } else { rows.filter(self.keep()) }
    }

    /// The values that are allowed; none for all.
    pub fn allowed(&self) -> &[C::Value] {
        &self.allowed
    }

    fn keep(&self) -> Expr {
        let allowed = lit(C::series(&self.allowed)).implode(true);
        C::compared().is_in(allowed, false)
    }

    /// Binds the list, empty for all, to the parameter of the choice's name.
    pub fn bind(&self, bindings: Bindings) -> Bindings {
        bindings.list(C::NAME, &self.allowed)
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
                .help(format!("{}, separated by commas [default: all]", C::HELP)),
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// Parser of one word of the list; nothing for an empty one.
#[derive(Debug)]
struct Reader<C>(PhantomData<C>);

impl<C> Clone for Reader<C> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<C: Choice> TypedValueParser for Reader<C> {
    type Value = Option<C::Value>;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Self::Value, Error> {
        let read = |word: &str| match word.trim() {
            "" => Ok(None),
            word => C::read(word).map(Some),
        };
        read.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(C::words()?.values().map(PossibleValue::new)))
    }
}

impl<C: Choice> FromArgMatches for Only<C> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let words = matches.get_many::<Option<C::Value>>(C::NAME).unwrap_or_default();
        Ok(Self { allowed: words.flatten().cloned().collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

macro_rules! choices {
    ($($(#[$doc:meta])* $choice:ident: $value:ty = $name:literal of $column:expr, $help:literal,
        $read:expr $(, in $words:expr)?;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $choice;

            impl Choice for $choice {
                type Value = $value;

                const NAME: &'static str = $name;
                const COLUMN: &'static str = $column;
                const HELP: &'static str = $help;

                $(fn words() -> Option<&'static Enumeration> {
                    Some(&$words)
                })?

                fn read(word: &str) -> Result<$value, String> {
                    let read: fn(&str) -> Result<$value, String> = $read;
                    read(word)
                }

                fn series(values: &[$value]) -> Series {
                    Series::new($name.into(), values)
                }
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
            "not a whole number\n  hint: write one or several, such as 1,2".to_owned()
        });

    /// `--country`, in any case.
    Country: String = "country" of sessions::COUNTRY,
        "Only people of these countries (ISO 3166-1 alpha-2)", |word| Ok(word.to_uppercase());

    /// `--delivery-status`, spelt as in loading.
    DeliveryStatus: String = "delivery_status" of deployments::DELIVERY_STATUS,
        "Only deployments of these statuses (In Process, Sent, Delivered, Failed)",
        |word| Ok(listed_or_any(&deployments::DELIVERY_STATUSES, word)),
        in deployments::DELIVERY_STATUSES;

    /// `--session-status`, spelt as in loading.
    SessionStatus: String = "session_status" of sessions::SESSION_STATUS,
        "Only sessions of these statuses (BOT, AGENTS, RATING)",
        |word| Ok(listed_or_any(&sessions::SESSION_STATUSES, word)),
        in sessions::SESSION_STATUSES;

    /// `--session-type`, spelt as in loading.
    SessionType: String = "session_type" of sessions::SESSION_TYPE,
        "Only sessions of these types (Outbound, Inbound)",
        |word| Ok(listed_or_any(&sessions::SESSION_TYPES, word)),
        in sessions::SESSION_TYPES;

    /// `--waba`, exactly as stored.
    Waba: String = "waba" of meta_points::WABA_ID,
        "Only these WhatsApp Business accounts", |word| Ok(word.to_owned());

    /// `--phone`, a full international number as a person types it.
    Phone: String = "phone" of messages::USER_PHONE,
        "Only people with these numbers, with their country's code",
        |word| full_number(word).ok_or_else(|| "not a number".to_owned());

    /// `--line`, cleaned as in loading.
    Line: String = "line" of messages::LINE,
        "Only these lines of the business",
        |word| digits(word).map(Cow::into_owned).ok_or_else(|| "not a number".to_owned());

    /// `--direction`, spelt as in loading.
    Direction: String = "direction" of messages::MESSAGE_DIRECTION,
        "Only messages that went this way (incoming, outgoing)",
        |word| one_of(&messages::DIRECTIONS, word),
        in messages::DIRECTIONS;

    /// `--template`, exactly as stored.
    Template: String = "template" of messages::TEMPLATE_NAME,
        "Only messages of these templates", |word| Ok(word.to_owned());

    /// `--campaign`, exactly as stored.
    Campaign: String = "campaign" of messages::CAMPAIGN_ID,
        "Only messages of these campaigns", |word| Ok(word.to_owned());

    /// `--status`, of rows that have the column [`MessageStatus::COLUMN`].
    MessageStatus: String = "status" of "status",
        "Only outgoing messages that came so far (created, sent, delivered, seen, failed)",
        |word| one_of(&MESSAGE_STATUSES, word),
        in MESSAGE_STATUSES;
}

/// How far an outgoing message came.
static MESSAGE_STATUSES: Enumeration = Enumeration::new(&[
    ("created", &[]),
    ("sent", &[]),
    ("delivered", &[]),
    ("seen", &[]),
    ("failed", &[]),
]);

/// The value of a list that a word stands for; a word that the list does not have, as it is.
pub fn listed_or_any(list: &Enumeration, word: &str) -> String {
    list.canonical(word).unwrap_or(word).to_owned()
}

/// The value of a closed list that a word stands for.
fn one_of(known: &Enumeration, word: &str) -> Result<String, String> {
    known.canonical(word).map(str::to_owned).ok_or_else(|| {
        let words: Vec<&str> = known.values().collect();
        format!("there is no such thing\n  hint: it is one of {}", words.join(", "))
    })
}
