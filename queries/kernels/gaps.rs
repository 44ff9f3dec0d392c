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
//!
//! Where only sessions are known, the gaps are those before their first messages:
//!
//! ```text
//! person   line   start   first   last    gap
//! 1        A      09:00   09:00   09:20          the first one
//! 1        A      09:10   09:12   09:13   12     since 09:00: 09:20 is later
//! 1        A      10:00   10:00           40     since 09:20
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;

use polars::prelude::{
    BooleanChunked, Column, DataFrame, DataType, Expr, Field, IdxCa, IntoColumn, IntoLazy,
    LazyFrame, NamedFrom, NewChunkedArray, PolarsResult, Schema, SchemaRef, Series, StringChunked,
    by_name, col, lit,
};

use super::dictionary::Numbers;
use super::parts::Parts;
use super::{adding, collected, named, on_all_cores, stacked};

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
/// `asked` is a column of booleans; other messages only end gaps. The result has the columns [`GAP`],
/// [`LONGEST_BEFORE`] and those of the message that it brings, in the order of people, lines and instants,
/// except that people of whose messages ids are [collected](Turns::without_ids) come last.
pub fn before(
    messages: LazyFrame,
    by: By,
    asked: &'static str,
    brought: &'static [&'static str],
) -> LazyFrame {
    let name = format!("gaps between messages of each person and line: {by:?} {asked} {brought:?}");
    between(messages, by, name, asked, brought, |_, is_asked| is_asked)
}

/// The gaps within runs: those of [`before`] where the message before is `asked` about, too.
pub fn in_runs(
    messages: LazyFrame,
    by: By,
    asked: &'static str,
    brought: &'static [&'static str],
) -> LazyFrame {
    let name = format!("gaps within runs of messages: {by:?} {asked} {brought:?}");
    between(messages, by, name, asked, brought, |before, is_asked| before && is_asked)
}

/// The gaps for which `counts` is true of whether the message before and the message are `asked` about.
fn between(
    messages: LazyFrame,
    by: By,
    name: String,
    asked: &'static str,
    brought: &'static [&'static str],
    counts: fn(bool, bool) -> bool,
) -> LazyFrame {
    let (messages, turns) = Turns::without_ids(messages, by, asked, brought.to_vec());
    gaps_of(messages, turns, name, move |_| {
        let find: Find = Box::new(move |messages: &[Message], asked: &[bool]| {
            let asked = |message: &Message| asked[message.row as usize];
            gaps(messages, |before, message| counts(asked(before), asked(message)))
        });
        Ok(find)
    })
}

/// Adds the column `named`: `true` for a message whose gap of [`in_runs`] is at most `most` microseconds. Rows keep
/// their order.
pub fn close_in_runs(
    messages: LazyFrame,
    by: By,
    asked: &'static str,
    most: i64,
    named: &'static str,
) -> LazyFrame {
    let name = format!("small gaps within runs of messages: {by:?} {asked} {most} as {named}");
    let added = vec![Field::new(named.into(), DataType::Boolean)];
    adding(messages, name, added, move |mut messages| {
        let ids = messages.column(by.id)?.str()?.clone();
        let close = close(&messages, by, asked, most, Some(&ids))?;
        messages.with_column(close.column(named))?;
        Ok(messages)
    })
}

