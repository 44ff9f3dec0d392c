//! Processes on several machines that share a store, and that are killed at each of their writes.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};

use super::writing::lake_on;
use super::*;

const BOTH: [&Table; 2] = [SESSIONS, &deployments::TABLE];

/// The store as one machine reaches it, until its process is killed.
#[derive(Debug)]
pub(super) struct Machine {
    objects: Arc<InMemory>,
    /// Writes that are left.
    left: AtomicI64,
    /// `true` if the last write is done, but not answered.
    is_done: bool,
    is_dead: AtomicBool,
}

impl Machine {
    pub(super) fn of(objects: &Arc<InMemory>, left: i64, is_done: bool) -> Arc<dyn ObjectStore> {
        let (objects, left) = (Arc::clone(objects), AtomicI64::new(left));
        Arc::new(Self { objects, left, is_done, is_dead: AtomicBool::new(false) })
    }

    fn check(&self) -> Answer<()> {
        match self.is_dead.load(SeqCst) {
            false => Ok(()),
            true => Err(object_store::Error::PermissionDenied {
                path: "anywhere".to_owned(),
                source: "the process is dead".into(),
            }),
        }
    }

    /// Counts a write; `true` if it is to be done.
    fn write(&self) -> bool {
        let left = self.left.fetch_sub(1, SeqCst);
        if left <= 1 {
            self.is_dead.store(true, SeqCst);
        }
        left > 1 || left == 1 && self.is_done
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
        self.objects.get_opts(key, options).await
    }

    async fn put_opts(
        &self,
        key: &ObjectPath,
        bytes: PutPayload,
        of: PutOptions,
    ) -> Answer<PutResult> {
        self.check()?;
        // Beats come when they come.
        let is_beat = key.as_ref().contains("/leases/writing/");
        if is_beat || self.write() {
            let done = self.objects.put_opts(key, bytes, of).await;
            self.check()?;
            return done;
        }
        self.check()?;
        Err(object_store::Error::NotImplemented {
            operation: "put".into(),
            implementer: String::new(),
        })
    }

    async fn put_multipart_opts(
        &self,
        key: &ObjectPath,
        of: PutMultipartOptions,
    ) -> Answer<Box<dyn MultipartUpload>> {
        self.check()?;
        self.objects.put_multipart_opts(key, of).await
    }

    fn delete_stream(
        &self,
        keys: BoxStream<'static, Answer<ObjectPath>>,
    ) -> BoxStream<'static, Answer<ObjectPath>> {
        let is_alive = self.check().is_ok();
        let is_done = is_alive && self.write();
        match (is_done, self.check()) {
            (true, Ok(())) => self.objects.delete_stream(keys),
            (false, Ok(())) => futures::stream::empty().boxed(),
            (_, Err(error)) => futures::stream::iter([Err(error)]).boxed(),
        }
    }

    fn list(&self, below: Option<&ObjectPath>) -> BoxStream<'static, Answer<ObjectMeta>> {
        match self.check() {
            Ok(()) => self.objects.list(below),
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, below: Option<&ObjectPath>) -> Answer<ListResult> {
        self.check()?;
        self.objects.list_with_delimiter(below).await
    }

    async fn copy_opts(&self, from: &ObjectPath, to: &ObjectPath, of: CopyOptions) -> Answer<()> {
        self.check()?;
        self.objects.copy_opts(from, to, of).await
    }
}

/// Loads a row into two tables, once.
fn load_both(lake: &Lake, id: &str) -> Result<()> {
    let change = |snapshot: &Snapshot, staging: &Staging, day, rows| -> Result<Option<Change>> {
        let loaded = snapshot.transaction(id);
        if loaded.is_loaded() {
            return Ok(None);
        }
        Ok(Some(Change {
            transactions: vec![(id.to_owned(), loaded.next())],
            add: vec![staging.write(day, rows)?],
            info: load_info(id),
            ..Change::new(Operation::Load)
        }))
    };
    let columns = deployments::TABLE.stored();
    let nulls = columns.iter().map(|(name, kind)| Column::full_null(name.clone(), 1, kind));
    let sent = DataFrame::new(1, nulls.collect()).unwrap();
    let joint = lake.lock_tables(&BOTH)?.begin(Operation::Load, id, None, &BOTH)?;
    let first = |of: &Snapshot, in_: &Staging| change(of, in_, day(1), rows(noon(day(1)), &[id]));
    let second = |of: &Snapshot, in_: &Staging| change(of, in_, None, sent.clone());
    let both =
        joint.transact(SESSIONS, first).and_then(|_| joint.transact(&deployments::TABLE, second));
    match both {
        Ok(_) => joint.finish(),
        Err(error) => {
            joint.take_back();
            Err(error)
        }
    }
}

/// The loads that a new reader finds, which must be the same in both tables.
fn seen(objects: &Arc<InMemory>) -> Vec<String> {
    let lake = lake_on(&Machine::of(objects, i64::MAX, false));
    let snapshots = lake.snapshots(BOTH).unwrap();
    let found = ids(snapshots[0].scan().unwrap());
    assert_eq!(found.len() as u64, snapshots[1].rows(), "{found:?}: one table lacks a load");
    found
}

#[test]
fn load_killed_at_each_write_is_whole_or_absent_and_can_be_repeated() {
    for is_done in [false, true] {
        for left in 1.. {
            let objects = Arc::new(InMemory::new());
            load_both(&lake_on(&Machine::of(&objects, i64::MAX, false)), "a").unwrap();
            let killed = lake_on(&Machine::of(&objects, left, is_done));
            let was_killed = load_both(&killed, "b").is_err();
            drop(killed);
            let found = seen(&objects);
            assert!(found == ["a"] || found == ["a", "b"], "{found:?}, killed at {left}");
            assert!(was_killed || found == ["a", "b"], "{found:?}, killed at {left}");
            let next = lake_on(&Machine::of(&objects, i64::MAX, false));
            load_both(&next, "b").unwrap();
            assert_eq!(seen(&objects), ["a", "b"], "killed at {left}");
            let begun = next.begun(&next.joint_names().unwrap()).unwrap();
            assert!(begun.is_empty(), "killed at {left}");
            if !was_killed {
                assert!(left > 5, "it has a record, two files, two commits and a decision");
                break;
            }
        }
    }
}

#[test]
fn machines_that_load_at_once_lose_nothing_and_show_no_half() {
    let objects = Arc::new(InMemory::new());
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|machine| {
                let lake = lake_on(&Machine::of(&objects, i64::MAX, false));
                scope.spawn(move || {
                    for number in 0..3 {
                        load_both(&lake, &format!("{machine}-{number}")).unwrap();
                    }
                })
            })
            .collect();
        while !writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            seen(&objects);
        }
    });
    assert_eq!(seen(&objects).len(), 12);
}
