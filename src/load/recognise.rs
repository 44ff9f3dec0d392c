//! Tells a faulty export, which is an error, from a file that is not an export, which is skipped.
//!
//! Files named on the command line are exports. Folders and archives hold other files too. For a
//! file there that cannot be read, or not in the format of its first bytes, the first row that fits
//! decides:
//!
//! | file | is |
//! |---|---|
//! | extension `.csv`, `.tsv`, `.xlsx`, `.xlsm`, `.xlsb`, `.jsonl` or `.ndjson`, perhaps followed by `.gz` or `.zst` | an export |
//! | an archive with an entry of such a name | an export |
//! | JSON whose keys are two columns of one table, or that has a word of webhooks alone | an export |
//! | text with two columns of one table in one of its first lines | an export |
//! | other | not an export |
//!
//! Only the first 64 KiB are looked at, as far as they can be read.

use super::header::sniff;
use super::json::webhooks;

/// Bytes of a file that are looked at.
pub(crate) const HEAD: usize = 64 << 10;

/// The header is one of so many lines.
const LINES: usize = 20;

/// Keys of JSON that are looked at.
const KEYS: usize = 1_000;

/// File extensions of exports.
const ENDINGS: [&str; 7] = [".csv", ".tsv", ".xlsx", ".xlsm", ".xlsb", ".jsonl", ".ndjson"];

/// File extensions of compressed files.
const PACKED: [&str; 2] = [".gz", ".zst"];

/// Returns `true` if a file has the extension of an export.
pub(crate) fn is_named_as_export(name: &str) -> bool {
    let name = name.to_lowercase();
    let packed = PACKED.iter().find_map(|ending| name.strip_suffix(ending));
    let name = packed.unwrap_or(&name);
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Returns `true` if a file's first decompressed bytes are those of an export.
pub(crate) fn begins_as_export(head: &[u8]) -> bool {
    if head.starts_with(b"PK") {
        return entry_names(head).any(|name| is_named_as_export(&name));
    }
    // ASCII letters in UTF-16 are letters and zeros.
    let text: Vec<u8> = head.iter().copied().filter(|byte| *byte != 0).collect();
    let text = String::from_utf8_lossy(&text);
    let text = text.trim_start_matches(['\u{feff}', '\u{fffd}']).trim_start();
    if text.starts_with(['{', '[']) {
        return names_columns(&paths(text)) || webhooks::begin(text.as_bytes());
    }
    text.split(['\n', '\r']).take(LINES).any(|line| {
        [',', ';', '\t'].into_iter().any(|delimiter| {
            let cells = line.split(delimiter).map(|cell| cell.trim().trim_matches('"').to_owned());
            names_columns(&cells.collect::<Vec<_>>())
        })
    })
}

/// Returns `true` if titles are enough to detect a table, or to name a column that it lacks.
fn names_columns(titles: &[String]) -> bool {
    !sniff("", titles).is_err_and(|error| error.is_no_export())
}

/// Yields the names in an archive's local headers. The directory at the end is missing from a
/// truncated archive.
fn entry_names(head: &[u8]) -> impl Iterator<Item = String> {
    const NAME_LENGTH: usize = 26;
    const NAME: usize = 30;
    memchr::memmem::find_iter(head, b"PK\x03\x04").filter_map(|at| {
        let length = head.get(at + NAME_LENGTH..at + NAME_LENGTH + 2)?.try_into().ok()?;
        let length = usize::from(u16::from_le_bytes(length));
        let name = head.get(at + NAME..at + NAME + length)?;
        Some(String::from_utf8_lossy(name).into_owned())
    })
}

/// Returns the paths of JSON that may be broken: `session.external_id`, and `external_id` in case
/// `session` is a wrapper.
fn paths(text: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut open: Vec<Option<&str>> = Vec::new();
    let (mut text_before, mut key) = (None, None);
    let mut rest = text.char_indices();
    while let Some((at, sign)) = rest.next() {
        match sign {
            '"' => {
                let Some(end) = end_of_text(&mut rest) else { break };
                text_before = Some(&text[at + 1..end]);
                continue;
            }
            ':' => {
                key = text_before;
                let path: Vec<&str> = open.iter().copied().flatten().chain(key).collect();
                paths.extend((0..path.len()).map(|from| path[from..].join(".")));
            }
            '{' | '[' => open.push(key.take()),
            '}' | ']' => key = open.pop().and(None),
            ',' => key = None,
            sign if sign.is_whitespace() => continue,
            _ => {}
        }
        text_before = None;
        if paths.len() >= KEYS {
            break;
        }
    }
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// Returns the offset of the quote that closes a string.
fn end_of_text(rest: &mut std::str::CharIndices<'_>) -> Option<usize> {
    loop {
        match rest.next()? {
            (end, '"') => return Some(end),
            (_, '\\') => drop(rest.next()?),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_are_recognised_by_their_extension() {
        for name in ["a.csv", "June/A.CSV", "a.csv.gz", "a.tsv.zst", "b.xlsx", "c.ndjson"] {
            assert!(is_named_as_export(name), "{name}");
        }
        for name in ["a.gz", "csv", "a.json", "a.zip", "a.csv.bak", "a.csv.gz.part", "README.md"] {
            assert!(!is_named_as_export(name), "{name}");
        }
    }

    #[test]
    fn exports_are_recognised_by_their_first_bytes() {
        let utf16: Vec<u8> = "session_id\tsession_started_timestamp\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let entry = |name: &str| {
            let mut bytes = b"PK\x03\x04".to_vec();
            bytes.extend_from_slice(&[0; 22]);
            bytes.extend_from_slice(&u16::try_from(name.len()).unwrap().to_le_bytes());
            bytes.extend_from_slice(&[0; 2]);
            bytes.extend_from_slice(name.as_bytes());
            bytes
        };
        for head in [
            &b"session_id,session_started_timestamp\ns1,"[..],
            b"June\n\n\"session_id\";\"session_started_timestamp\"\r\n",
            b"[{\"event_id\": \"e1\", \"session\": {\"external_id\": \"s1\", \"x",
            b"{\"data\":[{\"session_id\":\"s1\",\"session_started_timestamp\":\"20",
            &utf16,
            &[entry("logo.png"), entry("june/sessions.csv")].concat(),
        ] {
            assert!(begins_as_export(head), "{}", String::from_utf8_lossy(head));
        }
        for head in [
            &b"[.ShellClassInfo]\r\nIconResource=x.ico,0\r\n"[..],
            b"[Notes](notes.md) on, the, exports\n",
            b"{\"name\": \"site\", \"version\": \"1.0.0\", \"scripts\": {\"test\":",
            b"{\"a\\\"session_id\": 1, \"session_started_timestamp",
            b"session_id\n",
            b"",
            &entry("photo.jpg"),
            b"PK\x03\x04",
        ] {
            assert!(!begins_as_export(head), "{}", String::from_utf8_lossy(head));
        }
    }

    #[test]
    fn paths_are_listed_with_all_their_suffixes() {
        let found = paths(r#"[{"a": {"b": [1, {"c": "x:\""}], "d": null}, "e": ":"#);
        assert_eq!(found, ["a", "a.b", "a.b.c", "a.d", "b", "b.c", "c", "d", "e"]);
    }
}
