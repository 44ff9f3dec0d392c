//! Writer of the cells of an export, clean or with the dirt of real exports.
//!
//! Dirt changes the spelling of cells and replaces some texts; odd values come from `rows`. It is drawn
//! from two random sequences: a *habit* depends on row and column, so every file with the row spells
//! it alike; a *whim* depends on the file too.

use chrono::{Datelike, NaiveDate};

use super::episode::{DAY, HOUR};
use super::people::Person;
use super::random::{Random, hash};

/// The format of stamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StampFormat {
    /// `2025-05-01 18:52:30.511000`
    Naive,
    /// `2025-05-01T18:52:30.511000Z`
    Utc,
    /// `2025-05-01T13:52:30.511000-05:00`
    Bogota,
    /// `2025-05-01T18:52:30.511Z`, which truncates microseconds: for stamps outside of keys.
    Milliseconds,
}

/// The format of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct CsvFormat {
    pub(super) delimiter: u8,
    pub(super) line_end: &'static str,
    /// `true` writes headers as the titles in the vendors' documents.
    pub(super) titles: bool,
    pub(super) stamps: StampFormat,
    /// The seed of the whims of a dirty file; `None` for a clean file.
    pub(super) dirt: Option<u64>,
}

const NULL_WORDS: [&str; 4] = ["-", "null", "None", "NaN"];
const SENTINELS: [&str; 2] = ["1970-01-01 00:00:00", "2000-01-01 00:00:00"];

/// Odd texts of people and broken programs.
const ODD_TEXTS: [&str; 22] = [
    "<script>alert('lucero')</script>",
    "=1+2+cmd|' /C calc'!A0",
    "'; DROP TABLE sessions; --",
    "Â¿CuÃ¡nto vale la lÃ¡mpara?",
    "PromoÃ§Ã£o",
    "campana \u{7} y escape \u{1b}[31m",
    "tabulador vertical \u{b} y unidad \u{1f}",
    "\u{85} y \u{9f}",
    "primera línea\r\nsegunda línea",
    "\n",
    "dijo \"sí\", luego \"\"no\"\"",
    "\"",
    "  con espacios  ",
    " ",
    "NaN",
    "null",
    "-",
    "uno,dos;tres\tcuatro|cinco",
    "السلام عليكم",
    "नमस्ते",
    "👩🏽‍🔧",
    "1970-01-01 00:00:00",
];

/// A writer of rows, with the state of the row that is being written.
#[derive(Debug)]
pub(super) struct CsvWriter {
    pub(super) out: Vec<u8>,
    format: CsvFormat,
    /// The number of cells of the row so far.
    column: u64,
    /// The seed of the habits of the row.
    habit: u64,
    /// The last date, in days since 1970 and as text: a cache.
    date: (i64, [u8; 10]),
}

impl CsvWriter {
    /// A writer that appends to `out`.
    pub(super) fn new(out: Vec<u8>, format: CsvFormat) -> Self {
        Self { out, format, column: 0, habit: 0, date: (0, *b"1970-01-01") }
    }

    pub(super) fn start_row(&mut self, habit: u64) {
        self.column = 0;
        self.habit = habit;
    }

    pub(super) fn end_row(&mut self) {
        self.out.extend_from_slice(self.format.line_end.as_bytes());
    }

    /// Starts a cell.
    fn cell(&mut self) {
        if self.column > 0 {
            self.out.push(self.format.delimiter);
        }
        self.column += 1;
    }

