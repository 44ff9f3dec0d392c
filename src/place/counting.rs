//! A store for tests that counts requests.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, UploadPart,
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
    pub(crate) uploads: Arc<Uploads>,
}

/// The uploads in parts.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    /// The number of the part that fails, of all uploads; 0 if none does.
    pub(crate) broken: AtomicUsize,
    /// Parts that were uploaded, or tried to.
    pub(crate) parts: AtomicUsize,
    pub(crate) completed: AtomicUsize,
    pub(crate) aborted: AtomicUsize,
}

#[derive(Debug)]
struct Upload {
    inner: Box<dyn MultipartUpload>,
    uploads: Arc<Uploads>,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, bytes: PutPayload) -> UploadPart {
        let part = self.uploads.parts.fetch_add(1, SeqCst) + 1;
        if part == self.uploads.broken.load(SeqCst) {
            let error = object_store::Error::NotImplemented {
                operation: "part".into(),
                implementer: "counting".into(),
            };
            return Box::pin(std::future::ready(Err(error)));
        }
        self.inner.put_part(bytes)
    }

    async fn complete(&mut self) -> Answer<PutResult> {
        self.uploads.completed.fetch_add(1, SeqCst);
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Answer<()> {
        self.uploads.aborted.fetch_add(1, SeqCst);
        self.inner.abort().await
    }
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
        let inner = self.objects.put_multipart_opts(key, of).await?;
        Ok(Box::new(Upload { inner, uploads: Arc::clone(&self.uploads) }))
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
