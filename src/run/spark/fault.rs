//! What a server says went wrong, as an error with a way forward.
//!
//! A server may quote what it was working on. What is shown is the first line, with every long
//! number taken out: it may be a phone's.

use spark_connect_core::SparkError;

use super::remote::{Remote, TOKEN};
use crate::error::Error;

/// gRPC's numbers for what matters here.
mod code {
    pub(super) const DEADLINE_EXCEEDED: i32 = 4;
    pub(super) const PERMISSION_DENIED: i32 = 7;
    pub(super) const UNIMPLEMENTED: i32 = 12;
    pub(super) const UNAVAILABLE: i32 = 14;
    pub(super) const UNAUTHENTICATED: i32 = 16;
}

/// Something went wrong at a server, or on the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// gRPC's; none for what the server did not say itself.
    pub(super) code: Option<i32>,
    /// What was said.
    pub(super) message: String,
}

impl Fault {
    /// What is found out here.
    pub(super) fn here(message: impl Into<String>) -> Self {
        Self { code: None, message: message.into() }
    }

    /// Silence.
    pub(super) fn silence(seconds: u64) -> Self {
        let message = format!("no answer within {seconds} s");
        Self { code: Some(code::DEADLINE_EXCEEDED), message }
    }

    /// Whether the connection broke, and the operation may well go on.
    pub(super) fn is_broken_connection(&self) -> bool {
        self.code == Some(code::UNAVAILABLE) || self.message.contains("INVALID_CURSOR.DISCONNECTED")
    }

    /// Whether a server does not know the parameter of a statement that has it.
    pub(super) fn is_unbound_parameter(&self) -> bool {
        self.message.contains("UNBOUND_SQL_PARAMETER")
    }

    /// The error of a server that was never reached.
    pub(super) fn at_the_door(&self, remote: &Remote) -> Error {
        match self.code {
            Some(code::UNAVAILABLE | code::DEADLINE_EXCEEDED) if remote.uses_tls() => {
                Error::cluster(format!("no Spark Connect server answers with TLS at {remote}"))
                    .found(self.shown())
                    .hint(
                        "see that it runs, that its port is open, and that its certificate is one \
                         of the system's or of the file that SSL_CERT_FILE names",
                    )
            }
            Some(code::UNAVAILABLE | code::DEADLINE_EXCEEDED) => Error::cluster(format!(
                "no Spark Connect server answers at {remote}"
            ))
            .found(self.shown())
            .hint("see that it runs there and that its port is open; with TLS, add /;use_ssl=true"),
            _ => self.at_work(remote),
        }
    }

    /// The error of a server that was at work.
    pub(super) fn at_work(&self, remote: &Remote) -> Error {
        let error = |what: &str| Error::cluster(format!("{remote} {what}")).found(self.shown());
        match self.code {
            Some(code::UNAUTHENTICATED | code::PERMISSION_DENIED) if remote.has_token() => {
                Error::cluster(format!("{remote} does not accept the token"))
                    .hint(format!("ask who runs it for one, and put it into {TOKEN}"))
            }
            Some(code::UNAUTHENTICATED | code::PERMISSION_DENIED) => {
                Error::cluster(format!("{remote} wants a token"))
                    .hint(format!("put it into {TOKEN}"))
            }
            Some(code::UNAVAILABLE | code::DEADLINE_EXCEEDED) => error("was lost")
                .hint("ask again; if it happens again, its own log says why it stopped"),
            Some(code::UNIMPLEMENTED) => {
                error("is no Spark Connect server").hint("its usual port is 15002")
            }
            _ if self.names(&["PATH_NOT_FOUND", "FileNotFoundException", "FILE_NOT_EXIST"]) => {
                error("does not find a file of the lake").hint(
                    "every machine of the cluster must see the lake at the same path, or say where \
                     it is with --map-path; what `vacuum` deletes is gone for it too",
                )
            }
            _ if self.names(&["ClassNotFoundException", "No FileSystem for scheme"]) => {
                error("cannot read from that store")
                    .hint("the cluster needs the store's driver, such as hadoop-aws for s3a://")
            }
            _ if self.names(&["ExecutorLostFailure", "ExecutorDeadException", "worker"]) => {
                error("lost a worker on the way")
                    .hint("ask again; if it happens again, give the workers more memory")
            }
            _ if self.names(&["OPERATION_CANCELED", "OPERATION_ABANDONED", "SESSION_CLOSED"]) => {
                error("stopped the query").hint("ask who runs it why, or ask again")
            }
            _ if self.names(&["OPERATION_NOT_FOUND", "SESSION_NOT_FOUND", "SESSION_CHANGED"]) => {
                error("was started anew on the way").hint("ask again")
            }
            _ => error("could not answer").hint(
                "it takes Spark 4 or Sail; `wabalake queries NAME --sql` prints the statement",
            ),
        }
    }

    fn names(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.message.contains(word))
    }

    /// What may be shown of the message.
    fn shown(&self) -> String {
        let line = self.message.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let line: String = line.trim().chars().take(300).collect();
        without_numbers(&line)
    }
}

impl From<SparkError> for Fault {
    fn from(error: SparkError) -> Self {
        let (number, message) = (error.grpc_code(), error.message());
        // What breaks while a reply is under way has no number of its own.
        let broken =
            ["h2 protocol error", "transport error"].iter().any(|word| message.contains(word));
        let code = if broken { Some(code::UNAVAILABLE) } else { number };
        Self { code, message }
    }
}

/// A text in which every number as long as a phone's is a row of `#`.
fn without_numbers(text: &str) -> String {
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
    fn numbers_as_long_as_a_phones_are_not_shown() {
        assert_eq!(
            without_numbers("cast '573005550101' of 2025-06-01"),
            "cast '#######' of 2025-06-01"
        );
        assert_eq!(without_numbers("123456 1234567"), "123456 #######");
        let said = fault(13, "\n[CAST_INVALID_INPUT] '+57 3005550101' is no INT\nat line 7");
        assert_eq!(said.shown(), "[CAST_INVALID_INPUT] '+57 #######' is no INT");
    }

    #[test]
    fn each_fault_has_a_way_forward() {
        let remote = Remote::parse("sc://localhost", None).unwrap();
        let with_token = Remote::parse("sc://localhost/;token=s3cret", None).unwrap();
        for (error, what) in [
            (fault(14, "refused").at_the_door(&remote), "no Spark Connect server answers at"),
            (fault(14, "reset").at_work(&remote), "was lost"),
            (fault(16, "no").at_the_door(&remote), "wants a token"),
            (fault(16, "no").at_work(&with_token), "does not accept the token"),
            (fault(13, "[PATH_NOT_FOUND] Path does not exist: file:/a").at_work(&remote), "a file"),
            (fault(13, "[PARSE_SYNTAX_ERROR]").at_work(&remote), "could not answer"),
            (fault(13, "Job aborted: ExecutorLostFailure").at_work(&remote), "lost a worker"),
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
