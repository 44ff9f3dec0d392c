//! Limits on the depth of a statement, checked on its tokens before it is parsed.
//!
//! ```text
//! SELECT a + b, c FROM t WHERE x = 1 OR y IN (1, 2 + 3)
//!          1      …           5: = OR IN (, and + within
//! ```
//!
//! A statement is parsed, planned and dropped by functions that recurse once for each level of its syntax
//! tree, and a chain such as `a OR b OR c` is as deep as it is long. Each level comes from an operator, a
//! keyword or a bracket, and items between commas are siblings: so operators are counted from one comma to
//! the next. Below these limits, the stack of [`on_deep_stack`] is large enough.

use std::panic::resume_unwind;

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Span, Token, TokenWithSpan};
use wabalake_data::words::grouped;

use super::fault::at;
use crate::error::{Error, Result};

/// Limit of operators and keywords between two commas, with those of the deepest bracket within.
pub(super) const OPERATORS: usize = 1_000;

/// Limit of unary operators and functions in a row: `a IS NULL IS NULL`, `f(g(a))`. Polars evaluates them on
/// threads of its own, with a stack of 2 MiB.
pub(super) const ROW: usize = 60;

const CHAINED: &str = "operators and keywords without a comma between";

/// Limit of SELECTs, VALUES and set operations: a chain of them is a plan as deep.
pub(super) const SELECTS: usize = 500;

/// Limit of tables in FROM, each counted as often as it is read.
pub(super) const RELATIONS: usize = 500;

/// Stack size for a statement at the limits, in an unoptimised build. Unused pages take no memory.
const STACK: usize = 256 << 20;

/// Runs a function on a thread with a stack for the deepest allowed statement.
///
/// # Errors
/// The function fails, or the stack cannot be allocated.
pub fn on_deep_stack<T: Send>(run: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("sql".to_owned()).stack_size(STACK);
        let started = builder.spawn_scoped(scope, run).map_err(|error| {
            Error::from(error)
                .context("allocating a stack for the query")
                .hint("allow more address space (`ulimit -v`)")
        })?;
        started.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Counters of one bracket, or of the statement outside all brackets.
#[derive(Clone, Copy, Default)]
struct Level {
    /// Operators since the last comma.
    operators: usize,
    /// The deepest bracket since the last comma.
    within: usize,
    /// The maximum between two commas.
    deepest: usize,
    /// Unary operators in a row, with those in brackets.
    row: usize,
    /// The longest row.
    longest: usize,
    /// `true` for a SELECT: it is evaluated before an outer operator applies.
    is_select: bool,
}

impl Level {
    fn end_row(&mut self) {
        self.longest = self.longest.max(self.row);
        self.row = 0;
    }

    fn end_item(&mut self) {
        self.end_row();
        self.deepest = self.deepest.max(self.operators + self.within);
        (self.operators, self.within) = (0, 0);
    }

    fn close(&mut self, mut inner: Self) {
        inner.end_item();
        self.within = self.within.max(inner.deepest);
        self.row += if inner.is_select { 0 } else { inner.longest };
    }

    fn operator(&mut self) {
        self.operators += 1;
        self.row += 1;
    }
}

/// Checks the depth of a statement.
///
/// # Errors
/// A limit is exceeded.
pub(super) fn check(tokens: &[TokenWithSpan]) -> Result<()> {
    let mut levels = Vec::new();
    let mut level = Level::default();
    let mut selects = 0;
    let (mut path, mut before) = (0, &Token::EOF);
    for TokenWithSpan { token, span } in tokens {
        if matches!(token, Token::Whitespace(_) | Token::EOF) {
            continue;
        }
        path = match token {
            Token::Period => path + 1,
            Token::Word(_) if *before == Token::Period => path,
            _ => 0,
        };
        before = token;
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                level.operator();
                levels.push(std::mem::take(&mut level));
            }
            Token::RParen | Token::RBracket | Token::RBrace => {
                let inner = std::mem::replace(&mut level, levels.pop().unwrap_or_default());
                level.close(inner);
            }
            Token::Comma | Token::SemiColon => level.end_item(),
            // `table.column` is one level, `a.b.c.d` a field of a field.
            Token::Period if path <= 2 => {}
            Token::Word(word) => match word.keyword {
                Keyword::NoKeyword => {}
                keyword => {
                    level.operator();
                    level.is_select |= keyword == Keyword::SELECT;
                    selects += usize::from(is_select(keyword));
                    if is_between_rows(keyword) {
                        level.end_row();
                    }
                }
            },
            token if is_value(token) => {}
            token => {
                level.operator();
                if is_binary(token) {
                    level.end_row();
                }
            }
        }
        if selects > SELECTS {
            return Err(too_much(*span, SELECTS, "SELECTs, VALUES and set operations"));
        }
        if level.operators + level.within > OPERATORS {
            return Err(too_much(*span, OPERATORS, CHAINED));
        }
        if level.row > ROW {
            return Err(too_much(*span, ROW, "nested functions and unary operators"));
        }
    }
    // The parser recurses into brackets before it sees that one is never closed.
    let open = levels.iter().map(|level| level.operators).sum::<usize>();
    let last = tokens.last().map_or(Span::empty(), |token| token.span);
    match open + level.operators > OPERATORS {
        true => Err(too_much(last, OPERATORS, CHAINED)),
        false => Ok(()),
    }
}

