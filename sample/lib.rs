//! Made-up exports, linked with one another: what `wabalake sample` writes, what the committed
//! exports in `data/exports` are made by, and what benchmarks load.
//!
//! ```text
//! deployments   41207, v2, to 57 3000001234, Delivered at 18:52:30, session df1e…
//!                    │                                                 │
//! sessions           └────── Outbound, began 18:52:30 ─────────────── df1e… ── redirected ── 9a4b…
//!                                   │ first message 18:58:04
//! messages      template, delivered 18:52:30 · incoming 18:58:04 · answer 18:58:09 · …
//! ```
//!
//! A [`Plan`] tells everything: the same plan gives the same bytes on every machine. Nothing is
//! kept from one row to the next, so a plan of any length takes the same memory, and any day of it
//! can be had by itself.
//!
//! | module | what it says |
//! |---|---|
//! | `company` | the made-up business: lines, flows, ads, failures, what is said |
//! | `people` | who writes, with which number, at what time of day |
//! | `story` | what happens: episodes of sends, sessions and messages |
//! | `rows` | one row of an export, from the part of an episode that it tells |
//! | `pen` | how its cells are spelled, cleanly or with dirt |
//! | `refused` | records that a loader must refuse |
//! | `headers`, `encoding` | header cells, characters |
//! | `companions` | the files that go with the exports: summaries, Meta's points, closings, spend, … |
//! | `ledger`, `card` | what the vendors count of the episodes, and what it costs |
//! | `random` | numbers that look random |

mod card;
mod companions;
mod company;
mod encoding;
mod headers;
mod ledger;
mod pen;
mod people;
mod random;
mod refused;
mod rows;
mod story;
#[cfg(test)]
mod tests;

use std::io;
use std::ops::Range;

use chrono::{Days, NaiveDate};

pub use companions::Companion;
pub use encoding::Encoding;
use pen::{Form, Pen, Stamps};
use random::hash;
use refused::Fault;
use rows::Rows;
use story::{Story, Teller};

use wabalake_data::tables::{Table, deployments, messages, sessions};

/// The tables that have made-up exports.
pub const TABLES: [&Table; 3] = [&sessions::TABLE, &deployments::TABLE, &messages::TABLE];

/// The most days that a vendor gives in one download.
pub const WINDOW_DAYS: u32 = 30;

/// How many bytes of rows are held before they are written.
const CHUNK: usize = 1 << 18;

/// What is to be made up.
///
/// ```
/// use chrono::NaiveDate;
/// use wabalake_sample::Plan;
/// use wabalake_data::tables::sessions;
///
/// let plan = Plan { days: 40, sessions_per_day: 20, ..Plan::default() };
/// let files: Vec<_> = plan.files().collect();
/// assert_eq!(files[0].name, "general_sessions_report_2025_05_31.csv");
/// assert_eq!(files.len(), 2 * 3);
///
/// let mut day = Vec::new();
/// let rows = plan.day_csv(&sessions::TABLE, plan.start, &mut day);
/// assert!(rows > 5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The first day, in UTC.
    pub start: NaiveDate,
    /// How many days.
    pub days: u32,
    /// About how many sessions begin on a day, over a week; there are as many deployments, and
    /// twice as many messages.
    pub sessions_per_day: u32,
    /// Another seed, other rows.
    pub seed: u64,
    /// Whether files have the dirt of real ones: overlapping days, a second copy, several
    /// encodings, ill spelled cells, records that must be refused.
    pub dirt: bool,
}

impl Default for Plan {
    fn default() -> Self {
        let start = NaiveDate::from_ymd_opt(2025, 5, 1).unwrap_or_default();
        Self { start, days: 30, sessions_per_day: 1000, seed: 1, dirt: false }
    }
}

impl Plan {
    /// The files, the earliest download first; in each the three tables. A dirty plan ends with a
    /// copy of its first file.
    pub fn files(&self) -> impl Iterator<Item = File> {
        let plan = *self;
        let downloads = self.downloads();
        let again = downloads.first().filter(|_| self.dirt).cloned();
        let files = downloads.into_iter().enumerate().flat_map(move |(place, days)| {
            (0..TABLES.len()).map(move |table| File::new(plan, table, place, days.clone()))
        });
        files.chain(again.map(move |days| File::new(plan, 0, 0, days).copy()))
    }

    /// The days of the plan.
    pub fn days(&self) -> impl Iterator<Item = NaiveDate> {
        let plan = *self;
        (0..i64::from(self.days)).map_while(move |day| plan.date(day))
    }

    /// Appends the rows of one UTC day as clean CSV, comma and CRLF, without a header; they have
    /// the columns of `table.exported()`. Over all days every row comes once. The number of rows
    /// is returned, 0 for a day outside of the plan or a table that is not among [`TABLES`].
    pub fn day_csv(&self, table: &Table, day: NaiveDate, out: &mut Vec<u8>) -> u64 {
        let day = day.signed_duration_since(self.start).num_days();
        let Some(rows) = Rows::of(table).filter(|_| (0..self.end()).contains(&day)) else {
            return 0;
        };
        let window = self.window(day..day + 1, self.end());
        let mut pen = Pen::new(std::mem::take(out), CLEAN.form(table, None));
        let mut count = 0;
        for told in window.told(rows) {
            self.each_row(rows, told, &window, &mut |story, place| {
                (rows.write)(story, place, window.horizon, &mut pen);
                count += 1;
            });
        }
        *out = pen.out;
        count
    }

