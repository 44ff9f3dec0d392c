//! Prices of messages against a plain reading of the rules: one loop over messages, no joins.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::sample::select;
use wabalake_data::reference::markets as reference;
use wabalake_queries::CATALOG;

use self::given::{Click, Message, Placement, Rate, Word, click, date, message, placement, rate};
use crate::golden;

mod given;

#[derive(Clone, Debug)]
struct Asked {
    free: i64,
    entry_point: &'static str,
    is_reported: bool,
    rules: Option<NaiveDate>,
    from: Option<NaiveDate>,
    in_bogota: bool,
}

fn asked() -> impl Strategy<Value = Asked> {
    let rules =
        select(&[None, None, Some((2026, 9, 30)), Some((2026, 10, 1)), Some((2026, 11, 1))][..]);
    let from = select(&[None, Some((2026, 10, 1)), Some((2026, 11, 1))][..]);
    let entry_point = select(&["type", "window", "either", "none"][..]);
    (0..4_i64, entry_point, any::<bool>(), rules, from, any::<bool>()).prop_map(
        |(free, entry_point, is_reported, rules, from, in_bogota)| {
            let day = |(year, month, day)| date(year, month, day);
            let rules = rules.map(day);
            let is_reported = is_reported && rules.is_none();
            Asked { free, entry_point, is_reported, rules, from: from.map(day), in_bogota }
        },
    )
}

impl Asked {
    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            "--granularity=half-hour".to_owned(),
            "--dimensions=COUNTRY,PHONE,PRICING_CATEGORY,PRICING_TYPE,TIER".to_owned(),
            format!("--free-service-messages={}", self.free),
            format!("--entry-point={}", self.entry_point),
            format!("--timezone={}", if self.in_bogota { "America/Bogota" } else { "UTC" }),
        ];
        match self.rules {
            Some(rules) => arguments.push(format!("--rules={rules}")),
            None if self.is_reported => {}
            None => arguments.push("--pricing=computed".to_owned()),
        }
        arguments.extend(self.from.map(|from| format!("--from={from}")));
        arguments
    }

    fn local_date(&self, at: DateTime<Utc>) -> NaiveDate {
        (at - TimeDelta::hours(if self.in_bogota { 5 } else { 0 })).date_naive()
    }

    fn date(&self, at: DateTime<Utc>) -> NaiveDate {
        self.rules.unwrap_or_else(|| self.local_date(at))
    }

    fn month(&self, at: DateTime<Utc>) -> (i32, u32) {
        let date = self.local_date(at);
        (date.year(), date.month())
    }
}

/// A price in millionths, and its currency: `FREE` where nothing is charged.
type Price = (i64, Word);

const FREE: Word = Some("free");

/// A row of the answer: start, country, line, category, type, tier.
type Group = (i64, Word, Word, String, String, Option<String>);

fn market_of(country: Word, on: NaiveDate, own: &[Placement]) -> Option<String> {
    let country = country?;
    let built_in =
        reference::all().filter(|market| market.countries.split(' ').any(|c| c == country));
    let mut by_date: BTreeMap<NaiveDate, &str> =
        built_in.map(|market| (market.valid_from, market.name)).collect();
    by_date
        .extend(own.iter().filter(|row| row.country == country).map(|row| (row.from, row.market)));
    let latest = by_date.range(..=on).next_back();
    Some(latest.map_or("Other", |(_, market)| *market).to_owned())
}

fn category(message: &Message, asked: &Asked) -> String {
    if let Some(word) = message.pricing_category.filter(|_| asked.is_reported) {
        return word.to_uppercase();
    }
    if !message.is_template {
        return "SERVICE".to_owned();
    }
    let of_template =
        message.pricing_category.filter(|word| ["marketing_lite", "utility"].contains(word));
    let of_conversation =
        message.conversation_type.filter(|word| ["marketing", "utility"].contains(word));
    of_template.or(of_conversation).unwrap_or("unknown").to_uppercase()
}

/// Counters of messages that were read so far, by local month.
#[derive(Default)]
struct Numbers {
    lines: BTreeMap<(Word, Month), i64>,
    countries: BTreeMap<(Word, String, Month), i64>,
    markets: BTreeMap<(Option<String>, String, Month), i64>,
}

