//! `erase`: no byte of the lake holds the person, and nobody else's row changes.

mod exact;
mod foreign_files;
mod keep_out;
mod keep_out_properties;
mod linked;
mod properties;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use polars::prelude::*;
use wabalake::lake::erase::{Erased, Options};
use wabalake::lake::{Lake, check, stored_tables};
use wabalake::load::{self, load};
use wabalake::place::Key;
use wabalake_data::tables::{closures, deployments, sessions, variables};
use wabalake_data::{TABLES, Table};

use crate::support::{Bench, copy, files_below, in_folder, on_store, stored};

/// The number that is erased, as most exports write it; it is made up.
const PHONE: &str = "573005550101";
const NATIONAL: &str = "3005550101";

/// Exports: a header, then rows; those of the person begin with `!`. In rows of others, braces hold
/// the person's number.
const EXPORTS: [(&str, &str); 9] = [
    (
        "sessions_573005550101.csv",
        "session_id,parent_session_id,session_started_timestamp,session_finished_timestamp,conversation_id,\
         user_country_code,user_cellphone,line_whatsapp_number,first_message\n\
         !p1,,2025-06-01 10:00:00,,573005550101,57,3005550101,573009999999,hello\n\
         !p2,p1,2025-06-02 10:00:00,,11,,+57 300 555-0101,573009999999,\n\
         a1,,2025-06-01 11:00:00,,11,57,3005550102,573009999999,ask {+57 (300) 555-0101} or {300 555 0101}\n\
         a2,,2025-06-02 11:00:00,,11,57,3005550103,573009999999,91573005550101 is another number\n\
         !p3,,2025-06-03 11:00:00,,11,,,573009999999,whose it is says a conversion\n\
         a3,,2025-06-03 11:00:00,,11,,,573009999999,nobody knows\n",
    ),
    (
        "deployments.csv",
        "conversation_id,user_country_code,user_cellphone,deployment_timestamp,delivery_status,session_id\n\
         !11,57,3005550101,2025-06-01 09:00:00,Delivered,p1\n\
         11,57,3005550102,2025-06-01 09:00:00,Delivered,a1\n\
         11,57,3005550103,2025-06-01 09:00:00,Delivered,p2\n",
    ),
    (
        "messages.csv",
        "whatsapp_id,from,to,message_direction,created_at,message,ref\n\
         !wamid.HBgMNTczMDA1NTUwMTAxFQIAERgSRTM=,573005550101,573009999999,true,2025-06-01 10:00:00,hi,\n\
         !w2,573009999999,573005550101,false,2025-06-01 10:01:00,hello,\n\
         w3,573005550102,573009999999,true,2025-06-01 10:02:00,hi,order-{573005550101}-7\n\
         w4,573005550102,573009999999,true,2025-06-01 10:03:00,hi,{NTczMDA1NTUwMTAx}\n",
    ),
    (
        "closures.jsonl",
        "!{\"event_id\":\"c1\",\"event_type\":\"session.close\",\"session\":{\"external_id\":\"p1\",\"closed_at\":\"2025-06-01T10:30:00Z\"},\"user\":{\"country_code\":\"+57\",\"cellphone\":\"3005550101\"}}\n\
         !{\"event_id\":\"c2\",\"event_type\":\"session.close\",\"session\":{\"external_id\":\"p2\",\"closed_at\":\"2025-06-02T10:30:00Z\"}}\n\
         {\"event_id\":\"c3\",\"event_type\":\"session.close\",\"session\":{\"external_id\":\"a1\",\"closed_at\":\"2025-06-01T11:30:00Z\"},\"user\":{\"country_code\":\"+57\",\"cellphone\":\"3005550102\"}}\n\
         {\"event_id\":\"c4\",\"event_type\":\"session.close\",\"session\":{\"external_id\":\"a3\",\"closed_at\":\"2025-06-03T11:30:00Z\"}}\n",
    ),
    (
        "agent_chats.csv",
        "phone,contact,agent,created_at,last_message,last_message_sender,status,labels\n\
         !+57 300 5550101,Paz,Alba,2025-06-01 10:00:00,bye,USER,finished,\n\
         573005550102,Sol,Alba {573005550101},2025-06-01 10:00:00,call 573005550101,USER,finished,\n",
    ),
    (
        "conversions.csv",
        "conversion_id,event,converted_at,session_id,phone,value,currency\n\
         !v1,purchase,2025-06-03T10:00:00Z,,573005550101,10,USD\n\
         !v2,purchase,2025-06-03T10:00:00Z,p2,,10,USD\n\
         !v3,purchase,2025-06-03T12:00:00Z,p3,573005550101,10,USD\n\
         v4,purchase,2025-06-03T10:00:00Z,a1,573005550102,10,USD\n",
    ),
    ("audience_tags.csv", "phone,tag,since\n!573005550101,vip,\n573005550102,vip,2025-05-01\n"),
    (
        "variables.csv",
        "session_id,phone,conversation_id,name,value,at\n\
         !p1,,11,city,Cali,2025-06-01T10:05:00Z\n\
         !,573005550101,11,city,Cali,2025-06-02T10:05:00Z\n\
         a1,,11,friend,{573005550101},2025-06-01T11:05:00Z\n",
    ),
    (
        "broken.csv",
        "session_id,session_started_timestamp,user_country_code,user_cellphone,first_message\n\
         !x1,yesterday,57,3005550101,hi\n\
         x2,yesterday,57,3005550104,call {573005550101}\n\
         x3,yesterday,57,3005550105,hi\n\
         !p2,yesterday,,,of a session of theirs\n",
    ),
];

