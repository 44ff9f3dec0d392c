//! A store in memory whose clock tests set, and the machines that share it, which can be killed.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult,
};

use super::*;

/// A store.
#[derive(Debug, Default)]
pub(super) struct Cloud {
    objects: InMemory,
    /// How far the clock is ahead, in milliseconds.
    ahead: AtomicI64,
    /// How far it was when each object was written.
    written: Mutex<HashMap<ObjectPath, i64>>,
}

impl Cloud {
    /// A store with the same objects.
    pub(super) fn fork(&self) -> Arc<Self> {
        Arc::new(Self {
            objects: self.objects.fork(),
            ahead: self.ahead.load(SeqCst).into(),
            written: self.written.lock().unwrap().clone().into(),
        })
    }

    /// Lets time pass.
    pub(super) fn pass(&self, time: TimeDelta) {
        self.ahead.fetch_add(time.num_milliseconds(), SeqCst);
    }

    fn dated(&self, object: ObjectMeta) -> ObjectMeta {
        let ahead = self.written.lock().unwrap().get(&object.location).copied();
        let ahead = TimeDelta::milliseconds(ahead.unwrap_or_default());
        ObjectMeta { last_modified: object.last_modified + ahead, ..object }
    }

    fn note(&self, key: &ObjectPath) {
        self.written.lock().unwrap().insert(key.clone(), self.ahead.load(SeqCst));
    }
}

/// The store as one machine reaches it, until its process is killed.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    cloud: Arc<Cloud>,
    process: Arc<Process>,
}

#[derive(Debug)]
struct Process {
    /// Writes that are left.
    left: AtomicI64,
    /// `true` if the last write is done, but not answered.
    is_done: bool,
    is_dead: AtomicBool,
}

impl Machine {
    pub(super) fn alive(cloud: &Arc<Cloud>) -> Arc<dyn ObjectStore> {
        Self::killed_at(cloud, i64::MAX, false)
    }

    /// A machine whose process is killed at a write, before or after it is done.
    pub(super) fn killed_at(cloud: &Arc<Cloud>, left: i64, is_done: bool) -> Arc<dyn ObjectStore> {
        let process = Process { left: left.into(), is_done, is_dead: false.into() };
        Arc::new(Self { cloud: Arc::clone(cloud), process: Arc::new(process) })
    }

    fn check(&self) -> Answer<()> {
        match self.process.is_dead.load(SeqCst) {
            false => Ok(()),
            true => Err(object_store::Error::PermissionDenied {
                path: "anywhere".to_owned(),
                source: "the process is dead".into(),
            }),
        }
    }

    /// Counts a write of an object; `true` if it is to be done.
    fn write(&self, key: &ObjectPath) -> bool {
        // Leases beat when it is time, so their writes are not counted.
        if key.as_ref().contains("/leases/") {
            return true;
        }
        let left = self.process.left.fetch_sub(1, SeqCst);
        if left <= 1 {
            self.process.is_dead.store(true, SeqCst);
        }
        left > 1 || left == 1 && self.process.is_done
    }

    async fn delete(&self, key: ObjectPath) -> Answer<ObjectPath> {
        self.check()?;
        if self.write(&key) {
            self.cloud.objects.delete(&key).await?;
        }
        self.check()?;
        Ok(key)
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("machine")
    }
}

type Answer<T> = object_store::Result<T>;

#[async_trait]
impl ObjectStore for Machine {
    async fn get_opts(&self, key: &ObjectPath, options: GetOptions) -> Answer<GetResult> {
        self.check()?;
        let got = self.cloud.objects.get_opts(key, options).await?;
        Ok(GetResult { meta: self.cloud.dated(got.meta.clone()), ..got })
    }

    async fn put_opts(
        &self,
        key: &ObjectPath,
        bytes: PutPayload,
        of: PutOptions,
    ) -> Answer<PutResult> {
        self.check()?;
        let is_done = self.write(key);
        if !is_done {
            self.check()?;
        }
        let put = self.cloud.objects.put_opts(key, bytes, of).await;
        if put.is_ok() {
            self.cloud.note(key);
        }
        self.check()?;
        put
    }

    async fn put_multipart_opts(
        &self,
        key: &ObjectPath,
        of: PutMultipartOptions,
    ) -> Answer<Box<dyn MultipartUpload>> {
        self.check()?;
        self.cloud.objects.put_multipart_opts(key, of).await
    }

    fn delete_stream(
        &self,
        keys: BoxStream<'static, Answer<ObjectPath>>,
    ) -> BoxStream<'static, Answer<ObjectPath>> {
        let machine = self.clone();
        let delete = move |key: Answer<ObjectPath>| {
            let machine = machine.clone();
            async move { machine.delete(key?).await }
        };
        keys.then(delete).boxed()
    }

    fn list(&self, below: Option<&ObjectPath>) -> BoxStream<'static, Answer<ObjectMeta>> {
        if let Err(error) = self.check() {
            return futures::stream::iter([Err(error)]).boxed();
        }
        let cloud = Arc::clone(&self.cloud);
        self.cloud.objects.list(below).map(move |object| Ok(cloud.dated(object?))).boxed()
    }

    async fn list_with_delimiter(&self, below: Option<&ObjectPath>) -> Answer<ListResult> {
        self.check()?;
        self.cloud.objects.list_with_delimiter(below).await
    }

    async fn copy_opts(&self, from: &ObjectPath, to: &ObjectPath, of: CopyOptions) -> Answer<()> {
        self.check()?;
        self.cloud.objects.copy_opts(from, to, of).await
    }
}
