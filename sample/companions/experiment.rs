//! The experiment of a plan: before the campaign of a month, the business draws people whom it will
//! treat, and others whom it will hold out.
//!
//! Both are tags of people. In the 30 days after the draw, sessions of the treated lead to more
//! purchases.

use std::ops::Range;

use chrono::NaiveDate;

use crate::Plan;
use crate::episode::DAY;
use crate::people::Person;
use crate::random::hash;

/// The day of the plan on which people are drawn.
const DRAWN: i64 = 25;

/// A day of the plan in the campaign's month.
const CAMPAIGN: i64 = 31;

/// The purpose of the random numbers.
const STREAM: u64 = 12;

/// The purchases that the campaign adds, per mille of sessions.
const ADDED: u64 = 60;

/// The people of an experiment.
#[derive(Debug)]
pub(super) struct Experiment {
    pub(super) drawn_on: NaiveDate,
    /// The start of that day, in microseconds since 1970.
    drawn_at: i64,
    /// The tags of the treated and of those who are held out.
    tags: [String; 2],
}

impl Experiment {
    pub(super) fn of(plan: &Plan) -> Self {
        let date = |day| plan.date(day).unwrap_or_default();
        let month = date(CAMPAIGN).format("%B").to_string().to_lowercase();
        Self {
            drawn_on: date(DRAWN),
            drawn_at: plan.generator().midnight(DRAWN),
            tags: ["treated", "control"].map(|group| format!("{month}-{group}")),
        }
    }

    /// Returns `true` if people are drawn on one of these days of the plan.
    pub(super) fn is_drawn_in(days: &Range<i64>) -> bool {
        days.contains(&DRAWN)
    }

    /// The tag of a person; `None` for two of three, who are not drawn.
    pub(super) fn tag(&self, person: &Person) -> Option<&str> {
        let place = hash(&[person.nature, STREAM]) % 6;
        self.tags.get(usize::try_from(place).ok()?).map(String::as_str)
    }

    /// The purchases that the experiment adds, per mille of a person's sessions that start then.
    pub(super) fn added(&self, person: &Person, at: i64) -> u64 {
        let is_treated = self.tag(person) == Some(self.tags[0].as_str());
        let reached = (self.drawn_at..self.drawn_at + 30 * DAY).contains(&at);
        if is_treated && reached { ADDED } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_of_the_treated_add_purchases_for_thirty_days() {
        let plan = Plan::default();
        let experiment = Experiment::of(&plan);
        let people = (0..200).map(|number| Person::new(plan.seed, number));
        let (treated, others): (Vec<_>, Vec<_>) =
            people.partition(|person| experiment.tag(person) == Some("june-treated"));
        let drawn = plan.generator().midnight(25);
        assert!(treated.len() > 15 && others.len() > 100, "{}", treated.len());
        for (day, added) in [(-1, 0), (0, ADDED), (29, ADDED), (30, 0)] {
            let at = drawn + day * DAY;
            assert!(treated.iter().all(|person| experiment.added(person, at) == added), "{day}");
            assert!(others.iter().all(|person| experiment.added(person, at) == 0), "{day}");
        }
        let other_start = NaiveDate::from_ymd_opt(2024, 6, 1).unwrap();
        let experiment = Experiment::of(&Plan { start: other_start, ..plan });
        assert_eq!(experiment.tags, ["july-treated", "july-control"]);
        assert_eq!(experiment.drawn_on.to_string(), "2024-06-26");
    }
}
