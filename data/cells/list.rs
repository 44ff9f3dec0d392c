//! Lists: several words in one cell.

/// Joins words to a list in the lake's format: sorted, without duplicates, separated by commas.
/// `None` without a word.
///
/// The list is a text because every engine reads texts; equal lists are equal texts.
///
/// ```
/// use wabalake_data::cells::list::sorted;
/// assert_eq!(sorted(["US", "BR", "US"]).as_deref(), Some("BR,US"));
/// assert_eq!(sorted([" "]), None);
/// ```
pub fn sorted<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut words: Vec<&str> = words.into_iter().filter_map(super::word).collect();
    words.sort_unstable();
    words.dedup();
    (!words.is_empty()).then(|| words.join(","))
}

/// The characters between the codes of a list.
pub const SEPARATORS: [char; 3] = [',', ';', '|'];

/// Parses a list, with or without brackets and quotes, to the format of [`sorted`].
///
/// ```
/// use wabalake_data::cells::list::{SEPARATORS, read};
/// assert_eq!(read("PHONE, COUNTRY", &SEPARATORS).as_deref(), Some("COUNTRY,PHONE"));
/// assert_eq!(read("[\"BR\",\"US\"]", &SEPARATORS).as_deref(), Some("BR,US"));
/// assert_eq!(read("b|c; d, a", &[',']).as_deref(), Some("a,b|c; d"));
/// assert_eq!(read("[]", &SEPARATORS), None);
/// ```
pub fn read(cell: &str, separators: &[char]) -> Option<String> {
    let bare = |c: char| matches!(c, '[' | ']' | '"' | '\'') || c.is_whitespace();
    sorted(cell.split(separators).map(|word| word.trim_matches(bare)))
}
