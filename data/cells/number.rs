//! Whole numbers.

/// A whole number that fits 32 bits; a float's tail of zeros is dropped.
///
/// ```
/// use wabalake_data::cells::number::integer;
/// assert_eq!(integer("4.0"), Some(4));
/// assert_eq!(integer("4.5"), None);
/// assert_eq!(integer("version two"), None);
/// ```
pub fn integer(word: &str) -> Option<i32> {
    without_float_tail(word).parse().ok()
}

/// `57.0` as `57`; anything else as it is.
pub(crate) fn without_float_tail(word: &str) -> &str {
    match word.split_once('.') {
        Some((whole, tail)) if !tail.is_empty() && tail.bytes().all(|b| b == b'0') => whole,
        _ => word,
    }
}
