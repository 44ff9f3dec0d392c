//! What sends cost, for each that was answered.

use chrono::NaiveDate;
use wabalake_queries::deployment_sessions::{self, DeploymentSessions};
use wabalake_queries::query::billing::money::COST;
use wabalake_queries::query::billing::sends::{COST_CURRENCY, COST_PER_REPLY};

use crate::error::Result;
use crate::report::answer::QueryAnswer;
use crate::report::html::Html;
use crate::report::rates::Rate;
use crate::report::tables::TableColumn;
use crate::report::{PageContext, Period};

/// Prices a send as the message that it is paired with.
pub(in crate::report) const MATCHED: &str = "--cost=matched";

/// The share of the delivered sends, in per cent, of which the price must be known.
const PRICED_PCT: f64 = 50.0;

/// What a reply cost, to sends of the dates that are final and to those of the period before.
pub(super) struct CostPerReply {
    pub(super) currency: String,
    pub(super) now: Option<f64>,
    pub(super) before: Option<f64>,
    /// The share, in per cent, of the delivered sends that are priced in this currency.
    pub(super) known_pct: f64,
}

/// The cost of a reply in the currency of most sends. `None` if the lake has no prices, or nobody
/// replied to a send whose price is known, or too few prices are known.
pub(super) fn cost_per_reply(
    page: &PageContext<'_>,
    answered: &Rate,
) -> Result<Option<CostPerReply>> {
    if !page.has_prices()? {
        return Ok(None);
    }
    let [now, before] = answered.compared;
    let both = Period { from: before.from, ..now };
    // One send without a price makes the cost of its group unknown, so groups are small.
    let answer = page.ask_about::<DeploymentSessions>(both, &["--by=day,country", MATCHED])?;
    let days = answer.dates("day")?;
    let delivered = answer.numbers(deployment_sessions::DELIVERED)?;
    let replied = answer.numbers(deployment_sessions::REPLIED)?;
    let (costs, currencies) = (answer.numbers(COST)?, answer.texts(COST_CURRENCY)?);
    let mut groups = Vec::new();
    for (row, day) in days.into_iter().enumerate() {
        let Some(day) = day else { continue };
        groups.push(Group {
            day,
            delivered: delivered[row].unwrap_or(0.0),
            replied: replied[row].unwrap_or(0.0),
            cost: costs[row],
            currency: currencies[row].clone(),
        });
    }
    let Some(currency) = main_currency(&groups, now) else { return Ok(None) };
    let [sums, sums_before] = [now, before].map(|period| sums(&groups, period, &currency));
    let known_pct = 100.0 * sums.priced / sums.delivered.max(1.0);
    let cost = CostPerReply {
        now: sums.per_reply(),
        before: sums_before.per_reply(),
        currency,
        known_pct,
    };
    Ok(Some(cost).filter(|cost| cost.now.is_some() && cost.known_pct >= PRICED_PCT))
}

/// The delivered sends of a date and country.
struct Group {
    day: NaiveDate,
    delivered: f64,
    replied: f64,
    cost: Option<f64>,
    currency: Option<String>,
}

impl Group {
    /// The cost, if it is known in a currency. Nothing costs nothing in any.
    fn cost_in(&self, currency: &str) -> Option<f64> {
        let cost = self.cost?;
        match self.currency.as_deref() {
            Some(of_group) => (of_group == currency).then_some(cost),
            None => (cost == 0.0).then_some(cost),
        }
    }

    fn is_in(&self, period: Period) -> bool {
        period.from <= self.day && self.day <= period.to
    }
}

/// The currency in which most delivered sends of a period are priced.
fn main_currency(groups: &[Group], period: Period) -> Option<String> {
    let mut sends: Vec<(&str, f64)> = Vec::new();
    for group in groups.iter().filter(|group| group.is_in(period) && group.cost.is_some()) {
        let Some(currency) = group.currency.as_deref() else { continue };
        match sends.iter_mut().find(|(known, _)| *known == currency) {
            Some((_, count)) => *count += group.delivered,
            None => sends.push((currency, group.delivered)),
        }
    }
    let most = sends.into_iter().max_by(|one, other| one.1.total_cmp(&other.1));
    most.map(|(currency, _)| currency.to_owned())
}

/// Sums over groups; the cost and the replies are of those whose cost is known.
#[derive(Default)]
struct Sums {
    delivered: f64,
    priced: f64,
    replied: f64,
    cost: f64,
}

impl Sums {
    fn per_reply(&self) -> Option<f64> {
        (self.replied > 0.0).then(|| self.cost / self.replied)
    }
}

fn sums(groups: &[Group], period: Period, currency: &str) -> Sums {
    let mut sums = Sums::default();
    for group in groups.iter().filter(|group| group.is_in(period)) {
        sums.delivered += group.delivered;
        if let Some(cost) = group.cost_in(currency) {
            sums.priced += group.delivered;
            sums.replied += group.replied;
            sums.cost += cost;
        }
    }
    sums
}

/// The option by which a query adds costs, if the lake has prices.
pub(in crate::report) fn costs_of(
    page: &PageContext<'_>,
    option: &'static str,
) -> Result<Vec<&'static str>> {
    Ok(if page.has_prices()? { vec![option] } else { Vec::new() })
}

/// The column of the cost per reply of an answer with these options. `None` without costs, or if
/// all are unknown.
pub(in crate::report) fn per_reply(
    answer: &QueryAnswer,
    options: &[&str],
) -> Result<Option<TableColumn>> {
    if options.is_empty() {
        return Ok(None);
    }
    answer.prices("Cost per reply", COST_PER_REPLY, COST_CURRENCY)
}

/// Explains what a reply costs, below a table.
pub(in crate::report) fn explain(body: &mut Html) {
    body.raw(
        "<p class=\"note\">Cost per reply: the cost of what was delivered, for each that was ",
    );
    body.raw("answered. It is unknown if none was, or if a message or its price is missing.</p>");
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;

    fn group(
        day: &str,
        [delivered, replied]: [f64; 2],
        cost: Option<f64>,
        currency: &str,
    ) -> Group {
        let currency = Some(currency.to_owned()).filter(|currency| !currency.is_empty());
        Group { day: day.parse().unwrap(), delivered, replied, cost, currency }
    }

    #[test]
    fn cost_is_that_of_the_sends_whose_price_is_known() {
        let groups = [
            group("2025-06-01", [10.0, 2.0], Some(0.5), "USD"),
            // Free: it has no currency.
            group("2025-06-02", [5.0, 1.0], Some(0.0), ""),
            // Another currency, a price that is missing, a price in no known currency.
            group("2025-06-02", [8.0, 8.0], Some(4.0), "BRL"),
            group("2025-06-02", [6.0, 6.0], None, "USD"),
            group("2025-06-02", [1.0, 1.0], Some(9.0), ""),
            // Not in the period.
            group("2025-06-03", [90.0, 90.0], Some(90.0), "BRL"),
        ];
        let date = |date: &str| date.parse().unwrap();
        let period = Period { from: date("2025-06-01"), to: date("2025-06-02"), zone: Tz::UTC };
        assert_eq!(main_currency(&groups, period).as_deref(), Some("USD"));
        let sums = sums(&groups, period, "USD");
        assert_eq!([sums.delivered, sums.priced, sums.replied, sums.cost], [30.0, 15.0, 3.0, 0.5]);
        assert_eq!(sums.per_reply(), Some(0.5 / 3.0));
        assert_eq!(Sums::default().per_reply(), None);
    }
}