    /// How many rows the table has once every file is loaded: each row once, however many files
    /// hold it. It takes about as long as writing them.
    pub fn rows(&self, table: &Table) -> u64 {
        let Some(rows) = Rows::of(table) else { return 0 };
        let window = self.window(0..self.end(), self.end());
        let mut count = 0;
        for told in window.told(rows) {
            self.each_row(rows, told, &window, &mut |_, _| count += 1);
        }
        count
    }

    /// Visits the rows of a window that the episodes of one day tell.
    fn each_row(
        &self,
        rows: &Rows,
        told: i64,
        window: &Window,
        visit: &mut dyn FnMut(&Story, usize),
    ) {
        let teller = self.teller();
        let rhythm = teller.rhythm(told);
        let mut story = teller.blank();
        for episode in 0..teller.episodes(told) {
            teller.tell(told, episode, &rhythm, &mut story);
            for place in 0..(rows.count)(&story) {
                let at = (rows.at)(&story, place);
                if window.instants.contains(&at) && at < window.horizon {
                    visit(&story, place);
                }
            }
        }
    }

    fn end(&self) -> i64 {
        self.days.into()
    }

    fn date(&self, day: i64) -> Option<NaiveDate> {
        self.start.checked_add_days(Days::new(u64::try_from(day).ok()?))
    }

    fn teller(&self) -> Teller {
        let since_1970 = self.start.signed_duration_since(NaiveDate::default()).num_days();
        Teller::new(self.seed, since_1970, self.sessions_per_day)
    }

    /// Days of the plan, as they were known when the day `known` began.
    fn window(&self, days: Range<i64>, known: i64) -> Window {
        let teller = self.teller();
        let instants = teller.midnight(days.start)..teller.midnight(days.end);
        Window { days, instants, horizon: teller.midnight(known) }
    }

    /// The days of each download. Those of a dirty plan overlap, for nobody remembers where the
    /// last one ended, and there are always two at least.
    fn downloads(&self) -> Vec<Range<i64>> {
        let longest = i64::from(WINDOW_DAYS);
        let (length, step) = if self.dirt {
            let length = (self.end() * 3 / 5).clamp(1, longest);
            (length, length - length / 10)
        } else {
            (longest, longest)
        };
        let mut downloads = Vec::new();
        let mut days = 0..0;
        while days.end < self.end() {
            let first = if downloads.is_empty() { 0 } else { days.start + step };
            days = first..(first + length).min(self.end());
            downloads.push(days.clone());
        }
        downloads
    }
}

/// Days whose rows are wanted, and when they were asked for.
#[derive(Clone, Debug)]
struct Window {
    days: Range<i64>,
    instants: Range<i64>,
    /// What lies later is not known.
    horizon: i64,
}

impl Window {
    /// The days whose episodes have rows in the window.
    fn told(&self, rows: &Rows) -> Range<i64> {
        (self.days.start - i64::from(rows.reach_on)).max(0)..self.days.end
    }
}

/// How a file is spelled, and what is at its end.
#[derive(Clone, Copy, Debug)]
struct Style {
    delimiter: u8,
    line_end: &'static str,
    titles: bool,
    stamps: Stamps,
    encoding: Encoding,
    gzip: bool,
    open_quote: bool,
}

const CLEAN: Style = Style {
    delimiter: b',',
    line_end: "\r\n",
    titles: false,
    stamps: Stamps::Naive,
    encoding: Encoding::Utf8,
    gzip: false,
    open_quote: false,
};

/// How dirty files are spelled.
const DIRTY: [Style; 5] = [
    Style { open_quote: true, ..CLEAN },
    Style { delimiter: b';', line_end: "\n", titles: true, encoding: Encoding::Utf8Bom, ..CLEAN },
    Style {
        delimiter: b'\t',
        titles: true,
        stamps: Stamps::Utc,
        encoding: Encoding::Utf16Le,
        ..CLEAN
    },
    Style { delimiter: b';', encoding: Encoding::Windows1252, ..CLEAN },
    Style { line_end: "\n", stamps: Stamps::Bogota, gzip: true, open_quote: true, ..CLEAN },
];

/// The styles of each table's first downloads, in turn.
const TURNS: [[usize; 5]; 3] = [[0, 1, 2, 3, 4], [1, 0, 4, 2, 3], [0, 3, 2, 4, 1]];

impl Style {
    fn form(&self, table: &Table, dirt: Option<u64>) -> Form {
        let milliseconds = table.name == messages::NAME;
        Form {
            delimiter: self.delimiter,
            line_end: self.line_end,
            titles: self.titles,
            stamps: if milliseconds { Stamps::Milliseconds } else { self.stamps },
            dirt,
        }
    }
}