/// [`close_in_runs`] of messages without ids, which are long: of messages of one turn and instant that are all
/// `asked` about, the result does not tell which is the first. Rows are in any order.
///
/// `with_ids` has the same messages with their ids. It is collected for the people who have messages of one turn and
/// instant of which only some are asked about.
pub fn close_in_runs_of_alike(
    messages: LazyFrame,
    with_ids: LazyFrame,
    by: By,
    asked: &'static str,
    most: i64,
    named: &'static str,
) -> LazyFrame {
    let name = format!("small gaps within runs of alike: {by:?} {asked} {most} as {named}");
    let added = vec![Field::new(named.into(), DataType::Boolean)];
    adding(messages, name, added, move |mut messages| {
        let found = close(&messages, by, asked, most, None)?;
        messages.with_column(found.column(named))?;
        if found.unclear.is_empty() {
            return Ok(messages);
        }
        let is_unclear = of_people(by, &found.unclear);
        let unclear = with_ids.clone().filter(is_unclear.clone());
        let mut unclear = collected(unclear)?;
        let ids = unclear.column(by.id)?.str()?.clone();
        let found = close(&unclear, by, asked, most, Some(&ids))?;
        unclear.with_column(found.column(named))?;
        let unclear = unclear.select(messages.get_column_names_owned())?;
        let mut all = messages.lazy().filter(is_unclear.not()).collect()?;
        all.vstack_mut_owned(unclear)?;
        Ok(all)
    })
}

/// The gaps before the first messages of sessions: one row for each session that is `asked` about, has a first
/// message, and follows a session with a message that is not later. The columns are those of [`before`].
///
/// The message before is the latest of the first and last messages, which are instants in the columns
/// `written`, of the person's sessions on the line that are before in the order of [`By`].
pub fn before_sessions(
    sessions: LazyFrame,
    by: By,
    written: [&'static str; 2],
    asked: &'static str,
    brought: &'static [&'static str],
) -> LazyFrame {
    let name = format!("gaps between sessions: {by:?} {written:?} {asked} {brought:?}");
    let turns = Turns { by, asked, brought: brought.to_vec(), with_ids: None };
    gaps_of(sessions, turns, name, move |sessions| {
        let [first, last] = written.map(|column| instants(sessions, column));
        let written = [first?, last?];
        let find: Find = Box::new(move |sessions: &[Message], asked: &[bool]| {
            gaps_of_sessions(sessions, asked, &written)
        });
        Ok(find)
    })
}

/// Finds gaps in sorted rows, given which rows are asked about.
type Find = Box<dyn Fn(&[Message], &[bool]) -> Found + Send + Sync>;

/// A node that finds gaps in rows, sorted in parts.
fn gaps_of<F>(rows: LazyFrame, turns: Turns, name: String, find: F) -> LazyFrame
where
    F: Fn(&DataFrame) -> PolarsResult<Find> + Send + Sync + 'static,
{
    let own = [GAP, LONGEST_BEFORE].map(|name| (name, DataType::Int64));
    let declared = turns.declared(own);
    named(rows, name, declared, move |rows: DataFrame| {
        let find = find(&rows)?;
        turns.find(rows, &|rows: &[Message], asked: &[bool]| {
            let found = find(rows, asked);
            let gaps = [(GAP, found.gaps), (LONGEST_BEFORE, found.longest)];
            let gaps = gaps.map(|(name, gaps)| Column::new(name.into(), gaps));
            (gaps.into(), found.rows)
        })
    })
}

/// What a node reads of messages in the order of [`By`]. A turn is a person, a line and an instant.
pub(super) struct Turns {
    by: By,
    /// The column of booleans that says which messages are asked about.
    asked: &'static str,
    /// The columns that the result has of messages that are asked about.
    brought: Vec<&'static str>,
    /// The messages with their ids, if the node's input has none.
    with_ids: Option<LazyFrame>,
}

impl Turns {
    /// Messages without ids, if the result has none. Ids are long, and only order messages of one turn. So they are
    /// collected for the people who have messages of one turn that differ in what is read of them.
    pub(super) fn without_ids(
        messages: LazyFrame,
        by: By,
        asked: &'static str,
        brought: Vec<&'static str>,
    ) -> (LazyFrame, Self) {
        let (messages, with_ids) = if brought.contains(&by.id) {
            (messages, None)
        } else {
            (messages.clone().drop(by_name([by.id], true, false)), Some(messages))
        };
        (messages, Self { by, asked, brought, with_ids })
    }

