//! Rows of one message, of a report, of a log of sends and of its states: they are folded column by column.

use std::collections::BTreeMap;

use proptest::prelude::*;
use wabalake::load::{Options, load};
use wabalake_data::tables::messages::{self, TEMPLATE_CATEGORIES};
use wabalake_data::tables::{USER_KEY, USER_PHONE_VALID, UTC_DAY, text_key};

use crate::support::{Bench, total};

/// A message by its states and the log of sends: times, the template, what Meta charged.
const STATES: [&str; 4] = [
    "w1,2025-06-01T10:00:04Z,outgoing,,,2025-06-01T10:00:04Z,,",
    "w1,2025-06-01T10:03:00Z,outgoing,,,,2025-06-01T10:03:00Z,regular",
    "w1,2025-06-01T10:00:00Z,outgoing,promo,,,,",
    "w1,2025-06-01T10:00:01Z,outgoing,,2025-06-01T10:00:01Z,,,",
];

const HEADER: &str = "whatsapp_id,created_at,message_direction,template_name,sent_at,delivered_at,\
                      seen_at,pricing_type";

#[test]
fn states_and_the_log_of_sends_are_one_message_in_any_order() {
    let columns = [
        messages::CREATED_AT,
        messages::SENT_AT,
        messages::DELIVERED_AT,
        messages::SEEN_AT,
        messages::TEMPLATE_NAME,
        messages::PRICING_TYPE,
        messages::MESSAGE_TYPE,
    ];
    let day = "2025-06-01 10:0";
    let folded = format!(
        "{day}0:00.000000Z|{day}0:01.000000Z|{day}0:04.000000Z|{day}3:00.000000Z|promo|regular|template"
    );
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2], [0, 2, 1, 3]] {
        let states = order.map(|state| STATES[state]);
        let one_by_one = Bench::new();
        for (n, state) in states.iter().chain(&states).enumerate() {
            one_by_one.load(&format!("{n}.csv"), format!("{HEADER},n{n}\n{state},\n"));
        }
        let twice = states.iter().chain(&states).copied().collect::<Vec<_>>().join("\n");
        let in_one = Bench::new();
        let report = in_one.load("all.csv", format!("{HEADER}\n{twice}\n"));
        assert_eq!(total(&report), [8, 1, 0, 0, 0, 0, 0]);
        assert_eq!(report.files[0].rows_folded, 7);
        for bench in [one_by_one, in_one] {
            assert_eq!(bench.columns(&messages::TABLE, &columns, "|").join("\n"), folded);
        }
    }
}

#[test]
fn a_message_that_was_created_earlier_moves_to_its_day() {
    let header = "whatsapp_id,created_at,message_direction,to";
    let bench = Bench::new();
    bench.load("late.csv", format!("{header}\nw1,2025-06-02T00:00:01Z,outgoing,\n"));
    let early = format!("{header}\nw1,2025-06-01T23:59:59Z,outgoing,573005550101\n");
    assert_eq!(total(&bench.load("early.csv", &early)), [1, 0, 1, 0, 0, 0, 0]);
    let columns = [messages::USER_PHONE, messages::COUNTRY, USER_PHONE_VALID, USER_KEY, UTC_DAY];
    let key = text_key("573005550101");
    let moved = format!("573005550101|CO|true|{key}|2025-06-01");
    assert_eq!(bench.columns(&messages::TABLE, &columns, "|"), [moved]);
    // What says nothing new writes no file.
    let files = bench.lake().snapshot(&messages::TABLE).unwrap().files;
    let later = format!("{header},note\nw1,2025-06-03T00:00:00Z,outgoing,,\n");
    assert_eq!(total(&bench.load("later.csv", &later)), [1, 0, 0, 1, 0, 0, 0]);
    assert_eq!(bench.lake().snapshot(&messages::TABLE).unwrap().files, files);
}

#[test]
fn the_report_names_folded_rows() {
    let bench = Bench::new();
    bench.file("all.csv", format!("{HEADER}\n{}\n", STATES.join("\n")));
    let said = bench.run("load all.csv --lake lake");
    let folded = "3 rows folded into another row of the load with the same whatsapp_id";
    assert!(said.out.contains(folded), "{}", said.out);
}

#[test]
fn a_log_of_sends_needs_an_id_a_time_and_a_direction() {
    let needed = ["whatsapp_id", "created_at", "message_direction"];
    let bench = Bench::new();
    let log = format!("{}\nw1,2025-06-01T10:00:00Z,outgoing\n", needed.join(","));
    let report = bench.load("log.csv", log);
    assert_eq!((report.files[0].table, total(&report)[1]), (messages::NAME, 1));
    for missing in needed {
        let left = needed.into_iter().filter(|name| *name != missing).collect::<Vec<_>>();
        let text = format!("{},template_name\nw1,outgoing,promo\n", left.join(","));
        let file = bench.file("cut.csv", text);
        let options = Options { kind: Some(&messages::TABLE), ..Options::default() };
        let error = load(&bench.lake(), &[file], &options).unwrap_err();
        assert!(error.to_string().contains(missing), "{error}");
    }
}