type Month = (i32, u32);

fn next<K: Ord>(numbers: &mut BTreeMap<K, i64>, key: K) -> i64 {
    let number = numbers.entry(key).or_default();
    *number += 1;
    *number
}

/// The plain reading of the rules.
struct Rules<'a> {
    messages: &'a [Message],
    clicks: &'a [Click],
    rates: &'a [Rate],
    placements: &'a [Placement],
    asked: &'a Asked,
}

impl Rules<'_> {
    fn answers(&self, message: &Message) -> bool {
        self.messages.iter().any(|question| {
            question.is_incoming
                && question.person.is_some()
                && question.person == message.person
                && question.line == message.line
                && question.at <= message.at
                && message.at - question.at < TimeDelta::hours(24)
        })
    }

    /// Returns `true` if a message is within 72 hours of the answer to a click on an ad.
    fn is_entered(&self, message: &Message) -> bool {
        let ads = self.clicks.iter().filter(|click| {
            click.person.is_some() && click.person == message.person && click.source != Some("Post")
        });
        let mut answers = ads.filter_map(|click| {
            let answers = self.messages.iter().filter(|answer| {
                !answer.is_incoming
                    && answer.is_delivered
                    && answer.person == click.person
                    && (click.line.is_none() || answer.line == click.line)
                    && answer.at >= click.at
                    && answer.at - click.at <= TimeDelta::hours(24)
            });
            answers.min_by_key(|answer| (answer.at, answer.id))
        });
        answers.any(|answer| {
            answer.line == message.line
                && message.at >= answer.at
                && message.at - answer.at < TimeDelta::hours(72)
        })
    }

    fn pricing_type(&self, message: &Message, category: &str, numbers: &mut Numbers) -> String {
        let asked = self.asked;
        let is_referral =
            matches!(message.conversation_type, Some("referral" | "referral_conversion"));
        let is_of_an_ad = match asked.entry_point {
            "type" => is_referral,
            "window" => self.is_entered(message),
            "either" => is_referral || self.is_entered(message),
            _ => false,
        };
        let reported = message.pricing_type.filter(|_| asked.is_reported);
        let decided = match reported {
            Some(word) => Some(word.to_uppercase()),
            None => is_of_an_ad.then(|| "FREE_ENTRY_POINT".to_owned()),
        };
        let mut number = 0;
        if category == "SERVICE" && decided.as_deref() != Some("FREE_ENTRY_POINT") {
            number = next(&mut numbers.lines, (message.line, asked.month(message.at)));
        }
        let charges_answers = asked.date(message.at) >= date(2026, 10, 1);
        let is_free = match category {
            "SERVICE" => !charges_answers || number <= asked.free,
            "UTILITY" => !charges_answers && self.answers(message),
            _ => false,
        };
        let computed = if is_free { "FREE_CUSTOMER_SERVICE" } else { "REGULAR" };
        decided.unwrap_or_else(|| computed.to_owned())
    }

    fn rate(&self, message: &Message, category: &str, numbers: &mut Numbers) -> Option<&Rate> {
        let (on, month) = (self.asked.date(message.at), self.asked.month(message.at));
        let word = category.to_lowercase();
        let market = market_of(message.country, on, self.placements);
        let (mut number, mut market_number) = (0, 0);
        if category != "SERVICE" {
            let in_country = (message.country, word.clone(), month);
            number = next(&mut numbers.countries, in_country);
            let in_market = (market.clone(), word.clone(), month);
            market_number = next(&mut numbers.markets, in_market);
        }
        let applies = |rate: &&Rate| {
            let (is_in_scope, number) = match (rate.country, rate.market) {
                (Some(country), _) => (message.country == Some(country), number),
                (None, Some(name)) => (market.as_deref() == Some(name), market_number),
                (None, None) => (true, number),
            };
            is_in_scope && rate.category == word && rate.from <= on && rate.tier_from <= number
        };
        self.rates.iter().filter(applies).max_by_key(|rate| {
            (rate.country.is_some(), rate.market.is_some(), rate.from, rate.tier_from)
        })
    }

    fn tier(&self, of: &Rate) -> String {
        let higher = self.rates.iter().filter(|rate| {
            (rate.from, rate.country, rate.market, rate.category)
                == (of.from, of.country, of.market, of.category)
                && rate.tier_from > of.tier_from
        });
        let upper = higher.map(|rate| rate.tier_from - 1).min();
        let upper = upper.map_or("MAX".to_owned(), |upper| upper.to_string());
        format!("{}:{upper}", of.tier_from)
    }

    fn answer(&self) -> Vec<String> {
        let mut in_order: Vec<&Message> = self.messages.iter().collect();
        in_order.sort_by_key(|message| (message.at, message.id));
        let mut numbers = Numbers::default();
        let mut groups: BTreeMap<Group, Vec<Option<Price>>> = BTreeMap::new();
        for message in in_order {
            if message.is_incoming || !message.is_delivered {
                continue;
            }
            let category = category(message, self.asked);
            let pricing_type = self.pricing_type(message, &category, &mut numbers);
            let (mut tier, mut price) = (None, Some((0, FREE)));
            if pricing_type == "REGULAR" {
                let rate = self.rate(message, &category, &mut numbers);
                price = rate.map(|rate| (rate.millionths, rate.currency));
                tier = rate.filter(|_| category != "SERVICE").map(|rate| self.tier(rate));
            }
            if self.asked.from.is_none_or(|from| self.asked.local_date(message.at) >= from) {
                let start = message.at.timestamp();
                let group = (start, message.country, message.line, category, pricing_type, tier);
                groups.entry(group).or_default().push(price);
            }
        }
        let mut lines: Vec<String> =
            groups.iter().map(|(group, prices)| line(group, prices)).collect();
        lines.sort();
        lines
    }
}

