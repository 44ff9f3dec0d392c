//! Files that arrived in the inbox: in a folder of this machine, or on an object store.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wabalake_data::at_once;

use crate::error::{Context as _, Error, Result, in_words};
use crate::load::folder::FileState;
use crate::place::{Download, Entry, Key, Place};

/// A file of the inbox.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    pub(super) at: At,
    /// Its path below the inbox folder.
    pub(super) below: PathBuf,
    pub(super) seen: FileState,
}

/// Where a file is.
#[derive(Clone, Debug)]
pub(super) enum At {
    /// On this machine.
    File(PathBuf),
    /// On an object store.
    Object(Object),
}

/// An object of the inbox.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) place: Arc<Place>,
    pub(super) key: Key,
    /// Its copy on this machine, once it was downloaded.
    pub(super) copy: PathBuf,
}

impl Arrival {
    /// A file of this machine.
    pub(super) fn of_file(path: PathBuf, inbox: &Path) -> Result<Self> {
        let below = path.strip_prefix(inbox).unwrap_or(&path).to_owned();
        let seen = FileState::of(&path).context(|| format!("reading `{}`", path.display()))?;
        Ok(Self { at: At::File(path), below, seen })
    }

    /// An object, as its inbox lists it.
    pub(super) fn of_object(inbox: &Arc<Place>, entry: Entry) -> Self {
        let seen = FileState::of_entry(&entry);
        let below = PathBuf::from(entry.key.as_str());
        let object = Object { place: Arc::clone(inbox), key: entry.key, copy: PathBuf::new() };
        Self { at: At::Object(object), below, seen }
    }

    /// The file on this machine to load.
    pub(super) fn path(&self) -> &Path {
        match &self.at {
            At::File(path) => path,
            At::Object(object) => &object.copy,
        }
    }

    /// Returns `true` if a file of this machine has changed since it was listed. A copy of an object
    /// does not change.
    pub(super) fn has_changed(&self) -> bool {
        match &self.at {
            At::File(path) => !FileState::of(path).is_ok_and(|seen| seen == self.seen),
            At::Object(_) => false,
        }
    }

    /// Its key in the memory. JSON strings are UTF-8: a hash tells other names apart.
    pub(super) fn key(&self) -> String {
        let path = match &self.at {
            At::File(path) => path.as_os_str(),
            At::Object(object) => return object.place.url(&object.key),
        };
        let Some(name) = path.to_str() else {
            let hash = xxhash_rust::xxh3::xxh3_128(path.as_encoded_bytes());
            return format!("{} {hash:032x}", path.to_string_lossy());
        };
        name.to_owned()
    }

    /// Its name in reports.
    pub(super) fn shown(&self) -> String {
        self.below.display().to_string()
    }
}

/// What became of a file that was to be fetched.
pub(super) enum Fetched {
    /// It can be loaded.
    Ready(Arrival),
    /// It was replaced since it was listed.
    Changed(Arrival),
    /// It cannot be read.
    Unreadable(Arrival, Error),
}

/// How many objects are transferred at the same time.
pub(super) const AT_ONCE: usize = 16;

/// Checks that files can be opened, and downloads objects into a folder of this machine.
pub(super) fn fetch(arrivals: Vec<Arrival>, folder: &Path) -> Vec<Fetched> {
    let numbered: Vec<(usize, Arrival)> = arrivals.into_iter().enumerate().collect();
    at_once(&numbered, AT_ONCE, |(number, arrival)| {
        let mut arrival = arrival.clone();
        let fetched = match &mut arrival.at {
            At::File(path) => match File::open(path) {
                Ok(_) => Ok(true),
                Err(error) => Err(Error::data(format!("it cannot be read: {}", in_words(&error)))),
            },
            At::Object(object) => {
                object.copy = folder.join(number.to_string()).join(object.key.name());
                object.download(&arrival.seen)
            }
        };
        match fetched {
            Ok(true) => Fetched::Ready(arrival),
            Ok(false) => Fetched::Changed(arrival),
            Err(error) => {
                let error = Error::data(error.to_string());
                let hint = "it was left where it is: check its permissions";
                Fetched::Unreadable(arrival, error.hint(hint))
            }
        }
    })
}

impl Object {
    /// Downloads it; `false` if it is another one than was listed.
    fn download(&self, seen: &FileState) -> Result<bool> {
        let download = Download::of(&self.place, &self.key)?;
        let (bytes, tag) = download.state();
        if !is_same(seen, bytes, tag) {
            return Ok(false);
        }
        let writing = || format!("writing `{}`", self.copy.display());
        fs::create_dir_all(self.copy.parent().unwrap_or(&self.copy)).context(writing)?;
        download.save(&self.copy)?;
        Ok(true)
    }
}

/// Returns `true` if an object is the one that was listed. Its time may have been rounded there.
fn is_same(seen: &FileState, bytes: u64, tag: Option<&str>) -> bool {
    let tags = seen.tag.as_deref().zip(tag);
    // Not every listing has the quotes.
    seen.bytes == bytes && tags.is_none_or(|(a, b)| a.trim_matches('"') == b.trim_matches('"'))
}

/// Splits files into those that are as they were when they were listed, and those that were replaced or
/// are gone. Objects are looked up many at once.
pub(super) fn split_by_change(arrivals: Vec<Arrival>) -> Result<(Vec<Arrival>, Vec<Arrival>)> {
    let is_same = at_once(&arrivals, AT_ONCE, |arrival| match &arrival.at {
        At::File(_) => Ok::<_, Error>(!arrival.has_changed()),
        At::Object(object) => {
            let there = object.place.entry(&object.key)?;
            Ok(there.is_some_and(|there| is_same(&arrival.seen, there.bytes, there.tag.as_deref())))
        }
    });
    let (mut same, mut changed) = (Vec::new(), Vec::new());
    for (arrival, is_same) in arrivals.into_iter().zip(is_same) {
        if is_same? { same.push(arrival) } else { changed.push(arrival) }
    }
    Ok((same, changed))
}