    fn push(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// The habit of the current cell; `None` in a clean file.
    fn habit(&self) -> Option<Random> {
        self.format.dirt.map(|_| Random::new(hash(&[self.habit, self.column])))
    }

    /// The whim of the current cell; `None` in a clean file.
    fn whim(&self) -> Option<Random> {
        self.format.dirt.map(|salt| Random::new(hash(&[self.habit, self.column, salt])))
    }

    /// A random number below 1000, by which `rows` decides about odd values; 1000 in a clean file.
    pub(super) fn oddity(&self) -> u32 {
        self.habit().map_or(1000, |mut habit| habit.below(1000))
    }

    /// Writes a cell of words that need no quotes.
    pub(super) fn word(&mut self, parts: &[&str]) {
        self.cell();
        let padded = self.whim().is_some_and(|mut whim| whim.chance(15));
        if padded {
            self.push(b" ");
        }
        for part in parts {
            self.push(part.as_bytes());
        }
        if padded {
            self.push(b"  ");
        }
    }

    /// Writes a value by one of its spellings, the canonical one first. A dirty file may have the
    /// unknown word instead.
    pub(super) fn one_of(&mut self, spellings: &[&str], unknown: Option<&str>) {
        let Some(mut whim) = self.whim() else { return self.word(&spellings[..1]) };
        match unknown {
            Some(unknown) if whim.chance(10) => self.word(&[unknown]),
            _ if whim.chance(500) => self.word(&spellings[..1]),
            _ => self.word(&[whim.one_of(spellings)]),
        }
    }

    /// Writes an empty cell or a null word.
    pub(super) fn null(&mut self) {
        self.cell();
        if let Some(mut whim) = self.whim()
            && whim.chance(120)
        {
            self.push(whim.one_of(&NULL_WORDS).as_bytes());
        }
    }

    /// Writes an empty cell.
    pub(super) fn empty(&mut self) {
        self.cell();
    }

    /// Writes a text, quoted if necessary. A dirty file may have an odd text instead.
    pub(super) fn text(&mut self, text: &str) {
        self.cell();
        let Some(mut habit) = self.habit() else { return self.quoted(text) };
        match habit.below(1000) {
            0..130 => self.quoted(habit.one_of(&ODD_TEXTS)),
            130..134 => {
                for _ in 0..400 {
                    self.push("jajá ".as_bytes());
                }
            }
            _ => self.quoted(text),
        }
    }

    /// Writes a text that is the same in a dirty file.
    pub(super) fn name(&mut self, name: &str) {
        self.cell();
        self.quoted(name);
    }

    fn quoted(&mut self, text: &str) {
        let delimiter = self.format.delimiter;
        let special = |byte: u8| byte == delimiter || matches!(byte, b'"' | b'\n' | b'\r');
        if !text.bytes().any(special) {
            return self.push(text.as_bytes());
        }
        self.out.push(b'"');
        for byte in text.bytes() {
            if byte == b'"' {
                self.out.push(b'"');
            }
            self.out.push(byte);
        }
        self.out.push(b'"');
    }

    /// Writes a whole number; in a dirty file it may be a float.
    pub(super) fn number(&mut self, number: u64) {
        self.cell();
        self.digits(number);
        if let Some(mut whim) = self.whim()
            && whim.chance(200)
        {
            self.push(b".0");
        }
    }

    /// Writes a cell of words around a number.
    pub(super) fn numbered(&mut self, before: &str, number: u64, after: &[&str]) {
        self.cell();
        self.push(before.as_bytes());
        self.digits(number);
        for part in after {
            self.push(part.as_bytes());
        }
    }

    /// Writes two numbers, joined by a dash, after a word.
    pub(super) fn dashed(&mut self, before: &str, numbers: [u64; 2]) {
        self.numbered(before, numbers[0], &["-"]);
        self.digits(numbers[1]);
    }

    fn digits(&mut self, mut number: u64) {
        let mut digits = [b'0'; 20];
        let mut first = digits.len() - 1;
        loop {
            digits[first] = digit(number % 10);
            number /= 10;
            if number == 0 {
                break;
            }
            first -= 1;
        }
        self.push(&digits[first..]);
    }

    /// Writes a 128-bit id as 32 hexadecimal digits.
    pub(super) fn id(&mut self, id: [u64; 2]) {
        self.cell();
        let hex = hex(id);
        self.push(&hex);
    }

    /// Writes a 128-bit id as a UUID, and a suffix.
    pub(super) fn uuid(&mut self, id: [u64; 2], after: &str) {
        self.cell();
        let hex = hex(id);
        for (from, to) in [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)] {
            if from > 0 {
                self.push(b"-");
            }
            self.push(&hex[from..to]);
        }
        self.push(after.as_bytes());
    }

    /// Writes an optional stamp. A dirty file may have a sentinel or a null word for none.
    pub(super) fn stamp(&mut self, at: Option<i64>) {
        if let Some(at) = at {
            return self.at(at);
        }
        self.cell();
        let Some(mut whim) = self.whim() else { return };
        match whim.below(1000) {
            0..180 => self.push(whim.one_of(&SENTINELS).as_bytes()),
            180..260 => self.push(whim.one_of(&NULL_WORDS).as_bytes()),
            _ => {}
        }
    }

