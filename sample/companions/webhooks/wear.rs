//! How the promotion wears out: what Meta reports of its template, and people who stop marketing
//! messages.
//!
//! The template is of a vendor's account, as its messages are: the business receives the events of all
//! of its accounts.

use super::{Day, Shown, quality_update, status_update};
use crate::Plan;
use crate::company::{FLOWS, LINES, PROMOTION};
use crate::episode::{DAY, SECOND, SendOutcome};
use crate::people::Rhythm;
use crate::random::{Random, hash};
use crate::season::{self, Report};

/// The purpose of the random stream.
const STREAM: u64 = 12;

impl Day<'_> {
    /// What Meta reports of the promotion's template on a day, before anything is sent.
    pub(super) fn report_wear(&mut self, day: i64) {
        let today = season::day_of_season(day);
        for (_, report) in season::REPORTS.iter().filter(|(of, _)| *of == today) {
            self.rows.events += 1;
            let flow = &FLOWS[PROMOTION];
            let (field, value) = match *report {
                Report::Quality(scores) => quality_update(flow, scores),
                Report::Status(status) => status_update(flow, status, "NONE"),
            };
            self.deliver_of(LINES[0].waba, self.midnight + 1800, field, &value);
        }
    }

    /// People who stop marketing messages within two hours of the promotion, more of them as it wears
    /// out. They are found among `sends` of the day.
    pub(super) fn stop_promotion(
        &mut self,
        plan: &Plan,
        day: i64,
        sends: u32,
        rhythms: &[Rhythm; 7],
    ) {
        let generator = plan.generator();
        let mut random = Random::new(hash(&[plan.seed, STREAM, day.cast_unsigned()]));
        let mut episode = generator.blank();
        for _ in 0..sends {
            let number = random.below(generator.sends(day));
            generator.generate(day, number, rhythms, &mut episode);
            let sent = episode.deployment.filter(|sent| sent.flow.id == FLOWS[PROMOTION].id);
            let Some(SendOutcome::Delivered(delivered)) = sent.map(|sent| sent.outcome) else {
                continue;
            };
            if random.chance(100 + season::wear(day)) {
                let at = delivered / SECOND + i64::from(60 + random.below(7_140));
                if at < self.midnight + DAY / SECOND {
                    self.rows.events += 1;
                    self.preference(&Shown::of(&episode.person), "stop", at);
                }
            }
        }
    }
}