/// An export with the person, or as if the person had never been.
fn text(export: &str, with: bool) -> String {
    let mut text = String::new();
    for line in export.lines() {
        match line.strip_prefix('!') {
            Some(line) if with => text += line,
            Some(_) => continue,
            None if line.starts_with('{') => text += line,
            None => {
                let mut parts = line.split(['{', '}']);
                text += parts.next().unwrap_or_default();
                while let (Some(number), rest) = (parts.next(), parts.next().unwrap_or_default()) {
                    text += if with { number } else { "[erased]" };
                    text += rest;
                }
            }
        }
        text.push('\n');
    }
    text
}

/// Loads all exports into a lake.
fn lake_of(bench: &Bench, name: &str, with: bool) -> Lake {
    let lake = bench.lake_at(name);
    for (file, export) in EXPORTS {
        let path = bench.file(file, text(export, with));
        let loaded = load(&lake, &[path], &load::Options::default());
        if file == "broken.csv" {
            assert!(loaded.unwrap_err().to_string().ends_with("valid: nothing was loaded"));
        } else {
            loaded.unwrap();
        }
    }
    lake
}

fn erase(lake: &Lake) -> Erased {
    lake.erase("+57 300 555 0101", Options::default()).unwrap()
}

/// The texts of a column.
fn texts(lake: &Lake, table: &'static Table, column: &str) -> Vec<String> {
    let found = lake.snapshot(table).unwrap().scan().unwrap();
    let found = found.select([col(column)]).collect().unwrap();
    found.column(column).unwrap().str().unwrap().iter().flatten().map(str::to_owned).collect()
}

/// Files of a lake that hold the person: in their path, their bytes or, if Parquet, the bytes of an
/// uncompressed page or a decoded text.
fn holding(root: &Path) -> Vec<PathBuf> {
    // Message ids hold the number in Base64.
    let wanted = [PHONE, NATIONAL, "300 555", "NTczMDA1NTUwMTAx"];
    let has = |bytes: &[u8]| {
        wanted.iter().any(|wanted| {
            let mut found = bytes.windows(wanted.len()).enumerate();
            // Part of a longer number is another number.
            found.any(|(at, window)| {
                window == wanted.as_bytes()
                    && !bytes[..at].ends_with(b"91")
                    && !bytes[..at].ends_with(b"9157")
            })
        })
    };
    let holds = |path: &PathBuf| {
        if has(path.strip_prefix(root).unwrap().to_str().unwrap().as_bytes())
            || has(&fs::read(path).unwrap())
        {
            return true;
        }
        let packed = path.extension().is_some_and(|end| end == "parquet");
        packed && unpacked(path).iter().any(|bytes| has(bytes))
    };
    let mut files = files_below(root);
    files.retain(holds);
    files
}

