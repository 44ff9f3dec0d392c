//! Detects the encoding of a file from all its bytes, and decodes it to UTF-8.
//!
//! | bytes | encoding |
//! |---|---|
//! | begin with a byte order mark | UTF-8, UTF-16LE or UTF-16BE |
//! | every other byte near the start is zero | UTF-16 without a mark |
//! | valid UTF-8, or invalid in a few records only | UTF-8: those records are rejected |
//! | Western letters that are not UTF-8 | Windows-1252, or Mac Roman if it must be that |
//!
//! Nearly every byte is a letter or a sign in both of the last two. The byte after a lower-case
//! ASCII letter tells them apart: `é` of Mac Roman (8E) is `Ž` in Windows-1252, which never stands
//! there, and `é` of Windows-1252 (E9) is `È` in Mac Roman. If lines end in CR alone, as only Macs
//! write them, ambiguous bytes count for Mac Roman: `ñ` or a dash, `í` or an apostrophe.

use encoding_rs::{
    Decoder, DecoderResult, Encoding, MACINTOSH, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252,
};

/// Detects the encoding of a file whose bytes are fed to it.
#[derive(Debug, Default)]
pub(crate) struct EncodingDetector {
    head: Vec<u8>,
    /// The start of a UTF-8 sequence that the next bytes may complete.
    cut: Vec<u8>,
    lines: u64,
    valid: u64,
    western: u64,
    invalid: u64,
    /// The last byte that was looked at.
    before: u8,
    /// Bytes near the start of the file, at most [`Self::NEAR`], and the LF and CR among them.
    near: usize,
    lf: u64,
    cr: u64,
    /// Bytes after a lower-case ASCII letter: letters of Mac Roman only, letters of Mac Roman or
    /// signs of Windows-1252, letters of Windows-1252.
    mac: u64,
    mac_perhaps: u64,
    windows: u64,
}

impl EncodingDetector {
    const HEAD: usize = 256;
    /// Line ends are counted in so many bytes.
    const NEAR: usize = 64 << 10;
    /// Beyond so many characters the encoding no longer changes in practice.
    const ENOUGH: u64 = 100_000;

    /// Feeds the next bytes of the file.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let missing = Self::HEAD - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(missing)]);
        self.lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
        if self.near < Self::NEAR {
            let near = &bytes[..bytes.len().min(Self::NEAR - self.near)];
            self.near += near.len();
            self.lf += memchr::memchr_iter(b'\n', near).count() as u64;
            self.cr += memchr::memchr_iter(b'\r', near).count() as u64;
        }
        if self.cut.is_empty() && bytes.is_ascii() || self.valid + self.western > Self::ENOUGH {
            self.before = bytes.last().copied().unwrap_or(self.before);
            return;
        }
        let joined = [std::mem::take(&mut self.cut).as_slice(), bytes].concat();
        // Nearly always valid UTF-8, except for a sequence cut at the end.
        match std::str::from_utf8(&joined) {
            Ok(text) => {
                self.valid += letters(text.as_bytes());
                self.before = joined.last().copied().unwrap_or(self.before);
                return;
            }
            Err(e) if e.error_len().is_none() => {
                let (valid, cut) = joined.split_at(e.valid_up_to());
                self.valid += letters(valid);
                self.before = valid.last().copied().unwrap_or(self.before);
                self.cut = cut.to_vec();
                return;
            }
            Err(_) => {}
        }
        let mut chunks = joined.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            self.valid += letters(chunk.valid().as_bytes());
            let incomplete = chunks.peek().is_none()
                && std::str::from_utf8(chunk.invalid()).is_err_and(|e| e.error_len().is_none());
            if incomplete {
                self.cut = chunk.invalid().to_vec();
            } else {
                for byte in chunk.invalid() {
                    if is_western(*byte) { self.western += 1 } else { self.invalid += 1 }
                }
            }
        }
        self.look_behind_letters(&joined[..joined.len() - self.cut.len()]);
    }

    /// Counts the bytes after lower-case letters that tell Mac Roman from Windows-1252.
    fn look_behind_letters(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.before.is_ascii_lowercase() && !byte.is_ascii() {
                match byte {
                    // á à ä ç é è ê ù ü of Mac Roman.
                    0x87 | 0x88 | 0x8A | 0x8D | 0x8E | 0x8F | 0x90 | 0x9D | 0x9F => self.mac += 1,
                    // â ã í ñ ó ò ô ö õ ú û of Mac Roman, signs of Windows-1252.
                    0x89 | 0x8B | 0x92 | 0x96..=0x9C | 0x9E => self.mac_perhaps += 1,
                    // á â ã ä ç è é ê ë í î ñ ó ô õ ö ú ü of Windows-1252 and similar letters.
                    0xE0..=0xF6 | 0xF8..=0xFF => self.windows += 1,
                    _ => {}
                }
            }
            self.before = *byte;
        }
    }

    fn is_mac_roman(&self) -> bool {
        if self.cr > 0 && self.lf * 4 < self.cr {
            return self.mac + self.mac_perhaps > self.windows;
        }
        self.mac > 4 * self.windows
    }

    /// Returns the encoding, as far as the bytes tell.
    pub(crate) fn encoding(&self) -> &'static Encoding {
        if let Some((encoding, _)) = Encoding::for_bom(&self.head) {
            return encoding;
        }
        let zeros =
            |from: usize| self.head.iter().skip(from).step_by(2).filter(|b| **b == 0).count();
        let most = self.head.len() / 4;
        match (zeros(0) > most, zeros(1) > most) {
            (false, true) => return UTF_16LE,
            (true, false) => return UTF_16BE,
            _ => {}
        }
        let strange = self.western + self.invalid;
        if self.is_mac_roman() && strange > self.valid && strange * 200 >= self.lines {
            return MACINTOSH;
        }
        let few = self.western * 200 < self.lines;
        if self.western > self.valid + self.invalid && !few { WINDOWS_1252 } else { UTF_8 }
    }
}