/// A row of the answer as a golden shows it.
fn line(group: &Group, prices: &[Option<Price>]) -> String {
    let (start, country, line, category, pricing_type, tier) = group;
    let mut currencies: Vec<Word> =
        prices.iter().flatten().map(|(_, currency)| *currency).filter(|c| *c != FREE).collect();
    currencies.sort_unstable();
    currencies.dedup();
    let is_known = prices.iter().all(Option::is_some) && currencies.len() <= 1;
    let cost: i64 = prices.iter().flatten().map(|(price, _)| price).sum();
    let cost = match cost {
        _ if !is_known => "null".to_owned(),
        0 => "0".to_owned(),
        cost => format!("0.{cost:06}").trim_end_matches('0').to_owned(),
    };
    let [country, line, tier] =
        [*country, *line, tier.as_deref()].map(|word| word.unwrap_or("null"));
    let (end, volume) = (start + 1800, prices.len());
    format!(
        "{start} | {end} | {country} | {line} | {category} | {pricing_type} | {tier} | {volume} | {cost}"
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn messages_are_priced_as_the_rules_say(
        mut messages in prop::collection::vec(message(), 0..40),
        clicks in prop::collection::vec(click(), 0..12),
        rates in prop::collection::vec(rate(), 0..24),
        placements in prop::collection::vec(placement(), 0..4),
        asked in asked(),
    ) {
        for (id, message) in messages.iter_mut().enumerate() {
            // Rows come in no order.
            message.id = (id * 37) % 101;
        }
        let by_key = rates.into_iter().map(|rate| {
            ((rate.from, rate.country, rate.market, rate.category, rate.tier_from), rate)
        });
        let rates: Vec<Rate> = by_key.collect::<BTreeMap<_, _>>().into_values().collect();
        let by_key = placements.into_iter().map(|row| ((row.country, row.from), row));
        let placements: Vec<Placement> = by_key.collect::<BTreeMap<_, _>>().into_values().collect();

        let entry = CATALOG.iter().find(|entry| entry.spec.name == "pricing-analytics").unwrap();
        let question = golden::ask(entry, &asked.arguments());
        let tables = given::tables(&messages, &clicks, &rates, &placements);
        let found = golden::answer(&question, &tables);
        let mut found: Vec<String> = found.into_iter().skip(1).collect();
        found.sort();
        let rules = Rules {
            messages: &messages,
            clicks: &clicks,
            rates: &rates,
            placements: &placements,
            asked: &asked,
        };
        prop_assert_eq!(found, rules.answer());
    }
}
