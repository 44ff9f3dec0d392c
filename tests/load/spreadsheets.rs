//! Spreadsheets give the rows of the equal CSV, whatever the types of their cells.

use std::path::PathBuf;

use rust_xlsxwriter::{ExcelDateTime, Format, Formula, Workbook, Worksheet};
use wabalake::error::Error;
use wabalake::load::{LoadReport, Options};
use wabalake_data::tables::{messages, sessions};
use zip::write::SimpleFileOptions;

use crate::support::{Bench, archive, gz};

fn save(bench: &Bench, name: &str, book: &mut Workbook) -> PathBuf {
    bench.file(name, book.save_to_buffer().unwrap())
}

fn load_sheet(bench: &Bench, file: PathBuf, sheet: &str) -> Result<LoadReport, Error> {
    bench.load_with(&[file], &Options { sheet: Some(sheet.to_owned()), ..Options::default() })
}

/// Open rejects with their content.
fn rejects(bench: &Bench) -> Vec<String> {
    let rows = bench.open_rejects();
    let cell = |name: &str, row| rows.column(name).unwrap().get(row).unwrap().to_string();
    let row = |row| {
        ["record", "line", "column", "reason", "raw"]
            .map(|name| cell(name, row).trim_matches('"').to_owned())
            .join(" | ")
    };
    (0..rows.height()).map(row).collect()
}

const HEADER: [&str; 8] = [
    "session_id",
    "session_started_timestamp",
    "session_finished_timestamp",
    "conversation_id",
    "conversation_version",
    "user_country_code",
    "user_cellphone",
    "first_message",
];

/// The rows of every spreadsheet below.
const CSV: &str = "\
session_id,session_started_timestamp,session_finished_timestamp,conversation_id,\
conversation_version,user_country_code,user_cellphone,first_message
a1,2025-06-01 10:00:00,2025-06-01 10:00:00.250,120226305854810726,4,57,3005550101,\"Hi, \"\"you\"\"\nthere\"
573005550101,2025-06-01 00:00:00,,34820,4,57,3005550102,1.5
a3,2025-06-01 12:00:00,,-,,+57,300 555 0103,true
";

fn write_header(sheet: &mut Worksheet, row: u32, column: u16) {
    for (at, name) in (column..).zip(HEADER) {
        sheet.write(row, at, name).unwrap();
    }
}

/// Writes the same rows with cells of every type.
fn write_rows(sheet: &mut Worksheet, row: u32, column: u16) {
    let stamp = Format::new().set_num_format("dd/mm/yyyy hh:mm:ss");
    let at = |text: &str| ExcelDateTime::parse_from_str(text).unwrap();
    sheet.write(row, column, "a1").unwrap();
    sheet.write_with_format(row, column + 1, at("2025-06-01T10:00:00"), &stamp).unwrap();
    sheet.write_with_format(row, column + 2, at("2025-06-01T10:00:00.250"), &stamp).unwrap();
    sheet.write(row, column + 3, "120226305854810726").unwrap();
    sheet.write(row, column + 4, 4).unwrap();
    sheet.write(row, column + 5, 57.0).unwrap();
    sheet.write(row, column + 6, 3_005_550_101u32).unwrap();
    sheet.write(row, column + 7, "Hi, \"you\"\nthere").unwrap();

    // A number of twelve digits as an id, a date without a time, numbers as texts.
    sheet.write(row + 1, column, 573_005_550_101u64).unwrap();
    let day = Format::new().set_num_format("yyyy-mm-dd");
    sheet.write_with_format(row + 1, column + 1, at("2025-06-01"), &day).unwrap();
    sheet.write(row + 1, column + 3, 34_820).unwrap();
    sheet.write(row + 1, column + 4, "4.0").unwrap();
    sheet.write(row + 1, column + 5, "57.0").unwrap();
    sheet.write(row + 1, column + 6, "3005550102.0").unwrap();
    sheet.write(row + 1, column + 7, 1.5).unwrap();

    // After an empty row: the text of a formula, a timestamp as text, a boolean.
    sheet.write_formula(row + 3, column, Formula::new("=\"a\"&3").set_result("a3")).unwrap();
    sheet.write(row + 3, column + 1, "2025-06-01 12:00:00").unwrap();
    sheet.write(row + 3, column + 3, "-").unwrap();
    sheet.write(row + 3, column + 5, "+57").unwrap();
    sheet.write(row + 3, column + 6, "300 555 0103").unwrap();
    sheet.write(row + 3, column + 7, true).unwrap();
}

