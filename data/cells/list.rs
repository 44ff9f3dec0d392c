//! Lists of words in one cell.

/// A list as the lake holds it: sorted, each word once, with commas between. None without a word.
///
/// Every engine reads a text, and equal lists are equal texts.
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

/// Reads a cell that holds a list: with or without brackets and quotes.
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