/// Returns `true` for keywords that end a row of unary operators, and for binary ones, for which Polars
/// grows the stack.
fn is_between_rows(keyword: Keyword) -> bool {
    use Keyword as K;
    matches!(
        keyword,
        K::AND
            | K::OR
            | K::CASE
            | K::WHEN
            | K::THEN
            | K::ELSE
            | K::END
            | K::SELECT
            | K::FROM
            | K::WHERE
            | K::HAVING
            | K::BY
            | K::JOIN
            | K::ON
            | K::USING
            | K::UNION
            | K::EXCEPT
            | K::INTERSECT
    )
}

/// Returns `true` for binary operators, for which Polars grows the stack.
fn is_binary(token: &Token) -> bool {
    use Token as T;
    matches!(
        token,
        T::Eq
            | T::Neq
            | T::Lt
            | T::Gt
            | T::LtEq
            | T::GtEq
            | T::Plus
            | T::Minus
            | T::Mul
            | T::Div
            | T::Mod
            | T::StringConcat
    )
}

fn is_select(keyword: Keyword) -> bool {
    use Keyword as K;
    matches!(keyword, K::SELECT | K::VALUES | K::UNION | K::EXCEPT | K::INTERSECT | K::MINUS)
}

/// Returns `true` for literals and placeholders.
fn is_value(token: &Token) -> bool {
    use Token as T;
    matches!(
        token,
        T::Number(..)
            | T::Char(_)
            | T::SingleQuotedString(_)
            | T::DoubleQuotedString(_)
            | T::TripleSingleQuotedString(_)
            | T::TripleDoubleQuotedString(_)
            | T::DollarQuotedString(_)
            | T::NationalStringLiteral(_)
            | T::EscapedStringLiteral(_)
            | T::UnicodeStringLiteral(_)
            | T::HexStringLiteral(_)
            | T::Placeholder(_)
    )
}

/// Creates the error of a statement that exceeds a limit.
pub(super) fn too_much(there: Span, most: usize, what: &str) -> Error {
    at(there, format!("more than {} {what}", grouped(most as u64))).hint(
        "compare with many values by `IN (…)`, join them as `(VALUES (…), (…)) AS v (x)`, or ask in parts",
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sqlparser::dialect::GenericDialect;
    use sqlparser::tokenizer::Tokenizer;

    use super::*;

    fn is_accepted(text: &str) -> bool {
        let tokens = Tokenizer::new(&GenericDialect, text).tokenize_with_location().unwrap();
        check(&tokens).is_ok()
    }

    /// Prefix and suffix that add one level around an expression.
    fn level() -> impl Strategy<Value = (&'static str, &'static str)> {
        prop::sample::select(vec![
            ("", " OR b"),
            ("", " + 1"),
            ("", " || 'x'"),
            ("", "::BIGINT"),
            ("", " IS NULL"),
            ("", " LIKE 'x'"),
            ("", "[1]"),
            ("NOT ", ""),
            ("- ", ""),
            ("INTERVAL ", ""),
            ("(", ")"),
            ("f(a, ", ", c)"),
            ("CASE WHEN a THEN ", " END"),
            ("x IN (1, ", ")"),
            ("(SELECT a, ", ", b FROM t)"),
        ])
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

        #[test]
        fn each_level_counts_wherever_commas_are(levels in prop::collection::vec(level(), 1..40)) {
            let nested = |times: usize| {
                let mut text = String::from("a.b");
                for (before, after) in levels.iter().cycle().take(times) {
                    text = format!("{before}{text}{after}");
                }
                format!("SELECT a, {text}, c FROM t")
            };
            prop_assert!(is_accepted(&nested(15)));
            prop_assert!(!is_accepted(&nested(OPERATORS + 1)));
        }

        #[test]
        fn items_between_commas_are_siblings(part in "a[.]b (= 1|IN [(]1, 2[)]|IS NULL)", times in 1..5_000usize) {
            let list = vec![part; times].join(", ");
            let statement = format!("SELECT {list} FROM t WHERE a IN ({list}) ORDER BY {list}");
            prop_assert!(is_accepted(&statement));
        }
    }

    #[test]
    fn unary_operators_are_limited_in_a_row_but_not_side_by_side() {
        let is_filter = |text: &str| is_accepted(&format!("SELECT a FROM t WHERE {text}"));
        for (before, after) in [("", " IS NULL"), ("", "::BIGINT"), ("f(", ")"), ("(", " IS NULL)")]
        {
            let nested = |times: usize| format!("{}a{}", before.repeat(times), after.repeat(times));
            assert!(is_filter(&nested(20)), "{after}");
            assert!(!is_filter(&nested(ROW + 1)), "{after}");
            assert!(is_filter(&vec![nested(2); 100].join(" AND ")), "{after}");
            assert!(is_filter(&vec![nested(2); 100].join(" = ")), "{after}");
            assert!(!is_filter(&format!("f({} = 1) IS NULL", nested(ROW))), "{after}");
        }
        let within = "SELECT a FROM t WHERE b IN (".repeat(40);
        assert!(is_accepted(&format!("{within}1{}", ") IS NOT NULL".repeat(40))));
    }

    #[test]
    fn a_path_is_as_deep_as_it_is_long() {
        assert!(is_accepted(&format!("SELECT a{}", ".b".repeat(20))));
        assert!(!is_accepted(&format!("SELECT a{}", ".b".repeat(ROW + 3))));
        assert!(is_accepted(&format!("SELECT {} FROM t", vec!["a.b"; OPERATORS - 10].join(" = "))));
    }
}
