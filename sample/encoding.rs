//! The encodings that exports come in.

use std::io;

/// How a file's characters are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    Utf8,
    /// UTF-8 with a byte order mark, as spreadsheets save it.
    Utf8Bom,
    /// UTF-16, little end first, with a byte order mark.
    Utf16Le,
    /// Windows-1252; what it cannot write is a question mark.
    Windows1252,
}

impl Encoding {
    /// What a file begins with.
    pub(super) fn mark(self) -> &'static [u8] {
        match self {
            Self::Utf8 | Self::Windows1252 => b"",
            Self::Utf8Bom => b"\xef\xbb\xbf",
            Self::Utf16Le => b"\xff\xfe",
        }
    }

    /// Writes UTF-8 in this encoding, leaving `rows` empty.
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

/// The characters of Windows-1252 from 0x80 to 0x9f; a space where it has none.
const HIGH: &str = "€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ";

fn windows_1252(character: char) -> u8 {
    match u8::try_from(character) {
        Ok(byte @ (0..=0x7f | 0xa0..=0xff)) => byte,
        _ => (0x80..).zip(HIGH.chars()).find(|(_, c)| *c == character).map_or(b'?', |(b, _)| b),
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
    fn characters() {
        assert_eq!(encoded(Encoding::Windows1252, "día 5 €–Ÿ"), b"d\xeda 5 \x80\x96\x9f");
        assert_eq!(encoded(Encoding::Windows1252, "💡 \u{85}"), b"? ?");
        assert_eq!(encoded(Encoding::Utf16Le, "é💡"), [0xe9, 0, 0x3d, 0xd8, 0xa1, 0xdc]);
        assert_eq!(encoded(Encoding::Utf8, "é"), "é".as_bytes());
    }

    #[test]
    fn bytes_that_are_no_text_have_only_one_way_out() {
        let mut out = Vec::new();
        assert!(Encoding::Utf16Le.write(&mut vec![0xff], &mut out).is_err());
        assert!(Encoding::Utf8.write(&mut vec![0xff], &mut out).is_ok());
    }
}
