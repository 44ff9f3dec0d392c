//! Conditional writes to an object store, read back when in doubt.

use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path as ObjectPath;
use object_store::{
    Error as ObjectError, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload,
    UpdateVersion,
};
use tokio::time::{Instant, sleep};

use super::Made;
use super::address::Cloud;
use super::fault::{self, was_retried};
use super::store::fetch;

/// How often, and how long, a conditional put is tried again after it was read back in vain.
const TRIES: u32 = 8;
const PATIENCE: Duration = Duration::from_secs(90);

/// Writes an object if it does not exist, or if its tag is still `tag`.
///
/// A failed put is followed by a look at what is there, since its answer may be lost, or may be about
/// its own first try:
///
/// ```text
/// PUT  ──► done, answer lost
/// PUT  ──► 412: it exists     the library's second try, of the same bytes
/// GET  ──► these bytes        Done
///          other bytes        Taken
///          nothing            PUT again
/// ```
///
/// The error has `true` if the object may have been written.
pub(super) async fn conditional(
    objects: &dyn ObjectStore,
    path: &ObjectPath,
    bytes: Bytes,
    tag: Option<String>,
    cloud: Option<Cloud>,
) -> Result<Made, (ObjectError, bool)> {
    let mode = match &tag {
        None => PutMode::Create,
        Some(tag) => {
            let mut version = None;
            // Google compares the generation, which is not listed.
            if cloud == Some(Cloud::Google) {
                match objects.head(path).await {
                    Ok(there) if there.e_tag.as_ref() == Some(tag) => version = there.version,
                    Ok(_) | Err(ObjectError::NotFound { .. }) => return Ok(Made::Taken),
                    Err(error) => return Err((error, false)),
                }
            }
            // A store in memory has no quotes.
            let e_tag = if cloud.is_some() { tag } else { tag.trim_matches('"') };
            PutMode::Update(UpdateVersion { e_tag: Some(e_tag.to_owned()), version })
        }
    };
    let options = PutOptions::from(mode);
    let (started, mut tries) = (Instant::now(), 0);
    loop {
        let payload = PutPayload::from(bytes.clone());
        let Err(error) = objects.put_opts(path, payload, options.clone()).await else {
            return Ok(Made::Done);
        };
        let is_gone = tag.is_some() && matches!(error, ObjectError::NotFound { .. });
        let refused = is_refusal(&error) && !is_gone;
        if refused && tries == 0 && !was_retried(&error) {
            return Err((error, false));
        }
        let there = match fetch(objects, path).await {
            Ok(there) => Ok(Some(there)),
            Err(ObjectError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        };
        let unchanged = match there {
            Ok(Some((there, _))) if there == bytes => return Ok(Made::Done),
            Ok(Some((_, now))) if tag.is_some() && now == tag => true,
            Ok(Some(_)) => return Ok(Made::Taken),
            // Nothing is there to be replaced.
            Ok(None) if tag.is_some() => return Ok(Made::Taken),
            Ok(None) => true,
            Err(_) => false,
        };
        tries += 1;
        if refused || !unchanged || tries > TRIES || started.elapsed() > PATIENCE {
            return Err((error, true));
        }
        sleep(Duration::from_millis(25 << tries)).await;
    }
}

/// Returns `true` if a store did not do what it was asked for.
fn is_refusal(error: &ObjectError) -> bool {
    use ObjectError as E;
    let status = fault::Answer::of(error).status;
    matches!(
        error,
        E::PermissionDenied { .. }
            | E::Unauthenticated { .. }
            | E::NotImplemented { .. }
            | E::NotSupported { .. }
            | E::InvalidPath { .. }
            | E::NotFound { .. }
    ) || matches!(status, Some(400 | 405 | 411 | 501))
        || fault::is_without_credentials(error)
}
