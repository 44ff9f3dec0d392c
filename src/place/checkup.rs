//! Checks a lake's store: access, conditions, versions, clock and speed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::versions::{Kept, kept};
use super::{Entry, Key, Place, Store};
use crate::error::{Error, Result};

/// How many requests are timed.
const REQUESTS: usize = 20;

/// How many files are read to measure speed, and their bytes at most.
const FILES: usize = 64;
const BYTES: u64 = 64 << 20;

/// A difference of clocks that S3 refuses is a quarter of an hour.
const LARGEST_DIFFERENCE: i64 = 300;

/// The check that the store can be listed at all.
const ACCESS: &str = "access";

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was checked, such as `credentials`.
    pub subject: &'static str,
    /// What was found.
    pub found: String,
    /// Whether that is as it should be.
    pub verdict: Verdict,
    /// What to do about it.
    pub hint: Option<String>,
}

/// The verdict of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is as it should be.
    Good,
    /// It is for information, or cannot be told.
    Neutral,
    /// A lake does not work there.
    Bad,
}

impl Finding {
    fn new(subject: &'static str, verdict: Verdict, found: impl Into<String>) -> Self {
        Self { subject, found: found.into(), verdict, hint: None }
    }

    fn bad(subject: &'static str, error: &Error) -> Self {
        let hint = error.details().hint.clone();
        Self { hint, ..Self::new(subject, Verdict::Bad, error.to_string()) }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns `true` if nothing else can be checked.
    pub fn is_out_of_reach(&self) -> bool {
        self.subject == ACCESS && self.verdict == Verdict::Bad
    }
}

impl Place {
    /// Checks a store. With `write`, conditions are probed by a small file. After what is bad, checks
    /// that need it are left out. A folder has no findings.
    pub fn check_up(&self, write: bool) -> Vec<Finding> {
        use Verdict::{Good, Neutral};
        let Some(store) = self.store() else { return Vec::new() };
        let connected = store.connected();
        let mut findings = vec![
            Finding::new("address", Neutral, self.shown()),
            Finding::new("credentials", Neutral, format!("from {}", connected.credentials)),
        ];
        if let Some(region) = &connected.region {
            findings.push(Finding::new("region", Neutral, region));
        }
        if let Some(endpoint) = &connected.endpoint {
            findings.push(Finding::new("endpoint", Neutral, endpoint));
        }
        let tables = match self.folders(&Key::root().join("tables")) {
            Ok(tables) => tables,
            Err(error) => {
                findings.push(Finding::bad(ACCESS, &error));
                return findings;
            }
        };
        findings.push(Finding::new(ACCESS, Good, "the store can be listed"));
        findings.push(match tables.len() {
            0 => Finding::new("lake", Neutral, "no tables yet"),
            1 => Finding::new("lake", Good, "1 table"),
            count => Finding::new("lake", Good, format!("{count} tables")),
        });
        findings.push(versions(store));
        match self.round_trips() {
            Ok(median) => {
                let milliseconds = median.as_secs_f64() * 1000.;
                let found = format!("{milliseconds:.1} ms a request, the median of {REQUESTS}");
                findings.push(Finding::new("latency", Neutral, found));
            }
            Err(error) => findings.push(Finding::bad("latency", &error)),
        }
        findings.push(clock(connected.meter.clock_ahead()));
        findings.extend(self.speed(&tables));
        findings.push(match write {
            true => self.conditions(),
            false => Finding::new("conditions", Neutral, "not probed")
                .hint("`--write` probes them with a small file that it deletes"),
        });
        let counts = self.counts();
        let found = format!(
            "{}, {} bytes received, {} sent",
            wabalake_data::words::counted(counts.requests, "request"),
            counts.received,
            counts.sent
        );
        findings.push(Finding::new("requests", Neutral, found));
        findings
    }

    /// The median duration of requests for a file that need not exist.
    fn round_trips(&self) -> Result<Duration> {
        let key = Key::root().join("wabalake.toml");
        let mut took = Vec::with_capacity(REQUESTS);
        for _ in 0..REQUESTS {
            let started = Instant::now();
            self.entry(&key)?;
            took.push(started.elapsed());
        }
        took.sort_unstable();
        Ok(took[REQUESTS / 2])
    }

    /// Reads some data files, many at once.
    fn speed(&self, tables: &[Key]) -> Option<Finding> {
        let listed = tables.iter().map(|table| self.list(table, None).unwrap_or_default());
        let mut files: Vec<Entry> = listed.max_by_key(Vec::len)?;
        files.retain(|file| file.key.name().ends_with(".parquet"));
        let mut sum = 0;
        files.retain(|file| {
            sum += file.bytes;
            sum <= BYTES
        });
        files.truncate(FILES);
        let keys: Vec<Key> = files.into_iter().map(|file| file.key).collect();
        let started = Instant::now();
        let read: Result<Vec<_>> = self.read_all(&keys).into_iter().collect();
        let seconds = started.elapsed().as_secs_f64();
        let bytes: usize = match read {
            Ok(read) => read.into_iter().flatten().map(|bytes| bytes.len()).sum(),
            Err(error) => return Some(Finding::bad("reading", &error)),
        };
        let speed = bytes as f64 / 1e6 / seconds;
        (bytes > 0).then(|| {
            let found = format!("{speed:.1} MB/s, by {} data files at once", keys.len());
            Finding::new("reading", Verdict::Neutral, found)
        })
    }

    fn conditions(&self) -> Finding {
        let subject = "conditions";
        match self.probe() {
            Ok(conditions) if conditions.are_heeded() => {
                Finding::new(subject, Verdict::Good, "heeded: two writers cannot lose commits")
            }
            Ok(_) => Finding::bad(subject, &self.without_conditions()),
            Err(error) => Finding::bad(subject, &error),
        }
    }
}

fn clock(ahead: Option<i64>) -> Finding {
    let subject = "clock";
    match ahead {
        None => Finding::new(subject, Verdict::Neutral, "the store does not tell its time"),
        Some(ahead) if ahead.abs() > LARGEST_DIFFERENCE => Finding::new(
            subject,
            Verdict::Bad,
            format!("the store's is {ahead} s ahead of this one"),
        )
        .hint("set this machine's clock: stores refuse requests of another time"),
        // The store's time has whole seconds.
        Some(-1..=1) => Finding::new(subject, Verdict::Good, "the same within a second"),
        Some(ahead) => Finding::new(
            subject,
            Verdict::Good,
            format!("the store's is {ahead} s ahead of this one"),
        ),
    }
}

/// Whether the bucket keeps older versions, which `erase` has to know.
fn versions(store: &Arc<Store>) -> Finding {
    let subject = "versions";
    let neutral = |found: &str| Finding::new(subject, Verdict::Neutral, found);
    match kept(store) {
        Ok(Kept::Nothing) => neutral("none are kept"),
        Ok(Kept::Versions { is_on: true }) => neutral("older versions of files are kept"),
        Ok(Kept::Versions { is_on: false }) => neutral("no more are kept; older ones may be there"),
        Ok(Kept::Unknown(Some(status))) => neutral(&format!("cannot be told ({status})"))
            .hint("allow `s3:GetBucketVersioning` to these credentials to see it"),
        Ok(Kept::Maybe(_)) => neutral("cannot be told: see the bucket's settings"),
        Ok(Kept::Unknown(None)) | Err(_) => neutral("cannot be told"),
    }
}
