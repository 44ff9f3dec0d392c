//! Prices of messages against a plain reading of the rules: one loop over messages, no joins.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use polars::prelude::*;
use proptest::prelude::*;
use proptest::sample::select;
use wabalake_data::Table;
use wabalake_data::reference::markets as reference;
use wabalake_data::tables::{USER_KEY, UTC_DAY, markets, messages, rates, text_key};
use wabalake_queries::CATALOG;
use wabalake_queries::query::Tables;

use crate::golden;

type Word = Option<&'static str>;

#[derive(Clone, Debug)]
struct Message {
    id: usize,
    at: DateTime<Utc>,
    line: Word,
    person: Word,
    country: Word,
    is_incoming: bool,
    is_delivered: bool,
    is_template: bool,
    conversation_type: Word,
    pricing_type: Word,
    pricing_category: Word,
}

#[derive(Clone, Debug)]
struct Rate {
    from: NaiveDate,
    country: Word,
    market: Word,
    category: &'static str,
    tier_from: i64,
    millionths: i64,
    currency: Word,
}

#[derive(Clone, Debug)]
struct Placement {
    country: &'static str,
    market: &'static str,
    from: NaiveDate,
}

#[derive(Clone, Debug)]
struct Asked {
    free: i64,
    has_entry_point: bool,
    is_reported: bool,
    rules: Option<NaiveDate>,
    from: Option<NaiveDate>,
    in_bogota: bool,
}

fn date(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap()
}

fn message() -> impl Strategy<Value = Message> {
    let often_none = |words: &'static [&'static str]| prop_oneof![2 => Just(None), 3 => select(words).prop_map(Some)];
    let at = (select(&[(2026, 9, 30), (2026, 10, 31)][..]), 0..8_i64).prop_map(|(day, step)| {
        let (year, month, day) = day;
        date(year, month, day).and_time(chrono::NaiveTime::MIN).and_utc()
            + TimeDelta::hours(step * 6)
    });
    let words = (
        often_none(&["5730000", "5731111"]),
        often_none(&["P1", "P2"]),
        often_none(&["CO", "BD", "EC", "UY", "CU"]),
        often_none(&["marketing", "utility", "service", "referral", "referral_conversion", "odd"]),
        prop_oneof![
            4 => Just(None),
            1 => select(&["regular", "free_customer_service", "free_entry_point", "odd"][..]).prop_map(Some)
        ],
        prop_oneof![
            4 => Just(None),
            1 => select(&["utility", "marketing_lite", "service", "referral_conversion"][..]).prop_map(Some)
        ],
    );
    let truths = (prop::bool::weighted(0.2), prop::bool::weighted(0.9), any::<bool>());
    (at, words, truths).prop_map(|(at, words, (is_incoming, is_delivered, is_template))| {
        let (line, person, country, conversation_type, pricing_type, pricing_category) = words;
        Message {
            id: 0,
            at,
            line,
            person,
            country,
            is_incoming,
            is_delivered,
            is_template,
            conversation_type,
            pricing_type,
            pricing_category,
        }
    })
}

fn rate() -> impl Strategy<Value = Rate> {
    let scope = select(
        &[
            (None, None),
            (None, None),
            (Some("CO"), None),
            (Some("EC"), None),
            (None, Some("Rest of Latin America")),
            (None, Some("Rest of Latin America")),
            (None, Some("Rest of Asia Pacific")),
            (None, Some("Bangladesh")),
            (None, Some("Other")),
            (None, Some("themoon")),
        ][..],
    );
    let from = select(&[(2025, 1, 1), (2026, 10, 1), (2026, 11, 1)][..]);
    let category = select(&["utility", "service", "marketing", "marketing_lite"][..]);
    let currency = select(&[Some("USD"), Some("USD"), Some("COP"), None][..]);
    (from, scope, category, 0..4_i64, 0..9_i64, currency).prop_map(
        |((year, month, day), (country, market), category, tier_from, millionths, currency)| Rate {
            from: date(year, month, day),
            country,
            market,
            category,
            tier_from,
            millionths,
            currency,
        },
    )
}

fn placement() -> impl Strategy<Value = Placement> {
    let from = select(&[(2010, 1, 1), (2026, 10, 1), (2026, 10, 31)][..]);
    let country = select(&["CO", "BD", "CU"][..]);
    let market = select(&["Rest of Latin America", "Bangladesh", "Other", "themoon"][..]);
    (country, market, from).prop_map(|(country, market, (year, month, day))| Placement {
        country,
        market,
        from: date(year, month, day),
    })
}

fn asked() -> impl Strategy<Value = Asked> {
    let rules =
        select(&[None, None, Some((2026, 9, 30)), Some((2026, 10, 1)), Some((2026, 11, 1))][..]);
    let from = select(&[None, Some((2026, 10, 1)), Some((2026, 11, 1))][..]);
    (0..4_i64, any::<bool>(), any::<bool>(), rules, from, any::<bool>()).prop_map(
        |(free, has_entry_point, is_reported, rules, from, in_bogota)| {
            let day = |(year, month, day)| date(year, month, day);
            let rules = rules.map(day);
            let is_reported = is_reported && rules.is_none();
            Asked { free, has_entry_point, is_reported, rules, from: from.map(day), in_bogota }
        },
    )
}

