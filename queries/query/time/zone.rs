//! Parser of time zone names.
//!
//! ```text
//! --timezone America/Bogota     the zone
//! --timezone COT                did you mean `America/Bogota`?
//! --timezone UTC-5              zones that have UTC-05:00 now: `America/Bogota`, …
//! ```

use chrono::{NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use wabalake_data::Invalid;
use wabalake_data::cells::enumeration::normalise;
use wabalake_data::words::{did_you_mean, nearest};

/// Parses the IANA name of a time zone.
///
/// # Errors
/// An unknown name. The hint names the zones of an abbreviation, those whose current offset was
/// given, or the zone with the nearest name.
pub fn read_zone(name: &str) -> Result<Tz, Invalid> {
    name.trim().parse().map_err(|_| {
        let hint = zones_meant(name.trim(), &Utc::now().naive_utc())
            .unwrap_or_else(|| "a zone is an IANA name, such as America/Bogota".to_owned());
        Invalid::new("no such time zone").hint(hint)
    })
}

/// The zones that are suggested first for an offset, the likeliest one at the top.
const LIKELY: [Tz; 28] = [
    Tz::America__Bogota,
    Tz::America__Mexico_City,
    Tz::America__Sao_Paulo,
    Tz::America__Argentina__Buenos_Aires,
    Tz::America__Lima,
    Tz::America__Santiago,
    Tz::America__Guayaquil,
    Tz::America__Caracas,
    Tz::America__La_Paz,
    Tz::America__Panama,
    Tz::America__Costa_Rica,
    Tz::America__Guatemala,
    Tz::America__Santo_Domingo,
    Tz::America__Asuncion,
    Tz::America__Montevideo,
    Tz::America__Tijuana,
    Tz::America__New_York,
    Tz::America__Chicago,
    Tz::America__Denver,
    Tz::America__Los_Angeles,
    Tz::Europe__London,
    Tz::Europe__Madrid,
    Tz::Africa__Lagos,
    Tz::Africa__Johannesburg,
    Tz::Asia__Dubai,
    Tz::Asia__Kolkata,
    Tz::Asia__Jakarta,
    Tz::Australia__Sydney,
];

/// Abbreviations, and the zones that each may stand for.
const ABBREVIATIONS: [(&[&str], &[Tz]); 24] = [
    (&["COT", "COST"], &[Tz::America__Bogota]),
    (&["PET"], &[Tz::America__Lima]),
    (&["ECT"], &[Tz::America__Guayaquil]),
    (&["BRT", "BRST", "BRASILIA"], &[Tz::America__Sao_Paulo]),
    (&["AMT"], &[Tz::America__Manaus]),
    (&["ART"], &[Tz::America__Argentina__Buenos_Aires]),
    (&["CLT", "CLST"], &[Tz::America__Santiago]),
    (&["VET"], &[Tz::America__Caracas]),
    (&["BOT"], &[Tz::America__La_Paz]),
    (&["PYT", "PYST"], &[Tz::America__Asuncion]),
    (&["UYT"], &[Tz::America__Montevideo]),
    (&["CST"], &[Tz::America__Mexico_City, Tz::America__Chicago]),
    (&["CDT", "CT"], &[Tz::America__Chicago, Tz::America__Mexico_City]),
    (&["EDT", "ET"], &[Tz::America__New_York]),
    (&["MDT", "MT"], &[Tz::America__Denver]),
    (&["PST", "PDT", "PT"], &[Tz::America__Los_Angeles, Tz::America__Tijuana]),
    (&["AST", "ADT"], &[Tz::America__Santo_Domingo, Tz::America__Halifax]),
    (&["BST"], &[Tz::Europe__London]),
    (&["CEST"], &[Tz::Europe__Madrid, Tz::Europe__Berlin]),
    (&["EEST"], &[Tz::Europe__Athens]),
    (&["WEST"], &[Tz::Europe__Lisbon]),
    (&["IST"], &[Tz::Asia__Kolkata]),
    (&["WIB"], &[Tz::Asia__Jakarta]),
    (&["GST"], &[Tz::Asia__Dubai]),
];

/// Returns a hint of the zones that an unknown name may stand for.
fn zones_meant(word: &str, now: &NaiveDateTime) -> Option<String> {
    if let Some(east) = read_offset(word) {
        let has = |zone: &Tz| zone.offset_from_utc_datetime(now).fix().local_minus_utc() == east;
        // Only zones of places: `Etc/GMT+5` is five hours behind UTC.
        let is_place = |zone: &Tz| {
            let area = zone.name().split_once('/').map(|(area, _)| area);
            area.is_some_and(|area| area != "Etc" && area != "SystemV" && area != "US")
        };
        let others = TZ_VARIANTS.iter().copied().filter(|zone| !LIKELY.contains(zone));
        let all = LIKELY.into_iter().chain(others).filter(|zone| is_place(zone) && has(zone));
        let named: Vec<String> = all.take(4).map(|zone| format!("`{zone}`")).collect();
        let minutes = east.abs() / 60;
        let sign = if east < 0 { '-' } else { '+' };
        let offset = format!("UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60);
        return Some(match named.as_slice() {
            [] => {
                format!("no place has {offset} now: a zone is an IANA name, such as America/Bogota")
            }
            named => format!("zones that have {offset} now: {}", named.join(", ")),
        });
    }
    let upper = word.to_uppercase();
    let known = ABBREVIATIONS.iter().find(|(names, _)| names.contains(&upper.as_str()));
    if let Some((_, zones)) = known {
        let zones: Vec<String> = zones.iter().map(|zone| format!("`{zone}`")).collect();
        return Some(did_you_mean(zones.join(" or ")));
    }
    let names = || TZ_VARIANTS.iter().map(|zone| zone.name());
    let place = |name: &str| normalise(name.rsplit('/').next().unwrap_or(name));
    let city = normalise(&word.replace(char::is_whitespace, "_"));
    let same = names().find(|name| name.contains('/') && place(name) == city);
    // The nearest spelling of an abbreviation may be a zone hours away.
    let is_short = word.chars().count() <= 5 && !word.contains('/');
    let near = same.or_else(|| nearest(word, names()).filter(|_| !is_short))?;
    Some(did_you_mean(format_args!("`{near}`")))
}

/// Parses an offset such as `UTC-5`, `GMT+05:30` or `-0300` into seconds east of UTC.
fn read_offset(word: &str) -> Option<i32> {
    let upper = word.to_uppercase().replace(' ', "").replace('\u{2212}', "-");
    let bare = ["UTC", "GMT", "Z"].iter().find_map(|name| upper.strip_prefix(name));
    let bare = bare.unwrap_or(&upper);
    let (sign, digits) = match (bare.strip_prefix('+'), bare.strip_prefix('-')) {
        (Some(digits), _) => (1, digits),
        (_, Some(digits)) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match (digits.split_once(':'), digits.len()) {
        (Some(parts), _) => parts,
        (None, 1 | 2) => (digits, "0"),
        (None, 3 | 4) => digits.split_at_checked(digits.len() - 2)?,
        _ => return None,
    };
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let is_offset = (0..=14).contains(&hours) && (0..60).contains(&minutes);
    is_offset.then_some(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    fn meant(word: &str, month: u32) -> Option<String> {
        let now = NaiveDate::from_ymd_opt(2026, month, 15)?.and_hms_opt(12, 0, 0)?;
        zones_meant(word, &now)
    }

    #[test]
    fn an_offset_suggests_the_zones_that_have_it_now() {
        for word in
            ["UTC-5", "GMT-5", "gmt-05", "UTC -5", "-05:00", "-0500", "UTC\u{2212}5", "utc-5:00"]
        {
            let said = meant(word, 1).unwrap();
            assert_eq!(
                said,
                "zones that have UTC-05:00 now: `America/Bogota`, `America/Lima`, \
                 `America/Guayaquil`, `America/Panama`",
                "{word}"
            );
        }
        assert!(meant("+5:30", 1).unwrap().contains("UTC+05:30 now: `Asia/Kolkata`"));
        assert!(meant("UTC-7:13", 1).unwrap().starts_with("no place has UTC-07:13 now"));
        // Madrid is on daylight saving time in July.
        assert!(meant("UTC+2", 7).unwrap().contains("`Europe/Madrid`"));
        assert!(!meant("UTC+2", 1).unwrap().contains("`Europe/Madrid`"));
    }

    #[test]
    fn every_suggested_zone_has_the_offset() {
        let now = Utc::now().naive_utc();
        for quarters in -56..=56 {
            let (sign, size) = (if quarters < 0 { '-' } else { '+' }, i32::abs(quarters) * 15);
            let said =
                zones_meant(&format!("UTC{sign}{}:{:02}", size / 60, size % 60), &now).unwrap();
            for name in said.split('`').skip(1).step_by(2) {
                let zone: Tz = name.parse().unwrap();
                let east = zone.offset_from_utc_datetime(&now).fix().local_minus_utc();
                assert_eq!(east, quarters * 15 * 60, "{name}");
            }
        }
    }

    #[test]
    fn abbreviations_suggest_their_zones_and_never_similar_spellings() {
        for (word, hint) in [
            ("COT", "did you mean `America/Bogota`?"),
            ("brt", "did you mean `America/Sao_Paulo`?"),
            ("CST", "did you mean `America/Mexico_City` or `America/Chicago`?"),
            ("Bogota", "did you mean `America/Bogota`?"),
            ("Sao Paulo", "did you mean `America/Sao_Paulo`?"),
            ("America/Bogata", "did you mean `America/Bogota`?"),
            ("Lima", "did you mean `America/Lima`?"),
        ] {
            assert_eq!(meant(word, 1).as_deref(), Some(hint), "{word}");
        }
        for word in ["XYT", "CXT", "UTD", "573005550101", ""] {
            assert_eq!(meant(word, 1), None, "{word}");
        }
        for (names, zones) in ABBREVIATIONS {
            for name in names {
                let hint = read_zone(name).unwrap_err().hint.unwrap();
                assert!(hint.contains(zones[0].name()), "{name}: {hint}");
            }
        }
    }
}
