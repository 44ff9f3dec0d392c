//! The files in a lake's folder: lists them, and recognises by name those that wabalake writes.

use std::fs::{self, FileType};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use super::snapshot::NO_DAY;
use crate::error::{Context as _, Result};
use crate::files::{is_random, is_temporary};

/// Returns `true` for the partition folder of a day, or of rows without one.
pub(super) fn is_day(name: &str, partition: &str) -> bool {
    let day = name.strip_prefix(partition).and_then(|rest| rest.strip_prefix('='));
    day.is_some_and(|day| day == NO_DAY || day.parse::<NaiveDate>().is_ok())
}

/// Returns `true` for the name of a data file, as [`Staging`](super::Staging) gives it.
pub(super) fn is_data_file(name: &str) -> bool {
    let stem = name.strip_suffix(".parquet");
    stem.is_some_and(|stem| stem.len() == 36 && Uuid::try_parse(stem).is_ok())
}

/// Returns `true` for a scratch folder, as `tempfile` and [`erase`](super::erase) name it.
pub(super) fn is_scratch(name: &str) -> bool {
    let is_moved = |rest: &str| Uuid::try_parse(rest).is_ok();
    name.strip_prefix("marts-").is_some_and(is_moved)
        || name.strip_prefix(".tmp").is_some_and(is_random)
}

/// Returns `true` for a temporary file with the default name of `tempfile`.
pub(super) fn is_unnamed(name: &str) -> bool {
    let Some(rest) = name.strip_prefix('.') else { return false };
    is_random(rest) || rest.strip_prefix("tmp").is_some_and(is_random)
}

/// Returns `true` for a temporary file in a log folder.
///
/// ```text
/// 00000000000000000020.json#1          `object_store`, before it links the file
/// .00000000000000000020.json.Ab12Cd.tmp
/// _commit_5e0c….json.tmp               `deltalake`, on file systems without links
/// ```
pub(super) fn is_log_leftover(name: &str) -> bool {
    if is_temporary(name) || is_unnamed(name) {
        return true;
    }
    if let Some((of, number)) = name.rsplit_once('#') {
        return is_log_file(of) && number.bytes().all(|byte| byte.is_ascii_digit());
    }
    let Some(name) = name.strip_suffix(".tmp") else { return false };
    if let Some(id) = name.strip_prefix("_commit_").and_then(|rest| rest.strip_suffix(".json")) {
        return Uuid::try_parse(id).is_ok();
    }
    let of = name.strip_prefix('.').and_then(|rest| rest.rsplit_once('.'));
    of.is_some_and(|(of, random)| is_log_file(of) && is_random(random))
}

/// Returns `true` for any file of a log folder.
pub(super) fn is_of_log(name: &str) -> bool {
    // Checksums of another file.
    let is_sum = |rest: &str| rest.ends_with("crc") || rest == "checkpoint.xxh3";
    of_version(name.strip_prefix('.').unwrap_or(name)).is_some_and(is_sum)
        || is_log_file(name)
        || is_log_leftover(name)
}

/// Returns `true` for a commit, a part of a checkpoint, or `_last_checkpoint`.
fn is_log_file(name: &str) -> bool {
    let is = |rest: &str| {
        rest == "json" || rest.starts_with("checkpoint.") && rest.ends_with(".parquet")
    };
    name == "_last_checkpoint" || of_version(name).is_some_and(is)
}

/// The part of a log file's name after the version.
fn of_version(name: &str) -> Option<&str> {
    let (version, rest) = name.split_once('.')?;
    let is_version = version.len() == 20 && version.bytes().all(|byte| byte.is_ascii_digit());
    is_version.then_some(rest)
}

pub(super) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The modification time of a file or link.
pub(super) fn modified(file: &Path) -> Result<DateTime<Utc>> {
    let modified = fs::symlink_metadata(file).and_then(|file| file.modified());
    Ok(modified.context(|| format!("reading the age of `{}`", file.display()))?.into())
}

/// The entries of a folder with their types, by name; none if it does not exist.
pub(super) fn listed(folder: &Path) -> Result<Vec<(PathBuf, FileType)>> {
    let listing = || format!("listing `{}`", folder.display());
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.context(listing)?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.context(listing)?;
        paths.push((entry.path(), entry.file_type().context(listing)?));
    }
    paths.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(paths)
}

/// The entries of a folder, by name, without links and nothing behind one.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    if folder.is_symlink() {
        return Ok(Vec::new());
    }
    let listed = listed(folder)?.into_iter().filter(|(_, kind)| !kind.is_symlink());
    Ok(listed.map(|(path, _)| path).collect())
}

/// The files in a folder and its subfolders, without links and nothing behind one.
pub(super) fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "5e0c7f0e-3c0b-4a56-9a51-0d6b3f5a7c11";

    #[test]
    fn own_files_are_recognised_by_name() {
        let commit = "00000000000000000020.json";
        for (is, wabalakes, others) in [
            (
                is_data_file as fn(&str) -> bool,
                vec![format!("{ID}.parquet")],
                vec![format!("part-00000-{ID}-c000.parquet"), format!("{ID}.csv"), String::new()],
            ),
            (
                is_scratch,
                vec![".tmpAb12Cd".to_owned(), format!("marts-{ID}")],
                vec!["load-1".to_owned(), ".tmp".to_owned(), "marts-mine".to_owned()],
            ),
            (
                is_log_leftover,
                vec![
                    format!("{commit}#1"),
                    format!(".{commit}.Ab12Cd.tmp"),
                    format!(".{commit}.wabalake-Ab12Cd.tmp"),
                    format!("_commit_{ID}.json.tmp"),
                    "00000000000000000019.checkpoint.parquet#12".to_owned(),
                    "00000000000000000019.checkpoint.0000000001.0000000002.parquet#1".to_owned(),
                    "_last_checkpoint#1".to_owned(),
                    ".Ab12Cd".to_owned(),
                ],
                vec![
                    commit.to_owned(),
                    "_last_checkpoint".to_owned(),
                    "00000000000000000019.checkpoint.parquet".to_owned(),
                    ".00000000000000000019.checkpoint.xxh3".to_owned(),
                    "00000000000000000020.crc".to_owned(),
                    "notes.txt#1".to_owned(),
                    format!(".{commit}.mine.tmp"),
                    "_commit_mine.json.tmp".to_owned(),
                ],
            ),
        ] {
            assert!(wabalakes.iter().all(|name| is(name)), "{wabalakes:?}");
            assert!(!others.iter().any(|name| is(name)), "{others:?}");
        }
        for name in [commit, "_last_checkpoint", ".00000000000000000020.crc"] {
            assert!(is_of_log(name), "{name}");
        }
        assert!(is_of_log(".00000000000000000019.checkpoint.xxh3") && !is_of_log("notes.crc"));
        assert!(is_day("utc_day=2025-06-01", "utc_day") && !is_day("utc_day=mine", "utc_day"));
    }
}