impl Asked {
    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            "--granularity=half-hour".to_owned(),
            "--dimensions=COUNTRY,PHONE,PRICING_CATEGORY,PRICING_TYPE,TIER".to_owned(),
            format!("--free-service-messages={}", self.free),
            format!("--entry-point={}", if self.has_entry_point { "type" } else { "none" }),
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

    fn pricing_type(&self, message: &Message, category: &str, numbers: &mut Numbers) -> String {
        let asked = self.asked;
        let is_referral =
            matches!(message.conversation_type, Some("referral" | "referral_conversion"));
        let reported = message.pricing_type.filter(|_| asked.is_reported);
        let decided = match reported {
            Some(word) => Some(word.to_uppercase()),
            None => (is_referral && asked.has_entry_point).then(|| "FREE_ENTRY_POINT".to_owned()),
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

/// A frame with the schema of a table; columns that are not given are null.
fn frame(table: &Table, height: usize, given: Vec<Column>) -> LazyFrame {
    let columns = table.schema().into_iter().map(|(name, of)| {
        let found = given.iter().find(|column| *column.name() == name);
        found.map_or_else(
            || Column::full_null(name.clone(), height, &of),
            |column| column.cast(&of).unwrap(),
        )
    });
    DataFrame::new(height, columns.collect()).unwrap().lazy()
}

fn days(dates: impl Iterator<Item = NaiveDate>) -> Vec<i32> {
    dates.map(|date| date.to_epoch_days()).collect()
}

fn tables(all: &[Message], of_rates: &[Rate], of_markets: &[Placement]) -> Tables {
    let words = |name: &str, word: fn(&Message) -> Word| {
        Column::new(name.into(), all.iter().map(word).collect::<Vec<_>>())
    };
    let micros: Vec<i64> = all.iter().map(|message| message.at.timestamp_micros()).collect();
    let delivered: Vec<Option<i64>> = all
        .iter()
        .map(|message| message.is_delivered.then_some(message.at.timestamp_micros()))
        .collect();
    let ids: Vec<String> = all.iter().map(|message| format!("{:03}", message.id)).collect();
    let people: Vec<Option<i64>> = all.iter().map(|message| message.person.map(text_key)).collect();
    let sent = frame(
        &messages::TABLE,
        all.len(),
        vec![
            Column::new(messages::WHATSAPP_ID.into(), ids),
            Column::new(messages::CREATED_AT.into(), micros),
            Column::new(messages::DELIVERED_AT.into(), delivered),
            words(messages::LINE, |message| message.line),
            words(messages::USER_PHONE, |message| message.person),
            Column::new(USER_KEY.into(), people),
            words(messages::COUNTRY, |message| message.country),
            words(messages::MESSAGE_DIRECTION, |message| {
                Some(if message.is_incoming { "incoming" } else { "outgoing" })
            }),
            words(messages::MESSAGE_TYPE, |message| {
                Some(match (message.is_incoming, message.is_template) {
                    (true, _) => "incoming",
                    (_, true) => "template",
                    _ => "outgoing",
                })
            }),
            words(messages::CONVERSATION_TYPE, |message| message.conversation_type),
            words(messages::PRICING_TYPE, |message| message.pricing_type),
            words(messages::PRICING_CATEGORY, |message| message.pricing_category),
            Column::new(UTC_DAY.into(), days(all.iter().map(|message| message.at.date_naive()))),
        ],
    );
    let words = |name: &str, word: fn(&Rate) -> Word| {
        Column::new(name.into(), of_rates.iter().map(word).collect::<Vec<_>>())
    };
    let numbers = |name: &str, number: fn(&Rate) -> i64| {
        Column::new(name.into(), of_rates.iter().map(number).collect::<Vec<_>>())
    };
    let prices: Int128Chunked =
        of_rates.iter().map(|rate| Some(i128::from(rate.millionths))).collect();
    let prices = prices.with_name(rates::PRICE.into()).into_decimal(18, 6).unwrap();
    let card = frame(
        &rates::TABLE,
        of_rates.len(),
        vec![
            Column::new(rates::EFFECTIVE_FROM.into(), days(of_rates.iter().map(|rate| rate.from))),
            words(rates::COUNTRY, |rate| rate.country),
            words(rates::MARKET, |rate| rate.market),
            words(rates::CATEGORY, |rate| Some(rate.category)),
            words("currency", |rate| rate.currency),
            numbers(rates::TIER_FROM, |rate| rate.tier_from),
            prices.into_column(),
        ],
    );
    let words = |name: &str, word: fn(&Placement) -> &'static str| {
        Column::new(name.into(), of_markets.iter().map(word).collect::<Vec<_>>())
    };
    let own = frame(
        &markets::TABLE,
        of_markets.len(),
        vec![
            words(markets::COUNTRY, |row| row.country),
            words(markets::MARKET, |row| row.market),
            Column::new(markets::VALID_FROM.into(), days(of_markets.iter().map(|row| row.from))),
        ],
    );
    Tables::new().with(&messages::TABLE, sent).with(&rates::TABLE, card).with(&markets::TABLE, own)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn messages_are_priced_as_the_rules_say(
        mut messages in prop::collection::vec(message(), 0..40),
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
        let found = golden::answer(&question, &tables(&messages, &rates, &placements));
        let mut found: Vec<String> = found.into_iter().skip(1).collect();
        found.sort();
        let rules =
            Rules { messages: &messages, rates: &rates, placements: &placements, asked: &asked };
        prop_assert_eq!(found, rules.answer());
    }
}
