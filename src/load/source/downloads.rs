//! Downloads exports from object stores, a few ahead of the one that is read.
//!
//! ```text
//! exports found       a.csv   b.zip   c.csv   d.csv   …
//!                     read    here    coming  coming  not yet
//! ```
//!
//! A file is deleted as soon as it is read, so the disk holds a few exports at a time.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::{NamedTempFile, TempPath};

use super::find::{new_spool, spooling};
use super::objects::Object;
use super::{FoundSources, SourceSearch};
use crate::error::{Context as _, Error, Result};
use crate::load::progress::Progress;

/// Downloads at the same time.
const AT_ONCE: usize = 4;

/// The sources of objects, each downloaded when its turn comes.
pub(crate) struct Downloads<'a> {
    how: SourceSearch<'a>,
    quiet: bool,
    waiting: VecDeque<Object>,
    coming: VecDeque<Coming>,
    /// How many were returned, and of how many.
    done: (usize, usize),
}

/// A download on a thread of its own.
struct Coming {
    object: Object,
    bytes: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    file: Receiver<Result<TempPath>>,
    thread: Option<JoinHandle<()>>,
}

impl<'a> Downloads<'a> {
    /// Downloads objects, in order. `quiet` shows no progress.
    pub(crate) fn new(objects: Vec<Object>, how: SourceSearch<'a>, quiet: bool) -> Self {
        let done = (0, objects.len());
        Self { how, quiet, waiting: objects.into(), coming: VecDeque::new(), done }
    }
}

impl Iterator for Downloads<'_> {
    /// The name of an object, and the exports in it: several if it is an archive.
    type Item = (String, Result<FoundSources>);

    fn next(&mut self) -> Option<Self::Item> {
        while self.coming.len() < AT_ONCE
            && let Some(object) = self.waiting.pop_front()
        {
            self.coming.push_back(Coming::start(object, new_spool(self.how.spool_in)));
        }
        let coming = self.coming.pop_front()?;
        self.done.0 += 1;
        let name = coming.object.name.clone();
        let (number, of) = self.done;
        let label = if of == 1 { name.clone() } else { format!("{name} ({number} of {of})") };
        let found = coming.wait(&label, self.quiet);
        let found = found.and_then(|file| FoundSources::of_object(&coming.object, file, self.how));
        Some((name, found))
    }
}

impl Coming {
    fn start(object: Object, spool: Result<NamedTempFile>) -> Self {
        let (bytes, is_over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (send, file) = channel();
        let download = {
            let (object, bytes, is_over) = (object.clone(), bytes.clone(), is_over.clone());
            move || {
                let file = spool.and_then(|spool| download(&object, spool, &bytes, &is_over));
                // Nobody waits for it after an error.
                let _ = send.send(file);
            }
        };
        let thread = Some(std::thread::spawn(download));
        Self { object, bytes, is_over, file, thread }
    }

    fn wait(&self, label: &str, quiet: bool) -> Result<TempPath> {
        const SHOWN_EVERY: Duration = Duration::from_millis(100);
        let mut progress = None;
        let mut shown = 0;
        loop {
            match self.file.recv_timeout(SHOWN_EVERY) {
                Ok(file) => return file,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::bug("a download ended without a result"));
                }
                Err(RecvTimeoutError::Timeout) => {
                    let progress = progress
                        .get_or_insert_with(|| Progress::bytes(label, self.object.bytes, quiet));
                    let bytes = self.bytes.load(Ordering::Relaxed);
                    progress.advance(bytes - shown);
                    shown = bytes;
                }
            }
        }
    }
}

impl Drop for Coming {
    /// Stops the download, and waits until its file is deleted.
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Copies an object to a temporary file.
fn download(
    object: &Object,
    spool: NamedTempFile,
    bytes: &AtomicU64,
    is_over: &AtomicBool,
) -> Result<TempPath> {
    let mut download = object.bucket.download(&object.key)?;
    while let Some(part) = download.next()? {
        if is_over.load(Ordering::Relaxed) {
            return Err(Error::bug("a download that nobody waits for"));
        }
        let within = || spooling(spool.path().parent().unwrap_or(spool.path()));
        spool.as_file().write_all(&part).context(within)?;
        bytes.fetch_add(part.len() as u64, Ordering::Relaxed);
    }
    Ok(spool.into_temp_path())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use bytes::Bytes;
    use object_store::memory::InMemory;

    use super::*;
    use crate::load::source::objects::find;
    use crate::place::{Key, Place, Remote};

    fn objects(count: usize) -> (Arc<Remote>, Vec<Object>) {
        let place = Place::over(Arc::new(InMemory::new()), "").unwrap();
        for number in 0..count {
            let key = Key::root().join(format!("exports/{number:02}.csv"));
            place.put(&key, Bytes::from(format!("session_id\n{number}\n"))).unwrap();
        }
        let bucket = Arc::new(Remote::over(place));
        let found = find(&bucket, "exports/", "s3://b/exports/").unwrap();
        (bucket, found.objects)
    }

    fn files(folder: &Path) -> usize {
        folder.read_dir().unwrap().count()
    }

    #[test]
    fn disk_holds_a_few_downloads_at_a_time() {
        let (_, objects) = objects(20);
        let folder = tempfile::tempdir().unwrap();
        let seen = BTreeMap::new();
        let how = SourceSearch { spool_in: folder.path(), seen: &seen, per_file: false };
        let mut downloads = Downloads::new(objects, how, true);
        for number in 0..10 {
            let (name, found) = downloads.next().unwrap();
            assert_eq!(name, format!("exports/{number:02}.csv"));
            let source = &found.unwrap().sources[0];
            let mut text = String::new();
            std::io::Read::read_to_string(&mut source.reader().unwrap(), &mut text).unwrap();
            assert_eq!(text, format!("session_id\n{number}\n"));
            assert!(!source.is_named);
            assert!(files(folder.path()) <= AT_ONCE + 1, "{}", files(folder.path()));
        }
        drop(downloads);
        assert_eq!(files(folder.path()), 0);
    }

    #[test]
    fn object_that_cannot_be_read_is_an_error_with_its_url() {
        let (bucket, mut objects) = objects(2);
        objects[0].key = Key::root().join("exports/gone.csv");
        let folder = tempfile::tempdir().unwrap();
        let seen = BTreeMap::new();
        let how = SourceSearch { spool_in: folder.path(), seen: &seen, per_file: true };
        let found: Vec<_> = Downloads::new(objects, how, true).map(|(_, found)| found).collect();
        let error = found[0].as_ref().unwrap_err().lines();
        assert!(error.contains(&bucket.url(&Key::root().join("exports/gone.csv"))), "{error}");
        assert_eq!(found[1].as_ref().unwrap().sources.len(), 1);
    }
}
