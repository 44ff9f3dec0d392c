//! Credentials of a program: `credential_process` of a profile.
//!
//! Single sign-on comes in here: `credential_process = aws configure export-credentials --profile NAME`.

use std::fmt;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use serde::Deserialize;

use super::super::fault::NoCredentials;

/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program that prints credentials as JSON.
#[derive(Clone)]
pub(super) struct Process {
    /// A command of the shell; it may hold a secret.
    command: String,
    profile: String,
    known: Arc<Mutex<Option<Known>>>,
}

struct Known {
    credential: Arc<AwsCredential>,
    until: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Printed {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<DateTime<Utc>>,
}

impl Process {
    pub(super) fn new(command: &str, profile: &str) -> Self {
        Self { command: command.to_owned(), profile: profile.to_owned(), known: Arc::default() }
    }

    /// The credentials, from the program if the known ones end soon.
    fn credential(&self) -> Result<Arc<AwsCredential>, NoCredentials> {
        // Others wait meanwhile: the program need not run twice.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_long = |until| until - TimeDelta::minutes(5) > Utc::now();
        if let Some(known) = known.as_ref().filter(|known| known.until.is_none_or(is_long)) {
            return Ok(Arc::clone(&known.credential));
        }
        let printed = self.run().map_err(|what| NoCredentials {
            what: format!("the `credential_process` of the profile `{}` {what}", self.profile),
            hint: "run its command in a shell to see why; with single sign-on, sign in again"
                .to_owned(),
        })?;
        let credential = Arc::new(AwsCredential {
            key_id: printed.access_key_id,
            secret_key: printed.secret_access_key,
            token: printed.session_token,
        });
        *known = Some(Known { credential: Arc::clone(&credential), until: printed.expiration });
        Ok(credential)
    }

    fn run(&self) -> Result<Printed, &'static str> {
        let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
        let mut child = Command::new(shell)
            .args([flag, &self.command])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|_| "cannot be started")?;
        let mut out = child.stdout.take().ok_or("cannot be read")?;
        let reader = std::thread::spawn(move || {
            let mut text = Vec::new();
            out.read_to_end(&mut text).map(|_| text)
        });
        let started = Instant::now();
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if started.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                _ => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err("takes longer than 30 seconds");
                }
            }
        };
        if !status.success() {
            return Err("failed");
        }
        let text = reader.join().ok().and_then(Result::ok).ok_or("cannot be read")?;
        serde_json::from_slice(&text).map_err(|_| "printed no credentials")
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Process").field(&self.profile).finish()
    }
}

#[async_trait]
impl CredentialProvider for Process {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let process = self.clone();
        let credential = tokio::task::spawn_blocking(move || process.credential()).await?;
        Ok(credential?)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_kept_until_they_end() {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path().join("runs");
        let of = |expiration: &str| {
            let command = format!(
                r#"echo >>'{}'; echo '{{"Version": 1, "AccessKeyId": "id", "SecretAccessKey": "s", "Expiration": {expiration}}}'"#,
                runs.display()
            );
            let _ = std::fs::remove_file(&runs);
            let process = Process::new(&command, "default");
            for _ in 0..3 {
                assert_eq!(process.credential().unwrap().key_id, "id");
            }
            std::fs::read_to_string(&runs).unwrap().lines().count()
        };
        assert_eq!(of("null"), 1);
        assert_eq!(of(r#""2999-01-01T00:00:00Z""#), 1);
        assert_eq!(of(r#""2020-01-01T00:00:00Z""#), 3);
    }

    #[test]
    fn failure_names_the_profile_and_no_output() {
        for command in ["echo geheim; exit 1", "echo geheim", "echo geheim >&2; exit 1"] {
            let error = Process::new(command, "reports").credential().err().unwrap();
            assert!(error.what.contains("`reports`"), "{error}");
            assert!(!format!("{error:?}").contains("geheim"), "{error}");
        }
    }
}
