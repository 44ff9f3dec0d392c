//! Tells a faulty export from a file that is none.
//!
//! What is named on the command line is an export, faulty or not. In a folder or an archive there are
//! files of others, and one of those that cannot be read is no fault. The first line that fits counts:
//!
//! | a file that cannot be read, or not as what it begins as | is |
//! |---|---|
//! | its name ends in `.csv`, `.tsv`, `.xlsx`, `.xlsm`, `.xlsb`, `.jsonl` or `.ndjson`, with `.gz` or `.zst` behind or not | an export |
//! | an archive, and an entry that can be seen is named so | an export |
//! | JSON whose keys name two columns of one table | an export |
//! | text of which a line at its beginning names two columns of one table | an export |
//! | anything else | no export |
//!
//! Only the first 64 KiB are looked at, as far as they can be read.

use super::header::sniff;

/// How much of a file is looked at.
pub(crate) const HEAD: usize = 64 << 10;

/// A header is looked for in so many lines.
const LINES: usize = 20;

/// So many keys of JSON are told apart.
const KEYS: usize = 1_000;

/// Endings of names of exports.
const ENDINGS: [&str; 7] = [".csv", ".tsv", ".xlsx", ".xlsm", ".xlsb", ".jsonl", ".ndjson"];

/// Endings of names of packed files.
const PACKED: [&str; 2] = [".gz", ".zst"];

/// Whether a file is an export by its name.
pub(crate) fn is_named_as_export(name: &str) -> bool {
    let name = name.to_lowercase();
    let packed = PACKED.iter().find_map(|ending| name.strip_suffix(ending));
    let name = packed.unwrap_or(&name);
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Whether a file is an export by its first bytes, unpacked.
pub(crate) fn begins_as_export(head: &[u8]) -> bool {
    if head.starts_with(b"PK") {
        return entry_names(head).any(|name| is_named_as_export(&name));
    }
    // UTF-16 has a zero beside each letter of a title.
    let text: Vec<u8> = head.iter().copied().filter(|byte| *byte != 0).collect();
    let text = String::from_utf8_lossy(&text);
    let text = text.trim_start_matches(['\u{feff}', '\u{fffd}']).trim_start();
    if text.starts_with(['{', '[']) {
        return names_columns(&ways(text));
    }
    text.split(['\n', '\r']).take(LINES).any(|line| {
        [',', ';', '\t'].into_iter().any(|delimiter| {
            let cells = line.split(delimiter).map(|cell| cell.trim().trim_matches('"').to_owned());
            names_columns(&cells.collect::<Vec<_>>())
        })
    })
}

/// Whether some titles are enough to tell a table by, or to say which column it lacks.
fn names_columns(titles: &[String]) -> bool {
    !sniff("", titles).is_err_and(|error| error.is_no_export())
}

/// The names that an archive's entries have where they begin: its list of them is at its end, which a
/// cut one lacks.
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

/// The ways to the values of JSON, which may be broken: `session.external_id`, and `external_id` for
/// who put the session into something else.
fn ways(text: &str) -> Vec<String> {
    let mut ways = Vec::new();
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
                let way: Vec<&str> = open.iter().copied().flatten().chain(key).collect();
                ways.extend((0..way.len()).map(|from| way[from..].join(".")));
            }
            '{' | '[' => open.push(key.take()),
            '}' | ']' => key = open.pop().and(None),
            ',' => key = None,
            sign if sign.is_whitespace() => continue,
            _ => {}
        }
        text_before = None;
        if ways.len() >= KEYS {
            break;
        }
    }
    ways.sort_unstable();
    ways.dedup();
    ways
}

/// Where the text ends that has just begun; nothing where it does not.
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
    fn an_export_is_told_by_its_name() {
        for name in ["a.csv", "June/A.CSV", "a.csv.gz", "a.tsv.zst", "b.xlsx", "c.ndjson"] {
            assert!(is_named_as_export(name), "{name}");
        }
        for name in ["a.gz", "csv", "a.json", "a.zip", "a.csv.bak", "a.csv.gz.part", "README.md"] {
            assert!(!is_named_as_export(name), "{name}");
        }
    }

    #[test]
    fn an_export_is_told_by_what_can_be_read_of_it() {
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
    fn values_are_named_by_the_way_to_them_and_by_each_part_of_it() {
        let found = ways(r#"[{"a": {"b": [1, {"c": "x:\""}], "d": null}, "e": ":"#);
        assert_eq!(found, ["a", "a.b", "a.b.c", "a.d", "b", "b.c", "c", "d", "e"]);
    }
}
