//! The text of a source, decoded to UTF-8.

use std::io::{self, Read};

use encoding_rs::Encoding;

use super::encoding::Transcoder;
use super::source::{Source, Survey};
use crate::error::Result;

/// Bytes that are looked at to detect a format.
pub(super) const HEAD: usize = 64 << 10;

/// A reader of a source's text in UTF-8, after any HTTP headers.
pub(super) struct DecodedText {
    reader: Box<dyn Read + Send>,
    transcoder: Transcoder,
    input: Vec<u8>,
    out: Vec<u8>,
    at: usize,
    ended: bool,
    /// Lines of HTTP headers that were skipped.
    pub(super) skipped: u64,
}

impl DecodedText {
    pub(super) fn new(reader: Box<dyn Read + Send>, encoding: &'static Encoding) -> Self {
        Self {
            reader,
            transcoder: Transcoder::new(encoding),
            input: vec![0; 64 << 10],
            out: Vec::new(),
            at: 0,
            ended: false,
            skipped: 0,
        }
    }

    pub(super) fn open(source: &Source, survey: &Survey) -> Result<Self> {
        let mut text = Self::new(source.reader()?, survey.encoding);
        text.skip_http().map_err(|e| source.read_error(&e))?;
        Ok(text)
    }

    /// Returns the next bytes, at least [`HEAD`] of them, without consuming them.
    pub(super) fn head(&mut self) -> io::Result<&[u8]> {
        while self.out.len() - self.at < HEAD && !self.ended {
            self.more()?;
        }
        Ok(&self.out[self.at..])
    }

    /// Skips the headers that `curl -i` prints before a body, also those of redirects.
    fn skip_http(&mut self) -> io::Result<()> {
        while self.head()?.starts_with(b"HTTP/") {
            let head = &self.out[self.at..];
            let blank = memchr::memmem::find(head, b"\r\n\r\n").map(|end| end + 4);
            let Some(end) = blank.or_else(|| Some(memchr::memmem::find(head, b"\n\n")? + 2)) else {
                return Ok(());
            };
            self.skipped += memchr::memchr_iter(b'\n', &head[..end]).count() as u64;
            self.at += end;
        }
        Ok(())
    }

    fn more(&mut self) -> io::Result<()> {
        self.out.drain(..self.at);
        self.at = 0;
        let read = match self.reader.read(&mut self.input) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Ok(()),
            read => read?,
        };
        self.ended = read == 0;
        self.transcoder.push(&self.input[..read], &mut self.out, self.ended);
        Ok(())
    }
}

impl Read for DecodedText {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.out.len() && !self.ended {
            self.more()?;
        }
        let read = buffer.len().min(self.out.len() - self.at);
        buffer[..read].copy_from_slice(&self.out[self.at..self.at + read]);
        self.at += read;
        Ok(read)
    }
}
