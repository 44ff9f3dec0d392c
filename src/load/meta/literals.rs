//! Quotes fractional numbers in JSON, so that their digits are kept.
//!
//! ```text
//! {"cost":0.020000000000000004,"read":3,"sent":NaN}
//! {"cost":"0.020000000000000004","read":3,"sent":"NaN"}
//! ```
//!
//! JSON parsers turn fractional numbers into floats and lose digits. A number beyond a float's
//! range, or a `NaN` as Python writes it, ends parsing. As strings, such values are rejected by
//! themselves at most.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Words that programs write for floats without a value. They are not JSON.
const NO_NUMBERS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];

/// Longer tokens are not numbers.
const LONGEST: usize = 4 << 10;

/// A reader of JSON that puts fractional numbers in quotes.
pub(super) struct QuotedNumbers<R> {
    text: R,
    input: Vec<u8>,
    out: Vec<u8>,
    /// Bytes of `out` that were read.
    at: usize,
    /// Positions of added quotes in `out`.
    added: VecDeque<usize>,
    /// Added quotes that were read.
    added_in_all: u64,
    /// Added quotes that were read on the current line.
    added_in_line: Arc<AtomicU64>,
    /// The current number or word, which may continue.
    token: Vec<u8>,
    in_string: bool,
    escaped: bool,
    ended: bool,
}

impl<R: Read> QuotedNumbers<R> {
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

    /// Returns the number of quotes added to what was read.
    pub(super) fn added_in_all(&self) -> u64 {
        self.added_in_all
    }

    /// Returns the number of quotes added to the current line, to correct the column of an error.
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

/// Returns `true` for a fractional number of JSON, or one of [`NO_NUMBERS`].
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

impl<R: Read> Read for QuotedNumbers<R> {
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
    use crate::load::tests::SlowReader;

    fn quoted(text: &str, at_once: usize) -> String {
        let mut out = String::new();
        QuotedNumbers::new(SlowReader(text.as_bytes(), at_once)).read_to_string(&mut out).unwrap();
        out
    }

    #[test]
    fn only_fractional_numbers_are_quoted() {
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
        /// Valid JSON keeps its meaning, except for fractional numbers. Other text without numbers
        /// is unchanged.
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
