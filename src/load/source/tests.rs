use std::collections::BTreeMap;
use std::io::Write as _;

use zip::write::SimpleFileOptions;

use super::*;
use crate::lake::Lake;
use crate::load::{Options, load, load_as_seen};

fn export(id: &str) -> Vec<u8> {
    format!("session_id,session_started_timestamp\n{id},2025-06-01 10:00:00\n").into_bytes()
}

/// A zip archive of one export. Its length depends only on the length of the export.
fn archive(id: &str) -> Vec<u8> {
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    zip.start_file("a.csv", stored).unwrap();
    zip.write_all(&export(id)).unwrap();
    zip.finish().unwrap().into_inner()
}

fn gz(id: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    packed.write_all(&export(id)).unwrap();
    packed.finish().unwrap()
}

/// A spreadsheet of one export, with a comment in the archive.
fn workbook(comment: &str) -> Vec<u8> {
    use rust_xlsxwriter::{DocProperties, ExcelDateTime, Workbook};
    let mut book = Workbook::new();
    // The creation time is fixed: the packed length may depend on it.
    let made = ExcelDateTime::from_ymd(2025, 6, 1).unwrap();
    book.set_properties(&DocProperties::new().set_creation_datetime(&made));
    let sheet = book.add_worksheet();
    for (column, title) in ["session_id", "session_started_timestamp"].into_iter().enumerate() {
        sheet.write(0, u16::try_from(column).unwrap(), title).unwrap();
    }
    let book = io::Cursor::new(book.save_to_buffer().unwrap());
    let mut zip = zip::ZipWriter::new_append(book).unwrap();
    zip.set_comment(comment).unwrap();
    zip.finish().unwrap().into_inner()
}

/// Reads a source to its end, as a load does after the survey.
fn read_again(source: &Source) -> Result<()> {
    let read = || {
        let read = io::copy(&mut source.reader()?, &mut io::sink());
        read.map_err(|e| source.read_error(&e))?;
        source.check_unchanged()
    };
    read().map_err(|error| source.explain(error))
}

type Make<'m> = &'m dyn Fn(&str) -> Vec<u8>;

#[test]
fn a_file_that_changes_after_the_survey_is_an_error() {
    let json = |id: &str| format!("{{\"event_id\":\"{id}\"}}\n").into_bytes();
    let kinds: [(&str, Make<'_>); 5] = [
        ("a.csv", &export),
        ("a.csv.gz", &gz),
        ("a.zip", &archive),
        ("a.json", &json),
        ("a.xlsx", &workbook),
    ];
    for (name, make) in kinds {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let surveyed = || {
            std::fs::write(&path, make("s1")).unwrap();
            let found = FoundSources::of(std::slice::from_ref(&path), folder.path()).unwrap();
            let source = found.sources.into_iter().next().unwrap();
            source.survey().unwrap();
            source
        };
        read_again(&surveyed()).unwrap();
        let assert_changed = |source: &Source, how: &str| {
            let error = read_again(source).unwrap_err();
            assert!(error.is_of_change(), "{name}, {how}: {}", error.lines());
        };

        let source = surveyed();
        File::options().append(true).open(&path).unwrap().write_all(b"\n").unwrap();
        assert_changed(&source, "appended to");

        let source = surveyed();
        File::options().write(true).open(&path).unwrap().set_len(20).unwrap();
        assert_changed(&source, "cut");

        let source = surveyed();
        std::fs::remove_file(&path).unwrap();
        assert!(source.check_unchanged().unwrap_err().is_of_change());

        // Same size and modification time: the hash or the inode differs.
        let source = surveyed();
        let time = path.metadata().unwrap().modified().unwrap();
        let other = make("s2");
        assert_eq!(path.metadata().unwrap().len(), other.len() as u64);
        let mut file = File::options().write(true).open(&path).unwrap();
        file.write_all(&other).unwrap();
        file.set_modified(time).unwrap();
        assert_changed(&source, "other bytes");

        #[cfg(unix)]
        {
            let source = surveyed();
            let time = path.metadata().unwrap().modified().unwrap();
            let other = folder.path().join("other");
            std::fs::write(&other, make("s1")).unwrap();
            File::options().write(true).open(&other).unwrap().set_modified(time).unwrap();
            std::fs::rename(&other, &path).unwrap();
            assert_changed(&source, "another file");
        }
    }
}

#[test]
fn a_file_that_differs_from_its_chosen_state_is_not_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::create(folder.path().join("lake")).unwrap();
    let files = ["a", "b"].map(|id| {
        let path = folder.path().join(id).with_extension("csv");
        std::fs::write(&path, export(id)).unwrap();
        path
    });
    let seen = FileState { bytes: 7, ..FileState::of(&files[0]).unwrap() };
    let seen = BTreeMap::from([(files[0].clone(), seen)]);
    let options = Options::default();
    let error = load_as_seen(&lake, &files, &seen, &options).unwrap_err();
    assert!(error.is_of_change(), "{}", error.lines());
    let table = &wabalake_data::tables::sessions::TABLE;
    assert_eq!(lake.snapshot(table).unwrap().version, None);
    let options = Options { per_file: true, ..options };
    let report = load_as_seen(&lake, &files, &seen, &options).unwrap();
    assert_eq!((report.files.len(), report.failed.len()), (1, 1));
    assert_eq!(load(&lake, &files, &options).unwrap().files.len(), 2);
    assert_eq!(lake.snapshot(table).unwrap().rows(), 2);
}
