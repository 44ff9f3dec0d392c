//! Access to S3, and to stores that speak its protocol.

use std::sync::Arc;

use object_store::aws::{
    AmazonS3Builder, AmazonS3ConfigKey, AwsCredential, AwsCredentialProvider, resolve_bucket_region,
};
use object_store::client::HttpConnector as _;
use object_store::{ClientOptions, StaticCredentialProvider};

use super::process::Process;
use super::profile::Profile;
use super::provider::Named;
use super::{Connected, SECOND, Signed, Way, is_reachable, nearby, unusable};
use crate::error::{Error, Result};
use crate::place::address::Cloud;
use crate::place::http::wait;

/// The region of requests to stores that have none.
const NO_REGION: &str = "us-east-1";

const METADATA: &str = "http://169.254.169.254";

const WEB_IDENTITY: &str = "the web identity";

/// Credentials, and where they come from.
type Found = (AwsCredentialProvider, String);

pub(super) fn connect(way: &Way<'_>) -> Result<Connected> {
    let (bucket, environment) = (way.bucket, way.environment);
    let profile = Profile::read(environment)?;
    let endpoint = match way.endpoint(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])? {
        Some(endpoint) => Some(endpoint),
        None => profile
            .get("endpoint_url")
            .map(|url| {
                super::endpoint(url, &format!("`endpoint_url` of the profile `{}`", profile.name))
            })
            .transpose()?,
    };
    let options = way.client(endpoint.as_deref(), environment.is_on("AWS_ALLOW_HTTP"))?;
    let (credentials, source) = match way.options.anonymous {
        true => (None, "nowhere, by the option `anonymous`".to_owned()),
        false => {
            let (credentials, source) = credentials(way, &profile, &options)?;
            (Some(credentials), source)
        }
    };
    let region = region(way, &profile, endpoint.is_some(), &options)?;
    let virtual_hosted = way
        .options
        .virtual_hosted
        .unwrap_or_else(|| environment.is_on("AWS_VIRTUAL_HOSTED_STYLE_REQUEST"));
    let host = endpoint.as_deref().map(|endpoint| match virtual_hosted {
        true => hosted(endpoint, &bucket.name),
        false => endpoint.to_owned(),
    });
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&bucket.name)
        .with_region(&region)
        .with_virtual_hosted_style_request(virtual_hosted)
        .with_retry(way.retry())
        .with_client_options(options.clone())
        .with_request_payer(way.options.requester_pays)
        .with_http_connector(way.connector.clone());
    if let Some(host) = &host {
        builder = builder.with_endpoint(host);
    }
    if let Some(key) = &way.options.sse_kms_key {
        builder = builder.with_sse_kms_encryption(key);
    }
    builder = match &credentials {
        Some(credentials) => builder.with_credentials(Arc::clone(credentials)),
        None => builder.with_skip_signature(true),
    };
    let store = builder.build().map_err(|error| unusable(&error, bucket))?;
    let signed = match credentials {
        Some(credentials) => Some(Signed {
            client: way.connector.connect(&options).map_err(|error| unusable(&error, bucket))?,
            credentials,
            region: region.clone(),
            requester_pays: way.options.requester_pays,
            pause: way.options.limits.pause,
            bucket: match (host, virtual_hosted) {
                (Some(host), true) => host,
                (Some(host), false) => format!("{host}/{}", bucket.name),
                (None, _) => format!("https://s3.{region}.amazonaws.com/{}", bucket.name),
            },
        }),
        None => None,
    };
    Ok(Connected {
        objects: Arc::new(store),
        cloud: Some(Cloud::S3),
        credentials: source,
        region: Some(region),
        endpoint,
        container: None,
        meter: way.connector.meter(),
        signed,
    })
}

/// Puts a bucket's name before the host of an endpoint, unless it is there.
fn hosted(endpoint: &str, bucket: &str) -> String {
    match endpoint.split_once("://") {
        Some((scheme, host)) if !host.starts_with(&format!("{bucket}.")) => {
            format!("{scheme}://{bucket}.{host}")
        }
        _ => endpoint.to_owned(),
    }
}

/// The region: of the options, the environment, the profile, else as the bucket says.
fn region(
    way: &Way<'_>,
    profile: &Profile,
    has_endpoint: bool,
    options: &ClientOptions,
) -> Result<String> {
    let of_environment = way.environment.first(&["AWS_REGION", "AWS_DEFAULT_REGION"]);
    let known = way.options.region.as_deref().or(of_environment).or_else(|| profile.get("region"));
    if let Some(region) = known {
        let is_name = region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        return match is_name {
            true => Ok(region.to_owned()),
            false => Err(Error::usage("the region of the store is no name of a region")
                .hint("write it as in `AWS_REGION=eu-west-1`")),
        };
    }
    if has_endpoint {
        return Ok(NO_REGION.to_owned());
    }
    let (name, options) = (way.bucket.name.clone(), options.clone().with_timeout(5 * SECOND));
    let found = wait(async move { resolve_bucket_region(&name, &options).await })?;
    found.map_err(|_| {
        Error::lake(format!("the region of `{}` cannot be found out", way.bucket)).hint(
            "set `AWS_REGION`, and check the bucket's name; for another store than Amazon's, set \
             `AWS_ENDPOINT_URL`",
        )
    })
}

