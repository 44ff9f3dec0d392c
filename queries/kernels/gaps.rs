//! Gaps between the messages of each person on each line: a window function over one sort.
//!
//! ```text
//! person   line   at      asked   gap    longest before
//! 1        A      09:00                                     the first one
//! 1        A      09:10   yes     10     0
//! 1        A      09:15
//! 1        A      10:00   yes     45     10
//! 1        B      09:30   yes                               the first one of its line
//! ```

use std::collections::HashMap;

use polars::prelude::{
    Column, DataFrame, DataType, Field, LazyFrame, PolarsResult, Schema, StringChunked,
};

use super::node;
use super::parts::Parts;

/// The column of the microseconds since the previous message, Int64.
pub const GAP: &str = "gap";

/// The column of the longest gap that the result has for the same person before this one, Int64; 0 for
/// the first.
pub const LONGEST_BEFORE: &str = "longest_before";

/// The columns that messages are ordered by.
#[derive(Clone, Copy, Debug)]
pub struct By {
    /// The person, an Int64 hash. Rows without a person are left out.
    pub person: &'static str,
    /// The line, a text. Rows without a line form a line of their own.
    pub line: &'static str,
    /// The instant. Rows without an instant are left out.
    pub at: &'static str,
    /// The id, a text, which orders messages of one instant by its bytes.
    pub id: &'static str,
}

/// The gaps before messages: one row for each message that is `asked` about and follows another one of
/// its person and line.
///
/// `asked` is a column of booleans; other messages only end gaps. The result has the columns [`GAP`] and
/// [`LONGEST_BEFORE`], in the order of people, lines and instants.
pub fn before(messages: LazyFrame, by: By, asked: &'static str) -> LazyFrame {
    let columns = [GAP, LONGEST_BEFORE].map(|name| Field::new(name.into(), DataType::Int64));
    let kernel = move |messages: DataFrame| {
        let is_asked = messages.column(asked)?.bool()?.iter().map(|asked| asked == Some(true));
        let is_asked: Vec<bool> = is_asked.collect();
        let ids = messages.column(by.id)?.str()?.clone();
        let parts = split(&messages, by)?;
        drop(messages);
        let parts = parts.map(|mut messages| {
            sort(&mut messages, &ids);
            gaps(&messages, &is_asked)
        });
        let mut all = DataFrame::empty();
        for (gaps, longest) in parts {
            let columns =
                vec![Column::new(GAP.into(), gaps), Column::new(LONGEST_BEFORE.into(), longest)];
            all.vstack_mut_owned(DataFrame::new_infer_height(columns)?)?;
        }
        Ok(all)
    };
    node(
        messages,
        format!("gaps between messages of each person and line: {by:?} {asked}"),
        Schema::from_iter(columns),
        kernel,
    )
}

/// A message in the order of people, lines and instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Message {
    person: i64,
    /// The number of the line, in the order in which lines were found.
    line: u32,
    at: i64,
    /// The row of the input.
    row: u32,
}

impl Message {
    const fn turn(&self) -> (i64, u32, i64) {
        (self.person, self.line, self.at)
    }
}

fn split(messages: &DataFrame, by: By) -> PolarsResult<Parts<Message>> {
    let instants = messages.column(by.at)?.to_physical_repr();
    let people = messages.column(by.person)?.i64()?.iter();
    let lines = messages.column(by.line)?.str()?.iter();
    let mut numbers = HashMap::new();
    let mut last = (None, 0);
    let rows = people.zip(lines).zip(instants.i64()?.iter()).zip(0..);
    let rows = rows.filter_map(|(((person, line), at), row)| {
        if line != last.0 || numbers.is_empty() {
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            last = (line, *numbers.entry(line).or_insert(next));
        }
        let message = Message { person: person?, line: last.1, at: at?, row };
        Some((message.person, message))
    });
    Ok(Parts::by_key(rows, messages.height()))
}

fn sort(messages: &mut [Message], ids: &StringChunked) {
    messages.sort_unstable();
    let at_once = messages.chunk_by_mut(|one, next| one.turn() == next.turn());
    for messages in at_once.filter(|messages| messages.len() > 1) {
        messages.sort_by_key(|message| ids.get(message.row as usize));
    }
}