/// The columns of the rows below, and the values that each may have. Rows of each kind of source have some.
const CELLS: [(&str, &[&str]); 20] = [
    (messages::WHATSAPP_ID, &["w1", "w2"]),
    (messages::CREATED_AT, &[T1, T2, T3]),
    (messages::MESSAGE_DIRECTION, &["incoming", "outgoing", "outgoing"]),
    (messages::FROM, &["", "573005550100", "573005550101", "CO.134900"]),
    (messages::TO, &["", "573005550101", "525555550103", "MX.134901"]),
    (messages::USER_ID, &["", "", "CO.134902", "US.134903"]),
    (messages::SENT_AT, &["", T1, T2]),
    (messages::SEEN_AT, &["", "", T2, T3]),
    (messages::FAILED_AT, &["", "", T1, T2]),
    (messages::FORMAT, &["", "template", "text", "image", "sticker"]),
    (messages::COUNTRY_NAME, &["", "", "Colombia", "Chile"]),
    (messages::TEMPLATE_NAME, &["", "", "", "promo", "ábaco"]),
    (messages::MESSAGE, &["", "hola", "Hola", "\u{1f331}", "\u{ff5e}"]),
    (messages::PARENT_SERVICE_TYPE, &["", "", "template", "session_outgoing"]),
    (
        messages::PRICING_TYPE,
        &["", "regular", "free_entry_point", "free_customer_service", "zz", "a"],
    ),
    (messages::PRICING_CATEGORY, &["", "", "service", "utility", "zz"]),
    (messages::ERROR_CODE, &["", "131049", "7", "-1"]),
    (messages::REFERRAL_HEADLINE, &["", " Flores", "Flores"]),
    (messages::CONTEXT_ID, &["", "w0", "w9"]),
    (messages::REACTION, &["", "\u{1f44d}", "\u{2764}"]),
];

const T1: &str = "2025-06-01 23:59:59.000000Z";
const T2: &str = "2025-06-02 00:00:00.500000Z";
const T3: &str = "2025-06-03 10:00:00.000000Z";

/// A row by its columns, without those that are empty.
type Known = BTreeMap<&'static str, &'static str>;

fn row() -> impl Strategy<Value = Vec<&'static str>> {
    CELLS.map(|(_, values)| prop::sample::select(values)).to_vec()
}

/// The values of a row, and of its user id also where a phone cell has it.
fn known(row: &[&'static str]) -> Known {
    let cells = CELLS.iter().zip(row).filter(|(_, cell)| !cell.is_empty());
    let mut known: Known = cells.map(|((name, _), cell)| (*name, *cell)).collect();
    if let Some(number) = number(&known).filter(|number| number.contains('.')) {
        known.entry(messages::USER_ID).or_insert(number);
    }
    for name in [messages::FROM, messages::TO] {
        known.retain(|of, cell| *of != name || !cell.contains('.'));
    }
    known
}

/// The cell of the person's number.
fn number(known: &Known) -> Option<&'static str> {
    let is_incoming = known[messages::MESSAGE_DIRECTION] == "incoming";
    known.get(if is_incoming { messages::FROM } else { messages::TO }).copied()
}

/// Folds rows of one message.
fn folded(rows: &[Known]) -> String {
    let all = |name: &str| rows.iter().filter_map(|row| row.get(name).copied()).collect::<Vec<_>>();
    let first_of = |name: &str, words: &[&str]| {
        let values = all(name);
        let word = words.iter().find_map(|word| values.iter().find(|value| *value == word));
        word.or_else(|| values.iter().max()).copied()
    };
    let mut folded = Known::new();
    for (name, _) in CELLS {
        let stays = match name {
            messages::ERROR_CODE => {
                all(name).into_iter().min_by_key(|code| code.parse::<i32>().unwrap())
            }
            messages::FORMAT => first_of(name, &["template"]),
            messages::PRICING_TYPE => {
                first_of(name, &["regular", "free_entry_point", "free_customer_service"])
            }
            messages::MESSAGE_DIRECTION => first_of(name, &["outgoing", "incoming"]),
            stamp if stamp.ends_with("_at") => all(name).into_iter().min(),
            _ => all(name).into_iter().max(),
        };
        folded.extend(stays.map(|stays| (name, stays)));
    }
    let is_incoming = folded[messages::MESSAGE_DIRECTION] == "incoming";
    let line = folded.get(if is_incoming { messages::TO } else { messages::FROM }).copied();
    let phone = number(&folded).filter(|number| !number.contains('.'));
    let user_id = folded.get(messages::USER_ID).copied();
    let user_id = user_id.or(number(&folded).filter(|number| number.contains('.')));
    let country = match (phone.map(|phone| &phone[..2]), user_id) {
        (Some("57"), _) => "CO",
        (Some(_), _) => "MX",
        (None, Some(user_id)) => &user_id[..2],
        (None, None) => match folded.get(messages::COUNTRY_NAME).copied() {
            Some("Colombia") => "CO",
            Some(_) => "CL",
            None => "",
        },
    };
    let is_template = folded.contains_key(messages::TEMPLATE_NAME)
        || folded.get(messages::FORMAT) == Some(&"template")
        || folded.get(messages::PARENT_SERVICE_TYPE) == Some(&"template")
        || folded.get(messages::PRICING_CATEGORY).is_some_and(|c| TEMPLATE_CATEGORIES.contains(c));
    let message_type = match is_incoming {
        true => "incoming",
        false if is_template => "template",
        false => "outgoing",
    };
    let own = phone.or(folded.get(messages::USER_ID).copied()).map(text_key);
    let cells = CELLS.map(|(name, _)| folded.get(name).copied().unwrap_or_default());
    format!(
        "{}|{}|{}|{country}|{message_type}|{}|{}",
        cells.join("|"),
        line.unwrap_or_default(),
        phone.unwrap_or_default(),
        own.map(|key| key.to_string()).unwrap_or_default(),
        &folded[messages::CREATED_AT][..10],
    )
}

