//! The folders of the inbox: where exports arrive, and where they are moved to.

use std::path::Path;
use std::sync::Arc;

use crate::config::Config;
use crate::error::Result;
use crate::lake::Lake;
use crate::place::{Place, Resolver};

/// The folders that the settings name, each on this machine or on a store.
#[derive(Debug)]
pub(super) struct Folders {
    pub(super) inbox: Vec<Arc<Place>>,
    pub(super) loaded: Option<Arc<Place>>,
    pub(super) failed: Option<Arc<Place>>,
}

impl Folders {
    pub(super) fn of(lake: &Lake, config: &Config) -> Result<Self> {
        let mut resolver = Resolver::new(lake.place(), &config.store);
        let mut folder = |path: &Path| resolver.folder(path);
        let settings = &config.inbox;
        Ok(Self {
            inbox: settings.folders.iter().map(|path| folder(path)).collect::<Result<_>>()?,
            loaded: settings.loaded.as_deref().map(&mut folder).transpose()?,
            failed: settings.failed.as_deref().map(&mut folder).transpose()?,
        })
    }

    /// The folders that files are moved to.
    pub(super) fn targets(&self) -> impl Iterator<Item = &Arc<Place>> {
        self.loaded.iter().chain(&self.failed)
    }
}
