//! Converts errors of a server to errors with a hint.
//!
//! A server may quote data in its message. Only the first line is shown, with long numbers masked: one may
//! be a phone number. Of a store's answer, ids of access keys and the queries of URLs are left out: they may
//! be signatures.

use spark_connect_core::SparkError;

use super::remote::{Remote, TOKEN};
use crate::error::Error;

/// Status codes of gRPC.
mod code {
    pub(super) const DEADLINE_EXCEEDED: i32 = 4;
    pub(super) const PERMISSION_DENIED: i32 = 7;
    pub(super) const UNIMPLEMENTED: i32 = 12;
    pub(super) const UNAVAILABLE: i32 = 14;
    pub(super) const UNAUTHENTICATED: i32 = 16;
}

/// Words of Sail, Hadoop and the clouds if the cluster cannot read from a store.
const NO_ACCESS: [&str; 16] = [
    "403 Forbidden",
    "401 Unauthorized",
    "Status Code: 403",
    "AccessDenied",
    "Access Denied",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "AuthenticationFailed",
    "AuthorizationPermissionMismatch",
    "storage.objects.get access",
    "no credentials found",
    "NoAuthWithAWSException",
    "Unable to load credentials",
    "NoSuchBucket",
    "Connection refused",
];

/// A failure of a server or of the connection to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The status code; `None` for failures that were found here.
    pub(super) code: Option<i32>,
    /// The message of the server.
    pub(super) message: String,
}

impl Fault {
    /// Creates a failure that was found here, not reported by the server.
    pub(super) fn here(message: impl Into<String>) -> Self {
        Self { code: None, message: message.into() }
    }

    /// Creates the failure of a call that timed out.
    pub(super) fn timeout(seconds: u64) -> Self {
        let message = format!("no answer within {seconds} s");
        Self { code: Some(code::DEADLINE_EXCEEDED), message }
    }

    /// Returns `true` if the connection broke: the operation may still be running.
    pub(super) fn is_broken_connection(&self) -> bool {
        self.code == Some(code::UNAVAILABLE) || self.message.contains("INVALID_CURSOR.DISCONNECTED")
    }

    /// Returns `true` if the server lost the parameters of a statement.
    pub(super) fn is_unbound_parameter(&self) -> bool {
        self.message.contains("UNBOUND_SQL_PARAMETER")
    }

    /// Converts a failure to open a session.
    pub(super) fn while_connecting(&self, remote: &Remote) -> Error {
        match self.code {
            Some(code::UNAVAILABLE | code::DEADLINE_EXCEEDED) if remote.uses_tls() => {
                Error::cluster(format!("no Spark Connect server answers with TLS at {remote}"))
                    .found(self.shown())
                    .hint(
                        "check that it runs, that its port is open, and that its certificate is trusted \
                         by the system or by the file in SSL_CERT_FILE",
                    )
            }
            Some(code::UNAVAILABLE | code::DEADLINE_EXCEEDED) => Error::cluster(format!(
                "no Spark Connect server answers at {remote}"
            ))
            .found(self.shown())
            .hint("check that it runs and that its port is open; for TLS, add /;use_ssl=true"),
            _ => self.while_running(remote),
        }
    }

    /// Converts a failure of an operation.
    pub(super) fn while_running(&self, remote: &Remote) -> Error {
        let error = |what: &str| Error::cluster(format!("{remote} {what}")).found(self.shown());
        match self.code {
            Some(code::UNAUTHENTICATED | code::PERMISSION_DENIED) if remote.has_token() => {
                Error::cluster(format!("{remote} does not accept the token"))
                    .hint(format!("ask its operator for one, and put it into {TOKEN}"))
            }
            Some(code::UNAUTHENTICATED | code::PERMISSION_DENIED) => {
                Error::cluster(format!("{remote} wants a token"))
                    .hint(format!("put it into {TOKEN}"))
            }
            Some(code::UNAVAILABLE | code::DEADLINE_EXCEEDED) => error("closed the connection")
                .hint("run the query again; if it fails again, see the log of the server"),
            Some(code::UNIMPLEMENTED) => {
                error("is not a Spark Connect server").hint("the default port is 15002")
            }
            _ if self.names(&["PATH_NOT_FOUND", "FileNotFoundException", "FILE_NOT_EXIST"]) => {
                error("does not find a file of the lake").hint(
                    "every machine of the cluster must see the lake at the same path, or at the one \
                     given with --map-path; files that `vacuum` deletes are missing there too",
                )
            }
            _ if self.names(&NO_ACCESS) => error("cannot read the lake's files").hint(
                "the cluster reads a store with credentials, a region and an endpoint of its own: set them \
                 there, or where the server of the cluster was started",
            ),
            _ if self.names(&["ClassNotFoundException", "No FileSystem for scheme"]) => {
                error("cannot read from that store")
                    .hint("install the driver of the store on the cluster, such as hadoop-aws for s3a://")
            }
            _ if self.names(&["ExecutorLostFailure", "ExecutorDeadException", "worker"]) => {
                error("lost a worker")
                    .hint("run the query again; if it fails again, give the workers more memory")
            }
            _ if self.names(&["OPERATION_CANCELED", "OPERATION_ABANDONED", "SESSION_CLOSED"]) => {
                error("stopped the query").hint("ask its operator, or run the query again")
            }
            _ if self.names(&["OPERATION_NOT_FOUND", "SESSION_NOT_FOUND", "SESSION_CHANGED"]) => {
                error("restarted during the query").hint("run the query again")
            }
            _ => error("could not answer").hint(
                "it must be Spark 4 or Sail; `wabalake queries NAME --sql` prints the statement",
            ),
        }
    }

