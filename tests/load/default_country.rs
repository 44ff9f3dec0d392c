//! `--default-country`: national numbers in tables without dialling codes.

use std::collections::BTreeSet;

use wabalake_data::tables::{closures, deployments, messages, sessions};

use super::cells::SIDE_TABLES;
use crate::support::{Bench, Desk, Said};

#[test]
fn default_country_applies_to_tables_without_dialling_codes() {
    let mut bench = Bench::new();
    let numbers =
        ["4155551212", "415-555-1212", "+41 55 555 12 12", "12025550123", "0057 3005550101"];
    for table in SIDE_TABLES {
        bench.load_people(table, &numbers);
        let without: BTreeSet<_> = ["4155551212", "41555551212", "12025550123", "00573005550101"]
            .map(str::to_owned)
            .into();
        assert_eq!(bench.persons(table), without, "{}", table.name);
    }
    // Another default country makes another file id; the old rows have to be undone first.
    bench.options.default_country = Some("US");
    for table in SIDE_TABLES.into_iter().rev() {
        bench.lake().undo().unwrap();
        let report = bench.load_people(table, &numbers);
        assert!(!report.files[0].already_loaded);
        let with: BTreeSet<_> =
            ["14155551212", "41555551212", "12025550123", "573005550101"].map(str::to_owned).into();
        assert_eq!(bench.persons(table), with, "{}", table.name);
        bench.lake().undo().unwrap();
    }
    // In tables with dialling codes the default country does not apply.
    for table in [&sessions::TABLE, &deployments::TABLE, &messages::TABLE] {
        bench.load_people(table, &["4155551212"]);
        assert_eq!(bench.persons(table), ["4155551212".to_owned()].into(), "{}", table.name);
        bench.options.default_country = None;
        assert!(bench.load_people(table, &["4155551212"]).files[0].already_loaded);
        bench.options.default_country = Some("US");
    }
    bench.load(
        "closed.jsonl",
        r#"{"event_id":"x","event_type":"session.close","session":{"external_id":"s","closed_at":"2025-06-01T10:00:00Z"},"user":{"country_code":"+52","cellphone":"9991234567"}}"#,
    );
    assert_eq!(bench.persons(&closures::TABLE), ["529991234567".to_owned()].into());
}

#[test]
fn default_country_comes_from_the_option_or_the_settings() {
    let desk = Desk::new();
    desk.write("tags.csv", "phone,tag\n300 555 0101,vip\n");
    let persons = |lake: &str| {
        let said = desk.stdout(&format!("sql SELECT(user_phone)FROM(audience_tags) --lake {lake}"));
        said.lines().nth(1).unwrap().to_owned()
    };
    desk.run("load tags.csv --lake a --quiet --default-country co");
    desk.run("load tags.csv --lake b --quiet");
    assert_eq!((persons("a").as_str(), persons("b").as_str()), ("573005550101", "3005550101"));
    desk.write(
        "c/wabalake.toml",
        "default_country = 'CO'\n[inbox]\nfolders = ['../inbox']\nsettle_seconds = 0\n",
    );
    desk.run("load tags.csv --lake c --quiet");
    assert_eq!(persons("c"), "573005550101");
    let shown = desk.stdout("config --lake c -f csv");
    assert!(shown.contains("\ndefault_country,CO,wabalake.toml\n"), "{shown}");
    desk.write("inbox/tags.csv", "phone,tag\n300 555 0102,vip\n");
    assert_eq!(desk.run("nightly --lake c").code, 0);
    let both = desk.stdout("sql SELECT(user_phone)FROM(audience_tags) --lake c");
    let both: BTreeSet<&str> = both.lines().skip(1).collect();
    assert_eq!(both, ["573005550101", "573005550102"].into());
    for (wrong, hint) in [
        ("Colombia", "did you mean `CO`?"),
        ("Colmbia", "did you mean `CO`?"),
        ("AQ", "such as CO"),
        ("ZZ", "such as CO"),
        ("", "such as CO"),
    ] {
        let mut command = desk.command("load tags.csv --lake d --default-country");
        let said = Said::of(command.arg(wrong).output().unwrap());
        assert_eq!(said.code, 2, "{wrong}: {}", said.err);
        assert!(said.err.contains(hint), "{wrong}: {}", said.err);
    }
}
