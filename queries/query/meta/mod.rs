//! What Meta's analytics API answers, worked out here.
//!
//! ```text
//! --fields 'analytics.start(1748736000).end(1748822400).granularity(DAY)'   Meta's own words
//! --from 2025-06-01 --to 2025-06-01 --granularity day                       the same in ours
//!   │
//!   ├─ --source lake   units ── filters ── buckets of the reporting zone ──► points
//!   └─ --source meta   what Meta said of such buckets, as it was loaded ───► points
//! ```
//!
//! A query says by a [`Field`] what it takes, and gives units: rows at an instant, with the
//! columns that its filters and dimensions name and its measures. The rest is the same for all.

mod expression;
mod stored;

use std::fmt::Debug;
use std::marker::PhantomData;

use chrono_tz::Tz;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches, ValueEnum};
use polars::prelude::{
    DataType, Expr, LazyFrame, NamedFrom, PolarsResult, Series, UniqueKeepStrategy, col, lit,
};
use wabalake_data::cells::enumeration::{Enumeration, normalise};
use wabalake_data::cells::list;
use wabalake_data::cells::phone::digits;
use wabalake_data::tables::messages::CREATED_AT;
use wabalake_data::tables::meta_points::{
    self, CONVERSATION_CATEGORY, CONVERSATION_DIRECTION, CONVERSATION_TYPE, COST, COUNTRY,
    COUNTRY_CODES, DIMENSION_COLUMNS, END, PHONE_NUMBER, PHONE_NUMBERS, PRICING_CATEGORY,
    PRICING_TYPE, START, TEMPLATE_ID, WABA_ID,
};
use wabalake_data::words::{did_you_mean, nearest};

use self::expression::Expression;
use super::days::{DayRange, Span};
use super::filters::{self, Only};
use super::sql::Bindings;
use super::tables::Tables;
use super::words::Word;
use super::zone::Clock;
use super::{OutputColumn, money};

/// One of the fields of Meta's API.
pub trait Field: Send + Sync + 'static {
    /// Meta's name for it.
    const NAME: &'static str;
    /// What it can be filtered by.
    const FILTERS: &'static [Filter];
    /// Meta's words for what it can be broken down by.
    const DIMENSIONS: &'static [&'static str] = &[];
    /// The columns that it is always broken down by.
    const ALWAYS: &'static [OutputColumn] = &[];
    /// What it measures.
    const MEASURES: &'static [OutputColumn];
    /// Whether a caller may choose among the measures.
    const CHOOSES: bool = true;
    /// Whether its buckets are days and nothing else.
    const DAYS_ONLY: bool = false;
}

/// One thing that a field can be filtered by.
#[derive(Debug)]
pub struct Filter {
    /// Meta's name for it, which with `-` is the option's.
    name: &'static str,
    /// The column of units that is compared.
    column: &'static str,
    /// Meta's word for the breakdown without which stored points do not tell it.
    dimension: Option<&'static str>,
    help: &'static str,
    /// What it is unless asked otherwise; nothing for all.
    default: &'static [&'static str],
    /// Meta's words for its values, where there is a list of them: taken in any spelling.
    words: &'static [&'static str],
    read: fn(&str) -> Result<String, String>,
}

/// The kinds of messages that `analytics` tells apart, as Meta numbers them; a column of units.
pub const PRODUCT_TYPE: &str = "product_type";

/// `--phone-numbers`
pub const BY_PHONE: Filter = Filter {
    name: PHONE_NUMBERS,
    column: PHONE_NUMBER,
    dimension: Some("PHONE"),
    help: "Only these lines",
    default: &[],
    words: &[],
    read: |word| Ok(digits(word).map_or_else(|| word.to_owned(), Into::into)),
};

/// `--country-codes`
pub const BY_COUNTRY: Filter = Filter {
    name: COUNTRY_CODES,
    column: COUNTRY,
    dimension: Some("COUNTRY"),
    help: "Only people of these countries (ISO 3166-1 alpha-2)",
    default: &[],
    words: &[],
    read: |word| Ok(word.to_uppercase()),
};

