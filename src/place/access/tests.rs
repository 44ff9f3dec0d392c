//! Where credentials are looked for.

use std::path::Path;
use std::sync::Arc;

use super::{Environment, connect};
use crate::error::Result;
use crate::place::http::wait;
use crate::place::{Address, StoreOptions};

/// Where nothing listens, so that no test asks a machine's own server.
const NOWHERE: &str = "http://127.0.0.1:1";

/// Connects with an empty home folder. Returns where the credentials come from, and the endpoint.
fn found(
    address: &str,
    home: &Path,
    variables: &[(&str, &str)],
) -> Result<(String, Option<String>)> {
    found_with(address, home, variables, &[])
}

fn found_with(
    address: &str,
    home: &Path,
    variables: &[(&str, &str)],
    options: &[&str],
) -> Result<(String, Option<String>)> {
    let usual = [
        ("HOME", home.to_str().unwrap()),
        ("AWS_REGION", "eu-west-1"),
        ("AZURE_STORAGE_ACCOUNT", "acme"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", NOWHERE),
        ("GCE_METADATA_HOST", "127.0.0.1:1"),
    ];
    let environment = Environment::of(usual.into_iter().chain(variables.iter().copied()));
    let options = StoreOptions::parse(None, options.iter().copied())?;
    let Address::Store(bucket) = Address::parse(address)? else { panic!("no store") };
    let connected = connect(&bucket, &options, &environment)?;
    Ok((connected.credentials, connected.endpoint))
}

fn home(files: &[(&str, &str)]) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    for (file, text) in files {
        let file = home.path().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    home
}

#[test]
fn credentials_of_s3_are_found_in_order() {
    let keys = "[default]\naws_access_key_id = id\naws_secret_access_key = secret\n\
        [reports]\ncredential_process = echo\n";
    let with_profile = home(&[(".aws/credentials", keys)]);
    let empty = home(&[]);
    let token =
        [("AWS_WEB_IDENTITY_TOKEN_FILE", "/token"), ("AWS_ROLE_ARN", "arn:aws:iam::1:role/a")];
    let container = [("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2")];
    let both = [&token[..], &container[..]].concat();
    let pair = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    for (home, variables, from) in [
        (&with_profile, [&pair[..], &both[..]].concat(), "the environment (`AWS_ACCESS_KEY_ID`)"),
        (&with_profile, both.clone(), "the profile `default`"),
        (
            &with_profile,
            vec![("AWS_PROFILE", "reports")],
            "`credential_process` of the profile `reports`",
        ),
        (&empty, both, "the web identity"),
        (&empty, container.to_vec(), "the container"),
    ] {
        let (source, _) = found("s3://events/lake", home.path(), &variables).unwrap();
        assert_eq!(source, from);
    }
}

#[test]
fn credentials_of_azure_are_found_in_order() {
    let empty = home(&[]);
    let client = [("AZURE_CLIENT_ID", "id"), ("AZURE_TENANT_ID", "tenant")];
    for (variables, from) in [
        (
            vec![("AZURE_STORAGE_ACCOUNT_KEY", "a2V5"), ("AZURE_STORAGE_SAS_TOKEN", "sig=a")],
            "the environment (`AZURE_STORAGE_ACCOUNT_KEY`)",
        ),
        (
            [&[("AZURE_STORAGE_SAS_TOKEN", "?sv=1&sig=a")], &client[..]].concat(),
            "the environment (`AZURE_STORAGE_SAS_TOKEN`)",
        ),
        (
            [&[("AZURE_CLIENT_SECRET", "secret")], &client[..]].concat(),
            "the environment (`AZURE_CLIENT_SECRET`)",
        ),
        (
            [&[("AZURE_FEDERATED_TOKEN_FILE", "/token")], &client[..]].concat(),
            "the workload identity",
        ),
        (vec![("IDENTITY_ENDPOINT", NOWHERE)], "the managed identity"),
    ] {
        assert_eq!(found("az://events/lake", empty.path(), &variables).unwrap().0, from);
    }
}

#[test]
fn credentials_of_google_are_files() {
    let user = r#"{"type": "authorized_user", "client_id": "i", "client_secret": "geheim", "refresh_token": "t"}"#;
    let file = ".config/gcloud/application_default_credentials.json";
    let (source, _) = found("gs://events", home(&[(file, user)]).path(), &[]).unwrap();
    assert_eq!(source, "`gcloud auth application-default login`");
    for (text, why) in [
        (r#"{"type": "external_account", "secret": "geheim"}"#, "`external_account`"),
        (r#"{"type": "other", "secret": "geheim"}"#, "no credentials of a known type"),
        ("geheim", "it is not JSON"),
        (r#"{"type": "service_account", "private_key": "geheim"}"#, "settings cannot be used"),
    ] {
        let home = home(&[("key.json", text)]);
        let key = home.path().join("key.json");
        let variables = [("GOOGLE_APPLICATION_CREDENTIALS", key.to_str().unwrap())];
        let error = found("gs://events", home.path(), &variables).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        assert!(!format!("{error:?}").contains("geheim"), "{error:?}");
    }
}

#[test]
fn missing_credentials_say_where_was_looked() {
    let empty = home(&[]);
    for (address, looked) in [
        (
            "s3://events/lake",
            vec!["`AWS_ACCESS_KEY_ID`", "the profile `default`", "web identity", "the instance"],
        ),
        ("gs://events/lake", vec!["`GOOGLE_APPLICATION_CREDENTIALS`", "metadata server"]),
    ] {
        let error = found(address, empty.path(), &[]).unwrap_err();
        assert_eq!(error.exit_code(), 1);
        let what = error.to_string();
        assert!(what.starts_with(&format!("no credentials for `{address}`: looked at ")), "{what}");
        assert!(looked.iter().all(|place| what.contains(place)), "{what}");
        assert!(error.details().hint.is_some());
        assert!(found_with(address, empty.path(), &[], &["anonymous=true"]).is_ok());
    }
    let off = [("AWS_EC2_METADATA_DISABLED", "true")];
    let error = found("s3://events", empty.path(), &off).unwrap_err();
    assert!(error.to_string().contains("not at the instance"), "{error}");
    let half = [("AWS_ACCESS_KEY_ID", "geheim")];
    let error = found("s3://events", empty.path(), &half).unwrap_err();
    assert!(error.to_string().contains("`AWS_SECRET_ACCESS_KEY` is not"), "{error}");
    assert!(!error.lines().contains("geheim"));
}

#[test]
fn profile_for_single_sign_on_has_a_way_in() {
    let config = "[profile sso]\nsso_session = ours\nregion = eu-west-1\n";
    let home = home(&[(".aws/config", config)]);
    let error = found("s3://events", home.path(), &[("AWS_PROFILE", "sso")]).unwrap_err();
    assert!(error.to_string().contains("`sso_session`"), "{error}");
    let hint = error.details().hint.clone().unwrap();
    assert!(hint.contains("aws configure export-credentials --profile sso"), "{hint}");
}

#[test]
fn server_of_credentials_that_fails_is_named() {
    let empty = home(&[]);
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", NOWHERE),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/nowhere/token"),
    ];
    let error = failed(empty.path(), &variables);
    assert!(error.contains("no credentials from the container"), "{error}");
}

#[test]
fn instance_that_refuses_is_the_last_of_those_looked_at() {
    use std::io::{Read as _, Write as _};
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", server.local_addr().unwrap());
    std::thread::spawn(move || {
        for connection in server.incoming().flatten() {
            let mut connection = connection;
            let _ = connection.read(&mut [0; 4096]);
            let _ = connection.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let empty = home(&[]);
    let error = failed(empty.path(), &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &address)]);
    assert!(error.contains("looked at the environment (`AWS_ACCESS_KEY_ID`)"), "{error}");
    assert!(error.ends_with("the instance (403)"), "{error}");
}

/// The error of a request to S3.
fn failed(home: &Path, variables: &[(&str, &str)]) -> String {
    let usual = [("HOME", home.to_str().unwrap()), ("AWS_REGION", "eu-west-1")];
    let environment = Environment::of(usual.into_iter().chain(variables.iter().copied()));
    let Address::Store(bucket) = Address::parse("s3://events").unwrap() else { panic!("no store") };
    let connected = connect(&bucket, &StoreOptions::default(), &environment).unwrap();
    let objects = Arc::clone(&connected.objects);
    let error = wait(async move { objects.list_with_delimiter(None).await }).unwrap().unwrap_err();
    let doing = "listing `s3://events`";
    crate::place::fault::error(&error, doing, &connected.credentials).to_string()
}

#[test]
fn endpoint_without_tls_is_for_this_machine_alone() {
    let empty = home(&[]);
    let pair = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let of = |endpoint, more: &[(&str, &str)], options: &[&str]| {
        let variables = [&pair[..], &[("AWS_ENDPOINT_URL", endpoint)], more].concat();
        found_with("s3://events", empty.path(), &variables, options)
    };
    for endpoint in ["http://127.0.0.1:9000", "http://localhost:9000/", "http://[::1]:9000"] {
        let (_, found) = of(endpoint, &[], &[]).unwrap();
        assert_eq!(found.as_deref(), Some(endpoint.trim_end_matches('/')));
    }
    let other = "http://store.example:9000";
    assert_eq!(of(other, &[], &[]).unwrap_err().exit_code(), 2);
    assert!(of(other, &[("AWS_ALLOW_HTTP", "true")], &[]).is_ok());
    assert!(of(other, &[], &["allow_http=true"]).is_ok());
    let (_, found) = of(other, &[], &["endpoint=https://other.example"]).unwrap();
    assert_eq!(found.as_deref(), Some("https://other.example"));
    let error = of("https://user:geheim@store.example", &[], &[]).unwrap_err();
    assert!(!format!("{error:?}").contains("geheim"), "{error}");
}
