//! Progress of a load: a bar on a terminal, a line every 10 seconds otherwise.

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wabalake_data::words::bytes;

use crate::render::visible;

/// A progress bar on standard error.
pub(crate) struct Progress {
    bar: ProgressBar,
    /// When the next line is due, if there is no terminal.
    due: Option<Mutex<Instant>>,
    label: String,
    /// Formats an amount of work.
    amount: fn(u64) -> String,
}

impl Progress {
    const EVERY: Duration = Duration::from_secs(10);

    /// Progress by bytes.
    pub(crate) fn bytes(label: &str, length: u64, quiet: bool) -> Self {
        let style = "{msg}  {bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta}";
        Self::new(label, length, quiet, style, bytes)
    }

    /// Progress by days.
    pub(crate) fn days(label: &str, length: u64, quiet: bool) -> Self {
        let style = "{msg}  {bar:30} {pos}/{len} days";
        Self::new(label, length, quiet, style, |days| format!("{days} days"))
    }

    fn new(label: &str, length: u64, quiet: bool, style: &str, amount: fn(u64) -> String) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if quiet || !terminal {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(Some(length), target);
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        let label = visible(label).into_owned();
        bar.set_message(label.clone());
        let due = (!quiet && !terminal).then(|| Mutex::new(Instant::now() + Self::EVERY));
        Self { bar, due, label, amount }
    }

    /// Adds to the amount that is done.
    pub(crate) fn advance(&self, by: u64) {
        self.bar.inc(by);
        let Some(due) = &self.due else { return };
        let Ok(mut due) = due.lock() else { return };
        if Instant::now() >= *due {
            *due = Instant::now() + Self::EVERY;
            let (done, all) = (self.bar.position(), self.bar.length().unwrap_or(0));
            let line =
                format!("{}: {} of {}\n", self.label, (self.amount)(done), (self.amount)(all));
            let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
