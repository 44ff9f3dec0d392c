//! Files of other programs: searched for the erased number, never deleted.

use std::fs;
use std::path::{Path, PathBuf};

use wabalake::lake::erase::Options;
use wabalake_data::tables::sessions;
use zip::write::SimpleFileOptions;

use super::{PHONE, erase, lake_of, texts};
use crate::support::{Bench, archive, gz, workbook};

#[test]
fn foreign_files_with_the_number_are_kept_and_listed() {
    let bench = Bench::new();
    let lake = lake_of(&bench, "lake", true);
    fs::write(lake.root().join("wabalake.toml"), "# ask +573005550101 of\n").unwrap();
    fs::create_dir(lake.root().join("pages")).unwrap();
    fs::write(lake.root().join("pages/573005550101.html"), "").unwrap();
    let erased = erase(&lake);
    assert_eq!(erased.left, [Path::new("pages/573005550101.html"), Path::new("wabalake.toml")]);
}

/// A file packed as its ending says.
fn packed(ending: &str, name: &str, bytes: &[u8]) -> Vec<u8> {
    match ending {
        "gz" => gz(bytes),
        "zst" => zstd::encode_all(bytes, 1).unwrap(),
        "zip" => archive(&[(name, bytes)], SimpleFileOptions::default()),
        _ => bytes.to_vec(),
    }
}

#[test]
fn foreign_files_are_read_as_load_reads_them() {
    let header =
        "session_id,session_started_timestamp,user_country_code,user_cellphone,first_message";
    let of =
        |code: &str, cell: &str| format!("{header}\ns1,2025-06-01 10:00:00,{code},{cell},hi\n");
    let utf16: Vec<u8> = of("57", "3005550101").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let sheet = workbook(&of("57", "3005550101"));
    let list = workbook("name,phone\nx,+57 300 555 0101");
    let other_sheet = workbook(&of("52", "3005550101"));
    let closing = |code: &str| {
        format!(
            r#"{{"event_id":"c1","event_type":"session.close","session":{{"external_id":"s1","closed_at":"2025-06-01T10:30:00Z"}},"user":{{"country_code":"{code}","cellphone":"3005550101"}}}}"#
        )
    };
    let bench = Bench::new();
    let lake = lake_of(&bench, "lake", true);
    let config = "[inbox]\nfolders = ['../inbox']\nafter = 'move'\nloaded = '../inbox-loaded'\nfailed = 'bad'\n";
    fs::write(lake.root().join("wabalake.toml"), config).unwrap();
    for folder in ["inbox", "inbox-loaded/deep", "lake/bad", "away"] {
        fs::create_dir_all(bench.path(folder)).unwrap();
    }
    let theirs = of("57", "3005550101");
    let others = of("52", "3005550101") + of("55", "573005550101").replace(header, "").trim_start();
    let mut holding = Vec::new();
    let mut write = |name: &str, bytes: &[u8], holds: bool| {
        fs::write(bench.path(name), bytes).unwrap();
        if holds {
            let place = name.strip_prefix("lake/").map(PathBuf::from);
            let root = bench.folder.path().canonicalize().unwrap();
            holding.push(place.unwrap_or_else(|| root.join(name)));
        }
    };
    for (place, ending) in
        [("lake", "csv"), ("inbox", "gz"), ("inbox-loaded/deep", "zip"), ("lake/bad", "zst")]
    {
        write(&format!("{place}/a.{ending}"), &packed(ending, "a.csv", theirs.as_bytes()), true);
        write(&format!("{place}/b.{ending}"), &packed(ending, "b.csv", others.as_bytes()), false);
    }
    write("inbox/utf16.csv", &utf16, true);
    write("inbox/a.xlsx", &sheet, true);
    write("inbox/list.xlsx", &list, true);
    write("inbox/b.xlsx", &other_sheet, false);
    write("lake/a.jsonl", closing("+57").as_bytes(), true);
    write("lake/b.jsonl", closing("+52").as_bytes(), false);
    write("lake/.hidden", b"call +57 300-555-0101", true);
    write("lake/short.csv", format!("{header}\ns1,2025-06-01,57,3005550101\n").as_bytes(), true);
    write(
        "inbox/of-another.csv",
        of("1", "2125550101").replace("hi", "or 300 555 0101").as_bytes(),
        true,
    );
    write("lake/old.xls", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1\0\0", false);
    write("inbox/a.parquet", b"PAR1\x15\0\x15", false);
    write("inbox/broken.gz", &packed("gz", "", theirs.as_bytes())[..40], false);
    write("inbox/empty.csv", b"", false);
    write("away/mine.csv", theirs.as_bytes(), false);
    #[cfg(unix)]
    for (from, to) in [("away", "inbox/link"), ("away/mine.csv", "lake/link.csv")] {
        std::os::unix::fs::symlink(bench.path(from), bench.path(to)).unwrap();
    }
    holding.sort();
    let tried = lake.erase(PHONE, Options { dry_run: true, ..Options::default() }).unwrap();
    let erased = erase(&lake);
    for erased in [tried, erased] {
        let mut left = erased.left.clone();
        left.sort();
        assert_eq!(left, holding);
        let unsearched: Vec<_> = erased
            .unsearched
            .iter()
            .map(|file| file.file.file_name().unwrap().to_str().unwrap())
            .collect();
        let mut wanted = vec!["a.parquet", "broken.gz", "old.xls"];
        if cfg!(unix) {
            wanted.extend(["link", "link.csv"]);
        }
        let mut unsearched = unsearched;
        unsearched.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(unsearched, wanted);
    }
    assert!(bench.path("away/mine.csv").exists() && bench.path("lake/a.csv").exists());
}

#[cfg(unix)]
#[test]
fn nothing_behind_a_link_is_deleted() {
    use std::os::unix::fs::symlink;
    let bench = Bench::new();
    let lake = lake_of(&bench, "lake", true);
    let root = lake.root();
    let away = bench.path("away");
    let file = "5e0c3c1e-8b1f-4a55-9d0c-0a1b2c3d4e5f.parquet";
    fs::create_dir_all(away.join("deep")).unwrap();
    for kept in [away.join(file), away.join("deep").join(file)] {
        fs::write(kept, PHONE).unwrap();
    }
    for link in [
        "tables/sessions/utc_day=2025-01-01",
        ".wabalake/scratch/gone",
        "marts/users/mart_day=2025-01-01",
    ] {
        let link = root.join(link);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(&away, link).unwrap();
    }
    symlink(away.join(file), root.join("tables/sessions/utc_day=2025-06-01").join(file)).unwrap();
    // Other names are not data files of wabalake.
    let foreign = root.join("tables/sessions/utc_day=2025-06-01/notes.parquet");
    fs::write(&foreign, "of mine").unwrap();
    let mart = root.join("marts/users/read.me");
    fs::write(&mart, "of mine").unwrap();
    let erased = erase(&lake);
    assert!(erased.rows() > 0);
    for kept in [&foreign, &mart, &away.join(file), &away.join("deep").join(file)] {
        assert!(kept.exists(), "{}", kept.display());
    }
    assert_eq!(erased.unsearched.len(), 3, "{:?}", erased.unsearched);

    let whole = lake_of(&bench, "whole", true);
    fs::rename(whole.root().join("tables/messages"), bench.path("messages")).unwrap();
    symlink(bench.path("messages"), whole.root().join("tables/messages")).unwrap();
    let error = whole.erase(PHONE, Options::default()).unwrap_err();
    assert!(error.lines().contains("`tables/messages` is a link"), "{}", error.lines());
    assert_eq!(texts(&whole, &sessions::TABLE, "session_id").len(), 6);
}
