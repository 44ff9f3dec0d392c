//! How each column of a file is written: what day, month and decimals stand where, by all its cells.
//!
//! ```text
//! day         spend                                      first reading
//! 2025-06-01  12         the same in every way           ──► typed at once
//! 05/06/2025  1.234      to be read in several ways      ──► counted, and waits
//! 13/06/2025  1.012,50   day first; decimal comma        ──► counted, and waits
//!                        the file ends: dmy, comma       ──► what waits is typed
//! ```
//!
//! A file whose stamps are ISO is read as if there were no other way of writing. Of another, the
//! records with a cell that does not say the same in every way wait until all cells are counted, on
//! disk where they are many. What is counted does not depend on the order of records, so neither
//! does what is read.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use wabalake_data::cells::ballot::{Ballot, Verdict};
use wabalake_data::cells::{DateOrder, DecimalMark, Spelling, number, word};
use wabalake_data::tables::CellKind;

use super::header::Header;
use super::records::{Chunk, Record};
use crate::error::{Context as _, Error, Result};

/// Whether cells of that kind may be dates in digits.
fn has_order(kind: CellKind) -> bool {
    matches!(kind, CellKind::Date | CellKind::Moment | CellKind::Stamp)
}

/// Whether cells of that kind may have a decimal mark.
fn has_mark(kind: CellKind) -> bool {
    matches!(kind, CellKind::Money | CellKind::Count)
}

impl Header {
    /// Takes it as said how all columns are written, as far as it is.
    pub(crate) fn spell(&mut self, order: Option<DateOrder>, mark: Option<DecimalMark>) {
        for spelling in &mut self.spellings {
            spelling.order = order.or(spelling.order);
            spelling.mark = mark.or(spelling.mark);
        }
    }

    /// Says that there are numbers beside texts in the file.
    pub(crate) fn with_numbers(&mut self) {
        self.spellings.iter_mut().for_each(|spelling| spelling.has_numbers = true);
    }

    /// Whether it is known how each column of the file is written that can be written in several ways.
    pub(crate) fn is_spelled(&self) -> bool {
        let mut columns = self.cells.iter().zip(&self.places).zip(&self.spellings);
        columns.all(|((column, place), spelling)| {
            place.is_none()
                || (spelling.order.is_some() || !has_order(column.kind))
                    && (spelling.mark.is_some() || !has_mark(column.kind))
        })
    }
}

/// What the cells of a file's columns say of how these are written: one for each of the table's
/// cells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ballots(Vec<Ballot>);

impl Ballots {
    /// Counts a record.
    pub(crate) fn count(&mut self, header: &Header, fields: &[&str]) {
        self.0.resize(header.cells.len(), Ballot::default());
        let columns = header.cells.iter().zip(&header.places).zip(&header.spellings);
        for (((column, place), spelling), ballot) in columns.zip(&mut self.0) {
            let field = place.and_then(|place| fields.get(place)).copied().unwrap_or_default();
            let Some(word) = word(field) else { continue };
            match column.kind {
                CellKind::Money if spelling.has_numbers && number::exact(word).is_some() => {}
                CellKind::Money => ballot.count_amount(word),
                CellKind::Count => ballot.count_number(word),
                kind if has_order(kind) => ballot.count_date(word),
                _ => {}
            }
        }
    }

    /// Adds what other records of the file say.
    pub(crate) fn add(&mut self, other: &Self) {
        self.0.resize(self.0.len().max(other.0.len()), Ballot::default());
        for (ballot, other) in self.0.iter_mut().zip(&other.0) {
            ballot.add(*other);
        }
    }

    /// How the columns are written, once every record is counted.
    ///
    /// # Errors
    ///
    /// A column that can be read in two ways.
    pub(crate) fn settle(&self, file: &str, header: &Header) -> Result<Vec<Spelling>> {
        let mut spellings = header.spellings.clone();
        let mut orders = Unsettled::default();
        let mut marks = Unsettled::default();
        let ballots = self.0.iter().copied().chain(std::iter::repeat(Ballot::default()));
        for ((column, spelling), ballot) in header.cells.iter().zip(&mut spellings).zip(ballots) {
            if has_order(column.kind) && spelling.order.is_none() {
                spelling.order = Some(match ballot.order() {
                    Verdict::Detected(order) => orders.known(order),
                    Verdict::Same => DateOrder::YearFirst,
                    verdict => orders.note(column.name, verdict, DateOrder::YearFirst),
                });
            }
            if has_mark(column.kind) && spelling.mark.is_none() {
                spelling.mark = Some(match (ballot.mark(), header.language) {
                    (Verdict::Detected(mark), _) => marks.known(mark),
                    (Verdict::Same, language) => language.unwrap_or(DecimalMark::Point),
                    // Of what is divided, a language tells the half that is a slip.
                    (Verdict::Ambiguous | Verdict::Conflicting, Some(mark)) => mark,
                    (verdict, _) => marks.note(column.name, verdict, DecimalMark::Point),
                });
            }
        }
        orders.settle(file, &ORDERS)?;
        marks.settle(file, &MARKS)?;
        Ok(spellings)
    }
}