    /// Writes a stamp.
    pub(super) fn at(&mut self, at: i64) {
        self.cell();
        let behind = if self.format.stamps == StampFormat::Bogota { 5 * HOUR } else { 0 };
        let local = at - behind;
        let (days, micros) = (local.div_euclid(DAY), local.rem_euclid(DAY).unsigned_abs());
        if days != self.date.0 {
            self.date = (days, date(days));
        }
        let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
        let mut stamp = *b"0000-00-00 00:00:00.000000";
        stamp[..10].copy_from_slice(&self.date.1);
        let clock = [seconds / 3600, seconds / 60 % 60, seconds % 60];
        for (index, number) in [11, 14, 17].into_iter().zip(clock) {
            stamp[index] = digit(number / 10);
            stamp[index + 1] = digit(number % 10);
        }
        let mut rest = fraction;
        for index in (20..26).rev() {
            stamp[index] = digit(rest % 10);
            rest /= 10;
        }
        let (length, zone): (usize, &[u8]) = match self.format.stamps {
            StampFormat::Naive => (26, b""),
            StampFormat::Utc => (26, b"Z"),
            StampFormat::Bogota => (26, b"-05:00"),
            StampFormat::Milliseconds => (23, b"Z"),
        };
        if !zone.is_empty() {
            stamp[10] = b'T';
        }
        self.push(&stamp[..length]);
        self.push(zone);
    }

    /// Writes a person's dialling code.
    pub(super) fn dialling_code(&mut self, person: &Person) {
        self.cell();
        let code = person.country().code.as_bytes();
        let oddity = self.oddity();
        if oddity < 120 {
            self.push(b"+");
        }
        self.push(code);
        if (120..220).contains(&oddity) {
            self.push(b".0");
        }
    }

    /// Writes a person's number without the dialling code.
    pub(super) fn national(&mut self, person: &Person) {
        self.cell();
        let national = person.national;
        let number = national.digits();
        let country = person.country().code;
        match (self.oddity(), country) {
            (0..120, _) => {
                self.push(number);
                self.push(b".0");
            }
            (120..200, _) => self.spaced(number),
            (200..240, _) => {
                self.push(country.as_bytes());
                self.push(number);
            }
            (240..250, _) => {
                self.push(b"+");
                self.push(country.as_bytes());
                self.push(number);
            }
            // As in WhatsApp's ids: with Mexico's old 1, without Brazil's ninth digit.
            (250..450, "52") => {
                self.push(b"1");
                self.push(number);
            }
            (250..450, "55") => {
                self.push(&number[..2]);
                self.push(&number[3..]);
            }
            _ => self.push(number),
        }
    }

    /// Writes a person's number with the dialling code.
    pub(super) fn international(&mut self, person: &Person) {
        self.cell();
        let national = person.national;
        let code = person.country().code;
        let oddity = self.oddity();
        if oddity < 60 {
            self.push(b"+");
        }
        self.push(code.as_bytes());
        match (oddity, code) {
            (30..90, _) => {
                self.push(b" ");
                self.spaced(national.digits());
            }
            (90..250, "52") => {
                self.push(b"1");
                self.push(national.digits());
            }
            _ => self.push(national.digits()),
        }
        if (250..270).contains(&oddity) {
            self.push(b".0");
        }
    }

    /// Writes a number like `300 000-0167`.
    fn spaced(&mut self, number: &[u8]) {
        let (area, rest) = number.split_at(3);
        let (middle, last) = rest.split_at(rest.len() - 4);
        self.push(area);
        self.push(b" ");
        self.push(middle);
        self.push(b"-");
        self.push(last);
    }
}

fn digit(number: u64) -> u8 {
    b'0' + u8::try_from(number).unwrap_or(0)
}

fn hex([high, low]: [u64; 2]) -> [u8; 32] {
    let mut hex = [0; 32];
    for (index, digit) in hex.iter_mut().enumerate() {
        let half = if index < 16 { high } else { low };
        let nibble = half >> (60 - 4 * (index % 16)) & 15;
        *digit = b"0123456789abcdef"[usize::try_from(nibble).unwrap_or(0)];
    }
    hex
}

/// Formats days since 1970 as `2025-05-01`.
fn date(days: i64) -> [u8; 10] {
    let mut text = *b"0000-00-00";
    let date = i32::try_from(days).ok().and_then(NaiveDate::from_epoch_days).unwrap_or_default();
    let year = u64::try_from(date.year()).unwrap_or(0) % 10_000;
    let pairs = [year / 100, year % 100, date.month().into(), date.day().into()];
    for (index, pair) in [0, 2, 5, 8].into_iter().zip(pairs) {
        text[index] = digit(pair / 10);
        text[index + 1] = digit(pair % 10);
    }
    text
}
