//! The process that holds the lock of a nightly run, and whether it is still there.

use std::fs;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A process, as others read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    pub(super) host: String,
    /// Identifies one boot of the machine; `None` where there is no `/proc`.
    pub(super) boot: Option<String>,
    /// The namespace that its process id is of: containers of one machine share a boot.
    #[serde(default)]
    pub(super) namespace: Option<String>,
    pub(super) process: u32,
    /// When the process began, in ticks of the clock since the boot: process ids are used again.
    #[serde(default)]
    pub(super) ticks: Option<u64>,
    pub(super) started_at: DateTime<Utc>,
    /// Different in each beat.
    #[serde(default)]
    pub(super) beat: String,
}

impl Holder {
    /// This process.
    pub(super) fn this() -> Self {
        let read = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
        let namespace = fs::read_link("/proc/self/ns/pid").ok();
        let process = std::process::id();
        Self {
            host: read("/proc/sys/kernel/hostname")
                .unwrap_or_else(|| "this or another machine".to_owned()),
            boot: read("/proc/sys/kernel/random/boot_id"),
            namespace: namespace.map(|namespace| namespace.to_string_lossy().into_owned()),
            process,
            ticks: start_of(process),
            started_at: Utc::now(),
            beat: String::new(),
        }
    }

    /// Reads a holder; `None` if another version of wabalake wrote something else.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// The text of a beat, as long as that of every other beat.
    pub(super) fn beat(&self) -> Bytes {
        let beat = Self { beat: Uuid::new_v4().to_string(), ..self.clone() };
        // A holder has no value that JSON lacks.
        serde_json::to_vec(&beat).unwrap_or_default().into()
    }

    /// Returns `true` if the holder is of this boot of this machine.
    pub(super) fn is_of_this_machine(&self) -> bool {
        self.boot.is_some() && self.boot == Self::this().boot
    }

    /// Returns `true` if its process still runs, and `false` if not; `None` if this machine cannot tell.
    pub(super) fn is_running(&self) -> Option<bool> {
        let this = Self::this();
        let sees_it = self.is_of_this_machine()
            && self.namespace.is_some()
            && self.namespace == this.namespace;
        let ticks = self.ticks.filter(|_| sees_it)?;
        Some(start_of(self.process) == Some(ticks))
    }
}

/// When a process began, in ticks since the boot; `None` if there is none, or no `/proc`.
fn start_of(process: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program, in brackets, may hold spaces and brackets. The start is the 22nd field.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn process_is_known_by_its_start_and_its_namespace() {
        let this = Holder::this();
        assert_eq!(this.is_running(), Some(true));
        let other = |change: &dyn Fn(&mut Holder)| {
            let mut other = this.clone();
            change(&mut other);
            other.is_running()
        };
        assert_eq!(other(&|holder| holder.ticks = Some(1)), Some(false), "its id is used again");
        assert_eq!(other(&|holder| holder.process = u32::MAX), Some(false));
        assert_eq!(other(&|holder| holder.namespace = Some("pid:[1]".to_owned())), None);
        assert_eq!(other(&|holder| holder.boot = Some("another".to_owned())), None);
        assert_eq!(other(&|holder| holder.ticks = None), None, "an older version wrote it");
    }

    #[test]
    fn holder_is_read_back_and_beats_differ() {
        let this = Holder::this();
        let (first, second) = (this.beat(), this.beat());
        assert_ne!(first, second);
        assert_eq!(first.len(), second.len());
        let read = Holder::parse(&first).unwrap();
        assert_eq!(Holder { beat: String::new(), ..read }, this);
        let old = br#"{"host":"h","boot":null,"process":7,"started_at":"2026-01-02T03:04:05Z"}"#;
        assert_eq!(Holder::parse(old).unwrap().process, 7);
    }
}
