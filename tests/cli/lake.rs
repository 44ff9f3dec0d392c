//! `status`, `compact`, `vacuum`, `sample`, `init` and `config` as they are typed.

use wabalake_data::TABLES;

use super::query::DROP_OFF;
use crate::support::{Desk, Said};

#[test]
fn status_compact_and_vacuum_on_a_small_lake() {
    let desk = Desk::loaded();
    let said = desk.run("status --lake lake -f csv --timezone America/Bogota");
    let sessions = said.out.lines().find(|line| line.starts_with("sessions,")).unwrap();
    assert!(sessions.starts_with("sessions,3,2,2025-06-01,2025-06-02,0,2,"), "{sessions}");
    assert!(sessions.ends_with("-05:00"), "{sessions}");
    assert!(said.err.starts_with("last load: 20") && said.err.contains("open rejects: 1\n"));
    assert_eq!(desk.stdout("compact --lake lake"), "nothing to merge\n");
    assert_eq!(desk.stdout("vacuum --lake lake --dry-run"), "0 files would be deleted, 0 B\n");
    assert_eq!(desk.stdout("query drop-off --lake lake"), DROP_OFF);
}

#[test]
fn samples_are_deterministic() {
    let desk = Desk::new();
    let arguments = "sample --days 2 --sessions-per-day 5 --seed 3";
    let reported = desk.stdout(&format!("{arguments} --out one"));
    assert_eq!(desk.stdout(&format!("{arguments} --out two")).replace("two/", "one/"), reported);
    let files: Vec<_> = std::fs::read_dir(desk.folder.path().join("one")).unwrap().collect();
    assert_eq!(files.len(), reported.lines().count());
    for file in files {
        let name = file.unwrap().file_name();
        let read =
            |folder: &str| std::fs::read(desk.folder.path().join(folder).join(&name)).unwrap();
        assert_eq!(read("one"), read("two"));
    }
    let said = desk.run(&format!("{arguments} --lake lake"));
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(desk.stdout("query drop-off --lake lake").lines().count() > 1);
}

#[test]
fn sampled_lake_has_the_rows_of_the_loaded_exports() {
    let [loaded, filled] = [Desk::new(), Desk::new()];
    let arguments = "sample --days 3 --sessions-per-day 60 --seed 3";
    loaded.stdout(&format!("{arguments} --out exports"));
    loaded.stdout("load exports --lake lake --quiet");
    let reported = filled.stdout(&format!("{arguments} --lake lake"));
    // Messages come from a report and from webhooks.
    assert_eq!(reported.matches("messages: 3 days").count(), 1, "{reported}");
    for table in TABLES {
        assert!(loaded.count(table) > 0, "{}", table.name);
        assert_eq!(filled.rows(table), loaded.rows(table), "{}", table.name);
    }
}

#[test]
fn webhooks_are_sampled_for_any_of_their_tables() {
    let desk = Desk::new();
    for (tables, count) in [("events", 1), ("identities,events", 1), ("messages", 2), ("nodes", 1)]
    {
        let reported = desk.stdout(&format!(
            "sample --days 3 --sessions-per-day 5 --tables {tables} --out {tables}"
        ));
        assert_eq!(reported.lines().count(), count, "{reported}");
        let has_webhooks = desk.exists(&format!("{tables}/webhooks_2025_05_04.jsonl"));
        assert_eq!(has_webhooks, tables != "nodes", "{tables}");
    }
}

#[test]
fn init_writes_settings_once_and_config_shows_their_source() {
    let desk = Desk::new();
    let said = desk.stdout("init --lake lake --timezone America/Bogota");
    assert!(said.ends_with("then `wabalake nightly --lake lake --dry-run`\n"), "{said}");
    assert!(desk.exists("inbox"));
    assert!(desk.read("lake/wabalake.toml").contains("\ntimezone = \"America/Bogota\"\n"));
    let (said, code) = desk.failure("init --lake lake");
    assert!(said.ends_with("already exists\n  hint: edit it, or move it away first\n"), "{said}");
    assert_eq!(code, 1);

    desk.write(
        "lake/wabalake.toml",
        "timezone = 'America/Bogota'\nsource_timezone = 'America/Lima'\n\
         [source_timezones]\nad_spend = 'America/New_York'\n\
         [[marts]]\nname = 'd'\nquery = 'delivery-rate'\nparams = { by = ['day', 'tag'] }\n",
    );
    let shown = |line: &str| -> Vec<String> {
        let mut command = desk.command(&format!("config --lake lake -f csv {line}"));
        let said = Said::of(command.env("WABALAKE_TIMEZONE", "Asia/Tokyo").output().unwrap());
        assert_eq!((said.err.as_str(), said.code), ("", 0));
        said.out.lines().map(str::to_owned).collect()
    };
    let lines = shown("");
    for line in [
        "timezone,Asia/Tokyo,WABALAKE_TIMEZONE",
        "source_timezone,America/Lima,wabalake.toml",
        "source_timezones.ad_spend,America/New_York,wabalake.toml",
        "inbox.after,leave,default",
        "inbox.settle_seconds,30,default",
        "marts.d,\"delivery-rate --by=day,tag\",wabalake.toml",
        "nightly.metrics,,default",
    ] {
        assert!(lines.iter().any(|shown| shown == line), "{line}: {lines:?}");
    }
    let lines = shown("--timezone UTC --source-timezone UTC");
    assert!(lines.contains(&"timezone,UTC,--timezone".to_owned()), "{lines:?}");
    assert!(lines.contains(&"source_timezone,UTC,--source-timezone".to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("source_timezones")), "{lines:?}");
}
