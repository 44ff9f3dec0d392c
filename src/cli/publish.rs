//! The files that a nightly run publishes: the page, the same as a mail, and views for DuckDB.

use std::sync::Arc;

use bytes::Bytes;

use super::output::to_file_for;
use crate::alerts::Judgements;
use crate::config::Config;
use crate::error::Result;
use crate::files::Access;
use crate::lake::Lake;
use crate::nightly::{Publish, Published};
use crate::place::{Key, Place, Resolver};
use crate::{report, views};

/// A file of this machine, or an object.
pub(super) struct Publication<'a> {
    what: Published,
    lake: &'a Lake,
    config: &'a Config,
    folder: Arc<Place>,
    name: Key,
}

impl<'a> Publication<'a> {
    /// Those of the settings, whose paths are relative to the lake.
    pub(super) fn all(lake: &'a Lake, config: &'a Config) -> Result<Vec<Self>> {
        let files = [
            (Published::Page, &config.page.file),
            (Published::Email, &config.page.email),
            (Published::Views, &config.nightly.views),
        ];
        let mut resolver = Resolver::new(lake.place(), &config.store);
        let mut publications = Vec::new();
        for (what, file) in files {
            if let Some(file) = file {
                let (folder, name) = resolver.file(file)?;
                publications.push(Self { what, lake, config, folder, name });
            }
        }
        Ok(publications)
    }

    /// The file as the nightly run publishes it.
    pub(super) fn publish(self) -> Publish<'a> {
        let what = self.what;
        let address = match self.folder.as_folder() {
            Some(folder) => folder.join(self.name.as_str()).display().to_string(),
            None => self.folder.url(&self.name),
        };
        let write = move |judged: &Judgements| self.write(judged);
        Publish { what, address, write: Box::new(write) }
    }

    /// Writes the file anew.
    fn write(&self, judged: &Judgements) -> Result<()> {
        let Some(folder) = self.folder.as_folder() else {
            return self.folder.put_typed(&self.name, self.content(judged)?, self.media_type());
        };
        let file = folder.join(self.name.as_str());
        let privacy = &self.config.privacy;
        let access = match self.what {
            // A page that exists keeps its mode: whoever publishes it decides once who may read it.
            Published::Page if privacy.people_on_page && !file.exists() => Access::Owner,
            Published::Views if privacy.people_in_views => Access::Owner,
            _ => Access::Usual,
        };
        let content = self.content(judged)?;
        to_file_for(access, &file, |out| Ok(out.write_all(&content)?))
    }

    fn content(&self, judged: &Judgements) -> Result<Bytes> {
        let alerts = judged.clone();
        let options = report::Options { alerts, ..report::Options::of(self.config) };
        Ok(match self.what {
            Published::Page => report::page(self.lake, &options)?.into(),
            Published::Email => {
                report::email(self.lake, &options, self.config.page.subject.as_deref())?.into()
            }
            Published::Views => views::script(self.lake, self.config, true)?.into(),
        })
    }

    fn media_type(&self) -> &'static str {
        match self.what {
            Published::Page => "text/html; charset=utf-8",
            Published::Email => "message/rfc822",
            Published::Views => "application/sql",
        }
    }
}
