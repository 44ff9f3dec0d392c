//! Credentials with a name, so that an error says where they should have come from.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::CredentialProvider;

use super::super::fault::{self, NoCredentials};

/// A provider of credentials whose errors name it and hold no secret.
pub(super) struct Named<C> {
    inner: Arc<dyn CredentialProvider<Credential = C>>,
    /// The message of its errors, such as `no credentials from the container`.
    what: String,
}

impl<C> Named<C> {
    pub(super) fn new(
        inner: Arc<dyn CredentialProvider<Credential = C>>,
        name: impl fmt::Display,
    ) -> Self {
        Self { inner, what: format!("no credentials from {name}") }
    }

    /// The same provider, as the last of several that were tried.
    pub(super) fn after(self, looked: String) -> Self {
        Self { what: looked, ..self }
    }
}

impl<C> fmt::Debug for Named<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Named").field(&self.what).finish()
    }
}

#[async_trait]
impl<C: fmt::Debug + Send + Sync> CredentialProvider for Named<C> {
    type Credential = C;

    async fn get_credential(&self) -> object_store::Result<Arc<C>> {
        self.inner.get_credential().await.map_err(|error| {
            if fault::is_without_credentials(&error) {
                return error;
            }
            let status = fault::Answer::of(&error).status;
            let status = status.map(|status| format!(" ({status})")).unwrap_or_default();
            NoCredentials {
                what: format!("{}{status}", self.what),
                hint: "check that they are set up for this machine and this user, or set other \
                       ones in the environment"
                    .to_owned(),
            }
            .into()
        })
    }
}