/// `--product-types`
pub const BY_PRODUCT: Filter = Filter {
    name: "product_types",
    column: PRODUCT_TYPE,
    dimension: None,
    help: "Only these kinds of messages: 0 templates, 2 other outgoing ones, 100 incoming ones; \
           stored points do not tell",
    default: &["0", "2"],
    words: &[],
    read: |word| match word {
        "0" | "2" | "100" => Ok(word.to_owned()),
        _ => Err("no such kind of messages\n  hint: it takes 0, 2 and 100".to_owned()),
    },
};

macro_rules! enumerated {
    ($($(#[$doc:meta])* $filter:ident: $name:literal of $column:ident, $dimension:literal,
        $help:literal, [$($word:literal $(= $other:literal)?),*];)*) => {
        $(
            $(#[$doc])*
            pub const $filter: Filter = Filter {
                name: $name,
                column: $column,
                dimension: Some($dimension),
                help: $help,
                default: &[],
                words: &[$($word),*],
                read: |word| {
                    static WORDS: Enumeration =
                        Enumeration::new(&[$(($word, &[$($other)?])),*]);
                    Ok(filters::listed_or_any(&WORDS, word))
                },
            };
        )*
    };
}

enumerated! {
    /// `--conversation-categories`
    BY_CONVERSATION_CATEGORY: "conversation_categories" of CONVERSATION_CATEGORY,
        "CONVERSATION_CATEGORY",
        "Only conversations of these categories, such as MARKETING",
        ["AUTHENTICATION", "AUTHENTICATION_INTERNATIONAL", "MARKETING", "SERVICE", "UTILITY",
         "UNKNOWN"];

    /// `--conversation-types`
    BY_CONVERSATION_TYPE: "conversation_types" of CONVERSATION_TYPE, "CONVERSATION_TYPE",
        "Only conversations of these types: FREE_ENTRY_POINT, FREE_TIER, REGULAR",
        ["FREE_ENTRY_POINT" = "FREE_ENTRY", "FREE_TIER", "REGULAR", "UNKNOWN"];

    /// `--conversation-directions`
    BY_CONVERSATION_DIRECTION: "conversation_directions" of CONVERSATION_DIRECTION,
        "CONVERSATION_DIRECTION",
        "Only conversations that began so: BUSINESS_INITIATED, USER_INITIATED, UNKNOWN",
        ["BUSINESS_INITIATED", "USER_INITIATED", "UNKNOWN"];

    /// `--pricing-types`
    BY_PRICING_TYPE: "pricing_types" of PRICING_TYPE, "PRICING_TYPE",
        "Only messages priced so: FREE_CUSTOMER_SERVICE, FREE_ENTRY_POINT, REGULAR",
        ["FREE_CUSTOMER_SERVICE", "FREE_ENTRY_POINT" = "FREE_ENTRY", "REGULAR"];

    /// `--pricing-categories`
    BY_PRICING_CATEGORY: "pricing_categories" of PRICING_CATEGORY, "PRICING_CATEGORY",
        "Only messages of these categories, such as MARKETING",
        ["AUTHENTICATION", "AUTHENTICATION_INTERNATIONAL", "MARKETING", "SERVICE", "UTILITY",
         "UNKNOWN"];
}

/// `--template-ids`
pub const BY_TEMPLATE: Filter = Filter {
    name: "template_ids",
    column: TEMPLATE_ID,
    dimension: None,
    help: "Only these templates",
    default: &[],
    words: &[],
    read: |word| Ok(word.to_owned()),
};

/// How long buckets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Granularity {
    HalfHour,
    Day,
    Month,
}

impl Granularity {
    /// The one that a word stands for, in Meta's spelling or ours.
    fn read(word: &str) -> Option<Self> {
        Some(match meta_points::GRANULARITIES.canonical(word)? {
            "HALF_HOUR" => Self::HalfHour,
            "MONTH" => Self::Month,
            _ => Self::Day,
        })
    }

    /// As it is stored.
    fn word(self) -> &'static str {
        match self {
            Self::HalfHour => "HALF_HOUR",
            Self::Day => "DAY",
            Self::Month => "MONTH",
        }
    }

    fn clock(self) -> Clock {
        match self {
            Self::HalfHour => Clock::HalfHour,
            Self::Day => Clock::Day,
            Self::Month => Clock::Month,
        }
    }
}

