use proptest::prelude::*;

use super::plan::normalise;
use super::*;
use crate::cells::LostDigits;
use crate::reference::{countries, renumbered};

fn person_of(code: &str, number: &str) -> (String, Option<&'static str>, bool) {
    let code = (!code.is_empty()).then_some(code);
    let person = Phones::default().person(code, Some(number)).unwrap();
    (person.phone().to_owned(), person.country, person.valid)
}

#[test]
fn numbers_are_normalised() {
    let cases = [
        ("57", "3005550101", "573005550101", Some("CO"), true),
        ("52", "19991234567", "529991234567", Some("MX"), true),
        ("52", "9991234567", "529991234567", Some("MX"), true),
        ("", "5219991234567", "529991234567", Some("MX"), true),
        ("55", "1181234567", "5511981234567", Some("BR"), true),
        ("55", "11981234567", "5511981234567", Some("BR"), true),
        ("55", "5511981234567", "5511981234567", Some("BR"), true),
        ("55", "551181234567", "5511981234567", Some("BR"), true),
        // Brazil's area code 55 is not the dialling code.
        ("55", "55981234567", "5555981234567", Some("BR"), true),
        ("1", "2025550123", "12025550123", Some("US"), true),
        ("1", "4165550123", "14165550123", Some("CA"), true),
        ("", "12025550123", "12025550123", Some("US"), true),
        ("1", "12025550123", "12025550123", Some("US"), true),
        ("57", "12", "5712", Some("CO"), false),
        ("", "57300555", "57300555", Some("CO"), false),
        ("999", "12345", "99912345", None, false),
        ("54", "91123456789", "5491123456789", Some("AR"), true),
        ("54", "1123456789", "5491123456789", Some("AR"), true),
        ("54", "01123456789", "5491123456789", Some("AR"), true),
        ("54", "111523456789", "5491123456789", Some("AR"), true),
        ("54", "0111523456789", "5491123456789", Some("AR"), true),
        ("", "549111523456789", "5491123456789", Some("AR"), true),
        ("54", "3514123456", "5493514123456", Some("AR"), true),
        ("", "54351154123456", "5493514123456", Some("AR"), true),
        // A toll-free number is not a mobile one.
        ("54", "8001234567", "548001234567", Some("AR"), true),
        ("229", "97123456", "2290197123456", Some("BJ"), true),
        ("229", "0197123456", "2290197123456", Some("BJ"), true),
        ("", "22997123456", "2290197123456", Some("BJ"), true),
        ("57", "CO.1349aB", "CO.1349aB", Some("CO"), true),
        ("", "ZZ.ENT.1", "ZZ.ENT.1", None, true),
    ];
    for (code, number, phone, country, valid) in cases {
        let found = person_of(code, number);
        assert_eq!(found, (phone.to_owned(), country, valid), "{code} {number}");
    }
}

#[test]
fn possible_numbers_have_a_known_code_and_a_valid_length() {
    for phone in ["529991234567", "5511981234567", "5491123456789", "85291234567", "3531234567"] {
        assert!(is_possible(phone), "{phone}");
    }
    for phone in ["", "5", "1", "52", "1212555010", "121255501011", "12120550101", "99912345678"] {
        assert!(!is_possible(phone), "{phone}");
    }
}

#[test]
fn phone_cells_are_parsed() {
    let kept = [
        ("573005550101", "573005550101"),
        (" +57 (300) 555-0101 ", "573005550101"),
        ("573005550101.0", "573005550101"),
        ("573005550101.00", "573005550101"),
        ("573005550101,0", "573005550101"),
        ("573005550101.000000", "573005550101"),
        ("57.300.555.0000", "573005550000"),
        ("+57 300 555.0000", "573005550000"),
        ("'573005550101", "573005550101"),
        ("=\"573005550101\"", "573005550101"),
        ("'=\"+57 300 5550101.0\"", "573005550101"),
        ("WhatsApp:+573005550101", "573005550101"),
        ("tel:+57-300-555-0101", "573005550101"),
        ("573005550101@s.whatsapp.net", "573005550101"),
        ("573005550101:12@s.whatsapp.net", "573005550101"),
        ("whatsapp:573005550101.0@c.us", "573005550101"),
        ("\u{202a}+57 300 555\u{2011}0101\u{202c}", "573005550101"),
        ("\u{200e}573005550101", "573005550101"),
        ("\u{2068}573005550101\u{2069}", "573005550101"),
        ("57300\u{200b}5550101", "573005550101"),
        ("\u{feff}573005550101\0", "573005550101"),
        ("57/300/5550101", "573005550101"),
        ("＋５７３００５５５０１０１", "573005550101"),
        ("٥٧٣٠٠٥٥٥٠١٠١", "573005550101"),
        ("Ana 573005550101", "573005550101"),
        ("CO.1349", "CO.1349"),
        ("'CO.1349\u{200e}", "CO.1349"),
        ("whatsapp:MX.ENT.ab12CD", "MX.ENT.ab12CD"),
    ];
    for (cell, digits) in kept {
        assert_eq!(read(cell).unwrap().as_deref(), Some(digits), "{cell}");
    }
    let nothing = ["", " ", "-", "null", "\\N", "'", "'-", "=\"\"", "=\"NULL\"", "tel:", "+", "()"];
    let no_number =
        ["9135@lid", "9135:1@LID ", "9135@hosted.lid", "@maria88", "status@broadcast", "phone"];
    for cell in nothing.into_iter().chain(no_number) {
        assert_eq!(read(cell), Ok(None), "{cell}");
    }
    let lost = [
        "5.73E+11",
        "5,73E+11",
        "5.73e+11",
        "5.73006E11",
        "573.00556E09",
        "6E+11",
        "=\"5.73E+11\"",
        "'5.73E+11",
        "+5.73E+11",
        "5.73E+11@c.us",
        "\u{202a}5.73E+11",
        "５.７３E+11",
    ];
    for cell in lost {
        assert_eq!(read(cell), Err(LostDigits), "{cell}");
    }
    for (cell, number) in [
        ("+57 300", "+57300"),
        ("57 300", "57300"),
        ("\u{202a}(+57) 300", "+57300"),
        ("300+57", "30057"),
        ("whatsapp:+57300", "+57300"),
        ("CO.1349", "CO.1349"),
    ] {
        assert_eq!(read_with_plus(cell).unwrap().as_deref(), Some(number), "{cell}");
    }
}

