//! Cells that a spreadsheet would take for a formula: a quote before them makes them texts.
//!
//! | cell | guarded |
//! |---|---|
//! | `=1+1` | `'=1+1` |
//! | `+57 300 555 0101` | `'+57 300 555 0101` |
//! | `'=1+1` | `''=1+1`: taken away again, one quote is what was there |
//! | `it's` | `it's` |

use std::borrow::Cow;

/// What is put before a cell.
pub(crate) const GUARD: char = '\'';

/// A cell that no spreadsheet calculates.
pub(crate) fn guarded(cell: &str) -> Cow<'_, str> {
    if is_calculated(cell) { format!("{GUARD}{cell}").into() } else { cell.into() }
}

/// The cell that [`guarded`] was given.
pub(crate) fn unguarded(cell: &str) -> &str {
    cell.strip_prefix(GUARD).filter(|inner| is_calculated(inner)).unwrap_or(cell)
}

/// Whether a cell begins a formula, after such quotes as it has.
fn is_calculated(cell: &str) -> bool {
    cell.trim_start_matches(GUARD).starts_with(['=', '+', '-', '@', '\t', '\r'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_guarded_is_no_formula_and_comes_back(cell in "['=+@\t\ra\n-]{0,6}") {
            let guarded = guarded(&cell);
            prop_assert!(!guarded.starts_with(['=', '+', '-', '@', '\t', '\r']));
            prop_assert!(*guarded == *cell || guarded.strip_prefix('\'') == Some(&cell));
            prop_assert_eq!(unguarded(&guarded), cell.as_str());
        }
    }
}