fn book() -> Workbook {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet().set_name("Sessions").unwrap();
    write_header(sheet, 0, 0);
    write_rows(sheet, 1, 0);
    book
}

fn expected() -> Vec<String> {
    let bench = Bench::new();
    bench.load_files(&[bench.file("a.csv", CSV)]).unwrap();
    assert_eq!(rejects(&bench), [""; 0]);
    bench.stored(&sessions::TABLE)
}

#[test]
fn cells_of_every_type_give_the_rows_of_the_csv() {
    let bench = Bench::new();
    let report = bench.load_files(&[save(&bench, "a.xlsx", &mut book())]).unwrap();
    assert_eq!(rejects(&bench), [""; 0]);
    assert_eq!(bench.stored(&sessions::TABLE), expected());
    assert_eq!(report.files[0].rows_read, 3);
    assert_eq!(report.files[0].sheet.as_deref(), Some("Sessions"));
    assert!(report.text().starts_with("a.xlsx, sheet Sessions  →  sessions\n"));
    let again = bench.load_files(&[bench.folder.path().join("a.xlsx")]).unwrap();
    assert!(again.files[0].already_loaded);
    assert!(
        load_sheet(&bench, bench.folder.path().join("a.xlsx"), "Sessions").unwrap().files[0]
            .already_loaded
    );
}

#[test]
fn lines_above_the_header_and_columns_left_of_it_are_skipped() {
    let bench = Bench::new();
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    sheet.write(0, 0, "Sessions of June").unwrap();
    sheet.write(2, 1, "made on").unwrap();
    sheet.write(2, 2, "2025-07-01").unwrap();
    write_header(sheet, 5, 2);
    write_rows(sheet, 7, 2);
    let report = bench.load_files(&[save(&bench, "a.xlsx", &mut book)]).unwrap();
    assert_eq!(bench.stored(&sessions::TABLE), expected());
    assert_eq!(report.files[0].unknown_columns, [""; 0]);
}

#[test]
fn compressed_and_archived_spreadsheets_give_the_same_rows() {
    let bytes = book().save_to_buffer().unwrap();
    let message = b"whatsapp_id,created_at,message_direction
m1,2025-06-01T10:00:00Z,false
";
    let files = [("june/a.xlsx", &bytes[..]), ("m.csv", message)];
    let zip = archive(&files, SimpleFileOptions::default());
    for (name, bytes) in [("a.xlsx.gz", gz(&bytes)), ("a.zip", zip)] {
        let bench = Bench::new();
        bench.load_files(&[bench.file(name, bytes)]).unwrap();
        assert_eq!(bench.stored(&sessions::TABLE), expected(), "{name}");
        assert_eq!(bench.stored(&messages::TABLE).len(), usize::from(name == "a.zip"));
    }
}

