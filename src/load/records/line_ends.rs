//! Detects the line ends of a file.

use crate::load::fields::closing_quote;

/// The line ends of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineEnds {
    /// LF or CRLF.
    Lf,
    /// LF, CRLF or a lone CR.
    Cr,
}

impl LineEnds {
    /// Bytes in which line ends are searched.
    const NEAR: usize = 64 << 10;

    /// Detects the line ends from the start of a file.
    pub(super) fn of(start: &[u8]) -> Self {
        let near = &start[..start.len().min(Self::NEAR)];
        let mut at = 0;
        while let Some(stop) = memchr::memchr3(b'"', b'\n', b'\r', &near[at..]) {
            let stop = at + stop;
            at = stop + 1;
            match near[stop] {
                b'\n' => return Self::Lf,
                b'\r' if start.get(at) == Some(&b'\n') => return Self::Lf,
                b'\r' => return Self::Cr,
                // With any delimiter: line ends in quotes do not count.
                _ if stop == 0 || b",;\t|\r\xBF".contains(&near[stop - 1]) => {
                    at = closing_quote(near, at).map_or(near.len(), |close| close + 1);
                }
                _ => {}
            }
        }
        Self::Lf
    }

    /// Finds the next character that ends a line, or may.
    pub(super) fn find(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Lf => memchr::memchr(b'\n', bytes),
            Self::Cr => memchr::memchr2(b'\n', b'\r', bytes),
        }
    }

    /// Finds the next quote, or character that may end a line.
    pub(super) fn find_or_quote(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Lf => memchr::memchr2(b'"', b'\n', bytes),
            Self::Cr => memchr::memchr3(b'"', b'\n', b'\r', bytes),
        }
    }

    /// Returns the length of the line end at the start of some bytes; `None` also for a CR that may
    /// be half of one.
    pub(super) fn length(self, bytes: &[u8], ended: bool) -> Option<usize> {
        match bytes {
            [b'\n', ..] => Some(1),
            [b'\r', b'\n', ..] => Some(2),
            [b'\r', _, ..] if self == Self::Cr => Some(1),
            [b'\r'] if self == Self::Cr && ended => Some(1),
            _ => None,
        }
    }

    /// Counts the line ends in some bytes.
    pub(super) fn count(self, bytes: &[u8]) -> u64 {
        let ends = memchr::memchr_iter(b'\n', bytes).count();
        let alone = match self {
            Self::Lf => 0,
            Self::Cr => memchr::memchr_iter(b'\r', bytes)
                .filter(|at| bytes.get(at + 1) != Some(&b'\n'))
                .count(),
        };
        (ends + alone) as u64
    }
}
