//! Lakes that an older version wrote: their files and schemas lack columns that tables gained since.

use wabalake_data::tables::{ad_spend, messages, rates};

use super::stores::{answers_of_each, assert_same, load_demo};
use super::*;

/// The columns that tables gained, all null in rows loaded before.
const GAINED: [(&Table, &[&str]); 3] = [
    (
        &messages::TABLE,
        &[
            messages::ERROR_CODE,
            messages::PRICING_TYPE,
            messages::PRICING_CATEGORY,
            messages::REFERRAL_TYPE,
            messages::REFERRAL_ID,
            messages::REFERRAL_HEADLINE,
            messages::CTWA_CLID,
            messages::CONTEXT_ID,
            messages::BUTTON_PAYLOAD,
            messages::REACTION,
        ],
    ),
    (
        &ad_spend::TABLE,
        &[
            ad_spend::CAMPAIGN_ID,
            ad_spend::CAMPAIGN_NAME,
            ad_spend::AD_SET_ID,
            ad_spend::AD_SET_NAME,
            ad_spend::AD_NAME,
            ad_spend::IMPRESSIONS,
            ad_spend::CLICKS,
        ],
    ),
    (&rates::TABLE, &[rates::MARKET]),
];

/// The layout of a table before it gained columns.
fn older_layout(table: &Table, gained: &[&str]) -> Layout {
    let layout = Layout::from(table);
    let mut stored = Schema::clone(&layout.stored);
    stored.retain(|name, _| !gained.contains(&name.as_str()));
    Layout { stored: stored.into(), ..layout }
}

/// Moves the rows of a table into a table as an older version writes it.
fn rewrite(lake: &Lake, table: &'static Table, gained: &[&str]) {
    let rows = lake.snapshot(table).unwrap();
    let mut days: Vec<_> = rows.files.iter().map(|file| file.day).collect();
    days.dedup();
    let dropped = gained.iter().copied().chain([UTC_DAY]).collect::<Vec<_>>();
    let by_day = days.into_iter().map(|day| {
        let rows = rows.scan_days(&[day]).unwrap().collect().unwrap();
        (day, rows.drop_many(dropped.iter().copied()))
    });
    let by_day: Vec<_> = by_day.collect();
    fs::remove_dir_all(lake.root().join("tables").join(table.name)).unwrap();
    fs::remove_file(lake.root().join(".wabalake/newest").join(table.name)).unwrap();
    let layout = older_layout(table, gained);
    let transacted = lake.transact(&layout, |_, staging| {
        let add = by_day.iter().map(|(day, rows)| staging.write(*day, rows.clone()).unwrap());
        Ok(Some(Change { add: add.collect(), ..Change::new(Operation::Load) }))
    });
    assert!(transacted.unwrap().is_committed);
}

#[test]
fn columns_that_a_table_gained_are_null_in_older_rows() {
    let (folder, lake) = lake();
    load_demo(&lake);
    let expected = answers_of_each(&lake, 2);
    for (table, gained) in GAINED {
        rewrite(&lake, table, gained);
    }
    let older = Lake::open(lake.root()).unwrap();
    for (table, gained) in GAINED {
        let rows = older.snapshot(table).unwrap().scan().unwrap().collect().unwrap();
        assert!(rows.height() > 0);
        for name in gained {
            assert_eq!(rows.column(name).unwrap().null_count(), rows.height(), "{name}");
        }
    }
    // The first two also report loads, which the rewritten tables have none of; the third shows columns that
    // they gained.
    let others = ["coverage", "data-quality", "meta-sources"];
    let of_rows = |(name, _): &(&str, DataFrame)| !others.contains(name);
    let answers: Vec<_> = answers_of_each(&older, 2).into_iter().filter(of_rows).collect();
    assert_same(&answers, &expected);

    // A load merges with older rows of its day, and the table has the column from then on.
    let log = folder.path().join("log.csv");
    let day = "whatsapp_id,created_at,message_direction,pricing_type,pricing_category\n\
               log-1,2025-05-20T10:00:00Z,outgoing,Regular,authentication-international\n";
    fs::write(&log, day).unwrap();
    let before = older.snapshot(&messages::TABLE).unwrap();
    let options = crate::load::Options { quiet: true, ..Default::default() };
    crate::load::load(&older, &[log], &options).unwrap();
    let now = older.snapshot(&messages::TABLE).unwrap();
    assert_eq!(now.rows(), before.rows() + 1);
    let rows = now.scan().unwrap().filter(col(messages::PRICING_TYPE).is_not_null());
    let columns = [messages::PRICING_TYPE, messages::PRICING_CATEGORY, messages::MESSAGE_TYPE];
    let rows = rows.select(columns.map(col)).collect().unwrap();
    let text = |name: &str| rows.column(name).unwrap().str().unwrap().get(0).unwrap().to_owned();
    assert_eq!(columns.map(text), ["regular", "authentication_international", "template"]);

    // An equal amount with what the older row lacks takes its place.
    let ad = older.snapshot(&ad_spend::TABLE).unwrap().scan().unwrap();
    let names = [ad_spend::AD_ID, ad_spend::DAY, ad_spend::SPEND].map(col);
    let ad = ad.select(names).first().collect().unwrap();
    let cells: Vec<String> = ad
        .columns()
        .iter()
        .map(|column| {
            column.cast(&DataType::String).unwrap().str().unwrap().get(0).unwrap().to_owned()
        })
        .collect();
    let again = folder.path().join("again.csv");
    let titles = "ad_id,day,spend,currency,campaign_id,clicks";
    fs::write(&again, format!("{titles}\n{},USD,7,11\n", cells.join(","))).unwrap();
    let report = crate::load::load(&older, &[again], &options).unwrap();
    assert_eq!((report.files[0].rows_new, report.files[0].rows_updated), (0, 1));
    let rows = older.snapshot(&ad_spend::TABLE).unwrap().scan().unwrap().collect().unwrap();
    assert_eq!(rows.column(ad_spend::CLICKS).unwrap().i64().unwrap().sum(), Some(11));
    assert_eq!(rows.column(ad_spend::CAMPAIGN_ID).unwrap().null_count(), rows.height() - 1);
}
