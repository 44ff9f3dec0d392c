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

/// Parses a list, with or without brackets and quotes, to the format of [`sorted`].
///
/// ```
/// use wabalake_data::cells::list::read;
/// assert_eq!(read("PHONE, COUNTRY").as_deref(), Some("COUNTRY,PHONE"));
/// assert_eq!(read("[\"BR\",\"US\"]").as_deref(), Some("BR,US"));
/// assert_eq!(read("[]"), None);
/// ```
pub fn read(cell: &str) -> Option<String> {
    let bare = |c: char| matches!(c, '[' | ']' | '"' | '\'') || c.is_whitespace();
    sorted(cell.split([',', ';', '|']).map(|word| word.trim_matches(bare)))
}
