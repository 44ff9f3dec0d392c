//! Files that a statement reads beside the lake: none, unless the lake's settings allow files of this
//! machine. What is on a network is never read.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Spanned as _, Statement, TableFactor, TableFunctionArgs,
    Value, ValueWithSpan, Visit as _, Visitor,
};
use wabalake_data::words::suggestion;

use super::fault::{at, shown};
use crate::error::{Error, Result};

/// The functions in FROM that Polars has: each reads a file.
const READERS: [&str; 4] = ["read_csv", "read_parquet", "read_ipc", "read_json"];

/// Refuses files, if they are not allowed, and addresses.
///
/// # Errors
/// A function in FROM that there is not, or that reads what it may not.
pub(super) fn check(statement: &Statement, allowed: impl Fn() -> Result<bool>) -> Result<()> {
    let mut files = Files(allowed);
    match statement.visit(&mut files) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Files<F>(F);

impl<F: Fn() -> Result<bool>> Visitor for Files<F> {
    type Break = Box<Error>;

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Box<Error>> {
        match self.read(factor) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Box::new(error)),
        }
    }
}

impl<F: Fn() -> Result<bool>> Files<F> {
    fn read(&self, factor: &TableFactor) -> Result<()> {
        let (name, path) = match factor {
            TableFactor::Table { name, args: Some(args), .. } => (name, path(args)),
            TableFactor::Function { name, .. } => (name, None),
            _ => return Ok(()),
        };
        // Polars goes by the first part.
        let first = name.0.first().and_then(|part| part.as_ident());
        let first = first.map(|ident| ident.value.to_lowercase()).unwrap_or_default();
        if !READERS.contains(&first.as_str()) {
            let error = at(name.span(), format!("no function `{}` in FROM", shown(&first)));
            let hint = suggestion(&first, READERS)
                .unwrap_or_else(|| "FROM takes tables, and SELECTs in brackets".to_owned());
            return Err(error.hint(hint));
        }
        if !(self.0)()? {
            return Err(at(
                name.span(),
                format!("`{first}` reads a file, and files are not allowed"),
            )
            .hint(
                "allow those of this machine in the lake's `wabalake.toml`: files = true, in [sql]",
            ));
        }
        match path {
            Some(path) if is_address(path) => {
                Err(at(name.span(), format!("`{first}` of an address: no network is reached"))
                    .hint("fetch the file first, and name its path"))
            }
            _ => Ok(()),
        }
    }
}

/// The path that a function is given.
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

/// Whether a path is of another machine: it begins with a scheme, or as shares of Windows do.
fn is_address(path: &str) -> bool {
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
    fn a_scheme_makes_an_address_of_a_path() {
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
            assert!(is_address(path), "{path}");
        }
        for path in ["a.csv", "/a/b.csv", "../a.csv", "C:/a.csv", "./a:b.csv", "a b:c.csv", "*.csv"]
        {
            assert!(!is_address(path), "{path}");
        }
    }
}
