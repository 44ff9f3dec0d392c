//! Parser of the options of a field's query.

use std::marker::PhantomData;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches, Id};
use wabalake_data::Invalid;
use wabalake_data::cells::enumeration::normalise;
use wabalake_data::words::{did_you_mean, nearest};

use super::expression::{Bounds, Expression};
use super::fields::Field;
use super::points::{Granularity, Points, PointsSource};
use crate::query::OutputColumn;
use crate::query::filters::{self, Only};
use crate::query::time::DayRange;
use crate::query::usage::misfit;
use crate::query::words::Word;

impl<F: Field> Args for Points<F> {
    fn augment_args(command: Command) -> Command {
        let command = DayRange::augment_args(command).arg(granularity(F::DAYS_ONLY));
        let command = Only::<filters::Waba>::augment_args(command);
        let lists = lists::<F>();
        let in_expression = lists.iter().map(|list| list.get_id().clone());
        let in_expression: Vec<Id> = ["from", "to", "granularity", WABA_TIMEZONE]
            .into_iter()
            .map(Id::from)
            .chain(in_expression)
            .collect();
        command
            .args(lists)
            .arg(waba_timezone(F::DAYS_IN_UTC))
            .arg(
                Arg::new("source")
                    .long("source")
                    .value_parser(Word::of::<PointsSource>())
                    .default_value("lake")
                    .help(
                        "Compute points from the lake's messages, or show those that Meta reported",
                    ),
            )
            .arg(
                Arg::new("fields")
                    .long("fields")
                    .value_name("EXPRESSION")
                    .conflicts_with_all(in_expression)
                    .help("All of the above in Meta's syntax, as in ?fields=EXPRESSION")
                    .long_help(format!(
                        "All of the above in Meta's syntax, as in ?fields=EXPRESSION: \
                         {}.start(1748736000).end(1751328000).granularity(DAY). Start and end are \
                         Unix seconds or dates in the reporting zone; the end is exclusive",
                        F::NAME
                    )),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// `--granularity`
fn granularity(days_only: bool) -> Arg {
    let lengths: &[&'static str] = if days_only {
        &["day", "daily"]
    } else {
        &["half-hour", "day", "daily", "month", "monthly"]
    };
    Arg::new("granularity")
        .long("granularity")
        .value_name("LENGTH")
        .value_parser(Word::listed(lengths.iter().copied()))
        .default_value("day")
        .help("Length of the buckets")
}

/// The name of the option and of the call that says in which zone buckets begin.
pub(super) const WABA_TIMEZONE: &str = "use_waba_timezone";

/// `--use-waba-timezone`
fn waba_timezone(days_in_utc: bool) -> Arg {
    Arg::new(WABA_TIMEZONE)
        .long(WABA_TIMEZONE.replace('_', "-"))
        .value_name("BOOLEAN")
        .value_parser(Word::listed(["true", "false"]))
        .default_value(if days_in_utc { "false" } else { "true" })
        .help("Begin days in the reporting time zone; false: in UTC, and dates are UTC's")
}

/// The options of a field's filters, dimensions and measures.
fn lists<F: Field>() -> Vec<Arg> {
    let list = |name: &'static str, help: String, words: Word| {
        Arg::new(name)
            .long(name.replace('_', "-"))
            .value_name("LIST")
            .value_delimiter(',')
            .action(ArgAction::Append)
            .value_parser(words)
            .help(help)
    };
    let filters = F::FILTERS.iter().map(|filter| {
        let all =
            if filter.default.is_empty() { "all".to_owned() } else { filter.default.join(",") };
        // The words and what else there is to know come last.
        let help = filter.help;
        let end = help.find([':', ';']).or_else(|| help.find(", such as")).unwrap_or(help.len());
        let (what, more) = help.split_at(end);
        let help = format!("{what}, separated by commas{more} [default: {all}]");
        let words = Word::listed(filter.words.iter().copied()).or_any();
        list(filter.name, help, words).hide_possible_values(true)
    });
    let dimensions = (!F::DIMENSIONS.is_empty()).then(|| {
        let help = "Split by these dimensions, separated by commas, in this order [default: none]";
        list("dimensions", help.to_owned(), Word::listed(F::DIMENSIONS.iter().copied()))
    });
    let measures = F::CHOOSES.then(|| {
        let help = "Only these measures, separated by commas [default: all]";
        let known = F::MEASURES.iter().map(|measure| measure.name.to_uppercase());
        list("metric_types", help.to_owned(), Word::listed(known))
    });
    filters.chain(dimensions).chain(measures).collect()
}

impl<F: Field> FromArgMatches for Points<F> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let days = DayRange::from_arg_matches(matches)?;
        let waba = Only::from_arg_matches(matches)?;
        let source = matches.get_one("source").copied().unwrap_or(PointsSource::Lake);
        let request = match matches.get_one::<String>("fields") {
            Some(text) => Request::of_expression::<F>(text),
            None => Request::of_options::<F>(matches),
        };
        let Request { bounds, in_utc, granularity, allowed, dimensions, measures } =
            request.map_err(misfit)?;
        let of = PhantomData;
        Ok(Self {
            days,
            bounds,
            in_utc,
            granularity,
            waba,
            allowed,
            dimensions,
            measures,
            source,
            of,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// What options and expressions have in common.
struct Request {
    bounds: Option<Bounds>,
    in_utc: bool,
    granularity: Granularity,
    allowed: Vec<Vec<String>>,
    dimensions: Vec<&'static str>,
    measures: Vec<OutputColumn>,
}

/// The bounds of an expression, and whether dates and buckets begin in UTC.
struct Zoned {
    bounds: Option<Bounds>,
    in_utc: bool,
}

impl Request {
    fn of_options<F: Field>(matches: &ArgMatches) -> Result<Self, Invalid> {
        // An option that the field does not take is not defined.
        let typed = |name: &str| -> Option<Vec<String>> {
            let words = matches.try_get_many::<String>(name).ok().flatten()?;
            Some(words.filter(|word| !word.is_empty()).cloned().collect())
        };
        let granularity = typed("granularity").and_then(|words| Granularity::read(words.first()?));
        let in_utc = typed(WABA_TIMEZONE).is_some_and(|words| words == ["false"]);
        let zoned = Zoned { bounds: None, in_utc };
        Self::read::<F>(zoned, granularity, typed)
            .map_err(|(name, invalid)| of(&format!("--{}", name.replace('_', "-")), invalid))
    }

    fn of_expression<F: Field>(text: &str) -> Result<Self, Invalid> {
        let expression = Expression::read::<F>(text)?;
        let uses_waba_timezone = expression.uses_waba_timezone()?.unwrap_or(!F::DAYS_IN_UTC);
        let zoned = Zoned { bounds: Some(expression.bounds()?), in_utc: !uses_waba_timezone };
        let granularity = expression.granularity(F::DAYS_ONLY)?;
        let lists = |name: &str| expression.words(name).map(<[String]>::to_vec);
        Self::read::<F>(zoned, granularity, lists).map_err(|(name, invalid)| of(name, invalid))
    }

    fn read<F: Field>(
        Zoned { bounds, in_utc }: Zoned,
        granularity: Option<Granularity>,
        lists: impl Fn(&str) -> Option<Vec<String>>,
    ) -> Result<Self, (&'static str, Invalid)> {
        let allowed = F::FILTERS.iter().map(|filter| match lists(filter.name) {
            Some(words) => words.iter().map(|word| (filter.read)(word)).collect(),
            None => Ok(filter.default.iter().map(|word| (*word).to_owned()).collect()),
        });
        let allowed = allowed.zip(F::FILTERS);
        let allowed: Result<_, _> =
            allowed.map(|(read, filter)| read.map_err(|fault| (filter.name, fault))).collect();

        let mut dimensions = Vec::new();
        for word in lists("dimensions").unwrap_or_default() {
            let known = one_of(&word, F::DIMENSIONS).map_err(|fault| ("dimensions", fault))?;
            if !dimensions.contains(&known) {
                dimensions.push(known);
            }
        }
        let mut metrics = Vec::new();
        let names: Vec<&'static str> = F::MEASURES.iter().map(|measure| measure.name).collect();
        for word in lists("metric_types").unwrap_or_default() {
            metrics.push(one_of(&word, &names).map_err(|fault| ("metric_types", fault))?);
        }
        let chosen =
            |measure: &&OutputColumn| metrics.is_empty() || metrics.contains(&measure.name);
        Ok(Self {
            bounds,
            in_utc,
            granularity: granularity.unwrap_or(Granularity::Day),
            allowed: allowed?,
            dimensions,
            measures: F::MEASURES.iter().filter(chosen).copied().collect(),
        })
    }
}

/// Names the option or the call that an error is about.
pub(super) fn of(name: &str, invalid: Invalid) -> Invalid {
    Invalid { what: format!("`{name}`: {}", invalid.what), ..invalid }
}

/// Parses one of the known words, in any spelling.
fn one_of(word: &str, known: &[&'static str]) -> Result<&'static str, Invalid> {
    let found = known.iter().find(|known| normalise(known) == normalise(word)).copied();
    found.ok_or_else(|| {
        let all: Vec<String> = known.iter().map(|word| word.to_uppercase()).collect();
        let near = nearest(word, all.iter().map(String::as_str));
        let near = near.map(|near| did_you_mean(near) + " ").unwrap_or_default();
        Invalid::new("no such word").hint(format!("{near}it takes {}", all.join(", ")))
    })
}