/// The uncompressed pages of a Parquet file, then its texts.
fn unpacked(path: &Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let Ok(reader) = SerializedFileReader::new(File::open(path).unwrap()) else { return found };
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).unwrap();
        for column in 0..group.num_columns() {
            let mut pages = group.get_column_page_reader(column).unwrap();
            while let Some(page) = pages.get_next_page().unwrap() {
                found.push(page.buffer().to_vec());
            }
        }
    }
    if path.components().all(|part| part.as_os_str() != "_delta_log") {
        let rows = ParquetReader::new(File::open(path).unwrap()).finish().unwrap();
        for column in rows.columns().iter().filter(|column| column.dtype() == &DataType::String) {
            found.extend(
                column.str().unwrap().iter().flatten().map(|text| text.as_bytes().to_vec()),
            );
        }
    }
    found
}

/// The folders of a lake that the files are in.
fn places(root: &Path, files: &[PathBuf]) -> Vec<String> {
    let place = |file: &PathBuf| {
        let parts: Vec<_> = file.strip_prefix(root).unwrap().iter().collect();
        parts[parts.len().min(2) - 1].to_string_lossy().into_owned()
    };
    let mut places: Vec<String> = files.iter().map(place).collect();
    places.sort();
    places.dedup();
    places
}

/// Writes leftovers of killed commands that hold the person.
fn leave_garbage(root: &Path) {
    let garbage = "utc_day=2025-06-01/5e0c3c1e-8b1f-4a55-9d0c-0a1b2c3d4e5f.parquet";
    fs::write(root.join("tables/sessions").join(garbage), "PAR1 573005550101").unwrap();
    fs::create_dir_all(root.join(".wabalake/scratch/load-1")).unwrap();
    fs::write(root.join(".wabalake/scratch/load-1/1.ipc"), "3005550101").unwrap();
    fs::write(
        root.join(
            "tables/sessions/_delta_log/_commit_5e0c3c1e-8b1f-4a55-9d0c-0a1b2c3d4e5f.json.tmp",
        ),
        PHONE,
    )
    .unwrap();
    let mart = root.join("marts/users/mart_day=2025-06-01");
    fs::create_dir_all(&mart).unwrap();
    fs::write(mart.join("5e0c3c1e-8b1f-4a55-9d0c-0a1b2c3d4e5f.parquet"), PHONE).unwrap();
}

/// A lake with old versions, in which the person is in every place.
fn lake_with_history(bench: &Bench) -> Lake {
    let lake = lake_of(bench, "lake", true);
    // A row that named another person later; a load that was undone; files that were compacted.
    let once =
        "session_id,session_started_timestamp,session_status,user_country_code,user_cellphone\n";
    bench.load("1.csv", format!("{once}b1,2025-06-05 10:00:00,BOT,57,3005550101\n"));
    bench.load("2.csv", format!("{once}b1,2025-06-05 10:00:00,AGENTS,57,3005550109\n"));
    bench.load("3.csv", format!("{once}b2,2025-06-06 10:00:00,BOT,57,3005550101\n"));
    lake.undo().unwrap();
    for number in 0..20 {
        let other = format!("{once}o{number},2025-06-07 10:{number:02}:00,BOT,57,3005550110\n");
        bench.load("other.csv", &other);
    }
    lake.compact().unwrap();
    leave_garbage(lake.root());
    lake
}

