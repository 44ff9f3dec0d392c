//! Property test: after any events, the marts are those of one full run.

use proptest::prelude::*;
use wabalake::lake::{AsOf, erase};
use wabalake::marts::Mart;
use wabalake::nightly::{self, Options};
use wabalake_data::TABLES;

use super::{MARTS, Row, export};
use crate::support::Bench;

/// Something that happens to a lake.
#[derive(Clone, Debug)]
enum Event {
    Load(Vec<Row>),
    Undo,
    /// A person is erased.
    Erase(u8),
    Compact,
    Run,
    /// A run that crashes after so many marts.
    Crash(usize),
    /// A run as of older versions.
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
        3 => Just(Event::Run),
        1 => (0..8_usize).prop_map(Event::Crash),
        1 => (0..4_u8).prop_map(Event::AsOf),
    ]
}

impl Event {
    fn happen(&self, bench: &Bench) {
        match self {
            Self::Load(rows) => {
                for table in 0..3 {
                    if let Some(text) = export(rows, table) {
                        bench.load_export(&text);
                    }
                }
            }
            Self::Undo => {
                // Refused if there is no load to undo, or a later commit depends on it.
                let _ = bench.lake().undo();
            }
            Self::Erase(person) => {
                for country in [57, 52] {
                    let phone = format!("{country}300000000{person}");
                    bench.lake().erase(&phone, erase::Options::default()).unwrap();
                }
            }
            Self::Compact => {
                bench.lake().compact().unwrap();
            }
            Self::Run => {
                bench.run_nightly();
            }
            Self::Crash(marts) => {
                // Each mart is a commit of its own, so a crash is a run of the first marts only.
                let names = Mart::all(&bench.config)
                    .unwrap()
                    .into_iter()
                    .take(*marts)
                    .map(|mart| mart.name);
                let only: Vec<String> = names.collect();
                if !only.is_empty() {
                    bench.run_nightly_with(&Options { only, ..Options::default() });
                }
            }
            Self::AsOf(back) => {
                let lake = bench.lake();
                let before = TABLES.iter().filter_map(|table| {
                    let version = lake.snapshot(*table).unwrap().version?;
                    Some((table.name, version.saturating_sub(u64::from(*back))))
                });
                let as_of = AsOf::Versions(before.collect());
                let options = Options { as_of, ..Options::default() };
                // Refused if the version was deleted by an erasure.
                let _ = nightly::run(&bench.lake(), &bench.config, &options, None);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, ..ProptestConfig::default() })]

    #[test]
    fn any_events_end_in_the_marts_of_one_full_run(
        events in prop::collection::vec(event(), 1..10),
    ) {
        let bench = Bench::with_settings(MARTS);
        for event in &events {
            event.happen(&bench);
        }
        bench.run_nightly();
        bench.check_marts()?;
        // Another run changes nothing.
        let again = bench.run_nightly();
        prop_assert!(again.marts.iter().all(|mart| mart.scope == nightly::Scope::Nothing), "{again:?}");
    }
}
