//! Generated messages, clicks on ads, rates and markets, and the tables that have them.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use polars::prelude::*;
use proptest::prelude::*;
use proptest::sample::select;
use wabalake_data::Table;
use wabalake_data::tables::{
    MESSAGE_KEY, USER_KEY, UTC_DAY, markets, messages, rates, sessions, text_key,
};
use wabalake_queries::query::Tables;

pub(super) type Word = Option<&'static str>;

#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) id: usize,
    pub(super) at: DateTime<Utc>,
    pub(super) line: Word,
    pub(super) person: Word,
    pub(super) country: Word,
    pub(super) is_incoming: bool,
    pub(super) is_delivered: bool,
    pub(super) is_template: bool,
    pub(super) conversation_type: Word,
    pub(super) pricing_type: Word,
    pub(super) pricing_category: Word,
}

/// A session with a first message, which an ad or a post led to.
#[derive(Clone, Debug)]
pub(super) struct Click {
    pub(super) at: DateTime<Utc>,
    pub(super) line: Word,
    pub(super) person: Word,
    /// The type of its source; null is an ad.
    pub(super) source: Word,
}

#[derive(Clone, Debug)]
pub(super) struct Rate {
    pub(super) from: NaiveDate,
    pub(super) country: Word,
    pub(super) market: Word,
    pub(super) category: &'static str,
    pub(super) tier_from: i64,
    pub(super) millionths: i64,
    pub(super) currency: Word,
}

#[derive(Clone, Debug)]
pub(super) struct Placement {
    pub(super) country: &'static str,
    pub(super) market: &'static str,
    pub(super) from: NaiveDate,
}

pub(super) fn date(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap()
}

fn often_none(words: &'static [&'static str]) -> impl Strategy<Value = Word> {
    prop_oneof![2 => Just(None), 3 => select(words).prop_map(Some)]
}

/// Around the ends of two months.
fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    (select(&[(2026, 9, 30), (2026, 10, 31)][..]), 0..8_i64).prop_map(|(day, step)| {
        let (year, month, day) = day;
        date(year, month, day).and_time(chrono::NaiveTime::MIN).and_utc()
            + TimeDelta::hours(step * 6)
    })
}

pub(super) fn click() -> impl Strategy<Value = Click> {
    let source = select(&[None, Some("Ad"), Some("Post")][..]);
    let words = (often_none(&["5730000", "5731111"]), often_none(&["P1", "P2"]), source);
    (instant(), words).prop_map(|(at, (line, person, source))| Click { at, line, person, source })
}

pub(super) fn message() -> impl Strategy<Value = Message> {
    let at = instant();
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

pub(super) fn rate() -> impl Strategy<Value = Rate> {
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

pub(super) fn placement() -> impl Strategy<Value = Placement> {
    let from = select(&[(2010, 1, 1), (2026, 10, 1), (2026, 10, 31)][..]);
    let country = select(&["CO", "BD", "CU"][..]);
    let market = select(&["Rest of Latin America", "Bangladesh", "Other", "themoon"][..]);
    (country, market, from).prop_map(|(country, market, (year, month, day))| Placement {
        country,
        market,
        from: date(year, month, day),
    })
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

pub(super) fn tables(
    all: &[Message],
    clicks: &[Click],
    of_rates: &[Rate],
    of_markets: &[Placement],
) -> Tables {
    let words = |name: &str, word: fn(&Message) -> Word| {
        Column::new(name.into(), all.iter().map(word).collect::<Vec<_>>())
    };
    let micros: Vec<i64> = all.iter().map(|message| message.at.timestamp_micros()).collect();
    let delivered: Vec<Option<i64>> = all
        .iter()
        .map(|message| message.is_delivered.then_some(message.at.timestamp_micros()))
        .collect();
    let ids: Vec<String> = all.iter().map(|message| format!("{:03}", message.id)).collect();
    let keys: Vec<i64> = ids.iter().map(|id| text_key(id)).collect();
    let people: Vec<Option<i64>> = all.iter().map(|message| message.person.map(text_key)).collect();
    let sent = frame(
        &messages::TABLE,
        all.len(),
        vec![
            Column::new(messages::WHATSAPP_ID.into(), ids),
            Column::new(MESSAGE_KEY.into(), keys),
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
    Tables::new()
        .with(&messages::TABLE, sent)
        .with(&rates::TABLE, card)
        .with(&markets::TABLE, own)
        .with(&sessions::TABLE, begun(clicks))
}

/// The sessions of clicks.
fn begun(clicks: &[Click]) -> LazyFrame {
    let words = |name: &str, word: fn(&Click) -> Word| {
        Column::new(name.into(), clicks.iter().map(word).collect::<Vec<_>>())
    };
    let micros: Vec<i64> = clicks.iter().map(|click| click.at.timestamp_micros()).collect();
    let people: Vec<Option<i64>> = clicks.iter().map(|click| click.person.map(text_key)).collect();
    let ids: Vec<String> = (0..clicks.len()).map(|id| format!("s{id}")).collect();
    frame(
        &sessions::TABLE,
        clicks.len(),
        vec![
            Column::new(sessions::SESSION_ID.into(), ids),
            Column::new(sessions::SESSION_STARTED_TIMESTAMP.into(), micros.clone()),
            Column::new(sessions::FIRST_MESSAGE_TIMESTAMP.into(), micros),
            words(sessions::LINE_WHATSAPP_NUMBER, |click| click.line),
            words(sessions::USER_PHONE, |click| click.person),
            Column::new(USER_KEY.into(), people),
            words(sessions::META_SOURCE_TYPE, |click| click.source),
            words(sessions::META_SOURCE_ID, |_| Some("120226305854810726")),
            Column::new(UTC_DAY.into(), days(clicks.iter().map(|click| click.at.date_naive()))),
        ],
    )
}
