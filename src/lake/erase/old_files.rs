//! Data files of old versions and of killed loads.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use polars::prelude::*;
use wabalake_data::Table;

use super::files::holds_number;
use super::revision::texts;
use super::rows::{FileAge, Roles};
use super::target::Target;
use super::{is_folder, name_of};
use crate::error::Result;
use crate::lake::files::{entries, is_data_file, is_log_leftover};
use crate::lake::layout::stored_tables;
use crate::lake::log::Action;
use crate::lake::{Lake, Lock};

impl Lake {
    /// Data files that the newest version does not have: those in the log, and others with the name
    /// of a data file.
    pub(super) fn replaced_files(&self, table: &Table) -> Result<Vec<PathBuf>> {
        let snapshot = self.snapshot(table)?;
        let current: HashSet<PathBuf> =
            snapshot.files.iter().map(|file| snapshot.place(file)).collect();
        let folder = snapshot.folder();
        let log = self.log(table)?;
        let mut logged = HashSet::new();
        for version in log.versions()? {
            logged.extend(log.actions(version)?.into_iter().filter_map(|action| match action {
                Action::Add(add) => Some(folder.join(add.path)),
                Action::Remove(remove) => Some(folder.join(remove.path)),
                _ => None,
            }));
        }
        let mut files = Vec::new();
        for folder in entries(&folder)? {
            if is_folder(&folder) && !name_of(&folder).starts_with(['_', '.']) {
                files.extend(entries(&folder)?.into_iter().filter(|file| is_file(file)));
            }
        }
        files.retain(|file| {
            !current.contains(file) && (is_data_file(&name_of(file)) || logged.contains(file))
        });
        Ok(files)
    }

    /// Old files that hold the person, and unfinished ones; and all data files.
    pub(super) fn old_files(
        &self,
        target: &Target,
        alone: &Lock,
    ) -> Result<(Vec<PathBuf>, HashSet<PathBuf>)> {
        let (mut holding, mut known) = (Vec::new(), HashSet::new());
        for table in stored_tables() {
            let roles = Roles::of(table);
            let snapshot = self.snapshot(table)?;
            known.extend(snapshot.files.iter().map(|file| snapshot.place(file)));
            for file in self.replaced_files(table)? {
                let holds = match read(&file) {
                    Ok(rows) => !roles.redact(rows, target, FileAge::Old)?.is_as_before(),
                    // Without locks it may be one that is being written.
                    Err(_) => alone.holds() || is_older_than_a_day(&file),
                };
                known.insert(file.clone());
                if holds {
                    holding.push(file);
                }
            }
            for file in entries(&self.folder(table).join("_delta_log"))? {
                let begun = is_file(&file) && is_log_leftover(&name_of(&file));
                if begun && alone.holds() && holds_number(&file, target)? {
                    holding.push(file);
                }
            }
        }
        Ok((holding, known))
    }
}

/// Reads the text columns of an old file.
fn read(file: &Path) -> Result<DataFrame> {
    texts(scan(file)?)
}

pub(super) fn scan(file: &Path) -> Result<LazyFrame> {
    let path = PlRefPath::try_from_path(file)?;
    let options = ScanArgsParquet {
        glob: false,
        hive_options: HiveOptions::new_disabled(),
        ..Default::default()
    };
    Ok(LazyFrame::scan_parquet(path, options)?)
}

/// Returns `true` for a file, not for a link to one.
fn is_file(path: &Path) -> bool {
    path.is_file() && !path.is_symlink()
}

fn is_older_than_a_day(file: &Path) -> bool {
    let modified = fs::metadata(file).and_then(|file| file.modified());
    let age = modified.map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
    age.is_ok_and(|age| age > Duration::from_hours(24))
}
