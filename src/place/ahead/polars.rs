//! Gives Polars the stores that scans read through, and takes back their errors.

use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use polars::io::cloud::{CloudOptions, ExtObjectStoreBuilder, register_object_store_builder};
use polars::polars_utils::pl_path::_allow_ext_scheme;
use polars::prelude::{PlRefPath, PolarsError, PolarsResult, polars_bail};

use super::{Ahead, SCHEME};
use crate::error::{Error, Result};

/// All stores of this process, by number.
static STORES: RwLock<Vec<Arc<Ahead>>> = RwLock::new(Vec::new());

/// A store, as Polars sees it.
#[derive(Debug)]
struct Reader(Arc<Ahead>);

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}://{}", self.0.number)
    }
}

/// Gives Polars the stores.
#[derive(Debug)]
struct Builder;

impl ExtObjectStoreBuilder for Builder {
    fn build(
        &self,
        url: &PlRefPath,
        _: Option<&CloudOptions>,
    ) -> PolarsResult<Arc<dyn ObjectStore + Send + Sync>> {
        let number = url.strip_scheme().split('/').next().and_then(|number| number.parse().ok());
        let stores = STORES.read().unwrap_or_else(PoisonError::into_inner);
        match number.and_then(|number: usize| stores.get(number)) {
            Some(store) => Ok(Arc::new(Reader(Arc::clone(store)))),
            None => polars_bail!(ComputeError: "there is no open lake for `{}`", url.as_str()),
        }
    }
}

/// Adds a store that is made from its number.
///
/// # Errors
///
/// A Polars that does not take the scheme.
pub(super) fn register(make: impl FnOnce(usize) -> Ahead) -> Result<Arc<Ahead>> {
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    let done = DONE.get_or_init(|| {
        let allowed = _allow_ext_scheme(SCHEME);
        let registered =
            allowed.and_then(|()| register_object_store_builder(SCHEME, Arc::new(Builder)));
        registered.map_err(|error| error.to_string())
    });
    done.as_ref().map_err(|error| Error::bug(error.clone()))?;
    let mut stores = STORES.write().unwrap_or_else(PoisonError::into_inner);
    let store = Arc::new(make(stores.len()));
    stores.push(Arc::clone(&store));
    Ok(store)
}

/// The text of a plan with the addresses of files in place of the paths by which it scans them.
pub(crate) fn with_addresses(plan: &str) -> String {
    let stores = STORES.read().unwrap_or_else(PoisonError::into_inner);
    stores.iter().fold(plan.to_owned(), |plan, store| {
        plan.replace(&store.path(""), &format!("{}/", store.address))
    })
}

/// An error that Polars passes on: see [`unwrapped`].
pub(super) fn wrapped(error: Error) -> object_store::Error {
    object_store::Error::Generic { store: SCHEME, source: Box::new(error) }
}

/// The error of a scan's store that Polars wrapped; it names the first file of the scan, whichever
/// failed.
pub(crate) fn unwrapped(error: &PolarsError) -> Option<&Error> {
    let PolarsError::IO { error, .. } = error else { return None };
    let mut cause: &(dyn std::error::Error + 'static) = error.get_ref()?;
    loop {
        if let Some(error) = cause.downcast_ref() {
            return Some(error);
        }
        cause = match cause.downcast_ref() {
            Some(object_store::Error::Generic { source, .. }) => source.as_ref(),
            _ => cause.source()?,
        };
    }
}

#[async_trait]
impl ObjectStore for Reader {
    async fn get_opts(&self, key: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        let file = self.0.file(key)?;
        self.0.read_ahead(&file);
        let (range, bytes) = match (options.head, options.range) {
            (true, _) => (0..file.bytes, Bytes::new()),
            (false, None) => (0..file.bytes, self.0.read(&file, 0..file.bytes).await?),
            (false, Some(range)) => {
                let range = range
                    .as_range(file.bytes)
                    .map_err(|error| wrapped(Error::bug(format!("a range of `{key}`: {error}"))))?;
                (range.clone(), self.0.read(&file, range).await?)
            }
        };
        let payload = GetResultPayload::Stream(futures::stream::iter([Ok(bytes)]).boxed());
        Ok(GetResult { payload, meta: file.meta(), range, attributes: Attributes::default() })
    }

    async fn put_opts(
        &self,
        _: &Path,
        _: PutPayload,
        _: PutOptions,
    ) -> object_store::Result<PutResult> {
        Err(read_only())
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        Err(read_only())
    }

    fn delete_stream(
        &self,
        keys: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        keys.map(|_| Err(read_only())).boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        futures::stream::iter([Err(read_only())]).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> object_store::Result<ListResult> {
        Err(read_only())
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> object_store::Result<()> {
        Err(read_only())
    }
}

fn read_only() -> object_store::Error {
    object_store::Error::NotSupported { source: "scans only read files of their tables".into() }
}
