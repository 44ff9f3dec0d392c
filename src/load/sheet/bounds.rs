//! Checks that no part of a workbook exceeds the memory limits, before calamine reads it: calamine
//! holds shared strings, tags and texts in memory, whatever their size.

use std::fmt::Display;
use std::fs::File;
use std::io::{BufReader, Read as _};

use crate::error::{Error, Result};
use crate::load::limits::{self, LimitedReader};
use crate::load::source::Source;

/// Creates the error for a spreadsheet that cannot be read.
pub(super) fn damaged(source: &Source, why: impl Display) -> Error {
    Error::data(format!("`{}` cannot be read as a spreadsheet: {why}", source.name))
        .hint("open it and save it again, or save its sheet as csv")
}

/// Decompresses all parts and checks their sizes.
pub(super) fn check_parts(
    source: &Source,
    mut archive: zip::ZipArchive<BufReader<File>>,
    is_binary: bool,
) -> Result<()> {
    let path = source.workbook().ok_or_else(|| Error::bug("no spreadsheet"))?;
    limits::check_archive(&source.name, &mut archive, path)?;
    let all = limits::unpacked(limits::length_of(&source.name, path)?);
    for entry in 0..archive.len() {
        let part = archive.by_index(entry).map_err(|e| damaged(source, e))?;
        let name = String::from_utf8_lossy(part.name_raw()).to_ascii_lowercase();
        let name = name.replace('\\', "/");
        let is_sheet = name.starts_with("xl/worksheets/");
        // Sheets of an XLSX are read as XML, whatever their name.
        let is_xml = !is_binary && (is_sheet || matches!(ending(&name), "xml" | "rels"));
        let most = if is_sheet { all } else { all.min(limits::HELD_PART) };
        if most == limits::HELD_PART && part.size() > most {
            return Err(too_large(source, &name));
        }
        let mut part = LimitedReader::new(part, most);
        let mut tags = XmlBounds::default();
        let mut buffer = vec![0; 256 << 10];
        loop {
            let read = match part.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(e) => {
                    let error = limits::exceeded(&source.name, &e);
                    return Err(match error {
                        Some(_) if most == limits::HELD_PART => too_large(source, &name),
                        Some(error) => error,
                        None => damaged(source, e),
                    });
                }
            };
            if is_xml {
                tags.look(&buffer[..read]).map_err(|found| {
                    Error::data(format!("`{}` has {found}", source.name))
                        .hint("no spreadsheet has: save it again, or its sheet as csv")
                })?;
            }
        }
    }
    Ok(())
}

/// Returns the extension of a name.
fn ending(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or_default()
}

fn too_large(source: &Source, part: &str) -> Error {
    Error::data(format!(
        "`{}` is too large for a spreadsheet: its {part} decompresses to more than {} MiB",
        source.name,
        limits::HELD_PART >> 20
    ))
    .hint("save its sheet as csv, which may have any size")
}

/// Measures the tags and texts of XML as its bytes pass: the reader holds each in memory.
#[derive(Debug, Default)]
struct XmlBounds {
    within: XmlState,
    /// Bytes of the current tag or text.
    length: usize,
    /// The last two bytes, to detect the end of a section.
    tail: [u8; 2],
    begun: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum XmlState {
    #[default]
    Text,
    /// After `<`.
    Opening,
    /// After `<!`.
    Mark,
    Tag,
    /// Inside quotes in a tag.
    Quotes(u8),
    /// In `<!-- -->` or `<![CDATA[ ]]>`, with the byte that is doubled before the end.
    Section(u8),
}

impl XmlBounds {
    /// Feeds the next bytes.
    ///
    /// # Errors
    ///
    /// A tag or text that is too long, a document type, UTF-16: no spreadsheet has these.
    fn look(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut rest = bytes;
        if !self.begun && bytes.iter().take(4).any(|byte| matches!(byte, 0 | 0xFE | 0xFF)) {
            return Err("a part in UTF-16".to_owned());
        }
        self.begun = true;
        while !rest.is_empty() {
            let stop = match self.within {
                XmlState::Text => memchr::memchr(b'<', rest),
                XmlState::Opening | XmlState::Mark => Some(0),
                XmlState::Tag => memchr::memchr3(b'>', b'"', b'\'', rest),
                XmlState::Quotes(quote) => memchr::memchr(quote, rest),
                XmlState::Section(_) => memchr::memchr(b'>', rest),
            };
            let passed = stop.unwrap_or(rest.len());
            self.length += passed;
            if self.length > limits::TAG {
                return Err(format!("a text of more than {} MiB", limits::TAG >> 20));
            }
            self.remember(&rest[..passed]);
            rest = &rest[passed..];
            if let [byte, after @ ..] = rest {
                self.turn(*byte)?;
                self.remember(&[*byte]);
                rest = after;
            }
        }
        Ok(())
    }

    fn remember(&mut self, passed: &[u8]) {
        for byte in &passed[passed.len().saturating_sub(2)..] {
            self.tail = [self.tail[1], *byte];
        }
    }

    fn turn(&mut self, byte: u8) -> Result<(), String> {
        self.length += 1;
        let ends = |mark: u8| byte == b'>' && self.tail == [mark; 2] && self.length > 5;
        self.within = match self.within {
            XmlState::Text => {
                self.length = 0;
                XmlState::Opening
            }
            XmlState::Opening if byte == b'!' => XmlState::Mark,
            XmlState::Opening if matches!(byte, b'"' | b'\'') => XmlState::Quotes(byte),
            XmlState::Mark if byte == b'-' => XmlState::Section(b'-'),
            XmlState::Mark if byte == b'[' => XmlState::Section(b']'),
            XmlState::Mark => return Err("a document type".to_owned()),
            XmlState::Section(mark) if !ends(mark) => XmlState::Section(mark),
            XmlState::Opening | XmlState::Tag | XmlState::Section(_) if byte == b'>' => {
                self.length = 0;
                XmlState::Text
            }
            XmlState::Tag => XmlState::Quotes(byte),
            XmlState::Opening | XmlState::Quotes(_) | XmlState::Section(_) => XmlState::Tag,
        };
        Ok(())
    }
}