/// Whose figures they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Source {
    /// Worked out from the lake's messages
    Lake,
    /// As Meta said and they were loaded
    Meta,
}

/// What is asked of a field, in either words.
#[derive(Clone, Debug)]
pub struct Points<F: Field> {
    span: Span,
    granularity: Granularity,
    waba: Only<filters::Waba>,
    /// For each of the field's filters what it lets pass; nothing for all.
    allowed: Vec<Vec<String>>,
    /// Meta's words, each once.
    dimensions: Vec<&'static str>,
    /// Columns.
    measures: Vec<OutputColumn>,
    source: Source,
    of: PhantomData<F>,
}

/// Where a bucket begins, by the clock that it is told by.
const BUCKET: &str = "bucket";

impl<F: Field> Points<F> {
    /// The time that counts.
    pub fn span(&self) -> Span {
        self.span
    }

    /// Whose figures are asked for.
    pub fn source(&self) -> Source {
        self.source
    }

    /// The columns that name a point.
    pub fn by(&self) -> Vec<OutputColumn> {
        let bounds = const { [OutputColumn::count(START), OutputColumn::count(END)] };
        let split =
            self.dimension_columns().into_iter().map(|name| OutputColumn::text(name).as_named());
        bounds.into_iter().chain(F::ALWAYS.iter().copied()).chain(split).collect()
    }

    /// The columns of the answer.
    pub fn columns(&self) -> Vec<OutputColumn> {
        [self.by(), self.measures.clone()].concat()
    }

