//! Reads one object from its beginning to its end, such as an export.

use std::io::{self, Read};
use std::path::Path;

use bytes::{Buf as _, Bytes};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::{Error as ObjectError, ObjectStoreExt as _};

use super::http::wait;
use super::{Address, Environment, Key, Place, StoreOptions, fault};
use crate::error::{Error, Result};

/// The bytes of an object, as they arrive.
pub(crate) struct Download {
    stream: Option<BoxStream<'static, Result<Bytes, ObjectError>>>,
    chunk: Bytes,
    /// Bytes that are still to come.
    left: u64,
    /// The size and the entity tag of the object that is read.
    state: (u64, Option<String>),
    /// For messages.
    doing: String,
    credentials: String,
}

impl Download {
    /// Returns `true` for the URL of an object.
    pub(crate) fn is_url(file: &Path) -> bool {
        file.to_str().is_some_and(|file| file.contains("://"))
    }

    /// Opens an object by its URL, with the options of `WABALAKE_STORE_OPTIONS`. Returns its name, too.
    ///
    /// # Errors
    ///
    /// A URL that names no object; an object that cannot be read.
    pub(crate) fn open(url: &Path) -> Result<(String, Self)> {
        let no_object = || {
            Error::usage("a URL names no file of an object store")
                .hint("write `s3://BUCKET/PATH/FILE`; several files have a URL each")
        };
        let text = url.to_str().ok_or_else(no_object)?;
        let (folder, name) = text.rsplit_once('/').ok_or_else(no_object)?;
        // A query may hold a secret: no message repeats it.
        if folder.ends_with('/') || name.is_empty() || name.contains(['?', '#']) {
            return Err(no_object());
        }
        let address = Address::parse(folder)?;
        let key = Key::parse(name).map_err(|_| no_object())?;
        let environment = Environment::of_process();
        let options = StoreOptions::default().overridden(&environment)?;
        let place = Place::open(&address, &options, &environment)?;
        Ok((name.to_owned(), Self::of(&place, &key)?))
    }

    /// The size and the entity tag of the object that is read.
    pub(crate) fn state(&self) -> (u64, Option<&str>) {
        (self.state.0, self.state.1.as_deref())
    }

    /// Opens an object of a place.
    ///
    /// # Errors
    ///
    /// A place that is no store; an object that cannot be read.
    pub(crate) fn of(place: &Place, key: &Key) -> Result<Self> {
        let store = place.store().ok_or_else(|| {
            Error::usage("an export by a URL is on an object store")
                .hint("name a file of this machine by its path")
        })?;
        let (objects, path) = (store.objects().clone(), store.path(key));
        let got = wait(async move { objects.get(&path).await })?;
        let got = got.map_err(|error| store.error(&error, "reading", key))?;
        Ok(Self {
            left: got.range.end - got.range.start,
            state: (got.meta.size, got.meta.e_tag.clone()),
            stream: Some(got.into_stream()),
            chunk: Bytes::new(),
            doing: format!("reading `{}`", store.url(key)),
            credentials: store.connected().credentials.clone(),
        })
    }

    /// The next bytes; none at the end.
    fn next(&mut self) -> Result<Bytes> {
        let Some(mut stream) = self.stream.take() else { return Ok(Bytes::new()) };
        let (next, stream) = wait(async move { (stream.next().await, stream) })?;
        self.stream = Some(stream);
        match next {
            Some(Ok(bytes)) => {
                self.left = self.left.saturating_sub(bytes.len() as u64);
                Ok(bytes)
            }
            Some(Err(error)) => Err(fault::error(&error, &self.doing, &self.credentials)),
            None if self.left > 0 => Err(Error::lake(format!("{}: it was cut off", self.doing))),
            None => Ok(Bytes::new()),
        }
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            self.chunk = self.next().map_err(|error| io::Error::other(error.to_string()))?;
            if self.chunk.is_empty() && self.left == 0 {
                return Ok(0);
            }
        }
        let length = buffer.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;

    #[test]
    fn download_is_the_object() {
        let place = Place::over(Arc::new(InMemory::new()), "exports").unwrap();
        let key = Key::root().join("a.csv");
        for size in [0, 1, 300_000] {
            let bytes: Vec<u8> = (0..size).map(|at: u32| at.to_le_bytes()[0]).collect();
            place.put(&key, Bytes::from(bytes.clone())).unwrap();
            let mut read = Vec::new();
            Download::of(&place, &key).unwrap().read_to_end(&mut read).unwrap();
            assert_eq!(read, bytes);
        }
        assert!(Download::of(&place, &Key::root().join("b.csv")).is_err());
    }

    #[test]
    fn url_without_a_file_is_refused() {
        for url in ["s3://events", "s3://events/", "s3://", "s3://events/a?x=1"] {
            assert!(Download::open(Path::new(url)).is_err(), "{url}");
        }
    }
}
