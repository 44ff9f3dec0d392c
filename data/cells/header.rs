//! Header cells.

/// Normalises a header cell: without case, spaces and punctuation.
///
/// ```
/// use wabalake_data::cells::normalise_header;
/// assert_eq!(normalise_header("Line/WhatsApp Number"), normalise_header("line_whatsapp_number"));
/// ```
pub fn normalise_header(header: &str) -> String {
    header.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