    /// The columns that points are split by, beside their bucket.
    fn split_by(&self) -> Vec<&'static str> {
        let always = F::ALWAYS.iter().map(|column| column.name);
        always.chain(self.dimension_columns()).collect()
    }

    fn dimension_columns(&self) -> Vec<&'static str> {
        self.dimensions.iter().filter_map(|word| column_of(word)).collect()
    }

    /// The points of units that lie in the span: with `created_at`, a `waba_id`, the columns of
    /// the field's filters and dimensions, counts, and the columns of [`money::charged`] where the
    /// field has a cost. From what was loaded of Meta where that is asked for.
    ///
    /// # Errors
    /// Those of building a plan.
    pub fn plan(
        &self,
        tables: &Tables,
        units: impl FnOnce() -> PolarsResult<LazyFrame>,
    ) -> PolarsResult<LazyFrame> {
        let points = match self.source {
            Source::Meta => self.stored(tables)?,
            Source::Lake => self.counted(units()?),
        };
        let counts_anything = F::MEASURES.iter().map(|measure| {
            col(measure.name).cast(DataType::Float64).fill_null(lit(0.0)).neq(lit(0.0))
        });
        // What counts nothing is no point. Of some stored ones only the cost is told.
        let costs_only = counts::<F>().map(|count| col(count).is_null());
        let costs_only = costs_only.chain(has_cost::<F>().then(|| col(COST).is_not_null()));
        let costs_only = costs_only.reduce(Expr::and).filter(|_| has_cost::<F>());
        Ok(match counts_anything.chain(costs_only).reduce(Expr::or) {
            Some(is_point) => points.filter(is_point),
            None => points,
        })
    }

    fn counted(&self, units: LazyFrame) -> LazyFrame {
        let (clock, zone) = (self.granularity.clock(), self.span.timezone);
        let mut key = vec![clock.start(col(CREATED_AT), zone).alias(BUCKET)];
        key.extend(self.split_by().into_iter().map(col));
        let has_cost = has_cost::<F>();
        let mut sums: Vec<Expr> = counts::<F>().map(|count| col(count).sum()).collect();
        if has_cost {
            sums.extend(money::charges());
        }
        let points = self.kept(units).group_by(key).agg(sums);
        let [start, end] = clock.bounds(&col(BUCKET), zone);
        let points = points.with_columns([start.alias(START), end.alias(END)]);
        if has_cost { points.with_column(money::cost().alias(COST)) } else { points }
    }

    /// The units that the filters leave.
    fn kept(&self, units: LazyFrame) -> LazyFrame {
        let units = self.waba.of(units);
        self.filters()
            .fold(units, |units, (filter, allowed)| units.filter(is_one_of(filter.column, allowed)))
    }

    /// The filters that let only something pass.
    fn filters(&self) -> impl Iterator<Item = (&'static Filter, &[String])> {
        let all = F::FILTERS.iter().zip(self.allowed.iter().map(Vec::as_slice));
        all.filter(|(_, allowed)| !allowed.is_empty())
    }

    /// What stands around the points in a response of Meta's API.
    ///
    /// # Errors
    /// Those of building a plan.
    pub fn envelope(
        &self,
        tables: &Tables,
        units: impl FnOnce() -> PolarsResult<LazyFrame>,
    ) -> PolarsResult<Envelope> {
        let asked = |name: &str| {
            let mut filters = self.filters();
            let (_, allowed) = filters.find(|(filter, _)| filter.name == name)?;
            let mut words = allowed.to_vec();
            words.sort_unstable();
            words.dedup();
            Some(words)
        };
        let met = match self.source {
            Source::Meta => {
                self.chosen(tables)?.select([col(WABA_ID), col(PHONE_NUMBERS), col(COUNTRY_CODES)])
            }
            Source::Lake => {
                let counts = counts::<F>().map(|count| col(count).neq(lit(0)));
                let anything = counts.reduce(Expr::or).unwrap_or(lit(true));
                self.kept(units()?).filter(anything).select([
                    col(WABA_ID),
                    col(PHONE_NUMBER).alias(PHONE_NUMBERS),
                    col(COUNTRY).alias(COUNTRY_CODES),
                ])
            }
        };
        Ok(Envelope {
            field: F::NAME,
            granularity: self.granularity.word(),
            wabas: self.waba.allowed().to_vec(),
            phone_numbers: asked(PHONE_NUMBERS),
            country_codes: asked(COUNTRY_CODES),
            met: met.unique(None, UniqueKeepStrategy::Any),
        })
    }

    /// Binds the parameters, and the slots that the twins have in common:
    ///
    /// | slot | |
    /// |---|---|
    /// | `{bucket}` | where the bucket of `created_at` begins |
    /// | `{start}`, `{end}` | the seconds of a column `bucket` |
    /// | `{dimensions}` | the columns of the dimensions, each after a comma |
    /// | `{including}` | whether a stored point's breakdown has what is asked for |
    /// | `{measures}` | the columns that are asked for, in their types, each after a comma |
    /// | `{order}` | all by which points are put in order |
    pub fn bind(&self, bindings: Bindings) -> Bindings {
        let clock = self.granularity.clock();
        let [start, end] = clock.bounds_sql(BUCKET);
        let mut dimensions = String::new();
        for column in self.dimension_columns() {
            dimensions.push_str(", ");
            dimensions.push_str(column);
        }
        let measures = self.measures.iter().map(|measure| {
            let (name, of) = (measure.name, measure.of.sql());
            format!(",\n    CAST({name} AS {of}) AS {name}")
        });
        let including = self
            .required()
            .into_iter()
            .map(|word| format!("\n        AND array_contains(split(dimensions, ','), '{word}')"));
        let order = self.by().into_iter().map(|column| format!("`{}` NULLS LAST", column.name));
        let order: Vec<String> = order.collect();
        let bindings = self
            .waba
            .bind(self.span.bind(bindings))
            .word("source", self.source)
            .text("granularity", self.granularity.word())
            .instant("first_at", self.first_bucket())
            .slot("bucket", clock.start_sql(CREATED_AT))
            .slot("start", start)
            .slot("end", end)
            .slot("dimensions", dimensions)
            .slot("measures", measures.collect())
            .slot("including", including.collect())
            .slot("order", order.join(", "));
        let lists = F::FILTERS.iter().zip(&self.allowed);
        lists.fold(bindings, |bindings, (filter, allowed)| bindings.list(filter.name, allowed))
    }

    /// Binds `:phone_list` and `:country_list`, the lists of responses that are asked for, or null.
    pub fn bind_lists(&self, bindings: Bindings) -> Bindings {
        let list = |name: &str| {
            let asked = self.filters().find(|(filter, _)| filter.name == name);
            asked.and_then(|(_, allowed)| stored_list(allowed))
        };
        bindings
            .text_or_null("phone_list", list(PHONE_NUMBERS).as_deref())
            .text_or_null("country_list", list(COUNTRY_CODES).as_deref())
    }

    /// Where the first bucket begins that is asked for, by our own clock.
    fn first_bucket(&self) -> Option<i64> {
        let clock = self.granularity.clock();
        self.span.from.map(|from| clock.floor(self.span.timezone, from))
    }

    /// Meta's words for what stored points must be broken down by.
    fn required(&self) -> Vec<&'static str> {
        let mut required = self.dimensions.clone();
        let filtered = self.filters().filter_map(|(filter, _)| filter.dimension);
        for word in filtered.filter(|word| F::DIMENSIONS.contains(word)) {
            if !required.contains(&word) {
                required.push(word);
            }
        }
        required
    }
}

