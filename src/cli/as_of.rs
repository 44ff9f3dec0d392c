//! Options that name a version of the tables: `--as-of`, and `--with` of `compare`.

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use chrono_tz::Tz;
use wabalake_data::TABLES;
use wabalake_data::words::suggestion;
use wabalake_queries::query::time::day_start;

use crate::error::{Error, Result};
use crate::lake::AsOf;

/// Parses the value of an option: a time, a date, or versions of tables.
pub(super) fn read(option: &str, text: &str, zone: Tz) -> Result<AsOf> {
    let invalid = || {
        Error::usage(format!("`{option}` takes a time or versions of tables"))
            .hint("such as 2025-06-01T06:00:00Z, 2025-06-01 or sessions=12,deployments=9")
    };
    if text.contains('=') {
        let versions = text.split(',').map(|part| {
            let (name, version) = part.split_once('=').ok_or_else(invalid)?;
            let Some(table) = TABLES.iter().find(|table| table.name == name) else {
                let hint = suggestion(name, TABLES.iter().map(|table| table.name))
                    .unwrap_or_else(|| "`wabalake status` lists tables".to_owned());
                return Err(Error::usage(format!("`{option}` names an unknown table")).hint(hint));
            };
            Ok((table.name, version.parse().map_err(|_| invalid())?))
        });
        return Ok(AsOf::Versions(versions.collect::<Result<_>>()?));
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(AsOf::Instant(at.to_utc()));
    }
    let micros = if let Ok(date) = text.parse::<NaiveDate>() {
        Some(day_start(zone, date))
    } else {
        let local: Option<NaiveDateTime> = text.replacen(' ', "T", 1).parse().ok();
        let at = local.and_then(|local| local.and_local_timezone(zone).earliest());
        at.map(|at| at.timestamp_micros())
    };
    let at = micros.and_then(DateTime::from_timestamp_micros).ok_or_else(invalid)?;
    Ok(AsOf::Instant(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_of_takes_a_time_a_date_or_versions() {
        let instant = |text: &str| AsOf::Instant(text.parse().unwrap());
        let read = |text| read("--as-of", text, Tz::America__Bogota);
        assert_eq!(read("2025-06-01T06:00:00Z").unwrap(), instant("2025-06-01T06:00:00Z"));
        assert_eq!(read("2025-06-01").unwrap(), instant("2025-06-01T05:00:00Z"));
        assert_eq!(read("2025-06-01 06:00:00").unwrap(), instant("2025-06-01T11:00:00Z"));
        let versions = [("deployments", 9), ("sessions", 12)].into_iter().collect();
        assert_eq!(read("sessions=12,deployments=9").unwrap(), AsOf::Versions(versions));
        assert!(read("sesions=1").unwrap_err().lines().ends_with("did you mean `sessions`?"));
        for text in ["", "12", "yesterday", "sessions=x"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
