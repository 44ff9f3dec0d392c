//! Detects the date order or the decimal mark of a column from all of its cells.
//!
//! ```text
//! 05/06/2025   a date in both orders, and not the same one: ambiguous
//! 13/06/2025   a date only if the day is first: a vote
//! 2025-06-07   a date without any order: ignored
//! 08/08/2025   the same date in both orders: no vote, but the column has an order
//! soon         a date in no order: ignored here, rejected later
//! ```
//!
//! The format with more votes is that of the column, because it fits the most cells: ambiguous
//! cells fit both formats.

use super::{DateOrder, DecimalMark, date, number, stamp};

/// The votes of a column's cells for one of two formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ballot {
    first: u64,
    second: u64,
    ambiguous: u64,
    equal: u64,
}

/// The result of the votes of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<T> {
    /// All cells have the same value in both formats.
    Same,
    /// One format fits more cells than the other.
    Detected(T),
    /// Both formats fit all cells, with different values.
    Ambiguous,
    /// Both formats fit the same number of cells, but not the same cells.
    Conflicting,
}

impl Ballot {
    /// Counts the vote of a trimmed cell in a column of dates, stamps, or both.
    pub fn count_date(&mut self, word: &str) {
        if stamp::local(word, None).is_some() || date::read(word, None).is_some() {
            return;
        }
        let orders = [DateOrder::DayFirst, DateOrder::MonthFirst].map(Some);
        let stamps = orders.map(|order| stamp::local(word, order));
        match stamps {
            [None, None] => self.count(orders.map(|order| date::read(word, order))),
            stamps => self.count(stamps),
        }
    }

    /// Counts the vote of a trimmed cell in a column of amounts.
    pub fn count_amount(&mut self, word: &str) {
        let marks = [DecimalMark::Point, DecimalMark::Comma].map(Some);
        self.count(marks.map(|mark| number::money(word, mark)));
    }

    /// Counts the vote of a trimmed cell in a column of whole numbers.
    pub fn count_number(&mut self, word: &str) {
        let marks = [DecimalMark::Point, DecimalMark::Comma].map(Some);
        self.count(marks.map(|mark| number::count(word, mark)));
    }

    fn count<T: PartialEq>(&mut self, values: [Option<T>; 2]) {
        match values {
            [Some(_), None] => self.first += 1,
            [None, Some(_)] => self.second += 1,
            [Some(one), Some(other)] if one != other => self.ambiguous += 1,
            [Some(_), Some(_)] => self.equal += 1,
            [None, None] => {}
        }
    }

    /// Adds the votes of other cells of the column.
    pub fn add(&mut self, other: Self) {
        self.first += other.first;
        self.second += other.second;
        self.ambiguous += other.ambiguous;
        self.equal += other.equal;
    }

    /// `true` if a date of the column, such as 08/08/2025, is the same in both orders, but none without
    /// an order.
    pub fn has_order(self) -> bool {
        self.equal > 0
    }

    /// The date order of the column.
    pub fn order(self) -> Verdict<DateOrder> {
        self.verdict([DateOrder::DayFirst, DateOrder::MonthFirst])
    }

    /// The decimal mark of the column.
    pub fn mark(self) -> Verdict<DecimalMark> {
        self.verdict([DecimalMark::Point, DecimalMark::Comma])
    }

    fn verdict<T>(self, [first, second]: [T; 2]) -> Verdict<T> {
        match self.first.cmp(&self.second) {
            std::cmp::Ordering::Greater => Verdict::Detected(first),
            std::cmp::Ordering::Less => Verdict::Detected(second),
            std::cmp::Ordering::Equal if self.first > 0 => Verdict::Conflicting,
            std::cmp::Ordering::Equal if self.ambiguous > 0 => Verdict::Ambiguous,
            std::cmp::Ordering::Equal => Verdict::Same,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(words: &[&str]) -> Verdict<DateOrder> {
        let mut ballot = Ballot::default();
        for word in words {
            ballot.count_date(word);
        }
        ballot.order()
    }

    fn mark(words: &[&str], count: fn(&mut Ballot, &str)) -> Verdict<DecimalMark> {
        let mut ballot = Ballot::default();
        for word in words {
            count(&mut ballot, word);
        }
        ballot.mark()
    }

    #[test]
    fn date_order_is_detected_from_dates_and_stamps() {
        use DateOrder::{DayFirst, MonthFirst};
        let cases: [(&[&str], _); 10] = [
            (&["05/06/2025", "13/06/2025", "2025-06-07", "soon"], Verdict::Detected(DayFirst)),
            (&["05/06/2025", "06/13/2025"], Verdict::Detected(MonthFirst)),
            (&["5/6/2025 10:00", "6/13/2025 9:30 PM"], Verdict::Detected(MonthFirst)),
            (&["5/6/2025 25:00", "6/5/2025 9:30"], Verdict::Ambiguous),
            (&["13/06/2025", "14/06/2025", "06/15/2025"], Verdict::Detected(DayFirst)),
            (&["13/06/2025", "06/14/2025", "01/02/2025"], Verdict::Conflicting),
            (&["01/02/2025"], Verdict::Ambiguous),
            (&["08/08/2025", "2025/6/1 10:00", "1748772000", "Nov 25, 2022"], Verdict::Same),
            (&["31/31/2025", "soon", "25/11/22"], Verdict::Same),
            (&[], Verdict::Same),
        ];
        for (words, verdict) in cases {
            assert_eq!(order(words), verdict, "{words:?}");
        }
    }

    #[test]
    fn dates_with_equal_day_and_month_have_an_order() {
        for (word, expected) in [
            ("08/08/2025", true),
            ("8/8/2025 9:30 PM", true),
            ("2025-08-08", false),
            ("2025-08-08 10:00:00", false),
            ("Aug 8, 2025", false),
            ("1748772000", false),
            ("soon", false),
        ] {
            let mut ballot = Ballot::default();
            ballot.count_date(word);
            assert_eq!(ballot.has_order(), expected, "{word}");
            assert_eq!(ballot.order(), Verdict::Same, "{word}");
        }
    }

    #[test]
    fn decimal_mark_is_detected_from_amounts_and_counts() {
        use DecimalMark::{Comma, Point};
        let amounts: [(&[&str], _); 7] = [
            (&["1.234", "0.5"], Verdict::Detected(Point)),
            (&["1.234", "0.037"], Verdict::Detected(Point)),
            (&["1.234", "12,50"], Verdict::Detected(Comma)),
            (&["1.234", "5.678"], Verdict::Ambiguous),
            (&["1,234"], Verdict::Ambiguous),
            (&["1.234", "1.5", "1,5"], Verdict::Conflicting),
            (&["1", "1 234", "ten"], Verdict::Same),
        ];
        for (words, verdict) in amounts {
            assert_eq!(mark(words, Ballot::count_amount), verdict, "{words:?}");
        }
        let counts: [(&[&str], _); 4] = [
            (&["1,002", "7.0"], Verdict::Detected(Point)),
            (&["1.002", "1.000"], Verdict::Detected(Comma)),
            (&["1.000", "7"], Verdict::Ambiguous),
            (&["196093.0"], Verdict::Same),
        ];
        for (words, verdict) in counts {
            assert_eq!(mark(words, Ballot::count_number), verdict, "{words:?}");
        }
    }
}
