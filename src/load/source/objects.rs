//! Finds exports on object stores by their URLs, by the same rules as files of this machine.
//!
//! | URL | exports |
//! |---|---|
//! | `s3://events/exports/a.csv` | the object |
//! | `s3://events/exports`, `s3://events/exports/` | all objects below it, as those of a folder |
//! | `s3://events/exports/*.csv` | objects and folders that match, as if each were named |
//! | `s3://events/**/*.csv` | objects that match, in any folder |
//!
//! A pattern costs one listing: of what is below the part before its first metacharacter.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::pattern::{AS_SHELLS_DO, is_pattern, no_match, parse, without_last_stars};
use crate::error::{Error, Result};
use crate::load::folder::{LAKE, is_partial};
use crate::place::{Entry, Key, Remote};

/// Why an incomplete file is skipped.
pub(super) const PARTIAL: &str = "incomplete, by its extension";

/// An export on an object store.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(super) bucket: Arc<Remote>,
    pub(super) key: Key,
    /// Its size in bytes when it was listed.
    pub(super) bytes: u64,
    /// Its name, with that of the folder before it.
    pub(super) name: String,
    /// `true` if it was named itself, and not a folder.
    pub(super) is_named: bool,
}

/// Objects, and those that are skipped, by name, with the reason.
#[derive(Debug, Default)]
pub(super) struct FoundObjects {
    pub(super) objects: Vec<Object>,
    pub(super) skipped: Vec<(String, &'static str)>,
}

/// Finds the objects of a path within a bucket. `typed` is the URL.
///
/// # Errors
///
/// An invalid path or pattern, nothing at that URL, or a store that cannot be listed.
pub(super) fn find(bucket: &Arc<Remote>, path: &str, typed: &str) -> Result<FoundObjects> {
    let (path, is_folder) = match path.strip_suffix('/') {
        Some(path) => (path, true),
        None => (path, path.is_empty()),
    };
    let whole = match path {
        "" => Key::root(),
        path => Key::parse(path).map_err(|_| {
            Error::usage(format!("`{typed}` names no file or folder of an object store"))
                .hint("its path has no empty part, no `.` or `..`, and no backslash")
        })?,
    };
    let mut found = Search { bucket, found: FoundObjects::default() };
    if !is_pattern(path) {
        if !is_folder && let Some(entry) = bucket.entry(&whole)? {
            found.add_named(&entry);
            return Ok(found.found);
        }
        let listed = bucket.list(&whole)?;
        if listed.is_empty() {
            return Err(nothing_at(typed));
        }
        found.add_folder(&whole, &listed.iter().collect::<Vec<_>>());
        return Ok(found.found);
    }
    let parts: Vec<&str> = path.split('/').collect();
    let fixed = parts.iter().take_while(|part| !is_pattern(part)).count();
    let listed = bucket.list(&Key::root().join(parts[..fixed].join("/")))?;
    // The part of a path that exists is taken literally.
    let exists = |parts: &[&str]| {
        let key = Key::root().join(parts.join("/"));
        listed.iter().any(|entry| entry.key == key || entry.key.below(&key).is_some())
    };
    let literal = (fixed..=parts.len()).take_while(|end| exists(&parts[..*end])).last();
    let (there, rest) = parts.split_at(literal.unwrap_or(fixed));
    let (there, rest) = (Key::root().join(there.join("/")), rest.join("/"));
    let pattern = without_last_stars(&rest);
    if pattern.is_empty() {
        match listed.iter().find(|entry| entry.key == there && !is_folder) {
            Some(entry) => found.add_named(entry),
            None => found.add_folder(&there, &listed.iter().collect::<Vec<_>>()),
        }
    } else if pattern.contains("**") {
        found.add_deep_matches(&there, &listed, &parse(pattern, typed)?);
    } else {
        found.add_matches(&there, &listed, &parse(pattern, typed)?);
    }
    match found.found.objects.is_empty() && found.found.skipped.is_empty() {
        true => Err(no_match(&rest, typed)),
        false => Ok(found.found),
    }
}

fn nothing_at(typed: &str) -> Error {
    Error::data(format!("there is no file at `{typed}`, and none below it"))
        .hint("check the URL; the bucket's own tools list what is there")
}

/// Collects the objects of one URL.
struct Search<'a> {
    bucket: &'a Arc<Remote>,
    found: FoundObjects,
}

