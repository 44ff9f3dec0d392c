//! Splits a record of a CSV file into fields.

/// Returns the offset of the quote that closes a quoted field whose text begins at `at`. A doubled
/// quote is text.
pub(super) fn closing_quote(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let quote = at + memchr::memchr(b'"', &bytes[at..])?;
        if bytes.get(quote + 1) != Some(&b'"') {
            return Some(quote);
        }
        at = quote + 2;
    }
}

/// Counts the fields of a record.
pub(crate) fn count_fields(record: &[u8], delimiter: u8) -> usize {
    let mut fields = 1;
    let mut at = 0;
    while let Some(stop) = memchr::memchr2(b'"', delimiter, &record[at..]).map(|stop| at + stop) {
        at = stop + 1;
        if record[stop] == delimiter {
            fields += 1;
        } else if stop == 0 || record[stop - 1] == delimiter {
            at = closing_quote(record, at).map_or(record.len(), |close| close + 1);
        }
    }
    fields
}

/// A parser of one record. Holds the buffer of unquoted text.
pub(crate) struct Fields {
    pub(super) reader: csv_core::Reader,
    text: Vec<u8>,
    pub(super) ends: Vec<usize>,
}

impl Fields {
    pub(crate) fn new(delimiter: u8) -> Self {
        // A record is passed as a whole, so no byte of UTF-8 terminates it. With the wrong
        // delimiter, which is tried on headers, a line end may stand outside quotes.
        let reader = csv_core::ReaderBuilder::new()
            .delimiter(delimiter)
            .terminator(csv_core::Terminator::Any(0xFF))
            .build();
        Self { reader, text: Vec::new(), ends: Vec::new() }
    }

    /// Parses the fields of a record that is valid UTF-8.
    pub(crate) fn read<'a>(
        &'a mut self,
        record: &'a str,
        quoted: bool,
        delimiter: u8,
        fields: &mut Vec<&'a str>,
    ) {
        fields.clear();
        if !quoted {
            let mut start = 0;
            for end in memchr::memchr_iter(delimiter, record.as_bytes()) {
                fields.push(&record[start..end]);
                start = end + 1;
            }
            fields.push(&record[start..]);
            return;
        }
        if split_plainly(record, delimiter, fields) {
            return;
        }
        fields.clear();
        self.unquote(record.as_bytes(), delimiter);
        let text = std::str::from_utf8(&self.text).unwrap_or_default();
        let mut start = 0;
        for end in &self.ends {
            fields.push(&text[start..*end]);
            start = *end;
        }
    }

    fn unquote(&mut self, record: &[u8], delimiter: u8) {
        self.reader.reset();
        self.text.resize(record.len() + 1, 0);
        // At most one field more than delimiters.
        self.ends.resize(memchr::memchr_iter(delimiter, record).count() + 2, 0);
        let (mut read, mut written, mut fields) = (0, 0, 0);
        // The second call, with no input, ends the record.
        for _ in 0..2 {
            let (_, i, o, e) = self.reader.read_record(
                &record[read..],
                &mut self.text[written..],
                &mut self.ends[fields..],
            );
            (read, written, fields) = (read + i, written + o, fields + e);
        }
        self.text.truncate(written);
        self.ends.truncate(fields);
    }
}

/// Splits a record whose quoted fields are each one part of it. Returns `false` if a quote is doubled, never
/// closed or followed by text, and for a record that begins with a byte order mark, which is no text of CSV.
fn split_plainly<'a>(record: &'a str, delimiter: u8, fields: &mut Vec<&'a str>) -> bool {
    let bytes = record.as_bytes();
    if record.starts_with('\u{feff}') {
        return false;
    }
    let mut at = 0;
    loop {
        if bytes.get(at) == Some(&b'"') {
            let start = at + 1;
            let Some(length) = memchr::memchr(b'"', &bytes[start..]) else { return false };
            let end = start + length;
            let after = bytes.get(end + 1);
            if after.is_some_and(|after| *after != delimiter) {
                return false;
            }
            fields.push(&record[start..end]);
            if after.is_none() {
                return true;
            }
            at = end + 2;
        } else if let Some(length) = memchr::memchr(delimiter, &bytes[at..]) {
            fields.push(&record[at..at + length]);
            at += length + 1;
        } else {
            fields.push(&record[at..]);
            return true;
        }
    }
}

/// Writes a field of a CSV file, quoted if necessary.
pub(crate) fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A record that is split plainly has the fields that the parser of CSV finds.
        #[test]
        fn plainly_split_fields_are_those_of_csv(
            fields in prop::collection::vec("\"?[a\u{e9}\u{feff};\r\n ]{0,2}\"{0,2}[,;]?\"?", 1..5),
        ) {
            for delimiter in [b',', b';'] {
                let record = fields.join(if delimiter == b',' { "," } else { ";" });
                let mut plain = Vec::new();
                if record.contains('"') && split_plainly(&record, delimiter, &mut plain) {
                    let mut parser = Fields::new(delimiter);
                    parser.unquote(record.as_bytes(), delimiter);
                    let text = std::str::from_utf8(&parser.text).unwrap();
                    let starts = std::iter::once(0).chain(parser.ends.iter().copied());
                    let parsed: Vec<&str> =
                        starts.zip(&parser.ends).map(|(start, end)| &text[start..*end]).collect();
                    prop_assert_eq!(plain, parsed, "{:?}", record);
                }
            }
        }
    }
}
