//! Runs `notify_command` after a nightly run.

use std::io::{self, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use wabalake_data::words::counted;

use crate::error::{Error, Result};

/// How often the command is polled.
const POLL: Duration = Duration::from_millis(10);

/// Runs a command with the report as JSON on its standard input, and kills its process group after
/// `limit`.
///
/// # Errors
/// A command that cannot be started, fails or takes too long.
pub fn notify(command: &str, json: &str, outcome: &str, limit: Duration) -> Result<()> {
    let (shell, option) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let failed = |said: String| {
        Error::lake(format!("`notify_command` failed: {said}"))
            .hint("it is set in wabalake.toml, or by `--notify-command`")
    };
    let mut shell = Command::new(shell);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    let mut child = shell
        .args([option, command])
        .env("WABALAKE_OUTCOME", outcome)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut input) = child.stdin.take() {
        let json = json.to_owned();
        // The command need not read its input.
        std::thread::spawn(move || drop(input.write_all(json.as_bytes())));
    }
    let until = Instant::now() + limit;
    loop {
        match child.try_wait().map_err(|error| failed(error.to_string()))? {
            Some(ended) if ended.success() => return Ok(()),
            Some(ended) => return Err(failed(format!("it ended with {ended}"))),
            None if Instant::now() < until => std::thread::sleep(POLL),
            None => break,
        }
    }
    kill(&mut child).map_err(|error| failed(error.to_string()))?;
    let seconds = limit.as_secs();
    Err(failed(format!("it was stopped after {}", counted(seconds, "second")))
        .hint("`notify_seconds` in wabalake.toml, under [nightly], says how long it may take"))
}

/// Kills a process and, on Unix, its process group.
fn kill(child: &mut Child) -> io::Result<()> {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, Signal, kill_process_group};
        kill_process_group(Pid::from_child(child), Signal::Kill)?;
    }
    child.kill()?;
    child.wait().map(drop)
}
