//! Marts: answers that are stored as tables.
//!
//! ```text
//! [[marts]] in wabalake.toml   a name, a query or a file of SQL, and parameters
//!   │ Mart           what it is the answer of, checked; a fingerprint of its definition
//!   │ PinnedTables   the tables that it reads, each at one version
//!   │ Provenance     the fingerprints of both, as the mart's commit stores them
//!   ▼ fresh          a question is answered from a mart whose provenance is still that of the tables
//! ```
//!
//! [`nightly`](crate::nightly) computes marts; [`lake::marts`](crate::lake::marts) stores them.

pub mod fresh;
mod pinned;
mod provenance;
mod query;
mod sql;

use wabalake_data::Table;
use wabalake_queries::query::{AnswerBuckets, Question};
use xxhash_rust::xxh3::xxh3_128;

use crate::config::{Config, MartSettings, MartSource, is_name};
use crate::error::{Error, Result};
use crate::lake::{Lake, Layout};

pub use self::pinned::{Fingerprint, PinnedTable, PinnedTables};
pub(crate) use self::provenance::Provenance;
pub use self::query::{Dates, QueryMart};
pub(crate) use self::query::{entry_named, wrong};
pub use self::sql::SqlMart;

/// The format of stored marts. Raising it rebuilds them all.
const MART_VERSION: u32 = 2;

/// An answer that is stored under a name.
#[derive(Debug)]
pub struct Mart {
    /// Its name, which is also that of its folder.
    pub name: String,
    /// How its table is stored.
    pub layout: Layout,
    /// What it is the answer of.
    pub definition: Definition,
}

/// What a mart is the answer of.
#[derive(Debug)]
pub enum Definition {
    /// A query of the catalog, with its parameters.
    Query(Box<QueryMart>),
    /// A user's own SQL.
    Sql(Box<SqlMart>),
}

impl Mart {
    /// The marts that the lake settings define.
    ///
    /// # Errors
    /// Two marts of one name; those of [`Mart::of`].
    pub fn all(lake: &Lake, config: &Config) -> Result<Vec<Self>> {
        let mut marts: Vec<Self> = Vec::new();
        for settings in &config.marts {
            if marts.iter().any(|mart| mart.name == settings.name) {
                return Err(Error::lake(format!("there are two marts `{}`", settings.name))
                    .hint("give one of them another name in wabalake.toml"));
            }
            let mart = Self::of(lake, settings, config);
            marts.push(mart.map_err(|error| error.context(format!("mart `{}`", settings.name)))?);
        }
        Ok(marts)
    }

    /// One mart of the lake settings.
    ///
    /// # Errors
    /// An unknown query or option; columns that only rows tell; a file without a valid SELECT; a column of
    /// people, unless the settings allow that.
    pub fn of(lake: &Lake, settings: &MartSettings, config: &Config) -> Result<Self> {
        if !is_name(&settings.name) {
            return Err(Error::lake("its name is also the name of a folder")
                .hint("use lower-case letters, digits, `-` and `_`, beginning with a letter"));
        }
        let name = settings.name.clone();
        match &settings.source {
            MartSource::Query(query) => {
                let asked = QueryMart::of(query, settings, config)?;
                let layout = Layout::of_mart(&name, &asked.question.columns());
                Ok(Self { name, layout, definition: Definition::Query(Box::new(asked)) })
            }
            MartSource::Sql(file) => {
                let sql = SqlMart::of(lake, file, settings, config)?;
                let layout = Layout::of_mart_with(&name, sql.schema());
                Ok(Self { name, layout, definition: Definition::Sql(Box::new(sql)) })
            }
        }
    }

    /// The question that it answers; `None` for a user's own SQL.
    pub fn question(&self) -> Option<&Question> {
        match &self.definition {
            Definition::Query(asked) => Some(&asked.question),
            Definition::Sql(_) => None,
        }
    }

    /// The name of its query, or the file of its SQL.
    pub fn origin(&self) -> &str {
        match &self.definition {
            Definition::Query(asked) => asked.question.spec().name,
            Definition::Sql(sql) => sql.file(),
        }
    }