#[test]
fn national_numbers_get_the_default_code() {
    let normalised = |country: &str, number: &str| {
        let phones = Phones::with_default_code(dialling_code(country).as_deref());
        let person = phones.full_or_national(number).unwrap();
        (person.phone().to_owned(), person.valid)
    };
    for (country, number, phone, valid) in [
        ("US", "4155551212", "14155551212", true),
        // With a `+` or `00` a number is international.
        ("US", "+41555551212", "41555551212", true),
        ("US", "0041555551212", "41555551212", true),
        ("US", "14155551212", "14155551212", true),
        ("US", "573005550101", "573005550101", true),
        ("CO", "3005550101", "573005550101", true),
        ("CO", "573005550101", "573005550101", true),
        ("CO", "4155551212", "4155551212", false),
        ("CO", "12", "12", false),
        ("CO", "CO.1349", "CO.1349", true),
        ("AR", "1123456789", "5491123456789", true),
        ("AR", "011 15 2345 6789".replace(' ', "").as_str(), "5491123456789", true),
        ("BJ", "97123456", "2290197123456", true),
        ("GB", "02079460018", "442079460018", true),
    ] {
        assert_eq!(normalised(country, number), (phone.to_owned(), valid), "{country} {number}");
    }
    let anywhere = Phones::default().full_or_national("4155551212").unwrap();
    assert_eq!((anywhere.phone(), anywhere.country), ("4155551212", Some("CH")));
}

#[test]
fn numbers_stored_by_older_rules_are_renormalised() {
    for (before, now) in [
        ("541123456789", Some("5491123456789")),
        ("22997123456", Some("2290197123456")),
        ("\u{202a}573005550101", Some("573005550101")),
        ("573005550101@c.us", Some("573005550101")),
        ("5491123456789", None),
        ("2290197123456", None),
        ("573005550101", None),
        ("529991234567", None),
        ("548001234567", None),
        ("5.73006E11", None),
        ("CO.1349", None),
        ("1349@lid", None),
        ("54", None),
        ("", None),
    ] {
        let person = renormalise(before);
        assert_eq!(person.as_ref().map(Person::phone), now, "{before}");
        assert!(person.is_none_or(|person| person.valid), "{before}");
    }
}

/// National numbers of renumbered countries, in any form.
fn renumbered_number() -> impl Strategy<Value = (&'static str, String)> {
    prop_oneof![
        ("(11|351|2901|341)", "[2-6][0-9]{7}")
            .prop_map(|(area, rest)| { ("54", format!("9{area}{}", &rest[..10 - area.len()])) }),
        "(9[5-7]|6[1-9])[0-9]{6}".prop_map(|number| ("229", format!("01{number}"))),
        "(11|21|85)9[6-9][0-9]{7}".prop_map(|number| ("55", number)),
        "(55|33|81|999)[1-9][0-9]{7}".prop_map(|number| ("52", number[..10].to_owned())),
    ]
}

