//! `check` of an object store as it is typed, with a server that knows a few requests.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};

use crate::support::{Desk, Said};

const KEY: &str = "AKIAGEHEIM";

/// Starts a server that answers by a function of the request line: status and body. Returns its URL.
fn server(answer: fn(&str) -> (u16, String)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream, answer));
        }
    });
    url
}

fn serve(stream: TcpStream, answer: fn(&str) -> (u16, String)) {
    let mut out = stream.try_clone().unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    lines.find(String::is_empty);
    let (status, body) = answer(&request);
    let date = chrono::Utc::now().format("%a, %d %b %Y %H:%M:%S GMT");
    let length = if request.starts_with("HEAD") { 0 } else { body.len() };
    let head = format!(
        "HTTP/1.1 {status} -\r\nDate: {date}\r\nLast-Modified: {date}\r\nETag: \"1\"\r\n\
         Content-Length: {length}\r\n"
    );
    let _ = out.write_all(format!("{head}Connection: close\r\n\r\n{}", &body[..length]).as_bytes());
}

fn bucket(request: &str) -> (u16, String) {
    let body = match request {
        list if list.contains("delimiter=") => {
            "<ListBucketResult><CommonPrefixes><Prefix>lake/tables/sessions/</Prefix>\
             </CommonPrefixes></ListBucketResult>"
        }
        list if list.contains("list-type=2") => "<ListBucketResult></ListBucketResult>",
        versions if versions.contains("versioning") => {
            "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        }
        _ => return (404, String::new()),
    };
    (200, body.to_owned())
}

fn refusal(_: &str) -> (u16, String) {
    let body =
        format!("<Error><Code>AccessDenied</Code><AWSAccessKeyId>{KEY}</AWSAccessKeyId></Error>");
    (403, body)
}

fn run(line: &str, variables: &[(&str, &str)]) -> Said {
    let desk = Desk::new();
    let mut command = desk.command(line);
    for (name, _) in std::env::vars_os() {
        let is_of_store = name.to_str().is_some_and(|name| {
            ["AWS_", "AZURE_", "GOOGLE_", "WABALAKE_"].iter().any(|cloud| name.starts_with(cloud))
        });
        if is_of_store {
            command.env_remove(name);
        }
    }
    command.env("HOME", desk.folder.path()).env("AWS_EC2_METADATA_DISABLED", "true");
    Said::of(command.envs(variables.iter().copied()).output().unwrap())
}

fn keys(endpoint: &str) -> [(&str, &str); 4] {
    [
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", KEY),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ENDPOINT_URL", endpoint),
    ]
}

#[test]
fn store_that_answers_is_checked() {
    let endpoint = server(bucket);
    let said = run("check --lake s3://events/lake -f csv", &keys(&endpoint));
    assert_eq!((said.err.as_str(), said.code), ("", 0));
    for line in [
        "address,,s3://events/lake,,,,,,",
        "credentials,,from the environment (`AWS_ACCESS_KEY_ID`),,,,,,",
        "region,,eu-west-1,,,,,,",
        "access,good,the store can be listed,,,,,,",
        "lake,good,1 table,,,,,,",
        "versions,,older versions of files are kept,,,,,,",
        "clock,good,the same within a second,,,,,,",
        "conditions,,not probed,`--write` probes them with a small file that it deletes,,,,,",
    ] {
        assert!(said.out.lines().any(|found| found == line), "{line}\n{}", said.out);
    }
    assert!(!said.out.contains(KEY));
}

#[test]
fn store_that_ignores_conditions_is_bad() {
    let endpoint = server(|request| match request {
        put if put.starts_with("PUT") => (200, String::new()),
        head if head.starts_with("HEAD") && head.contains("/probe/") => (200, String::new()),
        delete if delete.starts_with("POST") => (500, String::new()),
        other => bucket(other),
    });
    let line = "check --lake s3://events/lake --write --store-option retries=0 -f csv";
    let said = run(line, &keys(&endpoint));
    assert_eq!(said.code, 1, "{}", said.err);
    let line = "\nconditions,bad,the store at `s3://events/lake` ignores conditions of writes";
    assert!(said.out.contains(line), "{}", said.out);
    assert!(said.err.contains("found: conditions"), "{}", said.err);
}

#[test]
fn store_that_refuses_is_an_error_without_a_secret() {
    let endpoint = server(refusal);
    let said = run("check --lake s3://events/lake -f csv", &keys(&endpoint));
    assert_eq!(said.code, 1);
    let line =
        "access,bad,listing `s3://events/lake/tables`: the store refused it (403 AccessDenied),";
    assert!(said.out.lines().any(|found| found.starts_with(line)), "{}", said.out);
    assert!(!format!("{}{}", said.out, said.err).contains(KEY));
}

#[test]
fn check_of_a_store_refuses_what_it_cannot_use() {
    for (line, code, what) in [
        ("check --lake s3://events/lake", 1, "no credentials for `s3://events/lake`: looked at"),
        ("check --lake s3://u:AKIAGEHEIM@events/lake", 2, "holds a name or a password"),
        ("check --lake s3://events/lake?AKIAGEHEIM", 2, "the URL has a `?`"),
        ("check --lake hdfs://events/lake", 2, "a lake on `hdfs://` is not supported"),
        ("check --lake s3://events --deep", 1, "no credentials for `s3://events`: looked at"),
        ("check --lake . --write", 2, "is for lakes on object stores"),
        (
            "check --lake s3://e --store-option secret_access_key=AKIAGEHEIM",
            2,
            "no option of a store",
        ),
        ("status --lake s3://events/lake", 1, "no credentials for `s3://events/lake`: looked at"),
        ("undo --lake s3://events/lake", 1, "no credentials for `s3://events/lake`: looked at"),
        ("init --lake s3://events/lake", 1, "no credentials for `s3://events/lake`: looked at"),
        ("status --lake . --store-option region=a", 2, "are for lakes on object stores"),
    ] {
        let said = run(line, &[]);
        assert_eq!((said.out.as_str(), said.code), ("", code), "{line}: {}", said.err);
        assert!(said.err.contains(what), "{line}: {}", said.err);
        assert!(said.err.contains("hint: "), "{line}: {}", said.err);
        assert!(!said.err.contains(KEY), "{line}: {}", said.err);
    }
}
