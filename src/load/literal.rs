//! Numbers in JSON as they are written.
//!
//! ```text
//! {"cost":0.020000000000000004,"read":3,"sent":NaN}
//! {"cost":"0.020000000000000004","read":3,"sent":"NaN"}
//! ```
//!
//! A reader of JSON makes floats of numbers that are not whole, so that their digits are lost; one
//! that is out of a float's range, or a `NaN` as Python writes it, ends the reading of all that
//! comes behind. As texts they are values like others, which cost at most themselves.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Words that programs write for a float that is no number. JSON has none.
const NO_NUMBERS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];

/// What is longer is no number that anybody wrote.
const LONGEST: usize = 4 << 10;

/// A text of JSON in which numbers that are not whole are in quotes.
pub(super) struct Literals<R> {
    text: R,
    input: Vec<u8>,
    out: Vec<u8>,
    /// How much of `out` was given.
    at: usize,
    /// Quotes in `out` that the text has not.
    added: VecDeque<usize>,
    /// How many of them were given, in all.
    added_in_all: u64,
    /// How many in the line that was given last.
    added_in_line: Arc<AtomicU64>,
    /// The number or word that the text may not be at the end of.
    token: Vec<u8>,
    in_string: bool,
    escaped: bool,
    ended: bool,
}

impl<R: Read> Literals<R> {
    pub(super) fn new(text: R) -> Self {
        Self {
            text,
            input: vec![0; 64 << 10],
            out: Vec::new(),
            at: 0,
            added: VecDeque::new(),
            added_in_all: 0,
            added_in_line: Arc::default(),
            token: Vec::new(),
            in_string: false,
            escaped: false,
            ended: false,
        }
    }

    /// How many quotes were added to what was read.
    pub(super) fn added_in_all(&self) -> u64 {
        self.added_in_all
    }

    /// How many quotes were added to the line up to where it was read; a column that is told counts
    /// them.
    pub(super) fn added_in_line(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.added_in_line)
    }

    fn more(&mut self) -> io::Result<()> {
        self.out.clear();
        self.added.clear();
        self.at = 0;
        let read = match self.text.read(&mut self.input) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Ok(()),
            read => read?,
        };
        self.ended = read == 0;
        for at in 0..read {
            self.take(self.input[at]);
        }
        if self.ended {
            self.end_token();
        }
        Ok(())
    }

    fn take(&mut self, byte: u8) {
        if self.in_string {
            self.in_string = byte != b'"' || self.escaped;
            self.escaped = byte == b'\\' && !self.escaped;
            self.out.push(byte);
            return;
        }
        if byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.') {
            self.token.push(byte);
            if self.token.len() > LONGEST {
                self.out.append(&mut self.token);
            }
            return;
        }
        self.end_token();
        self.in_string = byte == b'"';
        self.out.push(byte);
    }

    fn end_token(&mut self) {
        if is_literal(&self.token) {
            self.added.push_back(self.out.len());
            self.out.push(b'"');
            self.out.append(&mut self.token);
            self.added.push_back(self.out.len());
            self.out.push(b'"');
        } else {
            self.out.append(&mut self.token);
        }
    }
}

/// Whether a word is a number of JSON that is not whole, or stands for none.
fn is_literal(word: &[u8]) -> bool {
    if NO_NUMBERS.contains(&word) {
        return true;
    }
    let digits = |word: &[u8]| word.iter().take_while(|b| b.is_ascii_digit()).count();
    let rest = word.strip_prefix(b"-").unwrap_or(word);
    let whole = digits(rest);
    if whole == 0 || whole > 1 && rest[0] == b'0' {
        return false;
    }
    let mut rest = &rest[whole..];
    let is_whole = rest.is_empty();
    if let Some(decimals) = rest.strip_prefix(b".") {
        let length = digits(decimals);
        if length == 0 {
            return false;
        }
        rest = &decimals[length..];
    }
    if let Some((b'e' | b'E', exponent)) = rest.split_first() {
        let exponent = match exponent.split_first() {
            Some((b'+' | b'-', digits)) => digits,
            _ => exponent,
        };
        let length = digits(exponent);
        if length == 0 {
            return false;
        }
        rest = &exponent[length..];
    }
    !is_whole && rest.is_empty()
}

impl<R: Read> Read for Literals<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.out.len() && !self.ended {
            self.more()?;
        }
        let read = buffer.len().min(self.out.len() - self.at);
        let given = &self.out[self.at..self.at + read];
        buffer[..read].copy_from_slice(given);
        for (at, byte) in (self.at..).zip(given) {
            if self.added.front() == Some(&at) {
                self.added.pop_front();
                self.added_in_all += 1;
                self.added_in_line.fetch_add(1, Ordering::Relaxed);
            } else if *byte == b'\n' {
                self.added_in_line.store(0, Ordering::Relaxed);
            }
        }
        self.at += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Gives a few bytes at once.
    struct Few<'a>(&'a [u8], usize);

    impl Read for Few<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(self.1);
            self.0.read(&mut buffer[..length])
        }
    }

    fn quoted(text: &str, at_once: usize) -> String {
        let mut out = String::new();
        Literals::new(Few(text.as_bytes(), at_once)).read_to_string(&mut out).unwrap();
        out
    }

    #[test]
    fn numbers_that_are_not_whole_are_quoted_and_nothing_else() {
        for (text, expected) in [
            (
                "{\"cost\":0.020000000000000004,\"read\":3,\"sent\":NaN}",
                "{\"cost\":\"0.020000000000000004\",\"read\":3,\"sent\":\"NaN\"}",
            ),
            (
                "[1e-05, -1.5E+3,1e400,-Infinity ]",
                "[\"1e-05\", \"-1.5E+3\",\"1e400\",\"-Infinity\" ]",
            ),
            ("[1,-2,true,null,\"1.5\",\"a\\\"1.5\"]", "[1,-2,true,null,\"1.5\",\"a\\\"1.5\"]"),
            ("[01.5,1.,.5,1e,+1.5,--1.5,tru]", "[01.5,1.,.5,1e,+1.5,--1.5,tru]"),
            ("2.5", "\"2.5\""),
        ] {
            for at_once in [1, 2, 100] {
                assert_eq!(quoted(text, at_once), expected);
            }
        }
        let long = format!("[{}.5]", "1".repeat(2 * LONGEST));
        assert_eq!(quoted(&long, 1000), long);
    }

    proptest! {
        /// What is JSON means the same, but for its numbers that are not whole; what is none, and
        /// has no number, stays as it is.
        #[test]
        fn nothing_else_changes(text in "[\\[\\]{}:,\"\\\\ \n0-9a.eE+-]{0,40}", at_once in 1..9usize) {
            let changed = quoted(&text, at_once);
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                fn plain(value: Value) -> Value {
                    match value {
                        Value::Number(number) if number.is_f64() => Value::Null,
                        Value::String(text) if text.parse::<f64>().is_ok() => Value::Null,
                        Value::Array(values) => values.into_iter().map(plain).collect(),
                        Value::Object(map) => {
                            Value::Object(map.into_iter().map(|(k, v)| (k, plain(v))).collect())
                        }
                        value => value,
                    }
                }
                let changed: Value = serde_json::from_str(&changed).unwrap();
                prop_assert_eq!(plain(changed), plain(value));
            }
            let without = |text: &str| text.replace('"', "");
            prop_assert_eq!(without(&changed), without(&text));
        }
    }
}