/// The gaps before the sorted messages that are asked about, and the longest of the person before each.
fn gaps(messages: &[Message], is_asked: &[bool]) -> (Vec<i64>, Vec<i64>) {
    let mut found = (Vec::new(), Vec::new());
    let mut longest = 0;
    let pairs = messages.windows(2).filter_map(|pair| <&[Message; 2]>::try_from(pair).ok());
    for [before, message] in pairs {
        if before.person != message.person {
            longest = 0;
        } else if before.line == message.line && is_asked[message.row as usize] {
            let gap = message.at.saturating_sub(before.at);
            found.0.push(gap);
            found.1.push(longest);
            longest = longest.max(gap);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use polars::prelude::{Engine, IntoLazy, NULL, SortMultipleOptions, col, df, lit, when};
    use proptest::prelude::*;
    use wabalake_data::tables::instant;

    use super::*;

    const BY: By = By { person: "person", line: "line", at: "at", id: "id" };

    type Row = (Option<i64>, Option<&'static str>, Option<i64>, bool);

    /// Messages as (person, line, instant, asked): one person with most messages, many at one instant.
    fn some() -> impl Strategy<Value = Vec<Row>> {
        let person = prop_oneof![
            4 => Just(Some(i64::MIN)),
            4 => prop::option::of(prop::sample::select(vec![-1, 0, i64::MAX])),
        ];
        let line = prop::option::of(prop::sample::select(vec!["", "12025550140", "12025550141"]));
        let at = prop::option::weighted(0.9, -5..15_i64);
        prop::collection::vec((person, line, at, any::<bool>()), 0..60)
    }

    fn collected(rows: LazyFrame) -> DataFrame {
        rows.collect_with_engine(Engine::Streaming).unwrap().unwrap_single()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn gaps_are_differences_of_sorted_rows(
            messages in some(),
            repeated in prop::sample::select(vec![1, 1_000]),
        ) {
            let all = || messages.iter().cycle().take(messages.len() * repeated);
            let id = |row: usize| format!("wamid.{:05}", row * 7_919 % 100_003);
            let rows = df![
                "person" => all().map(|row| row.0).collect::<Vec<_>>(),
                "line" => all().map(|row| row.1).collect::<Vec<_>>(),
                "at" => all().map(|row| row.2).collect::<Vec<_>>(),
                "asked" => all().map(|row| row.3).collect::<Vec<_>>(),
                "id" => (0..all().count()).map(id).collect::<Vec<_>>(),
            ];
            let rows = rows.unwrap().lazy().with_column(col("at").cast(instant()));

            let before = |column: &str| col(column).shift(lit(1));
            let micros = |at: polars::prelude::Expr| at.cast(DataType::Int64);
            let same = col("person").eq(before("person")).and(col("line").eq_missing(before("line")));
            let gap = micros(col("at")) - micros(before("at"));
            let expected = rows
                .clone()
                .filter(col("person").is_not_null().and(col("at").is_not_null()))
                .sort(["person", "line", "at", "id"], SortMultipleOptions::default())
                .with_column(when(same).then(gap).otherwise(lit(NULL)).alias(GAP))
                .filter(col("asked").and(col(GAP).is_not_null()));
            let expected = collected(expected.select([col("person"), col(GAP)]));
            let found = collected(super::before(rows, BY, "asked"));

            let gaps = |rows: &DataFrame| {
                let mut gaps: Vec<_> = rows.column(GAP).unwrap().i64().unwrap().iter().collect();
                gaps.sort_unstable();
                gaps
            };
            prop_assert_eq!(gaps(&found), gaps(&expected));
            for longer in 0..8_i64 {
                let people = expected.clone().lazy().filter(col(GAP).gt(lit(longer)));
                let people = people.select([col("person").n_unique().cast(DataType::Int64)]);
                let people = collected(people).column("person").unwrap().i64().unwrap().get(0);
                let first = col(GAP).gt(lit(longer)).and(col(LONGEST_BEFORE).lt_eq(lit(longer)));
                let first = collected(found.clone().lazy().filter(first)).height();
                prop_assert_eq!(i64::try_from(first).ok(), people);
            }
        }
    }
}
