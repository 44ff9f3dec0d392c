//! Guards cells against formula injection: a quote makes a spreadsheet take them for text.
//!
//! | cell | guarded |
//! |---|---|
//! | `=1+1` | `'=1+1` |
//! | `+57 300 555 0101` | `'+57 300 555 0101` |
//! | `'=1+1` | `''=1+1`: one quote remains when the guard is removed |
//! | `it's` | `it's` |

use std::borrow::Cow;

/// The guard before a cell.
pub(crate) const GUARD: char = '\'';

/// Guards a cell that a spreadsheet would calculate.
pub(crate) fn guarded(cell: &str) -> Cow<'_, str> {
    if is_calculated(cell) { format!("{GUARD}{cell}").into() } else { cell.into() }
}

/// Removes the guard that [`guarded`] added.
pub(crate) fn unguarded(cell: &str) -> &str {
    cell.strip_prefix(GUARD).filter(|inner| is_calculated(inner)).unwrap_or(cell)
}

/// Returns `true` if a formula follows the leading quotes.
fn is_calculated(cell: &str) -> bool {
    cell.trim_start_matches(GUARD).starts_with(['=', '+', '-', '@', '\t', '\r'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn guard_prevents_formulas_and_round_trips(cell in "['=+@\t\ra\n-]{0,6}") {
            let guarded = guarded(&cell);
            prop_assert!(!guarded.starts_with(['=', '+', '-', '@', '\t', '\r']));
            prop_assert!(*guarded == *cell || guarded.strip_prefix('\'') == Some(&cell));
            prop_assert_eq!(unguarded(&guarded), cell.as_str());
        }
    }
}
