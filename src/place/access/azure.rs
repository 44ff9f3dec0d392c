//! Access to Azure Blob Storage.

use std::sync::Arc;

use object_store::azure::{AzureConfigKey as K, MicrosoftAzureBuilder};

use super::provider::Named;
use super::{Connected, Environment, Way, is_reachable, nearby, unusable};
use crate::error::{Error, Result};
use crate::place::address::Cloud;

const METADATA: &str = "169.254.169.254";

/// Variables with the account's key, as its tools name them.
const KEYS: [&str; 3] =
    ["AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_KEY"];

/// Variables with a shared access signature.
const SIGNATURES: [&str; 2] = ["AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY"];

pub(super) fn connect(way: &Way<'_>) -> Result<Connected> {
    let (environment, bucket) = (way.environment, way.bucket);
    let endpoint = way.endpoint(&["AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"])?;
    let account = bucket
        .account()
        .or(way.options.account.as_deref())
        .or_else(|| environment.first(&["AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME"]));
    let Some(account) = account else {
        return Err(Error::lake(format!("no storage account for `{bucket}`")).hint(
            "set `AZURE_STORAGE_ACCOUNT`, or write \
             `abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX`",
        ));
    };
    if !account.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Error::usage("the storage account is no name of one")
            .hint("it has lower-case letters and digits"));
    }
    let unusable = |error| unusable(&error, bucket);
    let options = way.client(endpoint.as_deref(), false)?;
    let base = |options| {
        MicrosoftAzureBuilder::new()
            .with_account(account)
            .with_container_name(&bucket.name)
            .with_client_options(options)
    };
    let mut store =
        base(options.clone()).with_retry(way.retry()).with_http_connector(way.connector.clone());
    if let Some(endpoint) = &endpoint {
        store = store.with_endpoint(endpoint.clone());
    }
    let source = if way.options.anonymous {
        store = store.with_skip_signature(true);
        "nowhere, by the option `anonymous`".to_owned()
    } else {
        let (retry, patience) = nearby();
        let found = base(options.with_timeout(10 * patience))
            .with_retry(retry)
            .with_http_connector(way.connector.impatient(10 * patience));
        let (found, source) = credentials(way, found)?;
        let found = found.build().map_err(unusable)?;
        let named = Named::new(Arc::clone(found.credentials()), &source);
        store = store.with_credentials(Arc::new(named));
        source
    };
    Ok(Connected {
        objects: Arc::new(store.build().map_err(unusable)?),
        cloud: Some(Cloud::Azure),
        credentials: source,
        region: None,
        endpoint,
        container: Some(format!("abfss://{}@{account}.dfs.core.windows.net", bucket.name)),
        meter: way.connector.meter(),
        signed: None,
    })
}

fn credentials(
    way: &Way<'_>,
    builder: MicrosoftAzureBuilder,
) -> Result<(MicrosoftAzureBuilder, String)> {
    let environment = way.environment;
    let named = |builder, source: &str| Ok((builder, source.to_owned()));
    if let Some(key) = environment.first(&KEYS) {
        return named(
            builder.with_config(K::AccessKey, key),
            "the environment (`AZURE_STORAGE_ACCOUNT_KEY`)",
        );
    }
    if let Some(signature) = environment.first(&SIGNATURES) {
        return named(
            builder.with_config(K::SasKey, signature),
            "the environment (`AZURE_STORAGE_SAS_TOKEN`)",
        );
    }
    let id = environment.get("AZURE_CLIENT_ID");
    let mut builder = builder;
    if let Some(host) = environment.get("AZURE_AUTHORITY_HOST") {
        builder = builder.with_config(K::AuthorityHost, host.trim_end_matches('/'));
    }
    if let Some((id, tenant)) = id.zip(environment.get("AZURE_TENANT_ID")) {
        let of_client = builder.clone().with_client_id(id).with_tenant_id(tenant);
        if let Some(secret) = environment.get("AZURE_CLIENT_SECRET") {
            let of_client = of_client.with_client_secret(secret);
            return named(of_client, "the environment (`AZURE_CLIENT_SECRET`)");
        }
        if let Some(file) = environment.get("AZURE_FEDERATED_TOKEN_FILE") {
            return named(of_client.with_federated_token_file(file), "the workload identity");
        }
    }
    if let Some(id) = id {
        builder = builder.with_client_id(id);
    }
    let identity = environment.first(&["IDENTITY_ENDPOINT", "MSI_ENDPOINT"]);
    if let Some(server) = identity {
        return named(builder.with_msi_endpoint(server), "the managed identity");
    }
    if has_az(environment) {
        return named(builder.with_use_azure_cli(true), "`az login`");
    }
    if is_reachable(METADATA) {
        return named(builder, "the managed identity");
    }
    let looked = [
        "the environment (`AZURE_STORAGE_ACCOUNT_KEY`, `AZURE_STORAGE_SAS_TOKEN`, \
         `AZURE_CLIENT_SECRET`)",
        "the workload identity (`AZURE_FEDERATED_TOKEN_FILE`)",
        "the managed identity",
        "`az login`",
    ];
    Err(way.no_credentials(
        &looked.map(str::to_owned),
        "set `AZURE_STORAGE_ACCOUNT_KEY` or `AZURE_STORAGE_SAS_TOKEN`, or run `az login`",
    ))
}

/// Returns `true` if somebody signed in with the Azure command line, and it is installed.
fn has_az(environment: &Environment) -> bool {
    let folder = environment.get("AZURE_CONFIG_DIR").map(Into::into);
    let folder = folder.or_else(|| Some(environment.home()?.join(".azure")));
    let signed_in = folder.is_some_and(|folder| {
        ["azureProfile.json", "msal_token_cache.json"].iter().any(|file| folder.join(file).exists())
    });
    let path = environment.get("PATH").unwrap_or_default();
    signed_in && std::env::split_paths(path).any(|folder| folder.join("az").exists())
}