impl Search<'_> {
    fn add(&mut self, entry: &Entry, name: String, is_named: bool) {
        let (bucket, key, bytes) = (Arc::clone(self.bucket), entry.key.clone(), entry.bytes);
        self.found.objects.push(Object { bucket, key, bytes, name, is_named });
    }

    fn add_named(&mut self, entry: &Entry) {
        self.add(entry, entry.key.name().to_owned(), true);
    }

    /// Adds the objects below a key, with its name before theirs.
    fn add_folder(&mut self, folder: &Key, listed: &[&Entry]) {
        let within = |below: &str| match (folder.name(), below) {
            ("", "") => self.bucket.url(folder),
            ("", below) => below.to_owned(),
            (name, "") => name.to_owned(),
            (name, below) => format!("{name}/{below}"),
        };
        for (entry, below, skipped) in walk(folder, listed) {
            match skipped {
                None if is_partial(Path::new(below)) => {
                    self.found.skipped.push((within(below), PARTIAL));
                }
                None => self.add(entry, within(below), false),
                Some(Skipped { part, reason }) => self.found.skipped.push((within(part), reason)),
            }
        }
    }

    /// Adds the objects and folders that a pattern without `**` matches.
    fn add_matches(&mut self, there: &Key, listed: &[Entry], pattern: &glob::Pattern) {
        let depth = pattern.as_str().split('/').count();
        let mut folders: BTreeMap<Key, Vec<&Entry>> = BTreeMap::new();
        for entry in listed {
            let Some(below) = entry.key.below(there) else { continue };
            let parts: Vec<&str> = below.split('/').collect();
            let Some(first) = parts.get(..depth).map(|parts| parts.join("/")) else { continue };
            if !pattern.matches_with(&first, AS_SHELLS_DO) {
                continue;
            }
            if parts.len() > depth {
                folders.entry(there.join(first)).or_default().push(entry);
            } else {
                self.add_match(entry, pattern);
            }
        }
        for (folder, listed) in folders {
            self.add_folder(&folder, &listed);
        }
    }

    /// Adds the objects that a pattern with `**` matches.
    fn add_deep_matches(&mut self, there: &Key, listed: &[Entry], pattern: &glob::Pattern) {
        for (entry, below, skipped) in walk(there, &listed.iter().collect::<Vec<_>>()) {
            if skipped.is_none() && pattern.matches_with(below, AS_SHELLS_DO) {
                self.add_match(entry, pattern);
            }
        }
    }

    /// Adds an object that a pattern matches. Incomplete ones match if the pattern ends in their
    /// extension.
    fn add_match(&mut self, entry: &Entry, pattern: &glob::Pattern) {
        let name = entry.key.name();
        if is_partial(Path::new(name)) && !is_partial(Path::new(pattern.as_str())) {
            self.found.skipped.push((entry.key.to_string(), PARTIAL));
        } else {
            self.add_named(entry);
        }
    }
}

/// Why the objects below a folder are skipped.
struct Skipped<'a> {
    /// The path of the folder or object that is skipped.
    part: &'a str,
    reason: &'static str,
}

/// The objects below a folder with their paths from there, as
/// [`walk`](crate::load::folder::walk) visits files. Of a folder that is skipped, there is one object.
fn walk<'a>(folder: &Key, listed: &[&'a Entry]) -> Vec<(&'a Entry, &'a str, Option<Skipped<'a>>)> {
    let below = |entry: &'a Entry| Some((entry, entry.key.below(folder)?));
    let listed: Vec<_> = listed.iter().filter_map(|entry| below(entry)).collect();
    let lakes: BTreeSet<&str> = listed.iter().filter_map(|(_, below)| lake_of(below)).collect();
    let mut met = BTreeSet::new();
    let mut found = Vec::new();
    for (entry, below) in listed {
        let ends = below.match_indices('/').map(|(at, _)| at).chain([below.len()]);
        let skipped = [0].into_iter().chain(ends).find_map(|end| {
            let part = &below[..end];
            let is_hidden = part.rsplit('/').next().is_some_and(|name| name.starts_with('.'));
            let reason = match lakes.contains(part) {
                true => LAKE,
                false => is_hidden.then_some("hidden")?,
            };
            Some(Skipped { part, reason })
        });
        if skipped.as_ref().is_none_or(|skipped| met.insert(skipped.part)) {
            found.push((entry, below, skipped));
        }
    }
    found
}

