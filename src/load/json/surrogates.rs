//! Replaces escapes of lone UTF-16 surrogates, which programs write that cut a text in the middle of an
//! emoji.

use std::borrow::Cow;

/// Bytes of an escape such as `\ud83d`.
const ESCAPE: usize = 6;

/// Returns JSON in which the escapes of lone surrogates are those of U+FFFD. The length is the same.
pub(super) fn without_lone_surrogates(json: &[u8]) -> Cow<'_, [u8]> {
    let mut mended = Cow::Borrowed(json);
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', json.get(at..).unwrap_or_default()) {
        at += found;
        let is_low = |unit: u16| (0xDC00..0xE000).contains(&unit);
        at += match (unit(json, at), unit(json, at + ESCAPE)) {
            // An escaped backslash hides no escape behind it.
            (None, _) => 2,
            (Some(0xD800..0xDC00), Some(low)) if is_low(low) => 2 * ESCAPE,
            (Some(0xD800..0xE000), _) => {
                mended.to_mut()[at..at + ESCAPE].copy_from_slice(b"\\ufffd");
                ESCAPE
            }
            (Some(_), _) => ESCAPE,
        };
    }
    mended
}

/// The UTF-16 code unit of the escape at an offset; `None` if there is no such escape.
fn unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + ESCAPE)?.strip_prefix(b"\\u")?;
    let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_hex)?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lone_surrogates_are_replaced_and_pairs_stay() {
        for (json, expected) in [
            (r#""cut \ud83d""#, "cut \u{fffd}"),
            (r#""\uD83D\uDC4D \udc4d\ud83d""#, "👍 \u{fffd}\u{fffd}"),
            (r#""\ud83d\n\ud83d\ud83d\udc4d""#, "\u{fffd}\n\u{fffd}👍"),
            (r#""\\ud83d \u00e9""#, "\\ud83d é"),
        ] {
            let mended = without_lone_surrogates(json.as_bytes());
            assert_eq!(serde_json::from_slice::<String>(&mended).unwrap(), expected, "{json}");
            assert_eq!(mended.len(), json.len());
        }
    }

    proptest! {
        /// Valid JSON stays as it is, and any bytes are read to their end.
        #[test]
        fn valid_json_is_unchanged(text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let escape = |unit: u16| format!("\\u{unit:04x}");
            let json = format!("\"{}\"", text.encode_utf16().map(escape).collect::<String>());
            prop_assert_eq!(&*without_lone_surrogates(json.as_bytes()), json.as_bytes());
            prop_assert_eq!(without_lone_surrogates(&bytes).len(), bytes.len());
        }
    }
}
