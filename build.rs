//! Packs the addresses that the system's loader adjusts when the program starts: there are half a million
//! of them, which would take a tenth of the program and be read at each start.

use std::env;
use std::process::Command;

/// The first version of the GNU C library whose loader reads packed addresses.
const SINCE: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let [target, host] = ["TARGET", "HOST"].map(|name| env::var(name).unwrap_or_default());
    if target == host && target.ends_with("linux-gnu") && library() >= Some(SINCE) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of this machine's GNU C library: `glibc 2.36`.
fn library() -> Option<(u32, u32)> {
    let asked = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(asked.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}