    /// The schema of a node's `own` columns and those that it brings.
    pub(super) fn declared<const N: usize>(
        &self,
        own: [(&'static str, DataType); N],
    ) -> impl Fn(&Schema) -> SchemaRef + use<N> {
        let names = self.brought.clone();
        move |given| {
            let brought = names.iter().filter_map(|name| Some((*name, given.get(name)?.clone())));
            let mut schema = Schema::default();
            for (name, of) in own.iter().cloned().chain(brought) {
                schema.with_column(name.into(), of);
            }
            Arc::new(schema)
        }
    }

    /// What `find` returns for the sorted messages of parts, given which rows are asked about: columns and the
    /// rows whose columns are brought beside them. People of whose messages ids are collected come last.
    pub(super) fn find<F>(&self, messages: DataFrame, find: &F) -> PolarsResult<DataFrame>
    where
        F: Fn(&[Message], &[bool]) -> (Vec<Column>, Vec<u32>) + Send + Sync,
    {
        let by = self.by;
        let asked = truths(&messages, self.asked)?;
        let ids = match self.with_ids {
            None => Some(messages.column(by.id)?.str()?.clone()),
            Some(_) => None,
        };
        let parts = split(&messages, by)?;
        let mut brought = messages.select(self.brought.iter().copied())?;
        // Frees the input before there is a result.
        drop(messages);
        on_all_cores(|| brought.rechunk_mut_par());
        let differ = |one: &Message, next: &Message| {
            let [one, next] = [one, next].map(|message| message.row as usize);
            let are_told_apart = |column: &Column| column.get(one).ok() != column.get(next).ok();
            asked[one] != asked[next] || asked[one] && brought.columns().iter().any(are_told_apart)
        };
        let parts = parts.map(|mut messages| {
            let unclear = sorted(&mut messages, ids.as_ref(), differ);
            let (found, rows) = find(&messages, &asked);
            (beside(found, &brought, rows), unclear)
        });
        let (found, unclear): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let (mut found, unclear) = (stacked(found)?, unclear.concat());
        if let Some(with_ids) = self.with_ids.as_ref().filter(|_| !unclear.is_empty()) {
            let with_ids = collected(with_ids.clone().filter(of_people(by, &unclear)))?;
            let turns = Self { brought: self.brought.clone(), with_ids: None, ..*self };
            found.vstack_mut_owned(turns.find(with_ids, find)?)?;
        }
        Ok(found)
    }
}

pub(super) fn truths(rows: &DataFrame, column: &str) -> PolarsResult<Vec<bool>> {
    Ok(rows.column(column)?.bool()?.iter().map(|holds| holds == Some(true)).collect())
}

fn instants(rows: &DataFrame, column: &str) -> PolarsResult<Vec<Option<i64>>> {
    Ok(rows.column(column)?.to_physical_repr().i64()?.iter().collect())
}

/// A message in the order of people, lines and instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Message {
    pub(super) person: i64,
    /// The number of the line.
    pub(super) line: u32,
    pub(super) at: i64,
    /// The row of the input.
    pub(super) row: u32,
}

impl Message {
    const fn turn(&self) -> (i64, u32, i64) {
        (self.person, self.line, self.at)
    }
}

pub(super) fn split(messages: &DataFrame, by: By) -> PolarsResult<Parts<Message>> {
    let lines = Numbers::of(1);
    Parts::of(messages, |messages, rows, parts| {
        let people = messages.column(by.person)?.i64()?.iter();
        let lines = lines.column(0, messages.column(by.line)?)?;
        let instants = messages.column(by.at)?.to_physical_repr();
        let messages = people.zip(lines).zip(instants.i64()?.iter()).zip(rows);
        parts.extend(messages.filter_map(|(((person, line), at), row)| {
            let message = Message { person: person?, line, at: at?, row };
            Some((message.person, message))
        }));
        Ok(())
    })
}

/// Columns of found rows, with those `brought` by their places beside them. The frame that brings is one chunk.
fn beside(mut found: Vec<Column>, brought: &DataFrame, rows: Vec<u32>) -> PolarsResult<DataFrame> {
    let rows = IdxCa::from_vec("row".into(), rows);
    for column in brought.columns() {
        found.push(column.take(&rows)?);
    }
    DataFrame::new(rows.len(), found)
}

/// Sorts messages, those of one turn by their ids. Without ids, people who have messages of one turn that `differ`
/// are returned, and their messages removed.
fn sorted(
    messages: &mut Vec<Message>,
    ids: Option<&StringChunked>,
    differ: impl Fn(&Message, &Message) -> bool,
) -> Vec<i64> {
    if let Some(ids) = ids {
        sort(messages, ids);
        return Vec::new();
    }
    messages.sort_unstable();
    let differing = |[one, next]: &&[Message; 2]| one.turn() == next.turn() && differ(one, next);
    let mut unclear: Vec<i64> =
        pairs(messages).filter(differing).map(|[one, _]| one.person).collect();
    unclear.dedup();
    if !unclear.is_empty() {
        messages.retain(|message| unclear.binary_search(&message.person).is_err());
    }
    unclear
}

pub(super) fn sort(messages: &mut [Message], ids: &StringChunked) {
    messages.sort_unstable();
    let at_once = messages.chunk_by_mut(|one, next| one.turn() == next.turn());
    for messages in at_once.filter(|messages| messages.len() > 1) {
        messages.sort_by_key(|message| ids.get(message.row as usize));
    }
}

/// The gaps before messages, the longest of the person before each, and the rows of the messages.
#[derive(Default)]
struct Found {
    gaps: Vec<i64>,
    longest: Vec<i64>,
    rows: Vec<u32>,
}

impl Found {
    fn push(&mut self, gap: i64, longest: i64, row: u32) {
        self.gaps.push(gap);
        self.longest.push(longest);
        self.rows.push(row);
    }
}

/// The gaps before the sorted messages for which a predicate of the message before and the message is true.
fn gaps(messages: &[Message], is_asked: impl Fn(&Message, &Message) -> bool) -> Found {
    let mut found = Found::default();
    let mut longest = 0;
    for [before, message] in pairs(messages) {
        if before.person != message.person {
            longest = 0;
        } else if before.line == message.line && is_asked(before, message) {
            let gap = message.at.saturating_sub(before.at);
            found.push(gap, longest, message.row);
            longest = longest.max(gap);
        }
    }
    found
}

/// Which messages are close to the one before.
struct Close {
    /// `true` for each row that is.
    rows: Vec<bool>,
    /// People for whom only ids tell it.
    unclear: Vec<i64>,
}

impl Close {
    fn column(&self, named: &str) -> Column {
        BooleanChunked::from_iter_values(named.into(), self.rows.iter().copied()).into_column()
    }
}

/// Finds the messages with a gap of at most `most` within runs. Without ids, messages of one turn and instant have
/// any order, and people with some that are asked about and some that are not are unclear.
fn close(
    messages: &DataFrame,
    by: By,
    asked: &str,
    most: i64,
    ids: Option<&StringChunked>,
) -> PolarsResult<Close> {
    let is_asked = truths(messages, asked)?;
    let is_asked = |message: &Message| is_asked[message.row as usize];
    let is_close = |[before, message]: &&[Message; 2]| {
        let gap = message.at.saturating_sub(before.at);
        before.line == message.line && gap <= most && is_asked(before) && is_asked(message)
    };
    let differ = |one: &Message, next: &Message| is_asked(one) != is_asked(next);
    let parts = split(messages, by)?.map(|mut rows| {
        let unclear = sorted(&mut rows, ids, differ);
        let is_of_person = |[one, next]: &&[Message; 2]| one.person == next.person;
        let pairs = pairs(&rows).filter(is_of_person).filter(is_close);
        let close: Vec<u32> = pairs.map(|[_, next]| next.row).collect();
        (close, unclear)
    });
    let mut found = Close { rows: vec![false; messages.height()], unclear: Vec::new() };
    for (close, unclear) in parts {
        for row in close {
            found.rows[row as usize] = true;
        }
        found.unclear.extend(unclear);
    }
    Ok(found)
}

/// Predicate: a message is of one of the people.
fn of_people(by: By, people: &[i64]) -> Expr {
    let people = lit(Series::new(by.person.into(), people)).implode(true);
    col(by.person).is_in(people, false).fill_null(lit(false))
}

/// Each message with the one before it.
fn pairs(messages: &[Message]) -> impl Iterator<Item = &[Message; 2]> {
    messages.windows(2).filter_map(|pair| <&[Message; 2]>::try_from(pair).ok())
}

/// The gaps before the first messages of the sorted sessions that are asked about.
fn gaps_of_sessions(
    sessions: &[Message],
    is_asked: &[bool],
    [first, last]: &[Vec<Option<i64>>; 2],
) -> Found {
    let mut found = Found::default();
    for of_person in sessions.chunk_by(|one, next| one.person == next.person) {
        let mut longest = 0;
        for of_line in of_person.chunk_by(|one, next| one.line == next.line) {
            let mut written: BTreeSet<i64> = BTreeSet::new();
            for session in of_line {
                let row = session.row as usize;
                let reply = first[row].filter(|_| is_asked[row]);
                let gap = reply.and_then(|at| {
                    let before = written.range(..=at).next_back()?;
                    Some(at.saturating_sub(*before))
                });
                if let Some(gap) = gap {
                    found.push(gap, longest, session.row);
                    longest = longest.max(gap);
                }
                written.extend([first[row], last[row]].into_iter().flatten());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use polars::prelude::{Engine, NULL, SortMultipleOptions, df, when};
    use proptest::prelude::*;
    use wabalake_data::tables::instant;

    use super::*;

    const BY: By = By { person: "person", line: "line", at: "at", id: "id" };

    /// The greatest gap that is small.
    const MOST: i64 = 3;

    type Row = (Option<i64>, Option<&'static str>, Option<i64>, bool);

    /// Messages as (person, line, instant, asked): one person with most messages, many at one instant.
    fn some() -> impl Strategy<Value = Vec<Row>> {
        prop::collection::vec(some_row(), 0..60)
    }

    fn some_row() -> impl Strategy<Value = Row> {
        let person = prop_oneof![
            4 => Just(Some(i64::MIN)),
            4 => prop::option::of(prop::sample::select(vec![-1, 0, i64::MAX])),
        ];
        let line = prop::option::of(prop::sample::select(vec!["", "12025550140", "12025550141"]));
        let at = prop::option::weighted(0.9, -5..15_i64);
        (person, line, at, any::<bool>())
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
            let micros = |at: Expr| at.cast(DataType::Int64);
            let same = col("person").eq(before("person")).and(col("line").eq_missing(before("line")));
            let gap = micros(col("at")) - micros(before("at"));
            let expected = rows
                .clone()
                .filter(col("person").is_not_null().and(col("at").is_not_null()))
                .sort(["person", "line", "at", "id"], SortMultipleOptions::default())
                .with_columns([
                    when(same).then(gap).otherwise(lit(NULL)).alias(GAP),
                    before("asked").alias("asked_before"),
                ])
                .filter(col("asked").and(col(GAP).is_not_null()));
            let expected = collected(expected);
            let expected_in_runs = expected.clone().lazy().filter(col("asked_before"));
            let expected_in_runs = collected(expected_in_runs);
            let found = collected(super::before(rows.clone(), BY, "asked", &["person"]));
            let in_runs = collected(in_runs(rows.clone(), BY, "asked", &["person"]));

            let sorted = |close: LazyFrame, columns: &[&str]| {
                let columns: Vec<_> = columns.iter().map(|name| col(*name)).collect();
                let options = SortMultipleOptions::default();
                collected(close.select(&columns).sort_by_exprs(columns, options))
            };
            let is_close = || col("close");
            let close = close_in_runs(rows.clone(), BY, "asked", MOST, "close").filter(is_close());
            let turn = ["person", "line", "at"];
            let without_ids = rows.clone().select(["person", "line", "at", "asked"].map(col));
            let alike = close_in_runs_of_alike(without_ids, rows, BY, "asked", MOST, "close");
            let small = expected_in_runs.clone().lazy().filter(col(GAP).lt_eq(lit(MOST)));
            let of_small = |columns: &[&str]| sorted(small.clone(), columns);
            prop_assert!(sorted(close, &["id"]).equals(&of_small(&["id"])));
            let alike = sorted(alike.filter(is_close()), &turn);
            prop_assert!(alike.equals_missing(&of_small(&turn)));

            let gaps = |rows: &DataFrame| {
                let [people, gaps] =
                    ["person", GAP].map(|name| rows.column(name).unwrap().i64().unwrap());
                let mut gaps: Vec<_> = people.iter().zip(gaps.iter()).collect();
                gaps.sort_unstable();
                gaps
            };
            prop_assert_eq!(gaps(&found), gaps(&expected));
            prop_assert_eq!(gaps(&in_runs), gaps(&expected_in_runs));
            for longer in 0..8_i64 {
                let people = expected.clone().lazy().filter(col(GAP).gt(lit(longer)));
                let people = people.select([col("person").n_unique().cast(DataType::Int64)]);
                let people = collected(people).column("person").unwrap().i64().unwrap().get(0);
                let first = col(GAP).gt(lit(longer)).and(col(LONGEST_BEFORE).lt_eq(lit(longer)));
                let first = collected(found.clone().lazy().filter(first)).height();
                prop_assert_eq!(i64::try_from(first).ok(), people);
            }
        }

        /// Sessions are (person, line, start, asked) with their first and last messages.
        #[test]
        fn gaps_before_sessions_are_those_of_earlier_ones(
            sessions in prop::collection::vec(
                (some_row(), prop::option::of(-5..15_i64), prop::option::of(-5..15_i64)),
                0..40,
            ),
        ) {
            let id = |row: usize| format!("s{:03}", row * 7_919 % 1_009);
            let rows = df![
                "person" => sessions.iter().map(|row| row.0.0).collect::<Vec<_>>(),
                "line" => sessions.iter().map(|row| row.0.1).collect::<Vec<_>>(),
                "at" => sessions.iter().map(|row| row.0.2).collect::<Vec<_>>(),
                "asked" => sessions.iter().map(|row| row.0.3).collect::<Vec<_>>(),
                "first" => sessions.iter().map(|row| row.1).collect::<Vec<_>>(),
                "last" => sessions.iter().map(|row| row.2).collect::<Vec<_>>(),
                "id" => (0..sessions.len()).map(id).collect::<Vec<_>>(),
            ];
            let stamps = ["at", "first", "last"].map(|stamp| col(stamp).cast(instant()));
            let rows = rows.unwrap().lazy().with_columns(stamps);
            let found = before_sessions(rows, BY, ["first", "last"], "asked", &["id"]);
            let found = collected(found);
            let ids = found.column("id").unwrap().str().unwrap().clone();
            let gaps = found.column(GAP).unwrap().i64().unwrap().clone();
            let mut found: Vec<(String, i64)> = ids
                .iter()
                .zip(gaps.iter())
                .map(|(id, gap)| (id.unwrap().to_owned(), gap.unwrap()))
                .collect();
            found.sort();

            let gap = |row: usize| {
                let (of, first, _) = &sessions[row];
                let (start, first) = (of.2?, (*first)?);
                let earlier = sessions.iter().enumerate().filter(|(other, (earlier, ..))| {
                    (earlier.0, earlier.1) == (of.0, of.1)
                        && earlier.2.is_some_and(|at| (at, id(*other)) < (start, id(row)))
                });
                let written = earlier.flat_map(|(_, (_, first, last))| [*first, *last]);
                let before = written.flatten().filter(|at| *at <= first).max()?;
                (of.0.is_some() && of.3).then(|| (id(row), first - before))
            };
            let mut expected: Vec<_> = (0..sessions.len()).filter_map(gap).collect();
            expected.sort();
            prop_assert_eq!(found, expected);
        }
    }
}
