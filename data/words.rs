//! Texts for people: suggestions for a misspelt name, numbers, plurals, sizes and durations.

use std::fmt::Display;

/// The known word most similar to an unknown one, ignoring case; `None` if none is similar.
///
/// ```
/// use wabalake_data::words::nearest;
/// assert_eq!(nearest("Sesions", ["messages", "sessions"]), Some("sessions"));
/// assert_eq!(nearest("rates", ["messages", "sessions"]), None);
/// ```
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let scored = known
        .into_iter()
        .map(|known| (strsim::normalized_damerau_levenshtein(&word, &known.to_lowercase()), known));
    let best = scored
        .filter(|(score, _)| *score > 0.5)
        .reduce(|best, next| if next.0 > best.0 { next } else { best });
    best.map(|(_, known)| known)
}

/// The Jaro-Winkler similarity of two words, 0 to 1. A common prefix counts most, which suits other
/// names of a thing; [`nearest`] counts edits, which suits misspelt names.
pub fn likeness(one: &str, other: &str) -> f64 {
    strsim::jaro_winkler(one, other)
}

/// Formats the question `did you mean …?`. The argument brings its own backticks.
pub fn did_you_mean(meant: impl Display) -> String {
    format!("did you mean {meant}?")
}

/// Asks for the [`nearest`] known word: ``did you mean `sessions`?``. `None` if none is similar.
pub fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, known).map(|near| did_you_mean(format_args!("`{near}`")))
}

/// Puts the [`suggestion`], if there is one, before a hint.
///
/// ```
/// use wabalake_data::words::suggestion_and;
/// let hint = |word| suggestion_and(word, ["day", "hour"], "it takes day and hour");
/// assert_eq!(hint("dya"), "did you mean `day`? it takes day and hour");
/// assert_eq!(hint("always"), "it takes day and hour");
/// ```
pub fn suggestion_and<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
    hint: &str,
) -> String {
    match suggestion(word, known) {
        Some(suggestion) => format!("{suggestion} {hint}"),
        None => hint.to_owned(),
    }
}

/// Joins names in backticks: `` `a`, `b` and `c` ``.
pub fn listed(names: &[impl AsRef<str>]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Formats a number with thousands separators: `1,234,567`.
pub fn grouped(number: u64) -> String {
    in_threes(&number.to_string())
}

/// Adds thousands separators to a number in digits, which may have a sign and decimals.
pub fn in_threes(number: &str) -> String {
    let whole = number.find('.').unwrap_or(number.len());
    let mut out = String::with_capacity(number.len() + whole / 3);
    for (at, c) in number.char_indices() {
        let is_start = at == 0 || out == "-";
        if at < whole && !is_start && (whole - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// The singular for 1, else the plural.
pub fn plural<'a>(number: u64, one: &'a str, many: &'a str) -> &'a str {
    if number == 1 { one } else { many }
}

/// Formats a count with its noun: `1 row`, `1,234 rows`.
pub fn counted(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", grouped(number), plural(number, "", "s"))
}

/// Formats a count with its noun, for irregular plurals: `1 person`, `1,234 people`.
pub fn counted_as(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), plural(number, one, many))
}

/// Formats a number of bytes: `999 B`, `2.5 MB`.
pub fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

/// Formats elapsed seconds: `0.52 s`, `2m 05s`, `75m 00s`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
pub fn elapsed(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.2} s");
    }
    let whole = seconds as u64;
    format!("{}m {:02}s", whole / 60, whole % 60)
}

/// Formats a duration in seconds in its two largest units, rounded: `12.50s`, `2m 05s`, `2h 05m`,
/// `3d 04h`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "years fit")]
pub fn duration(seconds: f64) -> String {
    let length = seconds.abs();
    let sign = if seconds < 0.0 && length >= 0.005 { "-" } else { "" };
    let rounded = |to: f64| (length / to).round() * to;
    // Each unit: its length, the rounding within it, and the rounding within the next smaller unit.
    // A duration that rounds up to a full unit is shown in that unit.
    let larger = [(86_400.0, 3_600.0, 60.0), (3_600.0, 60.0, 1.0), (60.0, 1.0, 0.01)];
    match larger.into_iter().find(|(unit, _, below)| rounded(*below) >= *unit) {
        Some((_, to, _)) => format!("{sign}{}", whole_duration(rounded(to) as u64)),
        None => format!("{sign}{length:.2}s"),
    }
}

/// Formats a duration in whole seconds in its two largest units, truncated: `7s`, `2h 03m`.
pub fn whole_duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h {:02}m", minutes % 60),
        _ => format!("{days}d {:02}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_is_the_first_of_equally_similar_words() {
        assert_eq!(
            suggestion("DROPOFF", ["drop-off", "replies"]).unwrap(),
            "did you mean `drop-off`?"
        );
        assert_eq!(nearest("ab", ["abc", "abd"]), Some("abc"));
        assert_eq!(suggestion("x", ["drop-off"]), None);
        assert_eq!(nearest("", []), None);
    }

    #[test]
    fn names_are_joined_in_backticks() {
        assert_eq!(listed(&["a"; 0]), "");
        assert_eq!(listed(&["a"]), "`a`");
        assert_eq!(listed(&["a", "b", "c"]), "`a`, `b` and `c`");
    }

    #[test]
    fn numbers_have_thousands_separators() {
        for (number, text) in [
            ("0", "0"),
            ("999", "999"),
            ("1000", "1,000"),
            ("-1000", "-1,000"),
            ("-100", "-100"),
            ("1234567.8901", "1,234,567.8901"),
        ] {
            assert_eq!(in_threes(number), text);
        }
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn counts_have_singular_and_plural() {
        assert_eq!([0, 1, 1_234].map(|n| counted(n, "row")), ["0 rows", "1 row", "1,234 rows"]);
        assert_eq!([1, 2].map(|n| counted_as(n, "person", "people")), ["1 person", "2 people"]);
    }

    #[test]
    fn bytes_use_the_largest_unit_that_fits() {
        for (number, text) in [
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (2_500_000, "2.5 MB"),
            (1_234_000_000_000, "1234.00 GB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn elapsed_uses_minutes_from_one_minute_on() {
        for (seconds, text) in
            [(0.0, "0.00 s"), (1.239, "1.24 s"), (60.9, "1m 00s"), (4_503.0, "75m 03s")]
        {
            assert_eq!(elapsed(seconds), text);
        }
    }

    #[test]
    fn durations_use_their_two_largest_units() {
        for (seconds, text) in [
            (0.0, "0.00s"),
            (0.021, "0.02s"),
            (59.99, "59.99s"),
            (59.999, "1m 00s"),
            (60.0, "1m 00s"),
            (125.4, "2m 05s"),
            (3_599.4, "59m 59s"),
            (3_599.6, "1h 00m"),
            (7_500.0, "2h 05m"),
            (86_369.0, "23h 59m"),
            (86_371.0, "1d 00h"),
            (100_000.0, "1d 04h"),
            (8_640_000.0, "100d 00h"),
            (-7_500.0, "-2h 05m"),
            (-0.001, "0.00s"),
        ] {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
        for (seconds, text) in [(59, "59s"), (60, "1m 00s"), (7_439, "2h 03m"), (90_000, "1d 01h")]
        {
            assert_eq!(whole_duration(seconds), text);
        }
    }
}
