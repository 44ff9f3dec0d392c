//! `--keep-out`: an erased person does not come back with later loads; everybody else does.

use std::fs::{self, File};
use std::path::PathBuf;

use polars::prelude::*;
use wabalake::lake::Lake;
use wabalake::lake::erase::Options as How;
use wabalake::lake::rejects::{self, Which};
use wabalake::load::{self, LoadReport, load};
use wabalake_data::TABLES;
use wabalake_data::tables::{conversions, sessions};

use crate::support::{Bench, Desk, files_below, gz, stored, texts, workbook};

/// The person who is erased, and parts of the number that every spelling in these exports has.
const PHONE: &str = "+57 300 555 0101";
const DIGITS: [&str; 2] = ["3005550101", "300 555"];

/// Exports loaded after the erasure: a header, then rows; those of the person begin with `!`.
const LATER: [(&str, &str); 9] = [
    (
        "sessions.csv",
        "session_id,session_started_timestamp,user_country_code,user_cellphone,first_message\n\
         !p1,2025-06-01 10:00:00,57,3005550101,hello\n\
         !p4,2025-06-04 10:00:00,57.0,300 555-0101,\n\
         !p5,2025-06-04 11:00:00,,+57 (300) 555-0101,\n\
         !p6,2025-06-04 12:00:00,57,573005550101.0,\n\
         !p7,2025-06-04 13:00:00,,,whose it is says a send\n\
         a1,2025-06-04 14:00:00,57,3005550102,hi\n\
         a2,2025-06-04 15:00:00,58,3005550101,of another country\n\
         a3,2025-06-04 16:00:00,,,nobody knows\n",
    ),
    (
        "deployments.csv",
        "conversation_id,user_country_code,user_cellphone,deployment_timestamp,delivery_status,session_id\n\
         !11,57,3005550101,2025-06-04 09:00:00,Delivered,p7\n\
         !11,57,3005550101,2025-06-04 09:01:00,Delivered,a1\n\
         11,57,3005550102,2025-06-04 09:00:00,Delivered,a1\n\
         11,57,3005550103,2025-06-04 09:00:00,Delivered,p4\n",
    ),
    (
        "messages.csv",
        "whatsapp_id,from,to,message_direction,created_at,message\n\
         !w1,573005550101,573009999999,true,2025-06-04 10:00:00,hi\n\
         !w2,573009999999,+57 300 555 0101,false,2025-06-04 10:01:00,hello\n\
         w3,573005550102,573009999999,true,2025-06-04 10:02:00,hi\n",
    ),
    (
        "closures.jsonl",
        "!{\"event_id\":\"c1\",\"event_type\":\"session.close\",\"session\":{\"external_id\":\"p4\",\"closed_at\":\"2025-06-04T10:30:00Z\"},\"user\":{\"country_code\":\"+57\",\"cellphone\":\"3005550101\"}}\n\
         !{\"event_id\":\"c2\",\"event_type\":\"session.close\",\"session\":{\"external_id\":\"p4\",\"closed_at\":\"2025-06-04T10:31:00Z\"}}\n\
         !{\"event_id\":\"c3\",\"event_type\":\"session.close\",\"session\":{\"external_id\":\"p2\",\"closed_at\":\"2025-06-04T10:32:00Z\"}}\n\
         {\"event_id\":\"c4\",\"event_type\":\"session.close\",\"session\":{\"external_id\":\"a1\",\"closed_at\":\"2025-06-04T14:30:00Z\"}}\n\
         {\"event_id\":\"c5\",\"event_type\":\"session.close\",\"session\":{\"external_id\":\"a3\",\"closed_at\":\"2025-06-04T16:30:00Z\"}}\n",
    ),
    (
        "agent_chats.csv",
        "phone,agent,created_at\n\
         !+57 300 5550101,Alba,2025-06-04 10:00:00\n\
         573005550102,Alba,2025-06-04 10:00:00\n",
    ),
    (
        "conversions.csv",
        "conversion_id,event,converted_at,session_id,phone,value,currency\n\
         !v1,purchase,2025-06-05T10:00:00Z,,573005550101,10,USD\n\
         !v2,purchase,2025-06-05T10:00:00Z,p7,,10,USD\n\
         v3,purchase,2025-06-05T10:00:00Z,a1,,10,USD\n\
         v4,purchase,2025-06-05T10:00:00Z,p4,573005550102,10,USD\n",
    ),
    ("audience_tags.csv", "phone,tag,since\n!+57 300 555 0101,vip,\n573005550102,vip,2025-05-01\n"),
    (
        "variables.csv",
        "session_id,phone,conversation_id,name,value,at\n\
         !p1,,11,city,Cali,2025-06-04T10:05:00Z\n\
         !p5,,11,city,Cali,2025-06-04T10:05:00Z\n\
         !,573005550101,11,city,Cali,2025-06-04T10:05:00Z\n\
         a1,,11,city,Cali,2025-06-04T14:05:00Z\n",
    ),
    (
        "broken.csv",
        "session_id,session_started_timestamp,user_country_code,user_cellphone,first_message\n\
         !x1,yesterday,57,3005550101,hi\n\
         !x2,yesterday,,,call 300 555 0101 or +57 300 555 0101\n\
         !x3,2025-06-04 10:00:00,57,3005550101\n\
         !x4,57,3005550101,hi\n\
         !p6,yesterday,,,of a session of theirs\n\
         !p1,2025-06-04 10:00:00\n\
         x5,yesterday,57,3005550105,hi\n\
         x8,2025-06-04 17:00:00,57,3005550106,hi\n\
         x6,yesterday,,,nobody knows\n\
         !x7,2025-06-04 10:00:00,57,3005550101,\"never closed\n",
    ),
];

