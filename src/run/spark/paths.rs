//! Where a cluster finds what is here.
//!
//! ```text
//! no mapping                            /mnt/lake/tables/… → file:///mnt/lake/tables/…
//! --map-path /mnt/lake=s3://bucket/lake /mnt/lake/tables/… → s3://bucket/lake/tables/…
//! ```

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// What Spark takes for a pattern within a path.
const PATTERN: [char; 7] = ['*', '?', '[', ']', '{', '}', '\\'];

/// How paths here are called there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    mapped: Option<(PathBuf, String)>,
}

impl Paths {
    /// The same paths there as here.
    pub fn same() -> Self {
        Self::default()
    }

    /// Reads `HERE=THERE`, where `THERE` is a URL or what else the cluster takes for a path.
    ///
    /// # Errors
    ///
    /// What is not of that form; a path that is not absolute.
    pub fn read(mapping: &str) -> Result<Self> {
        let wrong = || Error::usage("`--map-path` takes HERE=THERE");
        let hint = "such as /mnt/lake=s3://bucket/lake";
        let halves =
            mapping.split_once('=').filter(|(here, there)| !(here.is_empty() || there.is_empty()));
        let (here, there) = halves.ok_or_else(|| wrong().hint(hint))?;
        // The lake's own path is looked up in the same way.
        let here = Path::new(here).canonicalize().unwrap_or_else(|_| PathBuf::from(here));
        if !here.is_absolute() {
            return Err(wrong().found("a path here that is not absolute").hint(hint));
        }
        Ok(Self { mapped: Some((here, there.trim_end_matches('/').to_owned())) })
    }

    /// Whether a folder here is known there.
    ///
    /// # Errors
    ///
    /// A mapping that says nothing of the folder.
    pub fn check(&self, folder: &Path) -> Result<()> {
        match &self.mapped {
            Some((here, _)) if !folder.starts_with(here) => Err(Error::usage(format!(
                "`--map-path` is about `{}`, and the lake is at `{}`",
                here.display(),
                folder.display()
            ))
            .hint("name the lake's folder, or one above it")),
            _ => Ok(()),
        }
    }

    /// A file, as the cluster is to call it.
    pub(super) fn of(&self, file: &Path) -> Result<String> {
        let within = self.mapped.as_ref().and_then(|(here, there)| {
            file.strip_prefix(here).ok().map(|rest| (rest, format!("{there}/")))
        });
        let (rest, there) = within.unwrap_or_else(|| (file, "file://".to_owned()));
        let rest = rest.to_str().ok_or_else(|| unusual(file, "is not UTF-8"))?;
        match rest.contains(PATTERN) {
            true => Err(unusual(file, "holds what Spark takes for a pattern")),
            false => Ok(there + rest),
        }
    }
}

fn unusual(file: &Path, why: &str) -> Error {
    Error::lake(format!("the path `{}` {why}", file.display())).hint(
        "give the lake's folder another name, or say what the cluster calls it with --map-path",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_called_as_it_is_there() {
        let file = Path::new("/mnt/lake/tables/sessions/utc_day=2025-06-01/a.parquet");
        let rest = "tables/sessions/utc_day=2025-06-01/a.parquet";
        let of = |paths: Paths| paths.of(file).unwrap();
        assert_eq!(of(Paths::same()), format!("file:///mnt/lake/{rest}"));
        for mapping in ["/mnt/lake=s3://bucket/x", "/mnt/lake/=s3://bucket/x/"] {
            assert_eq!(of(Paths::read(mapping).unwrap()), format!("s3://bucket/x/{rest}"));
        }
        assert_eq!(of(Paths::read("/mnt=dbfs:/mnt").unwrap()), format!("dbfs:/mnt/lake/{rest}"));
    }

    #[test]
    fn a_mapping_is_about_whole_folders() {
        let paths = Paths::read("/mnt/lak=s3://bucket").unwrap();
        assert_eq!(paths.check(Path::new("/mnt/lake")).unwrap_err().exit_code(), 2);
        paths.check(Path::new("/mnt/lak/e")).unwrap();
        Paths::same().check(Path::new("/mnt/lake")).unwrap();
    }

    #[test]
    fn what_is_no_mapping_is_refused() {
        for mapping in ["", "/mnt/lake", "/mnt/lake=", "=s3://bucket", "no/such/lake=s3://bucket"] {
            assert_eq!(Paths::read(mapping).unwrap_err().exit_code(), 2, "{mapping}");
        }
    }

    #[test]
    fn a_pattern_is_no_path() {
        let error = Paths::same().of(Path::new("/mnt/lake[1]/a.parquet")).unwrap_err();
        assert!(error.lines().contains("--map-path"), "{}", error.lines());
    }
}