/// The column of one of Meta's words.
fn column_of(dimension: &str) -> Option<&'static str> {
    let found = DIMENSION_COLUMNS.iter().find(|(word, _)| *word == dimension);
    found.map(|(_, column)| *column)
}

fn has_cost<F: Field>() -> bool {
    F::MEASURES.iter().any(|measure| measure.name == COST)
}

/// The measures that count something.
fn counts<F: Field>() -> impl Iterator<Item = &'static str> {
    F::MEASURES.iter().map(|measure| measure.name).filter(|name| *name != COST)
}

/// Whether a column holds one of some texts.
fn is_one_of(column: &str, words: &[String]) -> Expr {
    let words = Series::new("words".into(), words);
    col(column).is_in(lit(words).implode(true), false)
}

/// What stands around points in a response of Meta's API.
pub struct Envelope {
    /// The field that is answered.
    pub field: &'static str,
    /// How long buckets are, in Meta's word.
    pub granularity: &'static str,
    /// The accounts that were asked for; none for all.
    pub wabas: Vec<String>,
    /// The lines that were asked for, sorted.
    pub phone_numbers: Option<Vec<String>>,
    /// The countries that were asked for, sorted.
    pub country_codes: Option<Vec<String>>,
    /// Whose points there are: `waba_id`, `phone_numbers` and `country_codes`, the latter two with
    /// commas between.
    pub met: LazyFrame,
}