#[test]
fn sheet_is_detected_or_named() {
    let bench = Bench::new();
    let mut book = Workbook::new();
    book.add_worksheet().set_name("Read me").unwrap().write(0, 0, "Exported on Monday").unwrap();
    let sheet = book.add_worksheet().set_name("Data").unwrap();
    write_header(sheet, 0, 0);
    write_rows(sheet, 1, 0);
    let copy = book.add_worksheet().set_name("Copy").unwrap();
    write_header(copy, 0, 0);
    copy.set_hidden(true);
    let file = save(&bench, "a.xlsx", &mut book);
    // Hidden sheets are skipped unless named.
    assert_eq!(
        bench.load_files(std::slice::from_ref(&file)).unwrap().files[0].sheet.as_deref(),
        Some("Data")
    );
    assert_eq!(load_sheet(&bench, file.clone(), "Copy").unwrap().files[0].rows_read, 0);
    let error = load_sheet(&bench, file.clone(), "Read me").unwrap_err();
    assert!(error.to_string().contains("not a recognised export"), "{error}");
    let error = load_sheet(&bench, file, "data").unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert_eq!(
        error.lines(),
        "error: `a.xlsx` has no sheet `data`\n  hint: it has `Read me`, `Data`, `Copy`"
    );

    let mut book = Workbook::new();
    for name in ["May", "June"] {
        write_header(book.add_worksheet().set_name(name).unwrap(), 0, 0);
    }
    let file = save(&bench, "b.xlsx", &mut book);
    let error = bench.load_files(std::slice::from_ref(&file)).unwrap_err();
    assert_eq!(
        error.lines(),
        "error: `b.xlsx` has several sheets with exports\n  found: `May`, `June`\n  \
         hint: load them one by one: `--sheet 'May'`"
    );
    load_sheet(&bench, file, "June").unwrap();

    let mut book = Workbook::new();
    book.add_worksheet().set_name("A").unwrap().write(0, 0, "x").unwrap();
    book.add_worksheet().set_name("B").unwrap();
    let error = bench.load_files(&[save(&bench, "c.xlsx", &mut book)]).unwrap_err();
    assert!(
        error.lines().contains("no sheet with a recognised export\n  found: `A`, `B`"),
        "{error}"
    );
    let mut book = Workbook::new();
    let sheet = book.add_worksheet().set_name("A").unwrap();
    for (at, name) in (0..).zip(["session_id", "session_type", "session_status"]) {
        sheet.write(0, at, name).unwrap();
    }
    let error = bench.load_files(&[save(&bench, "d.xlsx", &mut book)]).unwrap_err();
    assert!(error.to_string().contains("has no column `session_started_timestamp`"), "{error}");
}

#[test]
fn rejects_have_row_number_and_cells() {
    let bench = Bench::new();
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    sheet.write(0, 0, "Title").unwrap();
    write_header(sheet, 2, 0);
    let row = |sheet: &mut Worksheet, row: u32, id: &str| {
        sheet.write(row, 0, id).unwrap();
        sheet.write(row, 1, "2025-06-01 10:00:00").unwrap();
    };
    row(sheet, 3, "good");
    row(sheet, 4, "late");
    sheet.write(4, 1, "soon, \"maybe\"").unwrap();
    // Row 6 is empty. A serial number without a date format is no date.
    row(sheet, 6, "serial");
    sheet.write(6, 1, 45_809.5).unwrap();
    // A double holds 120226305854810726 as 120226305854810720.
    row(sheet, 7, "long");
    sheet.write(7, 3, 120_226_305_854_810_726u64 as f64).unwrap();
    row(sheet, 8, "error");
    let wrong = Formula::new("=1/0").set_result("#DIV/0!");
    sheet.write_formula(8, 3, wrong).unwrap();
    row(sheet, 9, "wide");
    sheet.write(9, 9, "beyond").unwrap();
    row(sheet, 10, "last");
    let report = bench.load_files(&[save(&bench, "a.xlsx", &mut book)]).unwrap();
    assert_eq!(report.files[0].rows_read, 7);
    assert_eq!(
        rejects(&bench),
        [
            "2 | 5 | session_started_timestamp | not a date and time such as 2025-12-31 10:00:00 or unix seconds | \
             late,\"soon, \"\"maybe\"\"\",,,,,,",
            "3 | 7 | session_started_timestamp | not a date and time such as 2025-12-31 10:00:00 or unix seconds | serial,45809.5,,,,,,",
            "4 | 8 | null | `conversation_id` is a number of more than 15 digits, which a \
             spreadsheet does not keep | long,2025-06-01 10:00:00,,120226305854810720,,,,",
            "5 | 9 | null | `conversation_id` shows an error | error,2025-06-01 10:00:00,,#DIV/0!,,,,",
            "6 | 10 | null | too many fields: 10 instead of 8 | \
             wide,2025-06-01 10:00:00,,,,,,,,beyond",
        ]
    );
    assert_eq!(bench.stored(&sessions::TABLE).len(), 2);

    // Rejects are exported as CSV and can be corrected there.
    let mend = bench.exported_rejects().replace("\"soon, \"\"maybe\"\"\"", "2025-06-01 11:00:00");
    bench.load_files(&[bench.file("mend.csv", mend)]).unwrap();
    assert!(bench.stored(&sessions::TABLE).iter().any(|row| row.contains("late")));
}

