//! Guard of files that a statement reads outside the lake. The lake's settings must allow files of this
//! machine; URLs are always rejected.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Spanned as _, Statement, TableFactor, TableFunctionArgs,
    Value, ValueWithSpan, Visit as _, Visitor,
};
use wabalake_data::words::suggestion;

use super::fault::{at, shown};
use crate::error::{Error, Result};

/// What a statement may read beside tables.
#[derive(Clone, Copy, Debug)]
pub(super) enum Files {
    /// Files of this machine.
    Allowed,
    /// Nothing, by the settings of the lake.
    Forbidden,
    /// Nothing, whatever the settings: the answer is kept, and nobody sees that a file changes.
    Never,
}

/// The table functions of Polars SQL, each of which reads a file.
const READERS: [&str; 4] = ["read_csv", "read_parquet", "read_ipc", "read_json"];

/// Checks the table functions of a statement.
///
/// # Errors
/// A function in FROM is unknown, reads a file without permission, or reads a URL.
pub(super) fn check(statement: &Statement, may_read: impl Fn() -> Result<Files>) -> Result<()> {
    match statement.visit(&mut Readers(may_read)) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Readers<F>(F);

impl<F: Fn() -> Result<Files>> Visitor for Readers<F> {
    type Break = Box<Error>;

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Box<Error>> {
        match self.read(factor) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Box::new(error)),
        }
    }
}

impl<F: Fn() -> Result<Files>> Readers<F> {
    fn read(&self, factor: &TableFactor) -> Result<()> {
        let (name, path) = match factor {
            TableFactor::Table { name, args: Some(args), .. } => (name, path(args)),
            TableFactor::Function { name, .. } => (name, None),
            _ => return Ok(()),
        };
        // Polars looks only at the first part of a qualified name.
        let first = name.0.first().and_then(|part| part.as_ident());
        let first = first.map(|ident| ident.value.to_lowercase()).unwrap_or_default();
        if !READERS.contains(&first.as_str()) {
            let error = at(name.span(), format!("no function `{}` in FROM", shown(&first)));
            let hint = suggestion(&first, READERS)
                .unwrap_or_else(|| "FROM takes tables, and SELECTs in parentheses".to_owned());
            return Err(error.hint(hint));
        }
        match (self.0)()? {
            Files::Allowed => {}
            Files::Forbidden => {
                return Err(at(
                    name.span(),
                    format!("`{first}` reads a file, and files are not allowed"),
                )
                .hint("allow them in the lake's `wabalake.toml`: files = true, in [sql]"));
            }
            Files::Never => {
                return Err(at(
                    name.span(),
                    format!("`{first}` reads a file, and a mart only tables"),
                )
                .hint("load the file into a table, such as `audience_tags` or `variables`"));
            }
        }
        match path {
            Some(path) if is_remote(path) => {
                Err(at(name.span(), format!("`{first}` cannot read a URL"))
                    .hint("download the file first, and use its path"))
            }
            _ => Ok(()),
        }
    }
}

/// Returns the path argument of a table function.
pub(super) fn path(args: &TableFunctionArgs) -> Option<&str> {
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(ValueWithSpan { value, .. })))] =
        args.args.as_slice()
    else {
        return None;
    };
    match value {
        Value::SingleQuotedString(path) => Some(path),
        _ => None,
    }
}

/// Returns `true` for a URL or a Windows network path.
fn is_remote(path: &str) -> bool {
    let path = path.trim_start();
    let is_scheme = |scheme: &str| {
        scheme.len() > 1
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    };
    path.split_once(':').is_some_and(|(scheme, _)| is_scheme(scheme))
        || path.contains("://")
        || path.starts_with("\\\\")
        || path.starts_with("//")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_network_paths_are_remote() {
        for path in [
            "http://a/b.csv",
            "HTTPS://a/b",
            "s3://b/k",
            "hf://d/x",
            "file:///a.csv",
            "file:a.csv",
            "x+y://a",
            " gs://b",
            "\\\\host\\share\\a.csv",
            "//host/a.csv",
            "\\\\?\\s3://b/k",
        ] {
            assert!(is_remote(path), "{path}");
        }
        for path in ["a.csv", "/a/b.csv", "../a.csv", "C:/a.csv", "./a:b.csv", "a b:c.csv", "*.csv"]
        {
            assert!(!is_remote(path), "{path}");
        }
    }
}
