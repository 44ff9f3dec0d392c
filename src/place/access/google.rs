//! Access to Google Cloud Storage.

use std::path::PathBuf;
use std::sync::Arc;

use object_store::gcp::GoogleCloudStorageBuilder;
use serde::Deserialize;

use super::provider::Named;
use super::{Connected, Way, is_reachable, nearby, unusable};
use crate::error::{Error, Result, in_words};
use crate::place::address::Cloud;

const METADATA: &str = "169.254.169.254";

pub(super) fn connect(way: &Way<'_>) -> Result<Connected> {
    let environment = way.environment;
    let endpoint = match environment.get("STORAGE_EMULATOR_HOST") {
        Some(host) if way.options.endpoint.is_none() => {
            let url = if host.contains("://") { host.to_owned() } else { format!("http://{host}") };
            Some(super::endpoint(&url, "`STORAGE_EMULATOR_HOST`")?)
        }
        _ => way.endpoint(&[])?,
    };
    let builder = || GoogleCloudStorageBuilder::new().with_bucket_name(&way.bucket.name);
    let unusable = |error| unusable(&error, way.bucket);
    let options = way.client(endpoint.as_deref(), false)?;
    let mut store = builder()
        .with_retry(way.retry())
        .with_client_options(options.clone())
        .with_http_connector(way.connector.clone());
    if let Some(endpoint) = &endpoint {
        store = store.with_base_url(endpoint);
    }
    let is_emulator = environment.get("STORAGE_EMULATOR_HOST").is_some();
    let source;
    if way.options.anonymous || is_emulator {
        // An emulator takes any credentials.
        source = "nowhere".to_owned();
        store = store.with_skip_signature(true).with_credentials(Arc::new(
            object_store::StaticCredentialProvider::new(object_store::gcp::GcpCredential {
                bearer: String::new(),
            }),
        ));
    } else {
        let mut credentials = builder();
        let (retry, patience) = nearby();
        (credentials, source) = match file(way)? {
            Some((file, source)) => {
                let file = file.display().to_string();
                (credentials.with_application_credentials(file).with_retry(way.retry()), source)
            }
            None => {
                let server = environment.get("GCE_METADATA_HOST").unwrap_or(METADATA);
                if !is_reachable(server) {
                    let looked = [
                        "`GOOGLE_APPLICATION_CREDENTIALS`",
                        "the file of `gcloud auth application-default login`",
                        "the metadata server",
                    ];
                    return Err(way.no_credentials(
                        &looked.map(str::to_owned),
                        "set `GOOGLE_APPLICATION_CREDENTIALS` to the key file of a service account, \
                         or run `gcloud auth application-default login`",
                    ));
                }
                let options = options.with_timeout(patience);
                let credentials = credentials.with_retry(retry).with_client_options(options);
                (credentials, "the metadata server".to_owned())
            }
        };
        let connector = way.connector.impatient(10 * patience);
        let found = credentials.with_http_connector(connector).build().map_err(unusable)?;
        let named = Named::new(Arc::clone(found.credentials()), &source);
        store = store.with_credentials(Arc::new(named));
    }
    Ok(Connected {
        objects: Arc::new(store.build().map_err(unusable)?),
        cloud: Some(Cloud::Google),
        credentials: source,
        region: None,
        endpoint,
        container: None,
        meter: way.connector.meter(),
        signed: None,
    })
}

/// The file of credentials, and its name for messages.
fn file(way: &Way<'_>) -> Result<Option<(PathBuf, String)>> {
    #[derive(Deserialize)]
    struct Credentials {
        r#type: Option<String>,
    }
    let environment = way.environment;
    let (file, source) = match environment.get("GOOGLE_APPLICATION_CREDENTIALS") {
        Some(file) => {
            (PathBuf::from(file), "the file of `GOOGLE_APPLICATION_CREDENTIALS`".to_owned())
        }
        None => {
            let of_gcloud = environment.get("CLOUDSDK_CONFIG").map(PathBuf::from);
            let of_gcloud = of_gcloud.or_else(|| Some(environment.home()?.join(".config/gcloud")));
            let Some(folder) = of_gcloud else { return Ok(None) };
            let file = folder.join("application_default_credentials.json");
            if !file.exists() {
                return Ok(None);
            }
            (file, "`gcloud auth application-default login`".to_owned())
        }
    };
    let wrong = |why: String| {
        Error::lake(format!("{source} cannot be used: {why}")).hint(
            "use the key file of a service account, or run `gcloud auth application-default login`",
        )
    };
    let text = std::fs::read(&file).map_err(|error| wrong(in_words(&error)))?;
    let found: Credentials =
        serde_json::from_slice(&text).map_err(|_| wrong("it is not JSON".to_owned()))?;
    match found.r#type.as_deref() {
        Some("service_account" | "authorized_user") => Ok(Some((file, source))),
        Some("external_account") => Err(wrong(
            "credentials of another identity provider (`external_account`) are not supported"
                .to_owned(),
        )),
        _ => Err(wrong("it holds no credentials of a known type".to_owned())),
    }
}
