//! Hashes objects of a store without keeping them: many at once, each as it arrives.

use std::sync::Arc;
use std::sync::mpsc::channel;

use futures::stream::{self, StreamExt as _};
use object_store::path::Path as ObjectPath;
use object_store::{Error as ObjectError, ObjectStore, ObjectStoreExt as _};
use xxhash_rust::xxh3::Xxh3;

use super::fault::is_missing;
use super::http::runtime;
use super::store::{AT_ONCE, BODIES, cut};
use super::{Key, Store};
use crate::error::{Error, Result};

impl Store {
    /// Computes the XXH3 of 128 bits of objects. Calls `done` with the index of each as soon as it is
    /// read, and with `None` for one that does not exist.
    ///
    /// # Errors
    ///
    /// Threads that cannot be started.
    pub(crate) fn hash_each(
        &self,
        keys: &[Key],
        done: &mut dyn FnMut(usize, Result<Option<u128>>),
    ) -> Result<()> {
        let objects = Arc::clone(self.objects());
        let paths: Vec<ObjectPath> = keys.iter().map(|key| self.path(key)).collect();
        let (send, receive) = channel();
        runtime()?.spawn(async move {
            let requests = stream::iter(paths.into_iter().enumerate());
            let hash = |(at, path)| {
                let (objects, send) = (Arc::clone(&objects), send.clone());
                async move {
                    // Nobody waits if the caller is gone.
                    let _ = send.send((at, hash(&*objects, &path).await));
                }
            };
            requests.for_each_concurrent(AT_ONCE, hash).await;
        });
        let mut left = keys.len();
        for (at, hashed) in receive {
            left -= 1;
            done(
                at,
                match hashed {
                    Ok(hash) => Ok(Some(hash)),
                    Err(error) if is_missing(&error) => Ok(None),
                    Err(error) => Err(self.error(&error, "reading", &keys[at])),
                },
            );
        }
        match left {
            0 => Ok(()),
            _ => Err(Error::bug("requests to a store ended without an answer")),
        }
    }
}

/// Hashes an object. If it is replaced meanwhile, or cut off, it is read from its start again.
async fn hash(objects: &dyn ObjectStore, path: &ObjectPath) -> Result<u128, ObjectError> {
    let mut tries = 0;
    loop {
        let got = objects.get(path).await?;
        let mut left = got.range.end - got.range.start;
        let (mut hasher, mut stream) = (Xxh3::new(), got.into_stream());
        let read = loop {
            match stream.next().await {
                Some(Ok(bytes)) => {
                    hasher.update(&bytes);
                    left = left.saturating_sub(bytes.len() as u64);
                }
                Some(Err(error)) => break Err(error),
                None if left > 0 => break Err(cut()),
                None => break Ok(hasher.digest128()),
            }
        };
        match read {
            Err(_) if tries < BODIES => tries += 1,
            read => return read,
        }
    }
}