proptest! {
    #[test]
    fn all_spellings_of_a_number_normalise_to_one_person((code, national) in renumbered_number()) {
        let person = normalise(code, &national);
        prop_assume!(person.valid);
        let rules = renumbered::of_code(code.parse().unwrap()).unwrap();
        let listed = spellings(person.phone());
        prop_assert_eq!(listed.full.first().map(String::as_str), Some(person.phone()));
        prop_assert!(listed.full.len() > 1, "{:?}", listed);
        prop_assert_eq!(listed.full.len(), listed.national.len());
        for (full, national) in listed.full.iter().zip(&listed.national) {
            let joined = format!("{code}{national}");
            prop_assert_eq!(full, &joined);
            prop_assert_eq!(&normalise("", full), &person, "{}", full);
            prop_assert_eq!(&normalise(code, national), &person, "{}", national);
            prop_assert_eq!(&normalise(code, full), &person, "{}", full);
            let written = format!("+{code} {national}.0");
            prop_assert_eq!(full_number(&written).unwrap(), person.phone().to_owned());
        }
        prop_assert_eq!(earlier_forms(person.phone()), &listed.full[1..]);
        for other in (rules.older_forms)(&person.phone()[code.len()..]) {
            let full = format!("{code}{other}");
            let found = normalise("", &full);
            prop_assert_eq!(listed.full.contains(&full), found.phone() == person.phone(), "{}", full);
        }
    }

    #[test]
    fn characters_around_and_between_digits_are_ignored(
        digits in "[1-9][0-9]{5,14}",
        gaps in prop::collection::vec(
            (any::<prop::sample::Index>(), "[^0-9A-Za-z@.,:=\"'+\\p{N}]{1,3}"), 0..5,
        ),
        (before, after) in prop::sample::select(vec![
            ("", ""), ("'", ""), ("=\"", "\""), ("tel:", ""), ("whatsapp:+", ""), ("+", ".0"),
            ("", "@c.us"), ("", "@s.whatsapp.net"), ("\u{2068}", "\u{2069}"), (" ", ".0 "),
        ]),
    ) {
        let mut cell = digits.clone();
        for (at, sign) in &gaps {
            let places: Vec<usize> = cell.char_indices().map(|(at, _)| at).skip(1).collect();
            cell.insert_str(*at.get(&places), sign);
        }
        let cell = format!("{before}{cell}{after}");
        let found = read(&cell).unwrap().map(String::from);
        prop_assert_eq!(found.as_ref(), Some(&digits), "{}", cell);
    }

    #[test]
    fn scientific_notation_is_an_error(
        (whole, tail, exponent) in ("[1-9][0-9]{0,4}", "[.,][0-9]{0,9}", "[0-9]{1,3}"),
        e in "[eE]\\+?",
        (before, after) in prop::sample::select(vec![
            ("", ""), ("'", ""), ("=\"", "\""), ("whatsapp:", "@c.us"), ("\u{200e}", ""),
        ]),
    ) {
        let cell = format!("{before}{whole}{tail}{e}{exponent}{after}");
        prop_assert_eq!(read(&cell), Err(LostDigits), "{}", cell);
        prop_assert_eq!(full_number(&cell), None);
    }

    #[test]
    fn a_user_id_is_kept_unchanged(
        id in "[A-Z]{2}\\.(ENT\\.)?[A-Za-z0-9]{1,128}",
        code in "(|57|1)",
    ) {
        let phones = Phones::default();
        let found = read(&id).unwrap().map(String::from);
        prop_assert_eq!(found.as_ref(), Some(&id));
        let person = phones.person(Some(&code), Some(&id)).unwrap();
        prop_assert_eq!(person.phone(), &id);
        prop_assert_eq!(person.country, countries::code(&id[..2]));
        prop_assert_eq!(full_number(&id), Some(id.clone()));
        prop_assert_eq!(spellings(&id).full, [id.clone()]);
        let longer = format!("{id}!");
        prop_assert!(!is_user_id(&longer) && !is_user_id(&id[1..]));
    }

    #[test]
    fn normalisation_is_idempotent(
        code in prop::sample::select(vec!["", "1", "52", "54", "55", "57", "229", "34"]),
        number in "[0-9]{4,13}",
    ) {
        let person = normalise(code, &number);
        if person.valid {
            prop_assert_eq!(&normalise("", person.phone()), &person);
        }
        if let Some(again) = renormalise(person.phone()) {
            prop_assert_eq!(renormalise(again.phone()), None);
        }
    }

    #[test]
    fn valid_numbers_are_possible(
        code in prop::sample::select(vec!["1", "52", "54", "55", "57", "34", "44", "91"]),
        number in "[0-9]{4,12}",
    ) {
        let person = normalise(code, &number);
        prop_assert!(!person.valid || is_possible(person.phone()), "{code} {number}");
    }

    #[test]
    fn cached_persons_equal_computed_ones(
        code in "(|0?[1-9][0-9]{0,4}|x)",
        number in "(0{0,3}[0-9]{0,21}|[0-9a]{1,4})",
    ) {
        let phones = Phones::default();
        let first = normalise(&code, &number);
        for _ in 0..2 {
            prop_assert_eq!(phones.person(Some(&code), Some(&number)), Some(first.clone()));
        }
    }
}

#[test]
fn the_cache_distinguishes_codes() {
    let phones = Phones::default();
    let first = phones.person(Some("57"), Some("3005550101"));
    assert_eq!(first, phones.person(Some("57"), Some("3005550101")));
    assert_ne!(first, phones.person(None, Some("3005550101")));
    assert_eq!(phones.person(Some("57"), None), None);
}
