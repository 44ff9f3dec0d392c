//! What is different from day to day, beside weekdays and versions of flows.
//!
//! A season has 91 days, the first of which is that of the plan:
//!
//! | days | what happens |
//! |---|---|
//! | from 14 on | the promotion wears out: fewer and fewer read it, more stop marketing messages |
//! | 42, 66 and 67 | its template is paused, so that no send of it is delivered |
//! | 47 to 53 | the Mexican line reaches its limit of people, and nearly half of its sends fail |

use super::company::{LINES, Line, PROMOTION};

/// The number of days of a season.
const DAYS: i64 = 91;

/// What Meta reports of the promotion's template.
#[derive(Clone, Copy, Debug)]
pub(super) enum Report {
    /// The quality score before, and after.
    Quality([&'static str; 2]),
    Status(&'static str),
}

/// What Meta reports of the promotion's template, with the day of the season.
pub(super) static REPORTS: [(i64, Report); 7] = [
    (21, Report::Quality(["GREEN", "YELLOW"])),
    (35, Report::Quality(["YELLOW", "RED"])),
    (42, Report::Status("PAUSED")),
    (43, Report::Status("APPROVED")),
    (66, Report::Status("PAUSED")),
    (68, Report::Status("APPROVED")),
    (90, Report::Quality(["RED", "GREEN"])),
];

/// The day of the season, counted from 0, of a day of the plan.
pub(super) fn day_of_season(day: i64) -> i64 {
    day.rem_euclid(DAYS)
}

/// How worn out the promotion is on a day, per mille.
pub(super) fn wear(day: i64) -> u32 {
    u32::try_from((day_of_season(day) - 14) * 10).unwrap_or(0)
}

/// Returns `true` if the template of a flow, by its index, is paused on a day.
pub(super) fn is_paused(flow: usize, day: i64) -> bool {
    flow == PROMOTION && matches!(day_of_season(day), 42 | 66 | 67)
}

/// Returns `true` if a line has reached its limit of people on a day.
pub(super) fn is_full(line: &Line, day: i64) -> bool {
    line.number == LINES[1].number && (47..54).contains(&day_of_season(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wear_starts_anew_with_each_season() {
        assert_eq!([0, 14, 15, 90, 91, 106].map(wear), [0, 0, 10, 760, 0, 10]);
        assert!(is_paused(PROMOTION, 91 + 66) && !is_paused(PROMOTION + 1, 66));
        assert!(is_full(&LINES[1], 53) && !is_full(&LINES[1], 54) && !is_full(&LINES[0], 53));
    }
}
