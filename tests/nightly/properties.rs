//! Property test: whatever happened to a lake, its marts are those of one full run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use polars::prelude::*;
use proptest::prelude::*;
use tempfile::TempDir;
use wabalake::config::Config;
use wabalake::error::Error;
use wabalake::lake::marts;
use wabalake::lake::runs::RUNS;
use wabalake::lake::{AsOf, Lake, erase};
use wabalake::load::{Options as LoadOptions, load};
use wabalake::nightly::{Mart, Night, Options, Report, Sources, fresh, night};
use wabalake::run::polars::collect;
use wabalake_data::TABLES;

/// What happens to a lake.
#[derive(Clone, Debug)]
enum Event {
    Load(Vec<Row>),
    Undo,
    /// A person leaves every table.
    Erase(u8),
    Compact,
    Night,
    /// A night that dies after so many marts.
    Dies(usize),
    /// A night of a state that is past by then.
    AsOf(u8),
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (0..3_u8, 0..10_u8, 0..120_u16, 0..3_u8).prop_map(|(table, id, hour, state)| Row {
        table,
        id,
        hour,
        state,
    });
    prop::collection::vec(row, 1..6)
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        5 => rows().prop_map(Event::Load),
        1 => Just(Event::Undo),
        1 => (0..5_u8).prop_map(Event::Erase),
        1 => Just(Event::Compact),
        3 => Just(Event::Night),
        1 => (0..8_usize).prop_map(Event::Dies),
        1 => (0..4_u8).prop_map(Event::AsOf),
    ]
}

impl Event {
    fn happen(&self, nights: &Nights) {
        match self {
            Self::Load(rows) => {
                for table in 0..3 {
                    if let Some(text) = export(rows, table) {
                        nights.load(&text);
                    }
                }
            }
            Self::Undo => {
                // Where there is nothing to take back, or too much came after it, it is refused.
                let _ = nights.lake().undo();
            }
            Self::Erase(person) => {
                for country in [57, 52] {
                    let phone = format!("{country}300000000{person}");
                    nights.lake().erase(&phone, erase::Options::default()).unwrap();
                }
            }
            Self::Compact => {
                nights.lake().compact().unwrap();
            }
            Self::Night => {
                nights.night();
            }
            Self::Dies(marts) => {
                // Each mart is committed by itself: dying is not coming to the next.
                let names = nights.marts().into_iter().take(*marts).map(|mart| mart.name);
                let only: Vec<String> = names.collect();
                if !only.is_empty() {
                    nights.night_with(&Options { only, ..Options::default() });
                }
            }
            Self::AsOf(back) => {
                let lake = nights.lake();
                let before = TABLES.iter().filter_map(|table| {
                    let version = lake.snapshot(*table).unwrap().version?;
                    Some((table.name, version.saturating_sub(u64::from(*back))))
                });
                let as_of = AsOf::Versions(before.collect());
                let options = Options { as_of, ..Options::default() };
                // Who was erased is in no version any more: those that knew them are refused.
                let _ = night(&nights.lake(), &nights.config, &options, None);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_nights_end_in_the_marts_of_one_full_run(
        events in prop::collection::vec(event(), 1..10),
    ) {
        let nights = Nights::new(MARTS);
        for event in &events {
            event.happen(&nights);
        }
        nights.night();
        nights.check()?;
        // And once more changes nothing.
        let again = nights.night();
        prop_assert!(again.marts.iter().all(|mart| mart.worked_out == "nothing"), "{again:?}");
    }
}