/// Exports loaded before the erasure.
const EARLIER: [(&str, &str); 2] = [
    (
        "sessions.csv",
        "session_id,session_started_timestamp,user_country_code,user_cellphone\n\
         !p1,2025-06-01 10:00:00,57,3005550101\n\
         b1,2025-06-01 11:00:00,57,3005550102\n",
    ),
    (
        "conversions.csv",
        "conversion_id,event,converted_at,session_id,phone,value,currency\n\
         !v0,purchase,2025-06-02T10:00:00Z,p2,573005550101,10,USD\n",
    ),
];

/// An export with the person's rows, or without them.
fn text(export: &str, with: bool) -> String {
    let lines = export.lines().filter_map(|line| match line.strip_prefix('!') {
        Some(line) => with.then_some(line),
        None => Some(line),
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Writes exports to a folder.
fn write_exports(
    bench: &Bench,
    folder: &str,
    exports: &[(&str, &str)],
    with: bool,
) -> Vec<PathBuf> {
    let file =
        |(name, export): &(&str, &str)| bench.file(&format!("{folder}/{name}"), text(export, with));
    exports.iter().map(file).collect()
}

fn load_all(lake: &Lake, files: &[PathBuf]) -> LoadReport {
    load(lake, files, &load::Options::default()).unwrap()
}

pub(super) fn keep_out(lake: &Lake, phone: &str) {
    lake.erase(phone, How { keep_out: true, ..How::default() }).unwrap();
}

pub(super) fn kept_out(report: &LoadReport) -> u64 {
    report.total(|file| file.rows_kept_out)
}

/// Open rejects without record and line.
pub(super) fn open_rejects(lake: &Lake) -> Vec<String> {
    let open = rejects::read(lake, Which::Open).unwrap();
    let said = [rejects::KIND, rejects::COLUMN, rejects::REASON, rejects::RAW].map(col);
    texts(&open.select(said).collect().unwrap())
}

fn assert_same(lake: &Lake, other: &Lake) {
    for table in TABLES {
        assert_eq!(stored(lake, table), stored(other, table), "{}", table.name);
    }
    assert_eq!(open_rejects(lake), open_rejects(other));
}

/// Files of a lake that hold the number, in their bytes or in texts of rows. A person of another
/// country has the same digits after another code.
fn holding(lake: &Lake) -> Vec<PathBuf> {
    let has = |text: &str| {
        let others = text.replace("583005550101", "").replace("\"3005550101\"", "");
        DIGITS.iter().any(|digits| others.contains(digits))
    };
    let holds = |path: &PathBuf| {
        let is_data = path.extension().is_some_and(|end| end == "parquet");
        if !is_data || path.to_string_lossy().contains("_delta_log") {
            return has(&String::from_utf8_lossy(&fs::read(path).unwrap()));
        }
        let rows = ParquetReader::new(File::open(path).unwrap()).finish().unwrap();
        texts(&rows).iter().any(|row| has(row))
    };
    files_below(lake.root()).into_iter().filter(holds).collect()
}

#[test]
fn kept_out_person_comes_back_in_no_file_format() {
    let bench = Bench::new();
    let lake = bench.lake();
    load_all(&lake, &write_exports(&bench, "earlier", &EARLIER, true));
    keep_out(&lake, PHONE);
    let never = bench.lake_at("never");
    load_all(&never, &write_exports(&bench, "earlier-without", &EARLIER, false));
    load_all(&never, &write_exports(&bench, "without", &LATER, false));

    let mut files = write_exports(&bench, "later", &LATER, true);
    // In another order and other file formats.
    files.reverse();
    for (at, file) in files.clone().iter().enumerate() {
        let bytes = fs::read(file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        match name.as_str() {
            "deployments.csv" => {
                files[at] = bench.file("later/deployments.csv.gz", gz(&bytes));
            }
            "messages.csv" => {
                let packed = zstd::encode_all(&bytes[..], 1).unwrap();
                files[at] = bench.file("later/messages.csv.zst", packed);
            }
            "conversions.csv" => {
                let book = workbook(std::str::from_utf8(&bytes).unwrap());
                files[at] = bench.file("later/conversions.xlsx", book);
            }
            _ => {}
        }
    }
    let report = load_all(&lake, &files);
    assert_same(&lake, &never);
    assert_eq!(holding(&lake), Vec::<PathBuf>::new());
    let gone = LATER.iter().map(|(_, export)| export.matches('!').count() as u64);
    assert_eq!(kept_out(&report), gone.sum::<u64>());
    for file in &report.files {
        let become_of = file.rows_new + file.rows_rejected + file.rows_kept_out;
        assert_eq!(file.rows_read, become_of, "{}", file.file);
    }
    assert!(report.text().contains("  left out: 5 rows of erased persons\n"), "{}", report.text());
    assert_eq!(report.files.iter().map(|file| file.first_rejects.len()).sum::<usize>(), 2);

    // The same files are already loaded; a file with the person's rows only is loaded like any
    // other.
    assert!(load_all(&lake, &files).files.iter().all(|file| file.already_loaded));
    let theirs = "phone,tag\n573005550101,new\n573005550101,newer\n";
    let report = load_all(&lake, &[bench.file("theirs.csv", theirs)]);
    assert_eq!((kept_out(&report), report.files[0].rows_read), (2, 2));
    assert!(load_all(&lake, &[bench.file("theirs.csv", theirs)]).files[0].already_loaded);
    assert_same(&lake, &never);
}

#[test]
fn kept_out_number_matches_across_numbering_plan_changes() {
    let bench = Bench::new();
    let lake = bench.lake();
    for phone in ["+52 1 999 123 4567", "5511981234567", "12125550101"] {
        keep_out(&lake, phone);
    }
    let export = "session_id,session_started_timestamp,user_country_code,user_cellphone\n\
                  m1,2025-06-01 10:00:00,52,19991234567\n\
                  m2,2025-06-01 10:00:00,52,9991234567\n\
                  m3,2025-06-01 10:00:00,,5219991234567\n\
                  r1,2025-06-01 10:00:00,55,1181234567\n\
                  r2,2025-06-01 10:00:00,,551181234567\n\
                  n1,2025-06-01 10:00:00,1,2125550101\n\
                  n2,2025-06-01 10:00:00,1,12125550101\n\
                  o1,2025-06-01 10:00:00,55,12125550101\n\
                  o2,2025-06-01 10:00:00,,2125550101\n";
    let report = load_all(&lake, &[bench.file("sessions.csv", export)]);
    assert_eq!(kept_out(&report), 7);
    let found = stored(&lake, &sessions::TABLE);
    assert!(found.len() == 2 && found[0].contains("o1") && found[1].contains("o2"), "{found:?}");
}

#[test]
fn session_of_another_person_keeps_its_rows() {
    let bench = Bench::new();
    let lake = bench.lake();
    let header = "session_id,session_started_timestamp,user_country_code,user_cellphone\n";
    let theirs = format!("{header}a1,2025-06-01 10:00:00,57,3005550102\n");
    load_all(&lake, &[bench.file("sessions.csv", theirs)]);
    keep_out(&lake, PHONE);
    let header = "conversion_id,converted_at,session_id,phone\n";
    let report = load_all(
        &lake,
        &[bench.file(
            "conversions.csv",
            format!(
                "{header}v1,2025-06-02T10:00:00Z,a1,573005550101\n\
                 v2,2025-06-02T10:00:00Z,a1,\n\
                 v3,2025-06-02T10:00:00Z,s1,\n\
                 v4,2025-06-02T10:00:00Z,s1,573005550101\n"
            ),
        )],
    );
    assert_eq!(kept_out(&report), 3);
    // A later load finds the session's owner in the lake.
    let later = format!("{header}v5,2025-06-02T10:00:00Z,s1,\nv6,2025-06-02T10:00:00Z,a1,\n");
    let report = load_all(&lake, &[bench.file("conversions.csv", later)]);
    assert_eq!(kept_out(&report), 1);
    let found = stored(&lake, &conversions::TABLE);
    assert!(found.len() == 2 && found[0].contains("v2") && found[1].contains("v6"), "{found:?}");
}

#[test]
fn undo_never_restores_an_erased_person() {
    let bench = Bench::new();
    let lake = bench.lake();
    let header = "session_id,session_started_timestamp,user_country_code,user_cellphone\n";
    for (name, row) in [
        ("1.csv", "p1,2025-06-01 10:00:00,57,3005550101\n"),
        ("2.csv", "a1,2025-06-01 11:00:00,57,3005550102\n"),
    ] {
        load_all(&lake, &[bench.file(name, format!("{header}{row}"))]);
    }
    keep_out(&lake, PHONE);
    let both = "p1,2025-06-01 10:00:00,57,3005550101\na2,2025-06-09 11:00:00,57,3005550103\n";
    let both = [bench.file("3.csv", format!("{header}{both}"))];
    assert_eq!(kept_out(&load_all(&lake, &both)), 1);
    lake.undo().unwrap();
    // Loaded again after undo: as before.
    assert_eq!(kept_out(&load_all(&lake, &both)), 1);
    lake.undo().unwrap();
    let refused = lake.undo().unwrap_err().lines();
    assert!(refused.contains("(erase) rewrote") || refused.contains("is deleted"), "{refused}");
    assert_eq!(stored(&lake, &sessions::TABLE).len(), 1);
    assert_eq!(holding(&lake), Vec::<PathBuf>::new());
}

#[test]
fn keep_out_list_is_written_before_rows_are_erased() {
    let bench = Bench::new();
    let lake = bench.lake();
    load_all(&lake, &write_exports(&bench, "earlier", &EARLIER, true));
    let how = How { keep_out: true, dry_run: true, ..How::default() };
    lake.erase(PHONE, how).unwrap();
    let list = lake.root().join(".wabalake/keep-out");
    assert!(!list.exists(), "a dry run changes nothing");
    // An erasure that fails when it begins to delete.
    fs::create_dir_all(lake.root().join("marts/m")).unwrap();
    let scratch = lake.root().join(".wabalake/scratch");
    fs::remove_dir_all(&scratch).unwrap();
    fs::write(&scratch, "").unwrap();
    lake.erase(PHONE, How { dry_run: false, ..how }).unwrap_err();
    assert_eq!(stored(&lake, &sessions::TABLE).len(), 2, "nothing is erased yet");
    fs::remove_file(&scratch).unwrap();
    let report = load_all(&lake, &write_exports(&bench, "later", &LATER[..1], true));
    assert_eq!(kept_out(&report), 4);
    let before = fs::read(&list).unwrap();
    keep_out(&lake, PHONE);
    keep_out(&lake, PHONE);
    assert_eq!(fs::read(&list).unwrap(), before, "erased again, nothing is new");
    assert_eq!(holding(&lake), Vec::<PathBuf>::new());
}

/// Standard output of `erase`.
fn erase(desk: &Desk, words: &str) -> String {
    let said = desk.run(&format!("erase --lake lake --yes --phone 573000000001 {words}"));
    assert_eq!(said.code, 0, "{}", said.err);
    said.out
}

#[test]
fn keep_out_on_the_command_line_and_in_settings() {
    let desk = Desk::loaded();
    let tried = erase(&desk, "--keep-out --dry-run");
    assert!(tried.ends_with("later loads would leave rows of this person out\n"), "{tried}");
    let erased = erase(&desk, "--keep-out");
    assert!(erased.starts_with("sessions: 2 rows erased"), "{erased}");
    assert!(erased.ends_with("later loads leave rows of this person out\n"), "{erased}");
    desk.write(
        "more.csv",
        "session_id,session_started_timestamp,user_country_code,user_cellphone\n\
         s1,2025-06-01 02:00:00,57,3000000001\n\
         s5,2025-06-01 02:00:00,57,3000000005\n",
    );
    let reported = desk.stdout("load more.csv --lake lake --report-json report.json");
    assert!(reported.contains("2 rows read: 1 new"), "{reported}");
    assert!(reported.contains("\n  left out: 1 row of erased persons\n"), "{reported}");
    assert!(desk.read("report.json").contains("\"rows_kept_out\": 1,"));

    // Without its key the list cannot be compared, so nothing is loaded.
    let key = desk.read("lake/.wabalake/keep-out.key");
    desk.write("lake/.wabalake/keep-out.key", &key.replace(&key[..4], "0000"));
    let (error, code) = desk.failure("load more.csv --lake lake");
    assert!(error.contains("does not belong to the key") && code == 1, "{error}");
    desk.write("elsewhere.key", &key);
    desk.write("lake/wabalake.toml", "[privacy]\nkeep_out_key = '../missing.key'\n");
    let (error, code) = desk.failure("load more.csv --lake lake");
    assert!(error.contains("the key is missing") && error.contains("  hint: "), "{error}");
    assert_eq!(code, 1);
    desk.write(
        "lake/wabalake.toml",
        "[privacy]\nkeep_out = true\nkeep_out_key = '../elsewhere.key'\n",
    );
    desk.stdout("load more.csv --lake lake");

    // The setting applies unless the command line has the opposite option.
    let list = || desk.read("lake/.wabalake/keep-out");
    let before = list();
    let erased = erase(&desk, "--no-keep-out");
    assert!(!erased.contains("later loads"), "{erased}");
    assert_eq!(list(), before);
    fs::remove_file(desk.write("lake/.wabalake/keep-out", "")).unwrap();
    let erased = erase(&desk, "");
    assert!(erased.starts_with("the lake has no rows of that person\nlater loads"), "{erased}");
    assert_eq!(list().lines().count(), 2, "a check and the person: {}", list());
    let line = "erase --lake lake --yes --phone 573000000001 --keep-out --no-keep-out";
    assert_eq!(desk.failure(line).1, 2);
}

#[test]
fn nightly_run_keeps_persons_out() {
    let desk = Desk::loaded();
    erase(&desk, "--keep-out");
    desk.write("lake/wabalake.toml", "[inbox]\nsettle_seconds = 0\nfolders = ['../inbox']\n");
    desk.write(
        "inbox/tags.csv",
        "phone,tag\n573000000001,vip\n573000000003,vip\n573000000001,new\n",
    );
    let reported = desk.stdout("nightly --lake lake");
    assert!(reported.contains("inbox: left out: 2 rows of erased persons\n"), "{reported}");
}
