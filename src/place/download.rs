//! Reads one object from its beginning to its end, such as an export.

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::{Error as ObjectError, ObjectStoreExt as _};

use super::http::wait;
use super::{Key, Place, fault};
use crate::error::{Error, Result};

/// The bytes of an object, as they arrive.
pub(crate) struct Download {
    stream: Option<BoxStream<'static, Result<Bytes, ObjectError>>>,
    /// Bytes that are still to come.
    left: u64,
    /// The size and the entity tag of the object that is read.
    state: (u64, Option<String>),
    /// For messages.
    doing: String,
    credentials: String,
}

impl Download {
    /// Opens an object of a place on a store.
    ///
    /// # Errors
    ///
    /// An object that cannot be read, or that does not exist.
    pub(crate) fn of(place: &Place, key: &Key) -> Result<Self> {
        let store = place.store().ok_or_else(|| Error::bug("a download from a folder"))?;
        let (objects, path) = (store.objects().clone(), store.path(key));
        let got = wait(async move { objects.get(&path).await })?;
        let got = got.map_err(|error| store.error(&error, "reading", key))?;
        Ok(Self {
            left: got.range.end - got.range.start,
            state: (got.meta.size, got.meta.e_tag.clone()),
            stream: Some(got.into_stream()),
            doing: format!("reading `{}`", store.url(key)),
            credentials: store.connected().credentials.clone(),
        })
    }

    /// The size and the entity tag of the object that is read.
    pub(crate) fn state(&self) -> (u64, Option<&str>) {
        (self.state.0, self.state.1.as_deref())
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    ///
    /// A connection that breaks; an object that is replaced meanwhile.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>> {
        let Some(mut stream) = self.stream.take() else { return Ok(None) };
        let (next, stream) = wait(async move { (stream.next().await, stream) })?;
        match next {
            Some(Ok(bytes)) => {
                self.stream = Some(stream);
                self.left = self.left.saturating_sub(bytes.len() as u64);
                Ok(Some(bytes))
            }
            Some(Err(error)) => Err(fault::error(&error, &self.doing, &self.credentials)),
            None if self.left > 0 => Err(Error::lake(format!("{}: it was cut off", self.doing))
                .hint("run the command again: it may have been replaced meanwhile")),
            None => Ok(None),
        }
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
            let (mut read, mut download) = (Vec::new(), Download::of(&place, &key).unwrap());
            while let Some(bytes) = download.next().unwrap() {
                read.extend(bytes);
            }
            assert_eq!(read, bytes);
        }
        assert!(Download::of(&place, &Key::root().join("b.csv")).is_err());
    }
}
