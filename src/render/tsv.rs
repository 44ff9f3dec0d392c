//! Tab-separated values: as [`csv`](super::csv), quotes included, with tabs.

use std::io::{self, Write};

use super::Answer;

/// Writes the header and every row.
pub(super) fn write(answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    super::csv::write_delimited(answer, '\t', out)
}

#[cfg(test)]
mod tests {
    use polars::prelude::*;

    use super::super::tests::written;
    use super::super::{Answer, Format};

    #[test]
    fn only_tabs_quotes_and_line_ends_are_quoted() {
        let frame = df!("m" => ["a,b", "a\tb", "say \"x\""], "n" => [1i64, 2, 3]).unwrap();
        let expected = "m\tn\na,b\t1\n\"a\tb\"\t2\n\"say \"\"x\"\"\"\t3\n";
        assert_eq!(written(&Answer::plain(frame).unwrap(), Format::Tsv), expected);
    }
}
