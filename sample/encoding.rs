//! The encodings of exports.

use std::io;

use encoding_rs::WINDOWS_1252;

/// The character encoding of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    Utf8,
    /// UTF-8 with a byte order mark, as spreadsheets write it.
    Utf8Bom,
    /// UTF-16, little endian, with a byte order mark.
    Utf16Le,
    /// Windows-1252; a character that it lacks becomes a question mark.
    Windows1252,
}

impl Encoding {
    /// The byte order mark.
    pub(super) fn mark(self) -> &'static [u8] {
        match self {
            Self::Utf8 | Self::Windows1252 => b"",
            Self::Utf8Bom => b"\xef\xbb\xbf",
            Self::Utf16Le => b"\xff\xfe",
        }
    }

    /// Writes UTF-8 `rows` in this encoding, and clears them.
    pub(super) fn write(self, rows: &mut Vec<u8>, out: &mut impl io::Write) -> io::Result<()> {
        match self {
            Self::Utf8 | Self::Utf8Bom => out.write_all(rows)?,
            Self::Utf16Le => {
                let units = text(rows)?.encode_utf16().flat_map(u16::to_le_bytes);
                out.write_all(&units.collect::<Vec<u8>>())?;
            }
            Self::Windows1252 => {
                let bytes = text(rows)?.chars().map(windows_1252);
                out.write_all(&bytes.collect::<Vec<u8>>())?;
            }
        }
        rows.clear();
        Ok(())
    }
}

fn text(rows: &[u8]) -> io::Result<&str> {
    std::str::from_utf8(rows).map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))
}

/// Encodes a character; `encoding_rs` would write one that is missing as `&#…;`.
fn windows_1252(character: char) -> u8 {
    match WINDOWS_1252.encode(character.encode_utf8(&mut [0; 4])) {
        (bytes, _, false) => bytes[0],
        _ => b'?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(encoding: Encoding, text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        encoding.write(&mut text.as_bytes().to_vec(), &mut out).unwrap();
        out
    }

    #[test]
    fn characters_are_encoded() {
        assert_eq!(encoded(Encoding::Windows1252, "día 5 €–Ÿ"), b"d\xeda 5 \x80\x96\x9f");
        assert_eq!(encoded(Encoding::Windows1252, "💡 \u{85}"), b"? ?");
        assert_eq!(encoded(Encoding::Utf16Le, "é💡"), [0xe9, 0, 0x3d, 0xd8, 0xa1, 0xdc]);
        assert_eq!(encoded(Encoding::Utf8, "é"), "é".as_bytes());
    }

    #[test]
    fn bytes_that_are_not_utf8_are_written_only_to_utf8_files() {
        let mut out = Vec::new();
        assert!(Encoding::Utf16Le.write(&mut vec![0xff], &mut out).is_err());
        assert!(Encoding::Utf8.write(&mut vec![0xff], &mut out).is_ok());
    }
}
