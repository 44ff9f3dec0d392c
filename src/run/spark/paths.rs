//! Maps paths and URLs of this machine to those of the cluster.
//!
//! ```text
//! no mapping                               /mnt/lake/tables/…    → file:///mnt/lake/tables/…
//!                                          s3://bucket/tables/…  → the same
//!                                          az://events/tables/…  → abfss://events@acme.dfs.core.windows.net/tables/…
//! --map-path /mnt/lake=s3://bucket/lake    /mnt/lake/tables/…    → s3://bucket/lake/tables/…
//! --map-path s3://bucket=s3a://bucket      s3://bucket/tables/…  → s3a://bucket/tables/…
//! ```

use std::path::Path;

use crate::error::{Error, Result};
use crate::place::{Key, Place};

/// Characters that Spark interprets as a glob pattern in a path.
const PATTERN: [char; 7] = ['*', '?', '[', ']', '{', '}', '\\'];

/// The mapping of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// A path or URL, and what replaces it; both without a slash at the end.
    mapped: Option<(String, String)>,
}

impl Paths {
    /// Creates the mapping of a cluster with the same paths.
    pub fn same() -> Self {
        Self::default()
    }

    /// Parses `HERE=THERE`, where each is a URL or an absolute path.
    ///
    /// # Errors
    ///
    /// The form is wrong, or a path is not absolute.
    pub fn read(mapping: &str) -> Result<Self> {
        let invalid = || Error::usage("`--map-path` takes HERE=THERE");
        let hint = "such as /mnt/lake=s3://bucket/lake, or s3://bucket=s3a://bucket";
        let (here, there) = halves(mapping).ok_or_else(|| invalid().hint(hint))?;
        let here = match is_url(here) {
            true => here.to_owned(),
            false => {
                // The path of the lake is canonical too.
                let here = Path::new(here).canonicalize().unwrap_or_else(|_| here.into());
                if !here.is_absolute() {
                    return Err(invalid().found("HERE is not an absolute path").hint(hint));
                }
                text(&here)?.to_owned()
            }
        };
        let [here, there] = [&here, there].map(|half| half.trim_end_matches('/').to_owned());
        Ok(Self { mapped: Some((here, there)) })
    }

    /// Checks that the mapping covers a lake.
    ///
    /// # Errors
    ///
    /// The lake is outside of what is mapped.
    pub fn check(&self, lake: &Place) -> Result<()> {
        let Some((here, _)) = &self.mapped else { return Ok(()) };
        match self.replaced(lake, &Key::root())? {
            Some(_) => Ok(()),
            None => Err(Error::usage(format!(
                "`--map-path` maps `{here}`, but the lake is at `{}`",
                lake.shown()
            ))
            .hint("map the lake's address, or a folder above it")),
        }
    }

    /// Returns the path of a file on the cluster.
    pub(super) fn of(&self, lake: &Place, file: &Key) -> Result<String> {
        if let Some(there) = self.replaced(lake, file)? {
            return Ok(there);
        }
        let own = match lake.as_folder() {
            // Not encoded: Spark takes a path as it is written.
            Some(root) => format!("file://{}", readable(text(&root.join(file.as_str()))?)?),
            None => lake.url(file),
        };
        Ok(readable(&own)?.to_owned())
    }

    /// The path of a file in place of which the mapping has another; `None` if it has none.
    fn replaced(&self, lake: &Place, file: &Key) -> Result<Option<String>> {
        let Some((here, there)) = &self.mapped else { return Ok(None) };
        let below = |root: &str| {
            let rest = root.strip_prefix(here.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then(|| rest.to_owned())
        };
        let rest = match lake.as_folder() {
            Some(root) => below(text(root)?),
            // The URL for clusters, or as it was typed.
            None => below(&lake.url(&Key::root())).or_else(|| below(lake.shown())),
        };
        let Some(rest) = rest else { return Ok(None) };
        let slash = if file.as_str().is_empty() { "" } else { "/" };
        readable(&format!("{rest}{slash}{file}")).map(|rest| Some(format!("{there}{rest}")))
    }
}

/// Splits a mapping at the `=` after which a path or URL begins, since both may contain others.
fn halves(mapping: &str) -> Option<(&str, &str)> {
    let begins = |there: &str| there.starts_with('/') || scheme(there).is_some();
    let splits = mapping.match_indices('=').map(|(at, _)| (&mapping[..at], &mapping[at + 1..]));
    let split = splits.clone().find(|(_, there)| begins(there)).or_else(|| splits.clone().next());
    split.filter(|(here, there)| !(here.is_empty() || there.is_empty()))
}

/// The scheme of a URL, such as `s3` or `dbfs`.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let is_sign = |sign: char| sign.is_ascii_alphanumeric() || "+-.".contains(sign);
    (scheme.starts_with(|first: char| first.is_ascii_alphabetic()) && scheme.chars().all(is_sign))
        .then_some(scheme)
}