/// The folder of a path that is a lake or a table of one.
fn lake_of(below: &str) -> Option<&str> {
    let mut start = 0;
    for part in below.split('/') {
        let is_folder = start + part.len() < below.len();
        if is_folder && matches!(part, "_delta_log" | ".wabalake") {
            return Some(below[..start].trim_end_matches('/'));
        }
        start += part.len() + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use object_store::memory::InMemory;

    use super::*;
    use crate::place::Place;

    const OBJECTS: [&str; 14] = [
        "exports/.hidden.csv",
        "exports/.old/a.csv",
        "exports/.old/b.csv",
        "exports/2025/a.csv",
        "exports/2025/b.csv.gz",
        "exports/2025/deep/c.csv",
        "exports/2026/a.csv",
        "exports/a.csv",
        "exports/b.csv.part",
        "exports/lake/.wabalake/probe",
        "exports/lake/wabalake.toml",
        "exports/tables/sessions/_delta_log/0.json",
        "exports/tables/sessions/utc_day=2025-06-01/a.parquet",
        "odd [1]/a*.csv",
    ];

    fn bucket() -> Arc<Remote> {
        let place = Place::over(Arc::new(InMemory::new()), "").unwrap();
        for object in OBJECTS {
            place.put(&Key::parse(object).unwrap(), Bytes::from_static(b"x")).unwrap();
        }
        Arc::new(Remote::over(place))
    }

    /// The names of objects, named ones with `!`, then those that are skipped with the first word of
    /// the reason.
    fn names(path: &str) -> String {
        let found = find(&bucket(), path, &format!("s3://b/{path}")).unwrap();
        let mark = |object: &Object| if object.is_named { "!" } else { "" };
        let objects = found.objects.iter().map(|object| format!("{}{}", mark(object), object.name));
        let word = |reason: &str| reason.split([' ', ',']).next().unwrap().to_owned();
        let skipped =
            found.skipped.iter().map(|(name, reason)| format!("{name}: {}", word(reason)));
        objects.chain(skipped).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn folders_of_a_store_are_as_those_of_this_machine() {
        let all = "exports/2025/a.csv | exports/2025/b.csv.gz | exports/2025/deep/c.csv | \
                   exports/2026/a.csv | exports/a.csv | exports/.hidden.csv: hidden | \
                   exports/.old: hidden | exports/b.csv.part: incomplete | exports/lake: a | \
                   exports/tables/sessions: a";
        for path in ["exports", "exports/", "exports/**"] {
            assert_eq!(names(path), all, "{path}");
        }
        assert_eq!(names("exports/2025/deep"), "deep/c.csv");
        assert_eq!(names("exports/a.csv"), "!a.csv");
        assert_eq!(names("exports/lake/"), "lake: a");
        assert!(names("").starts_with("exports/2025/a.csv | "), "{}", names(""));
    }

    #[test]
    fn patterns_match_as_those_of_this_machine() {
        for (path, found) in [
            ("exports/*.csv", "!a.csv"),
            ("exports/*/*.csv", "!a.csv | !a.csv"),
            ("exports/20*", "2025/a.csv | 2025/b.csv.gz | 2025/deep/c.csv | 2026/a.csv"),
            ("exports/**/*.csv", "!a.csv | !c.csv | !a.csv | !a.csv"),
            ("**/2025/*.csv", "!a.csv"),
            ("exports/2025/**", "2025/a.csv | 2025/b.csv.gz | 2025/deep/c.csv"),
            ("exports/[b].csv.*", "exports/b.csv.part: incomplete"),
            ("exports/*.part", "!b.csv.part"),
            // What exists is literal.
            ("odd [1]/a*.csv", "!a*.csv"),
            ("odd [1]", "odd [1]/a*.csv"),
            ("odd [1]/*.csv", "!a*.csv"),
        ] {
            assert_eq!(names(path), found, "{path}");
        }
    }

    #[test]
    fn url_of_nothing_is_an_error_that_names_it() {
        for (path, code) in [
            ("none", 1),
            ("none/", 1),
            ("exports/a.csv/", 1),
            ("exports/*.xlsx", 1),
            ("none/**", 1),
            ("exports/[", 2),
            ("exports//a.csv", 2),
            ("exports/../a.csv", 2),
        ] {
            let typed = format!("s3://b/{path}");
            let error = find(&bucket(), path, &typed).unwrap_err();
            assert_eq!(error.exit_code(), code, "{path}");
            assert!(error.lines().contains(&typed) && error.details().hint.is_some(), "{path}");
        }
    }
}