    /// The tables that its rows depend on.
    pub(crate) fn reads(&self) -> Vec<&'static Table> {
        match &self.definition {
            Definition::Query(asked) => asked.question.reads(),
            Definition::Sql(sql) => sql.tables().to_vec(),
        }
    }

    /// Returns `true` if changed days of a table may affect some dates alone.
    pub(crate) fn is_judged_by_day(&self, table: &Table) -> bool {
        self.question().is_some_and(|question| question.is_judged_by_day(table))
    }

    /// The buckets (days, weeks, months or hours) that can be computed one by one.
    pub(crate) fn buckets(&self) -> Option<AnswerBuckets> {
        self.question()?.buckets()
    }

    /// A hash of the definition. Editing it, which for a query of the catalog includes its `twin.sql`,
    /// rebuilds the mart.
    pub(crate) fn fingerprint(&self) -> String {
        let definition = match &self.definition {
            Definition::Query(asked) => asked.definition(),
            Definition::Sql(sql) => sql.definition(),
        };
        let text = format!("{MART_VERSION} {}\n{definition}", env!("CARGO_PKG_VERSION"));
        format!("{:032x}", xxh3_128(text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    fn marts(text: &str) -> Result<Vec<Mart>> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("by-country.sql", "SELECT country, COUNT(*) AS n FROM sessions GROUP BY country"),
            ("people.sql", "SELECT country,\n  user_phone\nFROM sessions"),
            ("misspelt.sql", "SELECT country\nFROM sesions"),
            (
                "nameless.sql",
                "SELECT country, COUNT(*) AS \"how many\" FROM sessions GROUP BY country",
            ),
            ("file.sql", "SELECT a FROM read_csv('a.csv')"),
            ("since.sql", "SELECT country FROM sessions WHERE conversation_version = :version"),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Mart::all(&Lake::open(folder.path()).unwrap(), &Config::read(text).unwrap())
    }

    fn mart(text: &str) -> Mart {
        marts(&format!("[[marts]]\nname = 'm'\n{text}")).unwrap().remove(0)
    }

    #[test]
    fn fingerprint_covers_all_that_rows_depend_on() {
        let text = "query = 'delivery-rate'\nparams = { by = ['day', 'country'] }";
        let fingerprint = mart(text).fingerprint();
        assert_eq!(mart(text).fingerprint(), fingerprint);
        for other in [
            "query = 'delivery-rate'\nparams = { by = ['country', 'day'] }",
            "query = 'delivery-rate'",
            "query = 'delivery-rate'\nparams = { by = ['day', 'country'], timezone = 'Asia/Tokyo' }",
            "query = 'delivery-rate'\nparams = { by = ['day', 'country'], from = '2025-06-01' }",
            "query = 'session-duration'\nparams = { by = ['day', 'country'] }",
        ] {
            assert_ne!(mart(other).fingerprint(), fingerprint, "{other}");
        }
        let version = |params: &str| mart(&format!("sql = 'since.sql'\n{params}")).fingerprint();
        let first = version("params = { version = 1 }");
        assert_eq!(version("params.version = 1"), first);
        assert_ne!(version("params.version = 2"), first);
        let elsewhere = "[[marts]]\nname = 'm'\nsql = 'since.sql'\nparams.version = 1";
        let elsewhere = marts(&format!("timezone = 'Asia/Tokyo'\n{elsewhere}")).unwrap().remove(0);
        assert_ne!(elsewhere.fingerprint(), first);
    }

    #[test]
    fn date_ranges_are_clipped_to_the_marts_own() {
        let mart = mart("query = 'delivery-rate'\nparams = { from = '2025-06-03' }");
        let Definition::Query(mart) = mart.definition else { panic!("it is of a query") };
        let date = |day| NaiveDate::from_ymd_opt(2025, 6, day).unwrap();
        assert_eq!(mart.clipped((date(1), date(4))), Some((date(3), date(4))));
        assert_eq!(mart.clipped((date(1), date(2))), None);
        let asked = mart.for_dates((Some(date(3)), Some(date(4)))).unwrap();
        assert_eq!(asked.dates(), (Some(date(3)), Some(date(4))));
    }

    #[test]
    fn columns_and_tables_of_sql_are_found_without_rows() {
        let mart = mart("sql = 'by-country.sql'");
        let columns: Vec<_> =
            mart.layout.stored.iter().map(|(name, of)| format!("{name} {of}")).collect();
        assert_eq!(columns, ["country str", "n i64"]);
        assert_eq!(mart.reads(), [&wabalake_data::tables::sessions::TABLE]);
        assert_eq!((mart.origin(), mart.question().is_some()), ("by-country.sql", false));
    }

    #[test]
    fn errors_suggest_the_nearest_name() {
        for (text, reason) in [
            ("name = 'm'\nquery = 'delivery-rat'", "did you mean `delivery-rate`?"),
            ("name = 'M'\nquery = 'delivery-rate'", "the name of a folder"),
            ("name = '../m'\nquery = 'delivery-rate'", "the name of a folder"),
            ("name = 'm'\nquery = 'delivery-rate'\nparams = { bi = 'day' }", "did you mean `by`?"),
            ("name = 'm'\nquery = 'delivery-rate'\nparams = { by = 'dai' }", "`by` has a value"),
            (
                "name = 'm'\nquery = 'conversation-users'\nparams = { variables = 'wide' }",
                "`--variables wide` gives columns that only the rows tell",
            ),
            ("name = 'm'\nquery = 'conversation-users'", "`user_phone` names people"),
            (
                "name = 'm'\nquery = 'drop-off'\n[[marts]]\nname = 'm'\nquery = 'drop-off'",
                "there are two marts `m`",
            ),
        ] {
            let lines = marts(&format!("[[marts]]\n{text}")).unwrap_err().lines();
            assert!(lines.contains(reason), "{lines}");
        }
    }

    #[test]
    fn errors_of_sql_name_the_mart_the_file_and_the_place() {
        for (text, expected) in [
            (
                "sql = 'misspelt.sql'",
                "error: mart `m`: `misspelt.sql`: line 2, column 6: no table `sesions`\n  \
                 hint: did you mean `sessions`?",
            ),
            (
                "sql = 'people.sql'",
                "error: mart `m`: `people.sql`: line 2, column 3: `user_phone` names people\n  \
                 hint: count them, as in COUNT(DISTINCT user_phone), or set people_in_marts = true in \
                 [privacy]",
            ),
            (
                "sql = 'since.sql'",
                "error: mart `m`: `since.sql`: line 1, column 59: `:version` has no value\n  \
                 hint: give it with `params.version=…`",
            ),
            (
                "sql = 'since.sql'\nparams = { version = 1, to = 2 }",
                "error: mart `m`: `since.sql`: the query has no `:to`\n  \
                 hint: leave `params` out, or use it in the query",
            ),
            (
                "sql = 'since.sql'\nparams = { version = 'two' }",
                "error: mart `m`: `since.sql`: line 1, column 59: `:version` is not a whole number\n  \
                 hint: give a value of the type that it is compared with",
            ),
            (
                "sql = 'nameless.sql'",
                "error: mart `m`: `nameless.sql`: line 1, column 29: column `how many` cannot be one of \
                 a mart\n  hint: give it a name of letters, digits and _: … AS name",
            ),
            (
                "sql = 'file.sql'",
                "error: mart `m`: `file.sql`: line 1, column 15: `read_csv` reads a file, and a mart \
                 only tables\n  hint: load the file into a table, such as `audience_tags` or \
                 `variables`",
            ),
            (
                "sql = 'none.sql'",
                "error: mart `m`: there is no file `none.sql`\n  \
                 hint: its path is relative to the folder of wabalake.toml",
            ),
            (
                "sql = 'since.sql'\nparams = { 'a b' = 1 }",
                "error: mart `m`: `a b` of `params`: the name has other characters than letters, \
                 digits and _\n  hint: such as since=2025-06-01",
            ),
        ] {
            let error = marts(&format!("[[marts]]\nname = 'm'\n{text}")).unwrap_err();
            assert_eq!((error.lines().as_str(), error.exit_code()), (expected, 1));
        }
        let allowed =
            "[privacy]\npeople_in_marts = true\n[[marts]]\nname = 'm'\nsql = 'people.sql'";
        assert_eq!(marts(allowed).unwrap().len(), 1);
    }
}
