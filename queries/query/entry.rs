//! One query of the catalog, with its types erased.

use clap::{ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

use super::question::ErasedQuery;
use super::{Defaults, Query, Question, Spec, Timeframe, behind};

/// A query whose parameters are complete, and the dates and the time zone that it is asked about.
type Resolved = (Box<dyn ErasedQuery>, Timeframe);

/// A query of the catalog, without its types.
#[derive(Clone, Copy, Debug)]
pub struct CatalogEntry {
    /// Everything about the query that does not depend on its parameters.
    pub spec: Spec,
    /// The field of Meta's API that answers can be written as, if there is one.
    pub meta_field: Option<&'static str>,
    /// The columns of the answer behind whose numbers the people can be named: `--people --in`. None if they
    /// cannot.
    pub counts: &'static [&'static str],
    /// The columns that, beside those of `--by`, tell the cell of a number: `--cell`.
    pub cells: &'static [&'static str],
    args: fn(Command) -> Command,
    resolve: fn(&ArgMatches, &Defaults) -> Result<Resolved, Error>,
}

impl CatalogEntry {
    /// The entry of a query.
    pub const fn of<Q: Query>() -> Self {
        Self {
            spec: Q::SPEC,
            meta_field: match &Q::META {
                Some(meta) => Some(meta.field),
                None => None,
            },
            args: |command| behind::args::<Q>(Q::Params::augment_args(command)),
            resolve: |matches, defaults| {
                let mut params = Q::Params::from_arg_matches(matches)?;
                let timeframe = Q::resolve(&mut params, defaults)?;
                let named = defaults.people_in_answers;
                let query = behind::asked::<Q>(matches, params, named, timeframe.timezone())?;
                Ok((query, timeframe))
            },
            counts: match &Q::BEHIND {
                Some(behind) => behind.counts,
                None => &[],
            },
            cells: match &Q::BEHIND {
                Some(behind) => behind.cells,
                None => &[],
            },
        }
    }

    /// Adds the query's options to a command, with headings: those of time, filters and dimensions, which
    /// queries share, then its own.
    pub fn args(&self, command: Command) -> Command {
        (self.args)(command.next_help_heading("This query"))
    }

    /// Returns a clap command of the query's name with the query's options.
    pub fn command(&self) -> Command {
        self.args(Command::new(self.spec.name).about(self.spec.title))
    }

    /// Returns `true` if an option, named without dashes, is repeated for each of several values, which may then
    /// have commas. Other options of several values take a list with commas.
    pub fn is_repeated(&self, option: &str) -> bool {
        let command = self.command();
        let mut options = command.get_arguments();
        let option = options.find(|argument| argument.get_long() == Some(option));
        option.is_some_and(|option| {
            matches!(option.get_action(), ArgAction::Append)
                && option.get_value_delimiter().is_none()
        })
    }

    /// The arguments that an answer depends on, with their values, taken from the example: required ones, and
    /// the instant that is now.
    pub fn needs(&self) -> Vec<&'static str> {
        let command = self.command();
        let required: Vec<String> = command
            .get_arguments()
            .filter(|argument| argument.is_required_set() || argument.get_long() == Some("now"))
            .map(|argument| format!("--{}", argument.get_long().unwrap_or_default()))
            .collect();
        let pairs = self.spec.example.windows(2);
        let needed = pairs.filter(|pair| required.iter().any(|option| option == pair[0]));
        needed.flatten().copied().collect()
    }

    /// The question of a parsed command line, completed by the defaults.
    ///
    /// # Errors
    /// Options that are valid each by itself but not together.
    pub fn ask(&self, matches: &ArgMatches, defaults: &Defaults) -> Result<Question, Error> {
        let (query, timeframe) = (self.resolve)(matches, defaults)?;
        let spec = Spec { range: query.range(), ..self.spec };
        Ok(Question { spec, query, timeframe })
    }

    /// The question of arguments that come from no command line, such as those of a mart.
    /// Environment variables are ignored.
    ///
    /// # Errors
    /// Unknown or invalid arguments, as clap reports them.
    pub fn ask_for(
        &self,
        arguments: impl IntoIterator<Item = impl AsRef<str>>,
        defaults: &Defaults,
    ) -> Result<Question, Error> {
        let command = self.command().mut_args(|argument| argument.env(None::<&str>));
        let arguments = arguments.into_iter().map(|argument| argument.as_ref().to_owned());
        let line = std::iter::once(self.spec.name.to_owned()).chain(arguments);
        self.ask(&command.try_get_matches_from(line)?, defaults)
    }
}