impl<F: Field> Args for Points<F> {
    fn augment_args(command: Command) -> Command {
        let list = |name: &'static str, help: String| {
            Arg::new(name)
                .long(name.replace('_', "-"))
                .value_name("LIST")
                .value_delimiter(',')
                .action(ArgAction::Append)
                .help(help)
        };
        let lengths: &[&'static str] = if F::DAYS_ONLY {
            &["day", "daily"]
        } else {
            &["half-hour", "day", "daily", "month", "monthly"]
        };
        let mut command = DayRange::augment_args(command).arg(
            Arg::new("granularity")
                .long("granularity")
                .value_name("LENGTH")
                .value_parser(Word::listed(lengths.iter().copied()))
                .default_value("day")
                .help("How long the buckets are"),
        );
        command = Only::<filters::Waba>::augment_args(command);
        let mut of_fields = vec!["from", "to", "granularity"];
        for filter in F::FILTERS {
            let all =
                if filter.default.is_empty() { "all".to_owned() } else { filter.default.join(",") };
            let help = format!("{}, separated by commas [default: {all}]", filter.help);
            let words = Word::listed(filter.words.iter().copied()).or_any();
            let only = list(filter.name, help).hide_possible_values(true);
            command = command.arg(only.value_parser(words));
            of_fields.push(filter.name);
        }
        if !F::DIMENSIONS.is_empty() {
            let help = "Split by these, separated by commas, in this order [default: none]";
            let dimensions = list("dimensions", help.to_owned());
            command =
                command.arg(dimensions.value_parser(Word::listed(F::DIMENSIONS.iter().copied())));
            of_fields.push("dimensions");
        }
        if F::CHOOSES {
            let help = "Only these measures, separated by commas [default: all]";
            let known = F::MEASURES.iter().map(|m| m.name.to_uppercase());
            let metrics = list("metric_types", help.to_owned());
            command = command.arg(metrics.value_parser(Word::listed(known)));
            of_fields.push("metric_types");
        }
        command
            .arg(
                Arg::new("source")
                    .long("source")
                    .value_parser(Word::of::<Source>())
                    .default_value("lake")
                    .help("Whose figures: worked out from the lake's messages, or Meta's own"),
            )
            .arg(
                Arg::new("fields")
                    .long("fields")
                    .value_name("EXPRESSION")
                    .conflicts_with_all(of_fields)
                    .help("All of this in Meta's own words, as in ?fields=EXPRESSION")
                    .long_help(format!(
                        "All of this in Meta's own words, as in ?fields=EXPRESSION: \
                         {}.start(1748736000).end(1751328000).granularity(DAY). Start and end are \
                         unix seconds or dates of the reporting zone, the end is the first that \
                         does not count",
                        F::NAME
                    )),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<F: Field> FromArgMatches for Points<F> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let days = DayRange::from_arg_matches(matches)?;
        let waba = Only::from_arg_matches(matches)?;
        let source = matches.get_one::<Source>("source").copied().unwrap_or(Source::Lake);
        let fault = |said| Error::raw(ErrorKind::ValueValidation, said);
        let asked = match matches.get_one::<String>("fields") {
            Some(text) => Asked::of_expression::<F>(text, days.timezone()),
            None => Asked::of_options::<F>(matches, days),
        };
        let Asked { span, granularity, allowed, dimensions, measures } = asked.map_err(fault)?;
        Ok(Self { span, granularity, waba, allowed, dimensions, measures, source, of: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// What either way to ask says.
struct Asked {
    span: Span,
    granularity: Granularity,
    allowed: Vec<Vec<String>>,
    dimensions: Vec<&'static str>,
    measures: Vec<OutputColumn>,
}

impl Asked {
    fn of_options<F: Field>(matches: &ArgMatches, days: DayRange) -> Result<Self, String> {
        // What a field does not take was not defined.
        let said = |name: &str| -> Option<Vec<String>> {
            let words = matches.try_get_many::<String>(name).ok().flatten()?;
            Some(words.filter(|word| !word.is_empty()).cloned().collect())
        };
        let granularity = said("granularity").and_then(|words| Granularity::read(words.first()?));
        let lists = |name: &str| said(name);
        Self::read::<F>(days.span(), granularity, lists)
            .map_err(|(name, fault)| format!("`--{}`: {fault}", name.replace('_', "-")))
    }

    fn of_expression<F: Field>(text: &str, timezone: Tz) -> Result<Self, String> {
        let expression = Expression::read::<F>(text)?;
        let timezone = match expression.truth("use_waba_timezone")? {
            Some(false) => Tz::UTC,
            _ => timezone,
        };
        let [from, until] =
            [expression.instant(START, timezone)?, expression.instant(END, timezone)?];
        if let (Some(from), Some(until)) = (from, until)
            && from >= until
        {
            return Err("`end` is not after `start`\n  hint: the end is the first moment that \
                        does not count"
                .to_owned());
        }
        let granularity = expression.granularity(F::DAYS_ONLY)?;
        let span = Span { from, until, timezone };
        let lists = |name: &str| expression.words(name).map(<[String]>::to_vec);
        Self::read::<F>(span, granularity, lists)
            .map_err(|(name, fault)| format!("`{name}`: {fault}"))
    }

    fn read<F: Field>(
        span: Span,
        granularity: Option<Granularity>,
        lists: impl Fn(&str) -> Option<Vec<String>>,
    ) -> Result<Self, (&'static str, String)> {
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
            span,
            granularity: granularity.unwrap_or(Granularity::Day),
            allowed: allowed?,
            dimensions,
            measures: F::MEASURES.iter().filter(chosen).copied().collect(),
        })
    }
}

/// The known word that a word is, in any spelling.
fn one_of(word: &str, known: &[&'static str]) -> Result<&'static str, String> {
    let found = known.iter().find(|known| normalise(known) == normalise(word)).copied();
    found.ok_or_else(|| {
        let all: Vec<String> = known.iter().map(|word| word.to_uppercase()).collect();
        let near = nearest(word, all.iter().map(String::as_str));
        let near = near.map(|near| did_you_mean(near) + " ").unwrap_or_default();
        format!("no such word\n  hint: {near}it takes {}", all.join(", "))
    })
}

/// The text that a list is stored as.
fn stored_list(words: &[String]) -> Option<String> {
    list::sorted(words.iter().map(String::as_str))
}
