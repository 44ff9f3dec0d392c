//! Responses of Meta's analytics API.

use std::collections::{BTreeMap, BTreeSet};

use wabalake_data::tables::meta_points;

use super::{Companion, amount, line};
use crate::company::LINES;
use crate::episode::SECOND;
use crate::ledger::{Charge, Route, alpha_2};
use crate::people::COUNTRIES;

impl Companion {
    /// Writes one response per account, one per line, and returns the number of points.
    fn responses(
        field: &str,
        before: impl Fn(&str) -> String,
        points: &BTreeMap<&'static str, Vec<String>>,
        out: &mut String,
    ) -> u64 {
        let mut rows = 0;
        for (account, points) in points {
            rows += points.len() as u64;
            let points = points.join(",");
            let inner = format!("{}\"data_points\":[{points}]", before(account));
            let answer = if field == meta_points::FIELDS[0] {
                format!("{{{inner}}}")
            } else {
                format!("{{\"data\":[{{{inner}}}]}}")
            };
            line(out, format_args!("{{\"{field}\":{answer},\"id\":\"{account}\"}}"));
        }
        rows
    }

    /// Formats the time bucket of a day: `"start":…,"end":…`.
    fn bucket(&self, day: i64) -> String {
        let seconds = |day| self.plan.generator().midnight(day) / SECOND;
        format!("\"start\":{},\"end\":{}", seconds(day), seconds(day + 1))
    }

    pub(super) fn analytics(&self, out: &mut String) -> u64 {
        let mut sums = BTreeMap::<(&str, i64), [u64; 2]>::new();
        for ((day, route, _), count) in &self.ledger().messages {
            let [sent, delivered] = sums.entry((LINES[route.0].waba, *day)).or_default();
            *sent += count.sent;
            *delivered += count.delivered;
        }
        let mut points = BTreeMap::<&'static str, Vec<String>>::new();
        for ((account, day), [sent, delivered]) in sums {
            if sent + delivered > 0 {
                points.entry(account).or_default().push(format!(
                    "{{{},\"sent\":{sent},\"delivered\":{delivered}}}",
                    self.bucket(day)
                ));
            }
        }
        let quoted = |texts: BTreeSet<&str>| {
            texts.into_iter().map(|text| format!("\"{text}\"")).collect::<Vec<_>>().join(",")
        };
        let countries: BTreeSet<_> =
            (0..COUNTRIES.len()).map(|index| alpha_2((0, index))).collect();
        let before = |account: &str| {
            let lines = LINES.iter().filter(|line| line.waba == account).map(|line| line.number);
            let (lines, countries) = (quoted(lines.collect()), quoted(countries.clone()));
            format!(
                "\"phone_numbers\":[{lines}],\"country_codes\":[{countries}],\"granularity\":\"DAY\","
            )
        };
        Self::responses(meta_points::FIELDS[0], before, &points, out)
    }

    pub(super) fn conversation_analytics(&self, out: &mut String) -> u64 {
        let mut points = BTreeMap::<&'static str, Vec<String>>::new();
        for ((day, route, of, is_free), charge) in &self.ledger().conversations {
            let kind = match *of {
                "referral_conversion" => "FREE_ENTRY_POINT",
                _ if *is_free => "FREE_TIER",
                _ => "REGULAR",
            };
            let direction = match *of {
                "referral_conversion" => "UNKNOWN",
                "user_initiated" | "service" => "USER_INITIATED",
                _ => "BUSINESS_INITIATED",
            };
            let category = match *of {
                "user_initiated" | "referral_conversion" => "SERVICE".to_owned(),
                "business_initiated" => "UNKNOWN".to_owned(),
                category => category.to_uppercase(),
            };
            points.entry(LINES[route.0].waba).or_default().push(format!(
                "{{{},\"conversation\":{},{},\"conversation_type\":\"{kind}\",\"conversation_direction\":\
                 \"{direction}\",\"conversation_category\":\"{category}\"{}}}",
                self.bucket(*day), charge.count, dimensions(*route), cost(charge)
            ));
        }
        Self::responses(meta_points::FIELDS[1], |_| String::new(), &points, out)
    }

    pub(super) fn pricing_analytics(&self, out: &mut String) -> u64 {
        let mut points = BTreeMap::<&'static str, Vec<String>>::new();
        for ((day, (route, category, of, tier)), charge) in &self.ledger().volumes {
            let tier =
                if tier.is_empty() { String::new() } else { format!(",\"tier\":\"{tier}\"") };
            points.entry(LINES[route.0].waba).or_default().push(format!(
                "{{{},{}{tier},\"pricing_type\":\"{of}\",\"pricing_category\":\"{category}\",\"volume\":{}{}}}",
                self.bucket(*day), dimensions(*route), charge.count, cost(charge)
            ));
        }
        Self::responses(meta_points::FIELDS[2], |_| String::new(), &points, out)
    }

    pub(super) fn template_analytics(&self, out: &mut String) -> u64 {
        let mut points = BTreeMap::<&'static str, Vec<String>>::new();
        for ((day, account, template), count) in &self.ledger().templates {
            points.entry(account).or_default().push(format!(
                "{{\"template_id\":\"{template}\",{},\"sent\":{},\"delivered\":{},\"read\":{}}}",
                self.bucket(*day),
                count.sent,
                count.delivered,
                count.read
            ));
        }
        let before = |_: &str| "\"granularity\":\"DAILY\",".to_owned();
        Self::responses(meta_points::FIELDS[3], before, &points, out)
    }
}

/// Formats the line and country of a point.
fn dimensions(route: Route) -> String {
    format!("\"phone_number\":\"{}\",\"country\":\"{}\"", LINES[route.0].number, alpha_2(route))
}

/// Formats the cost of a point, if it has one.
fn cost(charge: &Charge) -> String {
    charge.millionths.map(|sum| format!(",\"cost\":{}", amount(sum))).unwrap_or_default()
}
