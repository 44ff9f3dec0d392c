//! Tests of the persons against a plain oracle, and of what does not change them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::select;

use super::groups::{Link, persons};

fn phone<'r>(user_id: &'r str, linked: &'r str, last_seen: Option<i64>) -> Link<'r> {
    Link { user_id, linked, is_phone: true, first_seen: None, last_seen }
}

fn user<'r>(user_id: &'r str, linked: &'r str, first_seen: Option<i64>) -> Link<'r> {
    Link { user_id, linked, is_phone: false, first_seen, last_seen: None }
}

fn of(links: &[Link<'_>]) -> BTreeMap<String, String> {
    let texts = |(id, person): (std::sync::Arc<str>, std::sync::Arc<str>)| {
        (id.to_string(), person.to_string())
    };
    persons(links).into_iter().map(texts).collect()
}

fn expected(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
    rows.iter().map(|(id, person)| ((*id).to_owned(), (*person).to_owned())).collect()
}

#[test]
fn example_of_the_catalog() {
    let links = [phone("CO.1", "573001", None), user("CO.2", "CO.1", None)];
    assert_eq!(of(&links), expected(&[("CO.1", "573001"), ("CO.2", "573001")]));
}

#[test]
fn a_chain_of_ids_is_one_person_in_any_direction() {
    for links in [
        [user("CO.1", "CO.2", Some(1)), user("CO.2", "CO.3", Some(2))],
        [user("CO.2", "CO.1", Some(1)), user("CO.2", "CO.3", Some(2))],
        [user("CO.3", "CO.2", Some(2)), user("CO.2", "CO.1", Some(1))],
    ] {
        let first = expected(&[("CO.1", "CO.1"), ("CO.2", "CO.1"), ("CO.3", "CO.1")]);
        assert_eq!(of(&links), first);
        let with_number = [&links[..], &[phone("CO.3", "573001", None)]].concat();
        let number = expected(&[("CO.1", "573001"), ("CO.2", "573001"), ("CO.3", "573001")]);
        assert_eq!(of(&with_number), number);
    }
}

#[test]
fn the_number_seen_last_is_the_person() {
    let changed = [phone("CO.1", "573009", Some(1)), phone("CO.1", "573001", Some(2))];
    assert_eq!(of(&changed), expected(&[("CO.1", "573001")]));
    let unknown = [phone("CO.1", "573001", None), phone("CO.1", "573009", Some(1))];
    assert_eq!(of(&unknown), expected(&[("CO.1", "573009")]));
    let tie = [phone("CO.1", "573009", Some(1)), phone("CO.1", "573001", Some(1))];
    assert_eq!(of(&tie), expected(&[("CO.1", "573001")]));
}

#[test]
fn the_id_seen_first_is_the_person_without_a_number() {
    let known = [user("CO.1", "CO.2", None), user("CO.3", "CO.2", Some(5))];
    let all = |id| expected(&[("CO.1", id), ("CO.2", id), ("CO.3", id)]);
    assert_eq!(of(&known), all("CO.2"), "CO.2 and CO.3 were seen at 5, CO.1 at an unknown time");
    let unknown = [user("CO.3", "CO.2", None), user("CO.2", "CO.1", None)];
    assert_eq!(of(&unknown), all("CO.1"));
}

#[test]
fn numbers_are_never_merged() {
    let one_id = [phone("CO.1", "573001", Some(1)), phone("CO.2", "573001", Some(2))];
    assert_eq!(of(&one_id), expected(&[("CO.1", "573001"), ("CO.2", "573001")]));
    let apart = [phone("CO.1", "573001", Some(1)), phone("CO.2", "573002", Some(2))];
    assert_eq!(of(&apart), expected(&[("CO.1", "573001"), ("CO.2", "573002")]));
    // A number that two ids share does not make them one: the other number of one is not the other's.
    let shared = [
        phone("CO.1", "573001", Some(1)),
        phone("CO.2", "573001", Some(1)),
        phone("CO.2", "573002", Some(2)),
    ];
    assert_eq!(of(&shared), expected(&[("CO.1", "573001"), ("CO.2", "573002")]));
}

type Row = (&'static str, &'static str, Option<i64>, Option<i64>);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    const IDS: [&str; 6] = ["CO.1", "CO.2", "CO.3", "MX.ENT.1", "MX.2", "BR.9"];
    const LINKED: [&str; 9] =
        ["CO.1", "CO.2", "CO.3", "MX.ENT.1", "MX.2", "BR.9", "573001", "573002", "52999"];
    let seen = || prop::option::of(0..4_i64);
    prop::collection::vec((select(&IDS[..]), select(&LINKED[..]), seen(), seen()), 0..12)
        .prop_map(|rows| rows.into_iter().filter(|row| row.0 != row.1).collect())
}

fn links(rows: &[Row]) -> Vec<Link<'static>> {
    let link = |&(user_id, linked, first_seen, last_seen): &Row| Link {
        user_id,
        linked,
        is_phone: !linked.contains('.'),
        first_seen,
        last_seen,
    };
    rows.iter().map(link).collect()
}

/// The persons by repeated search, straight from the rule.
fn oracle(rows: &[Row]) -> BTreeMap<String, String> {
    let is_id = |text: &&'static str| text.contains('.');
    let named: BTreeSet<&str> = rows.iter().flat_map(|row| [row.0, row.1]).filter(is_id).collect();
    let mut found = BTreeMap::new();
    for id in &named {
        let mut group = BTreeSet::from([*id]);
        loop {
            let mut wider = group.clone();
            for row in rows.iter().filter(|row| is_id(&row.1)) {
                if group.contains(row.0) || group.contains(row.1) {
                    wider.extend([row.0, row.1]);
                }
            }
            if wider == group {
                break;
            }
            group = wider;
        }
        let phones = rows.iter().filter(|row| group.contains(row.0) && !is_id(&row.1));
        let latest = phones.clone().map(|row| row.3).max();
        let phone = phones.filter(|row| Some(row.3) == latest).map(|row| row.1).min();
        let first_seen = |id: &str| {
            let naming = rows.iter().filter(|row| row.0 == id || row.1 == id);
            naming.filter_map(|row| row.2).min().unwrap_or(i64::MAX)
        };
        let first = group.iter().min_by_key(|id| (first_seen(id), **id)).unwrap();
        found.insert((*id).to_owned(), phone.unwrap_or(first).to_owned());
    }
    found
}

proptest! {
    #[test]
    fn persons_are_those_of_the_rule_in_any_order((rows, shuffled) in rows().prop_flat_map(|rows| {
        (Just(rows.clone()), Just(rows).prop_shuffle())
    })) {
        let expected = oracle(&rows);
        prop_assert_eq!(of(&links(&rows)), expected.clone());
        prop_assert_eq!(of(&links(&shuffled)), expected.clone());
        let twice = [links(&shuffled), links(&rows)].concat();
        prop_assert_eq!(of(&twice), expected);
    }
}
