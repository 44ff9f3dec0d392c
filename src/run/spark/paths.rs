//! Maps paths of this machine to paths of the cluster.
//!
//! ```text
//! no mapping                            /mnt/lake/tables/… → file:///mnt/lake/tables/…
//! --map-path /mnt/lake=s3://bucket/lake /mnt/lake/tables/… → s3://bucket/lake/tables/…
//! ```

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Characters that Spark interprets as a glob pattern in a path.
const PATTERN: [char; 7] = ['*', '?', '[', ']', '{', '}', '\\'];

/// The mapping of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    mapped: Option<(PathBuf, String)>,
}

impl Paths {
    /// Creates the mapping of a cluster with the same paths.
    pub fn same() -> Self {
        Self::default()
    }

    /// Parses `HERE=THERE`, where `THERE` is a URL or another path of the cluster.
    ///
    /// # Errors
    ///
    /// The form is wrong, or a path is not absolute.
    pub fn read(mapping: &str) -> Result<Self> {
        let invalid = || Error::usage("`--map-path` takes HERE=THERE");
        let hint = "such as /mnt/lake=s3://bucket/lake";
        let halves =
            mapping.split_once('=').filter(|(here, there)| !(here.is_empty() || there.is_empty()));
        let (here, there) = halves.ok_or_else(|| invalid().hint(hint))?;
        // The path of the lake is canonical too.
        let here = Path::new(here).canonicalize().unwrap_or_else(|_| PathBuf::from(here));
        if !here.is_absolute() {
            return Err(invalid().found("HERE is not an absolute path").hint(hint));
        }
        Ok(Self { mapped: Some((here, there.trim_end_matches('/').to_owned())) })
    }

    /// Checks that the mapping covers the lake's folder.
    ///
    /// # Errors
    ///
    /// The folder is outside the mapped one.
    pub fn check(&self, folder: &Path) -> Result<()> {
        match &self.mapped {
            Some((here, _)) if !folder.starts_with(here) => Err(Error::usage(format!(
                "`--map-path` maps `{}`, but the lake is at `{}`",
                here.display(),
                folder.display()
            ))
            .hint("map the lake's folder, or one above it")),
            _ => Ok(()),
        }
    }

    /// Returns the path of a file on the cluster.
    pub(super) fn of(&self, file: &Path) -> Result<String> {
        let within = self.mapped.as_ref().and_then(|(here, there)| {
            file.strip_prefix(here).ok().map(|rest| (rest, format!("{there}/")))
        });
        let (rest, there) = within.unwrap_or_else(|| (file, "file://".to_owned()));
        let rest = rest.to_str().ok_or_else(|| unsupported(file, "is not UTF-8"))?;
        match rest.contains(PATTERN) {
            true => Err(unsupported(file, "contains a character that Spark reads as a pattern")),
            false => Ok(there + rest),
        }
    }
}

fn unsupported(file: &Path, why: &str) -> Error {
    Error::lake(format!("the path `{}` {why}", file.display()))
        .hint("rename the lake's folder, or map it to another path with --map-path")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_mapped_to_paths_of_the_cluster() {
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
    fn mappings_match_whole_folder_names() {
        let paths = Paths::read("/mnt/lak=s3://bucket").unwrap();
        assert_eq!(paths.check(Path::new("/mnt/lake")).unwrap_err().exit_code(), 2);
        paths.check(Path::new("/mnt/lak/e")).unwrap();
        Paths::same().check(Path::new("/mnt/lake")).unwrap();
    }

    #[test]
    fn invalid_mappings_are_rejected() {
        for mapping in ["", "/mnt/lake", "/mnt/lake=", "=s3://bucket", "no/such/lake=s3://bucket"] {
            assert_eq!(Paths::read(mapping).unwrap_err().exit_code(), 2, "{mapping}");
        }
    }

    #[test]
    fn glob_characters_are_rejected() {
        let error = Paths::same().of(Path::new("/mnt/lake[1]/a.parquet")).unwrap_err();
        assert!(error.lines().contains("--map-path"), "{}", error.lines());
    }
}