fn is_url(text: &str) -> bool {
    scheme(text).is_some() && text.contains("://")
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| unsupported(&path.display().to_string(), "is not UTF-8"))
}

/// Refuses a path that Spark takes for a pattern.
fn readable(path: &str) -> Result<&str> {
    match path.contains(PATTERN) {
        true => Err(unsupported(path, "contains a character that Spark reads as a pattern")),
        false => Ok(path),
    }
}

fn unsupported(file: &str, why: &str) -> Error {
    Error::lake(format!("the path `{file}` {why}"))
        .hint("rename the lake's folder, or map it to another path with --map-path")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;
    use crate::place::{Address, Environment, StoreOptions};

    const FILE: &str = "tables/sessions/utc_day=2025-06-01/a.parquet";

    fn store(url: &str) -> Place {
        let environment = Environment::of([
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", "eu-west-1"),
            ("AZURE_STORAGE_ACCOUNT", "acme"),
            ("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0"),
        ]);
        Place::open(&Address::parse(url).unwrap(), &StoreOptions::default(), &environment).unwrap()
    }

    /// The address of the file of a lake on a cluster.
    fn there(lake: &Place, mapping: &str) -> String {
        let paths = if mapping.is_empty() { Paths::same() } else { Paths::read(mapping).unwrap() };
        paths.check(lake).unwrap();
        paths.of(lake, &Key::parse(FILE).unwrap()).unwrap()
    }

    #[test]
    fn files_are_mapped_to_paths_of_the_cluster() {
        let lake = Place::folder("/mnt/env=prod/lake");
        for (mapping, root) in [
            ("", "file:///mnt/env=prod/lake"),
            ("/mnt/env=prod/lake=s3://bucket/x", "s3://bucket/x"),
            ("/mnt/env=prod/lake/=s3://bucket/x/", "s3://bucket/x"),
            ("/mnt=dbfs:/mnt", "dbfs:/mnt/env=prod/lake"),
            ("/mnt=/other", "/other/env=prod/lake"),
        ] {
            assert_eq!(there(&lake, mapping), format!("{root}/{FILE}"), "{mapping}");
        }
    }

    #[test]
    fn files_on_a_store_have_urls_of_the_cluster() {
        for (lake, mapping, root) in [
            ("s3://events/env=prod/my lake", "", "s3://events/env=prod/my lake"),
            ("s3://events/lake", "s3://events=s3a://events", "s3a://events/lake"),
            ("s3://events/a=b", "s3://events/a=b=s3a://e/x=y", "s3a://e/x=y"),
            ("s3://events/lake", "s3://events/lake=/mnt/lake", "/mnt/lake"),
            ("az://events/lake", "", "abfss://events@acme.dfs.core.windows.net/lake"),
            ("az://events/lake", "az://events=wasbs://e@b", "wasbs://e@b/lake"),
            (
                "az://events/lake",
                "abfss://events@acme.dfs.core.windows.net=dbfs:/mnt/events",
                "dbfs:/mnt/events/lake",
            ),
        ] {
            assert_eq!(there(&store(lake), mapping), format!("{root}/{FILE}"), "{lake} {mapping}");
        }
    }

    #[test]
    fn mappings_match_whole_names() {
        let lake = Place::folder("/mnt/lake");
        for mapping in ["/mnt/lak=s3://bucket", "s3://mnt/lake=s3a://bucket"] {
            let error = Paths::read(mapping).unwrap().check(&lake).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{mapping}");
        }
        let paths = Paths::read("s3://event=s3a://event").unwrap();
        assert_eq!(paths.check(&store("s3://events/lake")).unwrap_err().exit_code(), 2);
        Paths::same().check(&lake).unwrap();
    }

    #[test]
    fn invalid_mappings_are_rejected() {
        for mapping in ["", "/mnt/lake", "/mnt/lake=", "=s3://bucket", "no/such/lake=s3://bucket"] {
            assert_eq!(Paths::read(mapping).unwrap_err().exit_code(), 2, "{mapping}");
        }
    }

    #[test]
    fn glob_characters_are_rejected() {
        let key = Key::parse(FILE).unwrap();
        for lake in [
            Place::folder("/mnt/lake[1]"),
            Place::over(Arc::new(InMemory::new()), "lake{1}").unwrap(),
        ] {
            let error = Paths::same().of(&lake, &key).unwrap_err();
            assert!(error.lines().contains("--map-path"), "{}", error.lines());
        }
    }
}