/// How the columns of one kind are told apart, in words.
struct Ways<T: 'static> {
    /// What the columns hold.
    what: &'static str,
    option: &'static str,
    names: &'static [(&'static str, T)],
    /// The readings between which it is open.
    readings: [&'static str; 2],
    /// The arguments that stand for them.
    examples: &'static str,
}

const ORDERS: Ways<DateOrder> = Ways {
    what: "the dates",
    option: "--date-order",
    names: &DateOrder::NAMES,
    readings: ["day first", "month first"],
    examples: "`--date-order dmy` reads 31/12/2025, `--date-order mdy` 12/31/2025",
};

const MARKS: Ways<DecimalMark> = Ways {
    what: "the numbers",
    option: "--decimal",
    names: &DecimalMark::NAMES,
    readings: ["with a decimal point", "with a decimal comma"],
    examples: "`--decimal comma` reads 1.234,50, `--decimal point` 1,234.50",
};

/// The columns of one kind that can be read in two ways, and what others of that kind say.
struct Unsettled<T> {
    open: Vec<&'static str>,
    divided: Vec<&'static str>,
    others: Vec<T>,
}

impl<T> Default for Unsettled<T> {
    fn default() -> Self {
        Self { open: Vec::new(), divided: Vec::new(), others: Vec::new() }
    }
}

impl<T: Copy + PartialEq> Unsettled<T> {
    fn known(&mut self, way: T) -> T {
        self.others.push(way);
        way
    }

    fn note(&mut self, column: &'static str, verdict: Verdict<T>, meanwhile: T) -> T {
        match verdict {
            Verdict::Conflicting => self.divided.push(column),
            _ => self.open.push(column),
        }
        meanwhile
    }

    fn settle(self, file: &str, ways: &Ways<T>) -> Result<()> {
        let Ways { what, option, names, readings: [one, other], examples } = ways;
        let ticked = |columns: &[&str]| {
            columns.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        };
        let fault = match (self.open.as_slice(), self.divided.as_slice()) {
            ([], []) => return Ok(()),
            ([], divided) => format!(
                "of {what} in {} as many can only be read {one} as only {other}",
                ticked(divided)
            ),
            (open, _) => format!("{what} in {} can be read {one} or {other}", ticked(open)),
        };
        let hint = format!("say how they are written: {examples}");
        // The other columns of a file were most likely written by the same hand.
        let first = self.others.first().filter(|way| self.others.iter().all(|other| other == *way));
        let first = first.and_then(|way| names.iter().find(|(_, known)| known == way));
        Err(Error::data(format!("`{file}`: {fault}")).hint(match first {
            Some((name, _)) => format!("{hint}; other columns of the file say `{option} {name}`"),
            None => hint,
        }))
    }
}

/// Records that wait until it is known how their columns are written.
pub(crate) struct Waiting {
    beside: PathBuf,
    held: Vec<Chunk>,
    bytes: usize,
    spill: Option<BufWriter<File>>,
}

impl Waiting {
    /// So many bytes wait in memory.
    const HELD: usize = 8 << 20;

    /// What is too much for memory goes to a file under `beside`, which is gone once they are.
    pub(crate) fn new(beside: &Path) -> Self {
        Self { beside: beside.to_owned(), held: Vec::new(), bytes: 0, spill: None }
    }

    /// Adds records.
    pub(crate) fn add(&mut self, chunk: Chunk) -> Result<()> {
        self.bytes += chunk.bytes.len() + size_of_val(chunk.records.as_slice());
        self.held.push(chunk);
        if self.bytes > Self::HELD {
            self.bytes = 0;
            let spill = match &mut self.spill {
                Some(spill) => spill,
                None => {
                    let file = tempfile::tempfile_in(&self.beside)
                        .context(|| format!("making a file in `{}`", self.beside.display()))?;
                    self.spill.insert(BufWriter::with_capacity(1 << 20, file))
                }
            };
            for chunk in self.held.drain(..) {
                write(spill, &chunk).context(writing)?;
            }
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty() && self.spill.is_none()
    }

    /// Gives them all back.
    pub(crate) fn read(self) -> Result<Waited> {
        let spill = match self.spill {
            None => None,
            Some(spill) => {
                let file = spill.into_inner().map_err(std::io::IntoInnerError::into_error);
                let mut file = file.context(writing)?;
                file.seek(SeekFrom::Start(0)).context(writing)?;
                Some(BufReader::with_capacity(1 << 20, file))
            }
        };
        Ok(Waited { held: self.held, spill })
    }
}

fn writing() -> &'static str {
    "writing records that wait"
}

/// Records that have waited.
pub(crate) struct Waited {
    held: Vec<Chunk>,
    spill: Option<BufReader<File>>,
}