/// One export file of a plan.
#[derive(Clone, Debug)]
pub struct File {
    /// Its name, as the vendor or a browser gives it; it ends in `.gz` when `gzip` is set.
    pub name: String,
    /// The table that it is of.
    pub table: &'static Table,
    /// The first day whose rows it has.
    pub first_day: NaiveDate,
    /// The last day whose rows it has.
    pub last_day: NaiveDate,
    /// How its characters are encoded, which [`File::write`] does.
    pub encoding: Encoding,
    /// Whether the file is to be compressed, which is left to the caller.
    pub gzip: bool,
    /// The file that it is the same as, byte for byte.
    pub copy_of: Option<String>,
    plan: Plan,
    days: Range<i64>,
    style: Style,
    /// Whims of this file.
    salt: u64,
}

/// What is in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rows that a loader must take.
    pub good: u64,
    /// Records that it must refuse.
    pub rejected: u64,
}

impl File {
    fn new(plan: Plan, place: usize, download: usize, days: Range<i64>) -> Self {
        let table = TABLES[place];
        let turns = TURNS[place];
        let style = if plan.dirt { DIRTY[turns[download % turns.len()]] } else { CLEAN };
        let date = |day| plan.date(day).unwrap_or(NaiveDate::MAX);
        let stem = match table.name {
            sessions::NAME => "general_sessions_report",
            messages::NAME => "kaleyra_tabular",
            name => name,
        };
        let suffix = if style.gzip { "csv.gz" } else { "csv" };
        let made_on = date(days.end).format("%Y_%m_%d");
        Self {
            name: format!("{stem}_{made_on}.{suffix}"),
            table,
            first_day: date(days.start),
            last_day: date(days.end - 1),
            encoding: style.encoding,
            gzip: style.gzip,
            copy_of: None,
            plan,
            style,
            salt: hash(&[plan.seed, days.start.cast_unsigned(), days.end.cast_unsigned()]),
            days,
        }
    }

    /// The same file, downloaded again.
    fn copy(self) -> Self {
        Self {
            name: self.name.replacen(".csv", " (1).csv", 1),
            copy_of: Some(self.name.clone()),
            ..self
        }
    }

    /// Writes the file, and tells what is in it. Compressing is left to `out`.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl io::Write) -> io::Result<Summary> {
        let mut summary = Summary::default();
        let Some(rows) = Rows::of(self.table) else { return Ok(summary) };
        // Clean files know how everything ended; a dirty one knows what there was on its day.
        let known = if self.plan.dirt { self.days.end } else { self.plan.end() };
        let window = self.plan.window(self.days.clone(), known);
        let dirt = self.plan.dirt.then_some(self.salt);
        let form = self.style.form(self.table, dirt);
        let mut pen = Pen::new(Vec::with_capacity(CHUNK), form);
        out.write_all(self.encoding.mark())?;
        for (place, column) in self.table.exported().enumerate() {
            if place > 0 {
                pen.out.push(form.delimiter);
            }
            let header = headers::header(self.table, column.name, form.titles);
            pen.out.extend_from_slice(header.as_bytes());
        }
        pen.end_row();
        for told in window.told(rows) {
            let mut written = Ok(());
            self.plan.each_row(rows, told, &window, &mut |story, place| {
                (rows.write)(story, place, window.horizon, &mut pen);
                summary.good += 1;
                if pen.out.len() >= CHUNK && written.is_ok() {
                    written = self.encoding.write(&mut pen.out, out);
                }
            });
            written?;
            for fault in self.faults_after(told) {
                pen.out.extend_from_slice(&self.refused(fault, told));
                pen.end_row();
                summary.rejected += 1;
            }
        }
        if self.plan.dirt && self.style.open_quote {
            pen.out.extend_from_slice(&self.refused(Fault::OpenQuote, self.days.end - 1));
            summary.rejected += 1;
        }
        self.encoding.write(&mut pen.out, out)?;
        out.flush()?;
        Ok(summary)
    }

    /// The faults of the records that stand after the rows told on that day, spread over the file.
    fn faults_after(&self, told: i64) -> impl Iterator<Item = Fault> {
        let in_utf8 = matches!(self.encoding, Encoding::Utf8 | Encoding::Utf8Bom);
        let bytes = in_utf8.then_some(Fault::Bytes);
        let faults = refused::ANYWHERE.into_iter().chain(bytes).filter(|_| self.plan.dirt);
        let (first, days) = (self.days.start, self.days.end - self.days.start);
        (0..).zip(faults).filter(move |(place, _)| first + place * days / 7 == told).map(|(_, f)| f)
    }

    fn refused(&self, fault: Fault, day: i64) -> Vec<u8> {
        let id = hash(&[self.salt, day.cast_unsigned(), fault as u64]);
        let id = format!("{id:016x}{:016x}", random::mix(id));
        let day = self.plan.date(day).unwrap_or_default().to_string();
        refused::record(self.table, fault, &id, &day, self.style.delimiter)
    }
}
