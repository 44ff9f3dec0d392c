//! How deep a statement may be nested, found before anything goes down into it.
//!
//! ```text
//! SELECT a + b, c FROM t WHERE x = 1 OR y IN (1, 2 + 3)
//!          1      …           5: = OR IN (, and + within
//! ```
//!
//! A statement is read, planned and dropped by functions that call themselves once for each level of
//! its tree, and a chain such as `a OR b OR c` is as deep as it is long. Each level comes of an
//! operator, a keyword or a bracket, and what commas part is side by side: so these are counted, from
//! one comma to the next. Below the limits, [`on_deep_stack`] has room for all of it.

use std::panic::resume_unwind;

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Span, Token, TokenWithSpan};
use wabalake_data::words::grouped;

use super::fault::at;
use crate::error::{Error, Result};

/// Operators and keywords between two commas, with those of the deepest bracket within.
pub(super) const OPERATORS: usize = 1_000;

/// Operators and functions of one value, each of what the last gave: `a IS NULL IS NULL`, `f(g(a))`.
/// Polars works them out on threads of its own, on a stack of 2 MiB.
pub(super) const ROW: usize = 60;

const CHAINED: &str = "operators and keywords without a comma between";

/// SELECTs, VALUES and set operations of a statement: a chain of them is a plan as deep.
pub(super) const SELECTS: usize = 500;

/// Tables that a statement reads, each counted as often as it is read.
pub(super) const RELATIONS: usize = 500;

/// Room for a statement at its limits, in a program that is not optimised. What is not used takes no
/// memory.
const STACK: usize = 256 << 20;

/// Runs something on a stack on which it may go as deep as a statement may be nested.
///
/// # Errors
/// Those of what is run; no room for the stack.
pub fn on_deep_stack<T: Send>(run: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("sql".to_owned()).stack_size(STACK);
        let started = builder.spawn_scoped(scope, run).map_err(|error| {
            Error::lake(format!("no room to read a statement in: {error}"))
                .hint("allow more address space (`ulimit -v`)")
        })?;
        started.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// What stands between two brackets, or outside all.
#[derive(Clone, Copy, Default)]
struct Level {
    /// Operators since the last comma.
    operators: usize,
    /// The most that a bracket since the last comma has within.
    within: usize,
    /// The most that there was between two commas.
    deepest: usize,
    /// Operators in a row, with those in brackets among them.
    row: usize,
    /// The longest row.
    longest: usize,
    /// Whether it is a SELECT, of which a value is made before anything is done with that.
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

/// Refuses what is nested too deeply.
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
            // `table.column` is no level, `a.b.c.d` is a field of a field.
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
            return Err(too_much(
                *span,
                ROW,
                "operators and functions of one value, each of the last",
            ));
        }
    }
    // The parser goes down into brackets before it sees that one is never closed.
    let open = levels.iter().map(|level| level.operators).sum::<usize>();
    let last = tokens.last().map_or(Span::empty(), |token| token.span);
    match open + level.operators > OPERATORS {
        true => Err(too_much(last, OPERATORS, CHAINED)),
        false => Ok(()),
    }
}

/// Whether what follows a keyword is no operator of what is before it, or is one of two values, of
/// which Polars minds the stack.
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

/// Whether an operator is of two values, of which Polars minds the stack.
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

/// Whether a token is a value by itself.
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

/// A statement that exceeds a limit.
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

    fn is_taken(text: &str) -> bool {
        let tokens = Tokenizer::new(&GenericDialect, text).tokenize_with_location().unwrap();
        check(&tokens).is_ok()
    }

    /// What goes one level deeper: around or behind what there is.
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
            prop_assert!(is_taken(&nested(15)));
            prop_assert!(!is_taken(&nested(OPERATORS + 1)));
        }

        #[test]
        fn what_commas_part_is_side_by_side(part in "a[.]b (= 1|IN [(]1, 2[)]|IS NULL)", times in 1..5_000usize) {
            let list = vec![part; times].join(", ");
            let statement = format!("SELECT {list} FROM t WHERE a IN ({list}) ORDER BY {list}");
            prop_assert!(is_taken(&statement));
        }
    }

    #[test]
    fn operators_of_one_value_are_few_in_a_row_and_many_side_by_side() {
        let is_filter = |text: &str| is_taken(&format!("SELECT a FROM t WHERE {text}"));
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
        assert!(is_taken(&format!("{within}1{}", ") IS NOT NULL".repeat(40))));
    }

    #[test]
    fn a_long_path_is_as_deep_as_it_is_long() {
        assert!(is_taken(&format!("SELECT a{}", ".b".repeat(20))));
        assert!(!is_taken(&format!("SELECT a{}", ".b".repeat(ROW + 3))));
        assert!(is_taken(&format!("SELECT {} FROM t", vec!["a.b"; OPERATORS - 10].join(" = "))));
    }
}
