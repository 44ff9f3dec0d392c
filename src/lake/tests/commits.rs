//! Commits: conflicts, transactions, checkpoints, what the log holds.

use std::sync::Barrier;

use super::*;

#[test]
fn concurrent_loads_lose_and_double_no_rows() {
    let (_folder, lake) = lake();
    let root = lake.root().to_owned();
    let start = Barrier::new(6);
    let tries: usize = std::thread::scope(|scope| {
        let loads: Vec<_> = (0..6_u32)
            .map(|worker| {
                let (root, start) = (root.clone(), &start);
                scope.spawn(move || {
                    let lake = Lake::open(root).unwrap();
                    start.wait();
                    // The first creates the table; three share a day, three have their own.
                    let date = if worker < 3 { day(1) } else { day(worker) };
                    (0..3)
                        .map(|n| {
                            let id = format!("w{worker}-{n}");
                            load(&lake, &id, date, &[&id])
                        })
                        .sum::<usize>()
                })
            })
            .collect();
        loads.into_iter().map(|load| load.join().unwrap()).sum()
    });
    let expected: Vec<String> =
        (0..6).flat_map(|worker| (0..3).map(move |n| format!("w{worker}-{n}"))).collect();
    assert_eq!(all(&lake), expected);
    let snapshot = lake.snapshot(SESSIONS).unwrap();
    assert_eq!(snapshot.version, Some(17));
    assert!(expected.iter().all(|load| snapshot.transaction(load).is_loaded()));
    assert!(tries > 18, "no two met: the test proves nothing");
    // Conflicting commits leave no file behind.
    let history = lake.history(SESSIONS).unwrap();
    let added: u64 = history.iter().map(|entry| entry.files_added).sum();
    assert_eq!(parquet_files(&table_folder(&lake)).len() as u64, added);
}

#[test]
fn commit_from_an_older_version_is_a_conflict() {
    let (_folder, lake) = lake();
    let before = lake.snapshot(SESSIONS).unwrap();
    load(&lake, "a", day(1), &["a1"]);
    let staging = lake.staging(SESSIONS).unwrap();
    let change = Change {
        add: vec![staging.write(day(2), rows(noon(day(2)), &["b1"])).unwrap()],
        ..Change::new(Operation::Load)
    };
    assert_eq!(lake.commit(&before, change).unwrap(), Commit::Conflict);
    drop(staging);
    assert_eq!(all(&lake), ["a1"]);
    assert_eq!(parquet_files(&table_folder(&lake)).len(), 1);
}

#[test]
fn transactions_tell_which_files_are_loaded() {
    let (_folder, lake) = lake();
    assert!(!lake.is_loaded(SESSIONS, "a").unwrap());
    load(&lake, "a", day(1), &["a1"]);
    assert!(lake.is_loaded(SESSIONS, "a").unwrap());
    lake.undo().unwrap();
    assert!(!lake.is_loaded(SESSIONS, "a").unwrap());
    assert_eq!(lake.snapshot(SESSIONS).unwrap().transaction("a"), Loaded(2));
    load(&lake, "a", day(1), &["a1"]);
    assert!(lake.is_loaded(SESSIONS, "a").unwrap());
    // Another process reads the same transactions.
    let other = Lake::open(lake.root()).unwrap();
    assert_eq!(other.snapshot(SESSIONS).unwrap().transaction("a"), Loaded(3));
}

#[test]
fn checkpoint_replaces_earlier_commits() {
    let (_folder, lake) = lake();
    for n in 0..45_u32 {
        let id = format!("f{n:02}");
        load(&lake, &id, day(1 + n % 5), &[&id]);
    }
    let log = table_folder(&lake).join("_delta_log");
    let file = |name: String| log.join(name);
    assert!(file(format!("{:020}.checkpoint.parquet", 39)).is_file());
    let whole = lake.snapshot(SESSIONS).unwrap();
    for version in 0..39 {
        fs::remove_file(file(format!("{version:020}.json"))).unwrap();
    }
    let read_anew = Lake::open(lake.root()).unwrap();
    let from_checkpoint = read_anew.snapshot(SESSIONS).unwrap();
    assert_eq!(from_checkpoint.version, Some(44));
    assert_eq!(from_checkpoint.files, whole.files);
    assert!(from_checkpoint.is_as_made_here(), "else each commit would load the whole state");
    assert_eq!(all(&read_anew), all(&lake));
    assert!((0..45).all(|n| from_checkpoint.transaction(&format!("f{n:02}")) == Loaded(1)));

    fs::remove_file(file(format!("{:020}.json", 41))).unwrap();
    let error = Lake::open(lake.root()).unwrap().snapshot(SESSIONS).unwrap_err();
    assert!(error.to_string().contains(&format!("{:020}.json` is missing", 41)), "{error}");
}

#[test]
fn deltalake_reads_the_same_files() {
    let (_folder, lake) = lake();
    for n in 0..23_u32 {
        load(&lake, "a", if n % 4 == 0 { None } else { day(n % 4) }, &[&format!("s{n:02}")]);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let url = url::Url::from_directory_path(table_folder(&lake)).unwrap();
    let table = runtime.block_on(deltalake::open_table(url)).unwrap();
    let state = table.snapshot().unwrap();
    let theirs: BTreeSet<(String, Option<usize>)> = state
        .log_data()
        .iter()
        .map(|file| (file.path().into_owned(), file.num_records()))
        .collect();
    let snapshot = lake.snapshot(SESSIONS).unwrap();
    let ours = snapshot.files.iter().map(|f| (f.path.clone(), usize::try_from(f.rows).ok()));
    assert_eq!(theirs, ours.collect());
    assert_eq!(theirs.len(), 4);
}

#[test]
fn log_holds_no_phone_key_or_message() {
    let (_folder, lake) = lake();
    load(&lake, "a", day(1), &["a1"]);
    load(&lake, "b", day(1), &["b1"]);
    for version in 0..2 {
        let commit = commit_file(&lake, version);
        let text = fs::read_to_string(commit).unwrap();
        assert!(text.contains("minValues"));
        for secret in [PHONE, "7318008555512345678", "a private word"] {
            assert!(!text.contains(secret));
        }
    }
    let snapshot = lake.snapshot(SESSIONS).unwrap();
    let known: BTreeSet<_> = snapshot.files[0].statistics.bounds().null_count.keys().collect();
    assert_eq!(known.len(), SESSIONS.statistics.len() + SESSIONS.null_counts().len());
}