/// The stored rows, as [`folded`] writes them.
fn stored(bench: &Bench) -> Vec<String> {
    let derived = [messages::LINE, messages::USER_PHONE, messages::COUNTRY, messages::MESSAGE_TYPE];
    let names = CELLS.iter().map(|(name, _)| *name).chain(derived).chain([USER_KEY, UTC_DAY]);
    bench.columns(&messages::TABLE, &names.collect::<Vec<_>>(), "|")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

    /// Whatever the order of rows, their grouping into files and loads, and what is loaded again.
    #[test]
    fn rows_of_a_message_are_folded_by_column(
        (rows, order) in prop::collection::vec(row(), 1..9)
            .prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
        again in 0..4usize,
        rows_of_a_file in 1..5usize,
        files_of_a_load in 1..4usize,
        memory in prop::sample::select(vec![2_000usize, 192 << 20]),
    ) {
        let mut by_id: BTreeMap<&str, Vec<Known>> = BTreeMap::new();
        for row in &rows {
            by_id.entry(row[0]).or_default().push(known(row));
        }
        let expected: Vec<String> = by_id.values().map(|rows| folded(rows)).collect();

        let header = CELLS.map(|(name, _)| name).join(",");
        let bench = Bench::new();
        let all: Vec<_> = order.iter().chain(rows.iter().take(again)).collect();
        let files: Vec<_> = all
            .chunks(rows_of_a_file)
            .enumerate()
            .map(|(n, rows)| {
                // An unknown column makes equal files differ.
                let lines = rows.iter().map(|row| format!("{},\n", row.join(",")));
                let text = format!("{header},n{n}\n{}", lines.collect::<String>());
                bench.file(&format!("{n}.csv"), text)
            })
            .collect();
        let options = Options { memory, quiet: true, ..Options::default() };
        for files in files.chunks(files_of_a_load) {
            load(&bench.lake(), files, &options).unwrap();
        }
        prop_assert_eq!(stored(&bench), expected);
    }
}

#[test]
fn a_user_id_in_the_cell_of_a_number_hides_no_number() {
    let header = "whatsapp_id,created_at,message_direction,from,to";
    let log = format!("{header}\nw1,2025-06-01T10:00:00Z,outgoing,12025550140,CO.777\n");
    let status = format!("{header}\nw1,2025-06-01T10:00:01Z,outgoing,,573005550777\n");
    let columns = [messages::TO, messages::USER_PHONE, messages::USER_ID, messages::LINE];
    for order in [[&log, &status], [&status, &log]] {
        let bench = Bench::new();
        for (at, text) in order.into_iter().enumerate() {
            bench.load(&format!("{at}.csv"), text);
        }
        let folded = "573005550777|573005550777|CO.777|12025550140";
        assert_eq!(bench.columns(&messages::TABLE, &columns, "|"), [folded]);
    }
}

#[test]
fn rows_folded_into_another_file_are_counted_as_folded() {
    let bench = Bench::new();
    let files = [0, 1, 2]
        .map(|at| bench.file(&format!("{at}.csv"), format!("{HEADER},n{at}\n{},\n", STATES[at])));
    let report = load(&bench.lake(), &files, &Options::default()).unwrap();
    let counts = report.files.iter().map(|f| (f.rows_new, f.rows_unchanged, f.rows_folded));
    assert_eq!(counts.collect::<Vec<_>>(), [(1, 0, 0), (0, 0, 1), (0, 0, 1)]);
    let again = format!("{HEADER},again\n{},\n{},\n", STATES[0], STATES[1]);
    assert_eq!(total(&bench.load("again.csv", again))[..4], [2, 0, 0, 1]);
}

#[test]
fn a_log_of_sends_may_call_the_message_text() {
    let bench = Bench::new();
    let log =
        "whatsapp_id,created_at,message_direction,text\nw1,2025-06-01T10:00:00Z,outgoing,Hola\n";
    let report = bench.load("log.csv", log);
    assert_eq!(report.files[0].unknown_columns, [""; 0]);
    assert_eq!(bench.columns(&messages::TABLE, &[messages::MESSAGE], "|"), ["Hola"]);
}