fn credentials(way: &Way<'_>, profile: &Profile, options: &ClientOptions) -> Result<Found> {
    let environment = way.environment;
    let mut looked = vec!["the environment (`AWS_ACCESS_KEY_ID`)".to_owned()];
    let pair = |id, secret| environment.get(id).zip(environment.get(secret));
    if let Some((id, secret)) = pair("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") {
        let token = environment.first(&["AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"]);
        return Ok((fixed(id, secret, token), "the environment (`AWS_ACCESS_KEY_ID`)".to_owned()));
    }
    let half = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    if let Some(set) = half.into_iter().find(|name| environment.get(name).is_some()) {
        let missing = if set == half[0] { half[1] } else { half[0] };
        return Err(Error::lake(format!("`{set}` is set and `{missing}` is not"))
            .hint("set both, or neither to use a profile"));
    }
    let of_profile = format!("the profile `{}`", profile.name);
    looked.push(of_profile.clone());
    if let Some((id, secret)) =
        profile.get("aws_access_key_id").zip(profile.get("aws_secret_access_key"))
    {
        return Ok((fixed(id, secret, profile.get("aws_session_token")), of_profile));
    }
    if let Some(command) = profile.get("credential_process") {
        let process = Arc::new(Process::new(command, &profile.name));
        let source = format!("`credential_process` of {of_profile}");
        return Ok((Arc::new(Named::new(process, &source)), source));
    }
    if let Some(setting) = profile.foreign() {
        return Err(Error::lake(format!(
            "{of_profile} gets its credentials by `{setting}`, which wabalake does not do itself"
        ))
        .hint(format!(
            "let the AWS command line do it: in a profile of its own, write `credential_process = \
             aws configure export-credentials --profile {} --format process`",
            profile.name
        )));
    }
    of_servers(way, options, looked)
}

/// Credentials of a server: of an identity, a container or an instance.
fn of_servers(way: &Way<'_>, options: &ClientOptions, mut looked: Vec<String>) -> Result<Found> {
    let environment = way.environment;
    let pair = |id, secret| environment.get(id).zip(environment.get(secret));
    let named = |builder: AmazonS3Builder, source: &str| {
        let (retry, mut patience) = nearby();
        if source == WEB_IDENTITY {
            // Its server is Amazon's, not one of this machine.
            patience *= 10;
        }
        let store = builder
            .with_bucket_name(&way.bucket.name)
            .with_retry(retry)
            .with_client_options(options.clone().with_timeout(patience))
            .with_http_connector(way.connector.impatient(patience))
            .build()
            .map_err(|error| unusable(&error, way.bucket))?;
        Ok::<Found, Error>((Arc::clone(store.credentials()), source.to_owned()))
    };
    let found = |builder: AmazonS3Builder, source: &str| {
        let (inner, source) = named(builder, source)?;
        Ok::<Found, Error>((Arc::new(Named::new(inner, &source)), source))
    };
    looked.push("the web identity (`AWS_WEB_IDENTITY_TOKEN_FILE`)".to_owned());
    if let Some((file, role)) = pair("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN") {
        use AmazonS3ConfigKey as K;
        let mut builder = AmazonS3Builder::new()
            .with_config(K::WebIdentityTokenFile, file)
            .with_config(K::RoleArn, role)
            .with_region(
                environment.first(&["AWS_REGION", "AWS_DEFAULT_REGION"]).unwrap_or(NO_REGION),
            );
        for (key, variable) in [
            (K::RoleSessionName, "AWS_ROLE_SESSION_NAME"),
            (K::StsEndpoint, "AWS_ENDPOINT_URL_STS"),
        ] {
            if let Some(value) = environment.get(variable) {
                builder = builder.with_config(key, value);
            }
        }
        return found(builder, WEB_IDENTITY);
    }
    looked.push("the container (`AWS_CONTAINER_CREDENTIALS_…`)".to_owned());
    if let Some(path) = environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        let key = AmazonS3ConfigKey::ContainerCredentialsRelativeUri;
        return found(AmazonS3Builder::new().with_config(key, path), "the container");
    }
    if let Some((url, file)) =
        pair("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    {
        let builder = AmazonS3Builder::new()
            .with_config(AmazonS3ConfigKey::ContainerCredentialsFullUri, url)
            .with_config(AmazonS3ConfigKey::ContainerAuthorizationTokenFile, file);
        return found(builder, "the container");
    }
    if environment.is_on("AWS_EC2_METADATA_DISABLED") {
        looked.push("not at the instance (`AWS_EC2_METADATA_DISABLED`)".to_owned());
    } else {
        let server = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or(METADATA);
        let server = server.trim_end_matches('/');
        looked.push("the instance".to_owned());
        if is_reachable(server) {
            let builder = AmazonS3Builder::new().with_metadata_endpoint(server);
            let (inner, source) = named(builder, "the instance")?;
            let looked = way.looked(&looked);
            return Ok((Arc::new(Named::new(inner, "").after(looked)), source));
        }
    }
    Err(way.no_credentials(
        &looked,
        "set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or `AWS_PROFILE`; for a public bucket \
         `--store-option anonymous=true`",
    ))
}

fn fixed(id: &str, secret: &str, token: Option<&str>) -> AwsCredentialProvider {
    Arc::new(StaticCredentialProvider::new(AwsCredential {
        key_id: id.to_owned(),
        secret_key: secret.to_owned(),
        token: token.map(str::to_owned),
    }))
}