impl Waited {
    /// The next of them, or `None` after the last.
    pub(crate) fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        if let Some(chunk) = self.held.pop() {
            return Ok(Some(chunk));
        }
        let Some(spill) = &mut self.spill else { return Ok(None) };
        read(spill).context(|| "reading records that waited")
    }
}

/// Numbers of 64 bits, the way chunks that wait are written.
fn put(out: &mut impl Write, number: u64) -> std::io::Result<()> {
    out.write_all(&number.to_le_bytes())
}

fn get(from: &mut impl Read) -> std::io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn get_size(from: &mut impl Read) -> std::io::Result<usize> {
    usize::try_from(get(from)?).map_err(std::io::Error::other)
}

fn write(out: &mut impl Write, chunk: &Chunk) -> std::io::Result<()> {
    for size in [chunk.records.len(), chunk.broken.len(), chunk.bytes.len()] {
        put(out, size as u64)?;
    }
    for record in &chunk.records {
        for number in [record.start as u64, record.end as u64, record.number, record.line] {
            put(out, number)?;
        }
        out.write_all(&[record.quoted.into(), record.unclosed.into()])?;
    }
    for (number, reason) in &chunk.broken {
        put(out, *number)?;
        put(out, reason.len() as u64)?;
        out.write_all(reason.as_bytes())?;
    }
    out.write_all(&chunk.bytes)
}

fn read(from: &mut BufReader<File>) -> std::io::Result<Option<Chunk>> {
    if std::io::BufRead::fill_buf(from)?.is_empty() {
        return Ok(None);
    }
    let (records, broken, bytes) = (get_size(from)?, get_size(from)?, get_size(from)?);
    let mut chunk = Chunk {
        bytes: vec![0; bytes],
        records: Vec::with_capacity(records),
        broken: std::collections::BTreeMap::new(),
        read: 0,
    };
    for _ in 0..records {
        let (start, end) = (get_size(from)?, get_size(from)?);
        let (number, line) = (get(from)?, get(from)?);
        let mut flags = [0; 2];
        from.read_exact(&mut flags)?;
        let [quoted, unclosed] = flags.map(|flag| flag == 1);
        chunk.records.push(Record { start, end, number, line, quoted, unclosed });
    }
    for _ in 0..broken {
        let number = get(from)?;
        let mut reason = vec![0; get_size(from)?];
        from.read_exact(&mut reason)?;
        chunk.broken.insert(number, String::from_utf8_lossy(&reason).into_owned());
    }
    from.read_exact(&mut chunk.bytes)?;
    Ok(Some(chunk))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chunk(of: &[(String, u64, bool, Option<String>)]) -> Chunk {
        let mut chunk = Chunk {
            bytes: Vec::new(),
            records: Vec::new(),
            broken: std::collections::BTreeMap::new(),
            read: 0,
        };
        for (text, number, quoted, reason) in of {
            let start = chunk.bytes.len();
            chunk.bytes.extend_from_slice(text.as_bytes());
            let (end, line) = (chunk.bytes.len(), number + 1);
            let record =
                Record { start, end, number: *number, line, quoted: *quoted, unclosed: !quoted };
            chunk.records.push(record);
            if let Some(reason) = reason {
                chunk.broken.insert(*number, reason.clone());
            }
        }
        chunk
    }

    proptest! {
        /// What waits on disk comes back as it was, one chunk after the other.
        #[test]
        fn chunks_come_back_from_disk(
            records in prop::collection::vec(
                (".{0,9}", any::<u64>().prop_map(|n| n / 2), any::<bool>(), prop::option::of(".{0,9}")), 1..9,
            ),
            cut in 0usize..9,
        ) {
            let (one, two) = records.split_at(cut.min(records.len()));
            let mut file = tempfile::tempfile().unwrap();
            for part in [one, two] {
                write(&mut file, &chunk(part)).unwrap();
            }
            file.seek(SeekFrom::Start(0)).unwrap();
            let mut file = BufReader::new(file);
            for part in [one, two] {
                let (expected, found) = (chunk(part), read(&mut file).unwrap().unwrap());
                prop_assert_eq!(found.bytes, expected.bytes);
                prop_assert_eq!(found.records, expected.records);
                prop_assert_eq!(found.broken, expected.broken);
            }
            prop_assert!(read(&mut file).unwrap().is_none());
        }
    }

    #[test]
    fn what_is_too_much_for_memory_waits_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let mut waiting = Waiting::new(folder.path());
        let text = "x".repeat(Waiting::HELD / 3);
        for number in 0..7 {
            waiting.add(chunk(&[(text.clone(), number, false, None)])).unwrap();
            let held: usize = waiting.held.iter().map(|chunk| chunk.bytes.len()).sum();
            assert!(held <= Waiting::HELD);
        }
        assert!(waiting.spill.is_some());
        let mut waited = waiting.read().unwrap();
        let mut numbers = Vec::new();
        while let Some(chunk) = waited.next_chunk().unwrap() {
            numbers.extend(chunk.records.iter().map(|record| record.number));
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (0..7).collect::<Vec<_>>());
    }
}