/// Counts the non-ASCII characters of valid UTF-8.
fn letters(valid: &[u8]) -> u64 {
    valid.iter().filter(|byte| **byte >= 0xC0).count() as u64
}

/// Returns `true` for Western letters and signs of Windows-1252 that are common in text.
fn is_western(byte: u8) -> bool {
    let letter = byte >= 0xC0 && !matches!(byte, 0xD0 | 0xD7 | 0xDE | 0xF0 | 0xF7 | 0xFE | 0xFF);
    letter || matches!(byte, 0x80 | 0x85 | 0x91..=0x97 | 0xA0 | 0xA1 | 0xAA | 0xB0 | 0xBA | 0xBF)
}

/// Decodes a file to UTF-8. Each invalid sequence becomes one byte that is invalid in UTF-8, so
/// that only its record is rejected.
pub(crate) struct Transcoder {
    decoder: Option<Decoder>,
    start: bool,
}

impl Transcoder {
    const INVALID: u8 = 0xFF;

    pub(crate) fn new(encoding: &'static Encoding) -> Self {
        let decoder = (encoding != UTF_8).then(|| encoding.new_decoder_with_bom_removal());
        Self { decoder, start: true }
    }

    /// Appends the UTF-8 of `bytes` to `out`. `last` means that no more bytes follow.
    pub(crate) fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>, last: bool) {
        let Some(decoder) = &mut self.decoder else {
            if std::mem::take(&mut self.start) {
                bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
            }
            out.extend_from_slice(bytes);
            return;
        };
        let mut text = vec![0; bytes.len() * 3 + 16];
        loop {
            let (result, read, written) =
                decoder.decode_to_utf8_without_replacement(bytes, &mut text, last);
            out.extend_from_slice(&text[..written]);
            bytes = &bytes[read..];
            match result {
                DecoderResult::InputEmpty => return,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => out.push(Self::INVALID),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn detected(bytes: &[u8]) -> &'static Encoding {
        // The result must not depend on where the bytes are split.
        let verdicts = (0..bytes.len().min(40)).map(|at| {
            let mut evidence = EncodingDetector::default();
            evidence.feed(&bytes[..at]);
            evidence.feed(&bytes[at..]);
            evidence.encoding()
        });
        let verdicts: Vec<_> = verdicts.collect();
        assert!(verdicts.windows(2).all(|pair| pair[0] == pair[1]));
        verdicts[0]
    }

    fn utf_16le(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn encodings_are_detected() {
        let cases: &[(&[u8], &Encoding)] = &[
            (b"id,text\n1,plain\n", UTF_8),
            ("id,text\n1,\u{e9}t\u{e9}\n".as_bytes(), UTF_8),
            ("\u{feff}id,text\n".as_bytes(), UTF_8),
            (b"id,text\n1,\xe9t\xe9\n2,ma\xf1ana\n", WINDOWS_1252),
            (b"id,text\n1,caf\xe9 \xff\xfe\n", UTF_8),
            (&utf_16le("id,text\n1,plain\n"), UTF_16LE),
            (b"\xfe\xff\0i\0d", UTF_16BE),
        ];
        for (bytes, encoding) in cases {
            assert_eq!(detected(bytes), *encoding, "{bytes:?}");
        }
    }

    /// Encodes a text as Mac Roman.
    fn mac_roman(text: &str) -> Vec<u8> {
        let bytes: Vec<u8> = (0..=255).collect();
        let (letters, ..) = MACINTOSH.decode(&bytes);
        let letters: Vec<char> = letters.chars().collect();
        let byte = |c: char| letters.iter().position(|letter| *letter == c).unwrap();
        text.chars().map(|c| u8::try_from(byte(c)).unwrap()).collect()
    }

    /// Words in the languages of exports, with accented letters.
    const WORDS: [&str; 36] = [
        "mañana",
        "adiós",
        "está",
        "información",
        "número",
        "día",
        "qué",
        "pingüino",
        "MÁS",
        "AÑO",
        "teléfono",
        "línea",
        "¿cómo",
        "¡sí!",
        "José",
        "não",
        "você",
        "informações",
        "até",
        "atenção",
        "português",
        "avó",
        "avô",
        "três",
        "mãe",
        "útil",
        "crédito",
        "été",
        "garçon",
        "où",
        "naïve",
        "für",
        "schön",
        "über",
        "—bueno…",
        "“hola”",
    ];

    #[test]
    fn mac_roman_is_detected_by_bytes_that_windows_1252_has_not() {
        for text in ["Adiós mañana, ¿qué?\n", "José\n", "día\rmañana\r", "não\r"] {
            assert_eq!(detected(&mac_roman(text)), MACINTOSH, "{text:?}");
            let (bytes, ..) = WINDOWS_1252.encode(text);
            assert_eq!(detected(&bytes), WINDOWS_1252, "{text:?}");
            assert_eq!(detected(text.as_bytes()), UTF_8, "{text:?}");
        }
        // Apostrophe, dashes and œ of Windows-1252 are not letters of Mac Roman.
        for text in ["don’t, it’s—well—fine\n", "2020–2021, up–down\n", "un œuf, la sœur, cœur\n"]
        {
            let (bytes, ..) = WINDOWS_1252.encode(text);
            assert_ne!(detected(&bytes), MACINTOSH, "{text:?}");
        }
        // One broken record does not make a file Mac Roman.
        let mut bytes = b"1,plain\n".repeat(1000);
        bytes.extend_from_slice(b"2,Jos\x8e\n");
        assert_eq!(detected(&bytes), UTF_8);
    }

    proptest! {
        #[test]
        fn encodings_are_not_confused(
            words in prop::collection::vec(prop::sample::select(&WORDS[..]), 1..40),
            line_end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        ) {
            let text: String =
                words.iter().flat_map(|word| ["1,", word, ",plain words beside it", line_end]).collect();
            prop_assert_eq!(detected(text.as_bytes()), UTF_8);
            let (bytes, ..) = WINDOWS_1252.encode(&text);
            prop_assert!(detected(&bytes) != MACINTOSH, "{}", text);
            // Capitals and signs are no evidence. With LF line ends, neither are ambiguous bytes.
            let has = |letters: &str| {
                let behind = |pair: &[char]| pair[0].is_ascii_lowercase() && letters.contains(pair[1]);
                words.iter().any(|word| word.chars().collect::<Vec<_>>().windows(2).any(behind))
            };
            let is_decidable = has("áéêçüù") || (line_end == "\r" && has("ñóíãôöú"));
            if is_decidable {
                prop_assert_eq!(detected(&mac_roman(&text)), MACINTOSH, "{}", text);
            }
        }
    }

    #[test]
    fn one_broken_record_of_many_does_not_make_a_file_windows_1252() {
        let mut bytes = b"1,plain\n".repeat(1000);
        bytes.extend_from_slice(b"2,caf\xe9\n");
        assert_eq!(detected(&bytes), UTF_8);
    }

    #[test]
    fn a_lone_surrogate_breaks_its_own_record_only() {
        let mut bytes = utf_16le("1,a\n2,");
        bytes.extend_from_slice(&[0x00, 0xD8]);
        bytes.extend_from_slice(&utf_16le("\n3,\u{e9}\n"));
        let mut out = Vec::new();
        let mut transcoder = Transcoder::new(UTF_16LE);
        for byte in &bytes {
            transcoder.push(std::slice::from_ref(byte), &mut out, false);
        }
        transcoder.push(&[], &mut out, true);
        assert_eq!(out, [b"1,a\n2,\xFF\n3,".as_slice(), "\u{e9}\n".as_bytes()].concat());
    }
}