#[test]
fn damaged_and_old_workbooks_are_errors() {
    let bench = Bench::new();
    let bytes = book().save_to_buffer().unwrap();
    let cut = bench.load_files(&[bench.file("cut.xlsx", &bytes[..bytes.len() / 2])]).unwrap_err();
    assert_eq!(cut.exit_code(), 1);
    let old = [b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".as_slice(), &[0; 600]].concat();
    let error = bench.load_files(&[bench.file("old.xls", old)]).unwrap_err();
    assert!(error.lines().contains("save it as xlsx"), "{}", error.lines());
    let mut damaged = bytes.clone();
    // A byte within the first compressed entry.
    damaged[100] ^= 0x55;
    let error = bench.load_files(&[bench.file("damaged.xlsx", damaged)]);
    assert!(error.is_err_and(|error| error.exit_code() == 1));
}

/// Writes a binary workbook as [MS-XLSB] specifies: records with type and length.
mod binary {
    use zip::write::SimpleFileOptions;

    use crate::support::archive;

    pub(super) fn record(out: &mut Vec<u8>, of: u16, body: &[u8]) {
        match of {
            0..0x80 => out.push(of.to_le_bytes()[0]),
            _ => out.extend([of.to_le_bytes()[0] | 0x80, (of >> 7).to_le_bytes()[0]]),
        }
        let mut length = body.len();
        while length >= 0x80 {
            out.push(length.to_le_bytes()[0] | 0x80);
            length >>= 7;
        }
        out.push(length.to_le_bytes()[0]);
        out.extend_from_slice(body);
    }

    pub(super) fn text(text: &str) -> Vec<u8> {
        let units: Vec<u16> = text.encode_utf16().collect();
        let mut out = u32::try_from(units.len()).unwrap().to_le_bytes().to_vec();
        out.extend(units.into_iter().flat_map(u16::to_le_bytes));
        out
    }

    pub(super) enum Cell {
        Shared(u32),
        Text(&'static str),
        Number(f64),
        /// An integer packed into 30 bits.
        Packed(i32),
        Moment(f64),
        Boolean(bool),
        Nothing,
    }

    pub(super) fn book(shared: &[&str], rows: &[(u32, Vec<Cell>)]) -> Vec<u8> {
        let mut workbook = Vec::new();
        let sheet = [&[0; 4][..], &1u32.to_le_bytes(), &text("rId1"), &text("Sesiones")].concat();
        record(&mut workbook, 0x9C, &sheet);
        record(&mut workbook, 0x90, &[]);
        record(&mut workbook, 0x9D, &[]);

        let mut strings = Vec::new();
        let count = u32::try_from(shared.len()).unwrap().to_le_bytes();
        record(&mut strings, 0x9F, &[count, count].concat());
        for shared in shared {
            record(&mut strings, 0x13, &[&[0][..], &text(shared)].concat());
        }
        let mut styles = Vec::new();
        record(&mut styles, 0x0269, &2u32.to_le_bytes());
        // The second format is 22, a date with a time.
        for format in [0u16, 22] {
            record(&mut styles, 0x2F, &[&[0; 2][..], &format.to_le_bytes(), &[0; 12]].concat());
        }

        let mut sheet = Vec::new();
        record(&mut sheet, 0x81, &[]);
        record(&mut sheet, 0x94, &[0; 16]);
        record(&mut sheet, 0x91, &[]);
        for (number, cells) in rows {
            record(&mut sheet, 0x00, &[&number.to_le_bytes()[..], &[0; 13]].concat());
            for (column, cell) in (0u32..).zip(cells) {
                let style = u32::from(matches!(cell, Cell::Moment(_)));
                let start = [column.to_le_bytes(), style.to_le_bytes()].concat();
                let mut put = |of, value: &[u8]| record(&mut sheet, of, &[&start, value].concat());
                match cell {
                    Cell::Shared(at) => put(0x07, &at.to_le_bytes()),
                    Cell::Text(of) => put(0x06, &text(of)),
                    Cell::Number(number) | Cell::Moment(number) => put(0x05, &number.to_le_bytes()),
                    Cell::Packed(number) => put(0x02, &((number << 2) | 2).to_le_bytes()),
                    Cell::Boolean(yes) => put(0x04, &[u8::from(*yes)]),
                    Cell::Nothing => put(0x01, &[]),
                }
            }
        }
        record(&mut sheet, 0x92, &[]);

        let relations = "<Relationships><Relationship Id=\"rId1\" \
                         Target=\"worksheets/sheet1.bin\"/></Relationships>";
        let files = [
            ("[Content_Types].xml", b"<Types/>".as_slice()),
            ("xl/workbook.bin", &workbook),
            ("xl/_rels/workbook.bin.rels", relations.as_bytes()),
            ("xl/sharedStrings.bin", &strings),
            ("xl/styles.bin", &styles),
            ("xl/worksheets/sheet1.bin", &sheet),
        ];
        archive(&files, SimpleFileOptions::default())
    }
}

#[test]
fn binary_workbook_gives_the_same_rows() {
    use binary::Cell::{Boolean, Moment, Nothing, Number, Packed, Shared, Text};
    let header = (0u32..).zip(HEADER).map(|(at, _)| Shared(at)).collect();
    // Days since 30 December 1899: 1 June 2025 is day 45,809.
    let ten = 45_809.0 + 10.0 / 24.0;
    let rows = [
        (0, vec![Text("Junio")]),
        (2, header),
        (
            3,
            vec![
                Text("a1"),
                Moment(ten),
                Moment(ten + 0.25 / 86_400.0),
                Text("120226305854810726"),
                Packed(4),
                Number(57.0),
                Number(3_005_550_101.0),
                Text("Hi, \"you\"\nthere"),
            ],
        ),
        (
            4,
            vec![
                Number(573_005_550_101.0),
                Moment(45_809.0),
                Nothing,
                Packed(34_820),
                Text("4.0"),
                Text("57.0"),
                Text("3005550102.0"),
                Number(1.5),
            ],
        ),
        (
            9,
            vec![
                Text("a3"),
                Text("2025-06-01 12:00:00"),
                Nothing,
                Text("-"),
                Nothing,
                Text("+57"),
                Text("300 555 0103"),
                Boolean(true),
            ],
        ),
    ];
    let bench = Bench::new();
    let report = bench.load_files(&[bench.file("a.xlsb", binary::book(&HEADER, &rows))]).unwrap();
    assert_eq!(rejects(&bench), [""; 0]);
    assert_eq!(bench.stored(&sessions::TABLE), expected());
    assert_eq!(report.files[0].sheet.as_deref(), Some("Sesiones"));
}

#[test]
fn damaged_binary_workbook_is_an_error_and_no_panic() {
    use binary::Cell::{Shared, Text};
    // A shared string index out of range makes the library panic.
    let header = (0u32..).zip(HEADER).map(|(at, _)| Shared(at)).collect();
    let rows = [(0, header), (1, vec![Text("a1"), Shared(99)])];
    let bench = Bench::new();
    let error =
        bench.load_files(&[bench.file("a.xlsb", binary::book(&HEADER, &rows))]).unwrap_err();
    assert!(error.to_string().contains("cannot be read as a spreadsheet"), "{error}");
    assert_eq!(bench.lake().snapshot(&sessions::TABLE).unwrap().version, None);
    let (said, code) = bench.failure("load a.xlsb --lake lake");
    assert!(said.starts_with("error: `a.xlsb` cannot be read as a spreadsheet"), "{said}");
    assert_eq!(code, 1);
}

#[test]
fn large_sheet_is_read_whole() {
    let bench = Bench::new();
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    write_header(sheet, 0, 0);
    for row in 1..=20_000u32 {
        sheet.write(row, 0, format!("s{row}")).unwrap();
        sheet.write(row, 1, "2025-06-01 10:00:00").unwrap();
        sheet
            .write(row, 7, "a text that is long enough to fill more than one run of records")
            .unwrap();
    }
    let report = bench.load_files(&[save(&bench, "a.xlsx", &mut book)]).unwrap();
    assert_eq!(report.files[0].rows_read, 20_000);
    assert_eq!(report.files[0].rows_new, 20_000);
}
