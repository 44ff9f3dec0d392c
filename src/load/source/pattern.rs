//! Expands glob patterns.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::load::folder::{Entry, walk};

/// The metacharacters of patterns.
const PATTERN: [char; 3] = ['*', '?', '['];

/// Returns `true` if a text has metacharacters of a pattern.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(PATTERN)
}

/// A pattern matches as those of shells do.
pub(super) const AS_SHELLS_DO: glob::MatchOptions = glob::MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// Removes `**` at the end of a pattern: `a/**` is all of the folder `a`.
pub(super) fn without_last_stars(pattern: &str) -> &str {
    if pattern == "**" { "" } else { pattern.trim_end_matches("/**") }
}

/// Parses a pattern, the part `text` of what was typed.
///
/// # Errors
///
/// An invalid pattern.
pub(super) fn parse(text: &str, typed: &str) -> Result<glob::Pattern> {
    glob::Pattern::new(text).map_err(|error| invalid(&error, text, typed))
}

fn invalid(error: &glob::PatternError, text: &str, typed: &str) -> Error {
    Error::usage(format!("`{typed}` is not a valid pattern: {}", error.msg)).hint(hint_on(text))
}

/// The error of a pattern that matches nothing.
pub(super) fn no_match(text: &str, typed: &str) -> Error {
    Error::data(format!("no file matches `{typed}`")).hint(match text.contains('[') {
        true => hint_on(text),
        false => "check the path; `*` does not match hidden files",
    })
}

/// Returns the files and folders that a pattern matches, by name; `None` if a path is not a
/// pattern. The part of a path that exists is taken literally.
///
/// # Errors
///
/// An invalid pattern, or no match.
pub fn matches(path: &Path) -> Result<Option<Vec<PathBuf>>> {
    let mut there = PathBuf::new();
    let mut parts = path.components().peekable();
    while let Some(next) = parts.next_if(|part| there.join(part).exists()) {
        there.push(next);
    }
    let rest: PathBuf = parts.collect();
    let text = rest.to_string_lossy();
    if !is_pattern(&text) {
        return Ok(None);
    }
    let shown = path.to_string_lossy();
    let pattern = without_last_stars(&text);
    let paths: Vec<PathBuf> = if pattern.is_empty() {
        vec![if there == Path::new("") { PathBuf::from(".") } else { there }]
    } else if pattern.contains("**") {
        let pattern = parse(pattern, &shown)?;
        files_below(&there, &|below| pattern.matches_path_with(below, AS_SHELLS_DO))?
    } else {
        // Metacharacters in the names of existing folders are literal.
        let there = glob::Pattern::escape(&there.to_string_lossy());
        let pattern = Path::new(&there).join(pattern);
        let paths = glob::glob_with(&pattern.to_string_lossy(), AS_SHELLS_DO);
        paths.map_err(|error| invalid(&error, &text, &shown))?.filter_map(Result::ok).collect()
    };
    if paths.is_empty() {
        return Err(no_match(&text, &shown));
    }
    Ok(Some(paths))
}

/// Explains the metacharacters of a pattern.
fn hint_on(pattern: &str) -> &'static str {
    if pattern.contains('[') {
        "`[…]` matches one of the characters in it: write `[[]` for a bracket in a name"
    } else {
        "`*` matches any name, `?` one character, `**` any folders"
    }
}

/// Returns the files below a folder that match a pattern with `**`. The `glob` crate would follow
/// links, which may be cycles.
fn files_below(there: &Path, is_match: &dyn Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let (here, mut files) = (Path::new("."), Vec::new());
    let folder = if there == Path::new("") { here } else { there };
    if folder.is_dir() {
        let name = folder.to_string_lossy();
        walk(folder, &name, &[], &mut |Entry { path, skip_reason, .. }| {
            let path = path.strip_prefix(here).unwrap_or(&path);
            let below = path.strip_prefix(there).unwrap_or(path);
            if skip_reason.is_none() && is_match(below) {
                files.push(path.to_owned());
            }
            Ok(())
        })?;
    }
    Ok(files)
}