#[test]
fn erased_person_is_in_no_object_of_a_store() {
    let bench = Bench::new();
    let lake = lake_with_history(&bench);
    let remote = on_store(&lake);
    let before = in_folder(&remote, &bench.path("before"));
    assert!(holding(before.root()).len() > 10);
    let dry_run = Options { dry_run: true, ..Options::default() };
    let tried = remote.erase(PHONE, dry_run).unwrap();
    assert_eq!(
        remote.place().list(&Key::root(), None).unwrap().len(),
        files_below(before.root()).len()
    );
    let erased = erase(&remote);
    let back = in_folder(&remote, &bench.path("back"));
    assert_eq!(holding(back.root()), Vec::<PathBuf>::new());
    let checked = back.check(check::Options { deep: true, progress: None }).unwrap();
    assert!(checked.findings.is_empty(), "{:?}", checked.findings);

    // The same as in a folder.
    let expected = erase(&lake);
    let counts = |erased: &Erased| -> Vec<_> {
        erased.tables.iter().map(|table| (table.table, table.rows, table.redacted)).collect()
    };
    assert_eq!(counts(&erased), counts(&expected));
    assert_eq!(counts(&tried), counts(&expected));
    assert_eq!(Erased { tables: Vec::new(), ..erased }, Erased { tables: Vec::new(), ..expected });
    for table in TABLES.iter().filter(|table| table.name != deployments::NAME) {
        assert_eq!(stored(&back, table), stored(&lake, table), "{}", table.name);
    }
    assert!(erase(&remote).is_nothing());
}

