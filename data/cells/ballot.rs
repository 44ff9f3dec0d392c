//! What the cells of a whole column say of how it is written.
//!
//! ```text
//! 05/06/2025   may be either: an open cell
//! 13/06/2025   can only be day first: a vote
//! 2025-06-07   is the same in every order: says nothing
//! soon         is no date in any order: says nothing, and is set aside
//! ```
//!
//! The reading that fits the most cells is that of the column. Open cells fit both, so that is the
//! one with more votes; where no vote was cast for another, it fits every cell that fits any.

use super::{DateOrder, DecimalMark, date, number, stamp};

/// A column's cells, counted by the one reading of two that they fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ballot {
    first: u64,
    second: u64,
    open: u64,
}

/// What the cells of a column say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<T> {
    /// Nothing: in every reading they are the same.
    Same,
    /// One reading fits more of them than the other.
    One(T),
    /// Both readings fit all of them, and differ.
    Open,
    /// Each reading fits as many as the other, and not the same ones.
    Divided,
}

impl Ballot {
    /// Counts a trimmed cell of a column of dates, of stamps, or of both.
    pub fn count_date(&mut self, word: &str) {
        let orders = [DateOrder::DayFirst, DateOrder::MonthFirst].map(Some);
        let stamps = orders.map(|order| stamp::local(word, order));
        match stamps {
            [None, None] => self.count(orders.map(|order| date::read(word, order))),
            stamps => self.count(stamps),
        }
    }

    /// Counts a trimmed cell of a column of amounts.
    pub fn count_amount(&mut self, word: &str) {
        let marks = [DecimalMark::Point, DecimalMark::Comma].map(Some);
        self.count(marks.map(|mark| number::money(word, mark)));
    }

    /// Counts a trimmed cell of a column of whole numbers.
    pub fn count_number(&mut self, word: &str) {
        let marks = [DecimalMark::Point, DecimalMark::Comma].map(Some);
        self.count(marks.map(|mark| number::count(word, mark)));
    }

    fn count<T: PartialEq>(&mut self, readings: [Option<T>; 2]) {
        match readings {
            [Some(_), None] => self.first += 1,
            [None, Some(_)] => self.second += 1,
            [Some(one), Some(other)] if one != other => self.open += 1,
            _ => {}
        }
    }

    /// Adds what other cells of the column say.
    pub fn add(&mut self, other: Self) {
        self.first += other.first;
        self.second += other.second;
        self.open += other.open;
    }

    /// The order of a column of dates.
    pub fn order(self) -> Verdict<DateOrder> {
        self.verdict([DateOrder::DayFirst, DateOrder::MonthFirst])
    }

    /// The decimal mark of a column of numbers.
    pub fn mark(self) -> Verdict<DecimalMark> {
        self.verdict([DecimalMark::Point, DecimalMark::Comma])
    }

    fn verdict<T>(self, [first, second]: [T; 2]) -> Verdict<T> {
        match self.first.cmp(&self.second) {
            std::cmp::Ordering::Greater => Verdict::One(first),
            std::cmp::Ordering::Less => Verdict::One(second),
            std::cmp::Ordering::Equal if self.first > 0 => Verdict::Divided,
            std::cmp::Ordering::Equal if self.open > 0 => Verdict::Open,
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
    fn dates_and_stamps() {
        use DateOrder::{DayFirst, MonthFirst};
        let cases: [(&[&str], _); 10] = [
            (&["05/06/2025", "13/06/2025", "2025-06-07", "soon"], Verdict::One(DayFirst)),
            (&["05/06/2025", "06/13/2025"], Verdict::One(MonthFirst)),
            (&["5/6/2025 10:00", "6/13/2025 9:30 PM"], Verdict::One(MonthFirst)),
            (&["5/6/2025 25:00", "6/5/2025 9:30"], Verdict::Open),
            (&["13/06/2025", "14/06/2025", "06/15/2025"], Verdict::One(DayFirst)),
            (&["13/06/2025", "06/14/2025", "01/02/2025"], Verdict::Divided),
            (&["01/02/2025"], Verdict::Open),
            (&["08/08/2025", "2025/6/1 10:00", "1748772000", "Nov 25, 2022"], Verdict::Same),
            (&["31/31/2025", "soon", "25/11/22"], Verdict::Same),
            (&[], Verdict::Same),
        ];
        for (words, verdict) in cases {
            assert_eq!(order(words), verdict, "{words:?}");
        }
    }

    #[test]
    fn amounts_and_counts() {
        use DecimalMark::{Comma, Point};
        let amounts: [(&[&str], _); 7] = [
            (&["1.234", "0.5"], Verdict::One(Point)),
            (&["1.234", "0.037"], Verdict::One(Point)),
            (&["1.234", "12,50"], Verdict::One(Comma)),
            (&["1.234", "5.678"], Verdict::Open),
            (&["1,234"], Verdict::Open),
            (&["1.234", "1.5", "1,5"], Verdict::Divided),
            (&["1", "1 234", "ten"], Verdict::Same),
        ];
        for (words, verdict) in amounts {
            assert_eq!(mark(words, Ballot::count_amount), verdict, "{words:?}");
        }
        let counts: [(&[&str], _); 4] = [
            (&["1,002", "7.0"], Verdict::One(Point)),
            (&["1.002", "1.000"], Verdict::One(Comma)),
            (&["1.000", "7"], Verdict::Open),
            (&["196093.0"], Verdict::Same),
        ];
        for (words, verdict) in counts {
            assert_eq!(mark(words, Ballot::count_number), verdict, "{words:?}");
        }
    }
}