    fn names(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.message.contains(word))
    }

    /// Returns the first line of the message, shortened and masked.
    fn shown(&self) -> String {
        let line = self.message.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        // The body of a store's answer may quote what was signed.
        let line = line.split("<?xml").next().unwrap_or_default();
        let words = line.split_whitespace().map(without_secrets).collect::<Vec<_>>().join(" ");
        let line: String = words.chars().take(300).collect();
        mask_numbers(&line)
    }
}

impl From<SparkError> for Fault {
    fn from(error: SparkError) -> Self {
        let (number, message) = (error.grpc_code(), error.message());
        // A connection that breaks during a reply has no status code.
        let broken =
            ["h2 protocol error", "transport error"].iter().any(|word| message.contains(word));
        let code = if broken { Some(code::UNAVAILABLE) } else { number };
        Self { code, message }
    }
}

/// Leaves out of a word the query of a URL and the id of an access key.
fn without_secrets(word: &str) -> String {
    let word = match word.split_once("://") {
        Some((scheme, rest)) => {
            format!("{scheme}://{}", rest.split(['?', '#']).next().unwrap_or_default())
        }
        None => word.to_owned(),
    };
    let is_key =
        |part: &&str| part.len() == 20 && (part.starts_with("AKIA") || part.starts_with("ASIA"));
    let keys = word.split(|c: char| !c.is_ascii_alphanumeric()).filter(is_key);
    keys.fold(word.clone(), |word, key| word.replace(key, "####"))
}

/// Masks every number of seven or more digits by `#######`.
fn mask_numbers(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut digits = String::new();
    for c in text.chars().map(Some).chain([None]) {
        match c.filter(char::is_ascii_digit) {
            Some(digit) => digits.push(digit),
            None => {
                let hidden = if digits.len() < 7 { digits.clone() } else { "#".repeat(7) };
                shown.push_str(&hidden);
                digits.clear();
                shown.extend(c);
            }
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(code: i32, message: &str) -> Fault {
        Fault { code: Some(code), message: message.into() }
    }

    #[test]
    fn long_numbers_are_masked() {
        assert_eq!(
            mask_numbers("cast '573005550101' of 2025-06-01"),
            "cast '#######' of 2025-06-01"
        );
        assert_eq!(mask_numbers("123456 1234567"), "123456 #######");
        let cast = fault(13, "\n[CAST_INVALID_INPUT] '+57 3005550101' is no INT\nat line 7");
        assert_eq!(cast.shown(), "[CAST_INVALID_INPUT] '+57 #######' is no INT");
    }

    #[test]
    fn answer_of_a_store_is_shown_without_secrets() {
        let fault = fault(
            13,
            "GET https://acme.blob.core.windows.net/e/a?sv=1&sig=s3cret: 403 Forbidden: key AKIAIOSFODNN7EXAMPLE, \
             <?xml version='1.0'?><Error><AWSAccessKeyId>s3cret</AWSAccessKeyId></Error>",
        );
        let remote = Remote::parse("sc://localhost", None).unwrap();
        let lines = fault.while_running(&remote).lines();
        assert!(lines.contains("credentials, a region and an endpoint of its own"), "{lines}");
        assert!(
            lines.contains("https://acme.blob.core.windows.net/e/a 403 Forbidden: key ####,"),
            "{lines}"
        );
        assert!(!lines.contains("s3cret") && !lines.contains("AKIA"), "{lines}");
    }

    #[test]
    fn every_fault_has_a_hint() {
        let remote = Remote::parse("sc://localhost", None).unwrap();
        let with_token = Remote::parse("sc://localhost/;token=s3cret", None).unwrap();
        for (error, what) in [
            (fault(14, "refused").while_connecting(&remote), "no Spark Connect server answers at"),
            (fault(14, "reset").while_running(&remote), "closed the connection"),
            (fault(16, "no").while_connecting(&remote), "wants a token"),
            (fault(16, "no").while_running(&with_token), "does not accept the token"),
            (
                fault(13, "[PATH_NOT_FOUND] Path does not exist: file:/a").while_running(&remote),
                "a file",
            ),
            (
                fault(13, "no credentials found").while_running(&remote),
                "cannot read the lake's files",
            ),
            (fault(13, "[PARSE_SYNTAX_ERROR]").while_running(&remote), "could not answer"),
            (fault(13, "Job aborted: ExecutorLostFailure").while_running(&remote), "lost a worker"),
        ] {
            let lines = error.lines();
            assert!(lines.contains(what), "{lines}");
            assert!(lines.contains("sc://localhost:15002"), "{lines}");
            assert!(lines.contains("\n  hint: "), "{lines}");
            assert!(!lines.contains("s3cret"), "{lines}");
            assert_eq!(error.exit_code(), 1);
        }
    }
}
