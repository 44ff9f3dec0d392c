//! Data files of old versions and of killed loads.

use std::collections::HashSet;

use chrono::{TimeDelta, Utc};

use super::rows::{FileAge, Roles};
use super::search::{StoredTable, texts};
use super::target::Target;
use crate::error::Result;
use crate::lake::Lake;
use crate::place::Key;

impl Lake {
    /// Old files that hold the person, and unfinished ones; and all data files.
    pub(super) fn old_files(
        &self,
        tables: &[StoredTable],
        target: &Target,
        is_alone: bool,
    ) -> Result<(Vec<Key>, HashSet<Key>)> {
        let (mut holding, mut known) = (Vec::new(), HashSet::new());
        for table in tables {
            let roles = Roles::of(table.table);
            for file in table.current() {
                known.insert(file?);
            }
            table.each_replaced(|file, scan| {
                let holds = match scan.and_then(texts) {
                    Ok(rows) => !roles.redact(rows, target, FileAge::Old)?.is_as_before(),
                    // Without locks it may be one that is being written.
                    Err(_) => is_alone || file.modified < Utc::now() - TimeDelta::days(1),
                };
                if holds {
                    holding.push(file.key.clone());
                }
                Ok(())
            })?;
            known.extend(table.replaced.iter().map(|file| file.key.clone()));
            for file in table.leftovers.iter().filter(|_| is_alone) {
                if self.holds_number(file, target)? {
                    holding.push(file.clone());
                }
            }
        }
        Ok((holding, known))
    }
}
