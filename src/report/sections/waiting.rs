//! Who waits for an answer now: how many, and for how long.

use chrono::{DateTime, Days};
use chrono_tz::Tz;
use wabalake_data::tables::messages;
use wabalake_data::words::{counted, counted_as};
use wabalake_queries::waiting::{self, Waiting};

use super::{News, Notable};
use crate::error::Result;
use crate::report::charts::{Bar, bars};
use crate::report::figures::{Unit, long, whole};
use crate::report::html::Html;
use crate::report::{PageContext, Period, last_day_of};

const ID: &str = "waiting";

/// Days in which those who wait now may have begun to: whoever writes again and again waits longer
/// than a day.
const DAYS: u64 = 30;

/// How long people wait, and the hours up to which.
const AGES: [(&str, f64); 5] = [
    ("Under 1 hour", 1.0),
    ("1 to 4 hours", 4.0),
    ("4 to 12 hours", 12.0),
    ("12 to 24 hours", 24.0),
    ("Over a day", f64::INFINITY),
];

/// The people who wait at the end of the lake's messages. `None` if nobody does, or if the period
/// ends before.
pub(super) fn who_waits(page: &PageContext<'_>) -> Result<Option<Notable>> {
    let Some(last) = last_day_of(page.lake, &messages::TABLE)? else { return Ok(None) };
    // In some time zones the last message is of the date after its UTC day.
    let to = last.succ_opt().unwrap_or(last);
    let from = to.checked_sub_days(Days::new(DAYS)).unwrap_or(to);
    if page.period.to < from {
        return Ok(None);
    }
    let answer = page.ask_about::<Waiting>(Period { from, to, ..page.period }, &[])?;
    let buckets = answer.instants("half_hour")?;
    let started = answer.numbers(waiting::STARTED)?;
    let (answered, unanswered) =
        (answer.numbers(waiting::ANSWERED)?, answer.numbers(waiting::UNANSWERED)?);
    // Those who were neither answered nor gave up.
    let still = |row: usize| {
        let count = |counts: &[Option<f64>]| counts[row].unwrap_or(0.0);
        count(&started) - count(&answered) - count(&unanswered)
    };
    let waits = buckets.iter().enumerate().filter_map(|(row, at)| Some(((*at)?, still(row))));
    let waits: Vec<(DateTime<Tz>, f64)> = waits.filter(|(_, people)| *people > 0.0).collect();
    // While somebody waits, every half-hour up to the last message has a row.
    let (Some(now), Some((first, _))) = (buckets.iter().flatten().max(), waits.first()) else {
        return Ok(None);
    };
    if now.date_naive() > page.period.to {
        return Ok(None);
    }
    let people: f64 = waits.iter().map(|(_, people)| people).sum();
    let people = counted_as(whole(people), "person waits", "people wait");
    let what = format!("{people} for an answer");
    let at = format!("{}, {}", long(now.date_naive()), now.format("%H:%M"));
    let longest = longest(hours_between(*first, *now));
    let mut body = Html::new();
    body.raw("<p class=\"verdict\">").text(&format!("{what}, the longest for {longest}."));
    body.raw("</p>").add(&by_age(&waits, *now));
    let about = format!(
        "Who wrote and has no answer, at about {at}, where the messages in the lake end? A person who \
         wrote to two lines counts twice, a template is no answer, and after 24 hours without another \
         message nobody waits any more."
    );
    let more = format!(", the longest for {longest} (at about {at}).");
    let news = vec![News { section: ID, what, more }];
    let section = answer.section_about(ID, "Who waits for an answer now", &about, body);
    Ok(Some(Notable { section, news }))
}

fn hours_between(from: DateTime<Tz>, to: DateTime<Tz>) -> f64 {
    (to - from).num_minutes() as f64 / 60.0
}

/// The number of people by how long they wait. Times are those of half-hours.
fn by_age(waits: &[(DateTime<Tz>, f64)], now: DateTime<Tz>) -> Html {
    let mut counts = [0.0; AGES.len()];
    for (since, people) in waits {
        let age = hours_between(*since, now);
        if let Some(place) = AGES.iter().position(|(_, hours)| age < *hours) {
            counts[place] += people;
        }
    }
    let bar = |((name, _), count): (&(&str, f64), &f64)| Bar {
        name: (*name).to_owned(),
        figure: *count,
        shown: Unit::Count.show(Some(*count)),
        note: None,
    };
    bars(&AGES.iter().zip(&counts).map(bar).collect::<Vec<_>>())
}

/// How long somebody waits, as words.
fn longest(hours: f64) -> String {
    if hours < 1.0 {
        "less than an hour".to_owned()
    } else if hours < 48.0 {
        format!("about {}", counted(whole(hours), "hour"))
    } else {
        format!("about {}", counted(whole(hours / 24.0), "day"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_grouped_by_age() {
        let at = |hours: i64| DateTime::from_timestamp(hours * 3_600, 0).unwrap();
        let at = |hours| at(hours).with_timezone(&Tz::UTC);
        let html = by_age(&[(at(0), 2.0), (at(45), 1.0), (at(48), 4.0)], at(48)).into_string();
        let counts: Vec<&str> = html.split("<span class=\"value\">").skip(1).collect();
        let counts = counts.iter().map(|rest| rest.split('<').next().unwrap());
        assert_eq!(counts.collect::<Vec<_>>(), ["4", "1", "0", "0", "2"]);
    }

    #[test]
    fn longest_wait_is_said_roughly() {
        assert_eq!(longest(0.5), "less than an hour");
        assert_eq!(longest(1.0), "about 1 hour");
        assert_eq!(longest(13.5), "about 14 hours");
        assert_eq!(longest(71.0), "about 3 days");
    }
}