#[test]
fn files_of_others_on_stores_are_searched_and_kept() {
    let bench = Bench::new();
    let lake = lake_of(&bench, "lake", true);
    let inbox = "[inbox]\nfolders = ['in', '../inbox', 's3://b?x']\n";
    fs::write(lake.root().join("wabalake.toml"), format!("{inbox}# ask +573005550101\n")).unwrap();
    fs::create_dir_all(lake.root().join("in")).unwrap();
    let export = "session_id,session_started_timestamp,user_country_code,user_cellphone\n\
                  s1,2025-06-01 10:00:00,57,3005550101\n";
    for (file, text) in [
        ("in/a.csv", export.to_owned()),
        ("in/b.csv", export.replace("3005550101", "3005550102")),
        ("pages/of 573005550101.html", String::new()),
        ("pages/c.parquet", "PAR1\0\0PAR1".to_owned()),
    ] {
        let path = lake.root().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::create_dir_all(bench.path("inbox")).unwrap();
    let remote = on_store(&lake);
    let erased = erase(&remote);
    let left: Vec<_> = erased.left.iter().map(|file| file.to_str().unwrap()).collect();
    assert_eq!(left, ["in/a.csv", "pages/of 573005550101.html", "wabalake.toml"]);
    let unsearched: Vec<_> = erased.unsearched.iter().map(|of| of.file.to_str().unwrap()).collect();
    assert_eq!(unsearched, ["pages/c.parquet", "s3://b?x"]);
    let kept = remote.place().read(&Key::parse("in/a.csv").unwrap()).unwrap().unwrap();
    assert_eq!(kept, export, "nothing of others is deleted");
}

#[test]
fn erased_person_is_in_no_byte_of_the_lake() {
    let bench = Bench::new();
    let lake = lake_with_history(&bench);
    let root = lake.root().to_owned();

    let held = holding(&root);
    let mut everywhere: Vec<&str> =
        EXPORTS[..8].iter().map(|(file, _)| file.split('.').next().unwrap()).collect();
    everywhere[0] = "sessions";
    everywhere.extend(["rejects", "scratch", "users"]);
    everywhere.sort_unstable();
    assert_eq!(places(&root, &held), everywhere, "the search finds the person in every place");
    let checkpoint = |file: &&PathBuf| file.to_string_lossy().ends_with(".checkpoint.parquet");
    assert!(held.iter().any(|file| checkpoint(&file)), "a checkpoint has bounds with the number");

    let tried = lake.erase(PHONE, Options { dry_run: true, ..Options::default() }).unwrap();
    assert_eq!(holding(&root), held, "a dry run changes nothing");
    let erased = erase(&lake);
    assert_eq!(holding(&root), Vec::<PathBuf>::new());
    assert!(erased.marts && erased.left.is_empty());
    let checked = lake.check(check::Options { deep: true, progress: None }).unwrap();
    assert!(
        checked.findings.is_empty(),
        "hashes of rewritten files are stored: {:?}",
        checked.findings
    );
    let reported = |erased: &Erased| -> Vec<_> {
        erased.tables.iter().map(|table| (table.table, table.rows, table.redacted)).collect()
    };
    assert_eq!(reported(&tried), reported(&erased));
    assert_eq!(
        reported(&erased),
        [
            ("sessions", 3, 1),
            ("deployments", 1, 1),
            ("messages", 2, 2),
            ("closures", 2, 0),
            ("agent_chats", 1, 1),
            ("conversions", 3, 0),
            ("audience_tags", 1, 0),
            ("variables", 2, 1),
            ("rejects", 2, 1),
        ]
    );

    assert_eq!((tried.people, erased.people, erased.named), (1, 1, 0));

    // Rows of others are unchanged, and file ids are kept.
    let never = lake_of(&bench, "never", false);
    let own = [sessions::NAME, deployments::NAME];
    for table in TABLES.iter().filter(|table| !own.contains(&table.name)) {
        assert_eq!(stored(&lake, table), stored(&never, table), "{}", table.name);
    }
    // Another person's deployment named a session of theirs: its id is replaced.
    let stand_in = texts(&lake, &deployments::TABLE, "session_id");
    let stand_in = stand_in.iter().find(|id| id.len() == 36).unwrap();
    let sends = stored(&lake, &deployments::TABLE).join("\n");
    let as_before = stored(&never, &deployments::TABLE).join("\n");
    let plain = |sends: &str, id: &str| {
        let key = wabalake_data::tables::text_key(id).to_string();
        sends.replace(id, "…").replace(&key, "…")
    };
    assert_eq!(plain(&sends, stand_in), plain(&as_before, "p2"));
    let of_others = stored(&lake, &sessions::TABLE);
    for row in stored(&never, &sessions::TABLE) {
        assert!(of_others.contains(&row), "{row}");
    }
    assert_eq!(of_others.len(), 3 + 1 + 20);
    let again = bench.load("renamed.csv", text(EXPORTS[0].1, true));
    assert!(again.files[0].already_loaded, "a loaded file brings nobody back");

    // Erasing again changes nothing and commits no version.
    let versions = |lake: &Lake| -> Vec<_> {
        stored_tables().map(|table| lake.snapshot(table).unwrap().version).collect()
    };
    let before = versions(&lake);
    assert!(erase(&lake).is_nothing());
    assert_eq!(versions(&Lake::open(&root).unwrap()), before);
    let operations = lake.history(&variables::TABLE).unwrap();
    assert_eq!(operations[0].operation, "erase");
    // Later loads can still be undone, down to the first that the erasure rewrote.
    lake.undo().unwrap();
    let refused = loop {
        if let Err(refused) = lake.undo() {
            break refused.lines();
        }
    };
    assert!(refused.contains("is deleted") || refused.contains("(erase) rewrote"), "{refused}");
    assert_eq!(holding(&root), Vec::<PathBuf>::new());
}

#[test]
fn killed_erasure_is_completed_by_the_next() {
    let bench = Bench::new();
    let whole = lake_of(&bench, "whole", true);
    copy(whole.root(), &bench.path("half"));
    erase(&whole);
    // Killed after the rows that tell the owners of sessions were erased.
    for table in ["sessions", "deployments", "conversions"] {
        let half = bench.path("half").join("tables").join(table);
        fs::remove_dir_all(&half).unwrap();
        copy(&bench.path("whole").join("tables").join(table), &half);
    }
    let half = Lake::open(bench.path("half")).unwrap();
    fs::write(half.root().join(".wabalake/erasing"), r#"["p1","p2","p3"]"#).unwrap();
    erase(&half);
    for table in [&closures::TABLE, &variables::TABLE] {
        assert_eq!(stored(&half, table), stored(&whole, table), "{}", table.name);
    }
    assert!(!half.root().join(".wabalake/erasing").exists());
    assert_eq!(holding(half.root()), Vec::<PathBuf>::new());
}
