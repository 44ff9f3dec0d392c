//! Options that are an instant: `--at 2025-06-01T10:00:00`.

use chrono_tz::Tz;
use clap::Error;
use wabalake_data::Invalid;
use wabalake_data::cells::stamp::{self, Stamp};

use crate::query::usage::misfit;

/// The instant of an option, in microseconds since 1970. Without an offset it is of the time zone.
///
/// # Errors
/// A word that is no instant.
pub fn read_instant(option: &str, word: &str, zone: Tz) -> Result<i64, Error> {
    match stamp::read(word, zone) {
        Stamp::At(at) => Ok(at),
        Stamp::Sentinel | Stamp::Skipped | Stamp::Bad => {
            let invalid = Invalid::new(format!("`{option} {word}` is no instant in {zone}"));
            Err(misfit(invalid.hint(
                "write it as 2025-06-01T10:00:00, which is of that zone, or 2025-06-01T10:00:00Z",
            )))
        }
    }
}
