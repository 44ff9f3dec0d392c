//! A store for tests that counts requests.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};

/// A store in memory that counts requests.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    pub(crate) objects: InMemory,
    /// Requests that read: `GET tables/sessions/…`.
    asked: Mutex<Vec<String>>,
    /// Requests that write or copy.
    changed: Mutex<Vec<String>>,
    /// Bytes that were read.
    pub(crate) bytes: AtomicU64,
}

impl Counting {
    fn note(&self, verb: &str, key: &str) {
        self.asked.lock().unwrap().push(format!("{verb} {key}"));
    }

    /// The requests since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// The requests since the last call that wrote or copied.
    pub(crate) fn take_changes(&self) -> Vec<String> {
        std::mem::take(&mut *self.changed.lock().unwrap())
    }
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("counting")
    }
}

type Answer<T> = object_store::Result<T>;

#[async_trait]
impl ObjectStore for Counting {
    async fn get_opts(&self, key: &Path, options: GetOptions) -> Answer<GetResult> {
        self.note(if options.head { "HEAD" } else { "GET" }, key.as_ref());
        // As slow as an answer over a network, to the scheduler at least.
        tokio::task::yield_now().await;
        let got = self.objects.get_opts(key, options).await?;
        self.bytes.fetch_add(got.range.end - got.range.start, SeqCst);
        Ok(got)
    }

    async fn put_opts(&self, key: &Path, bytes: PutPayload, of: PutOptions) -> Answer<PutResult> {
        self.changed.lock().unwrap().push(format!("PUT {key}"));
        self.objects.put_opts(key, bytes, of).await
    }

    async fn put_multipart_opts(
        &self,
        key: &Path,
        of: PutMultipartOptions,
    ) -> Answer<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(key, of).await
    }

    fn delete_stream(
        &self,
        keys: BoxStream<'static, Answer<Path>>,
    ) -> BoxStream<'static, Answer<Path>> {
        self.objects.delete_stream(keys)
    }

    fn list(&self, below: Option<&Path>) -> BoxStream<'static, Answer<ObjectMeta>> {
        self.note("LIST", below.map_or("", AsRef::as_ref));
        self.objects.list(below)
    }

    async fn list_with_delimiter(&self, below: Option<&Path>) -> Answer<ListResult> {
        self.note("LIST", below.map_or("", AsRef::as_ref));
        self.objects.list_with_delimiter(below).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, of: CopyOptions) -> Answer<()> {
        self.changed.lock().unwrap().push(format!("COPY {from} to {to}"));
        self.objects.copy_opts(from, to, of).await
    }
}
