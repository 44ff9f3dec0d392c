//! Nodes of flows, which have a version or not, and no day.

use proptest::prelude::*;
use wabalake_data::tables::nodes;

use crate::support::{Bench, total};

const HEADER: &str =
    "conversation_id,conversation_version,node_id,label,position,is_final,question,revision\n";

#[test]
fn the_larger_revision_of_a_node_stays() {
    let bench = Bench::new();
    let text = format!(
        "{HEADER}\
         7,,n1,Welcome,1,no,,\n\
         7,,n1,Hello,1,no,,2\n\
         7,,n1,Good day,1,no,,1\n\
         7,2,n1,Welcome to two,1,no,,\n\
         7,2,n3,Choose a plan,3,,plan,\n\
         7,2,n4,Bye,4,sí,,\n\
         7,2,,Lost,5,,,\n\
         ,2,n4,Lost,5,,,\n\
         7,2,n5,Lost,fifth,,,\n"
    );
    let report = bench.load("flows.csv", text);
    assert_eq!(report.files[0].table, nodes::NAME);
    assert_eq!(total(&report), [9, 4, 0, 0, 3, 0, 0]);
    assert_eq!(report.total(|file| file.rows_superseded), 2);
    assert!(report.text().contains("\nnodes: 4 rows changed, version 0\n"), "{}", report.text());
    // The last part is the day, which no node has.
    let rows = [
        "7|2|n1|Welcome to two|1|false||0|",
        "7|2|n3|Choose a plan|3||plan|0|",
        "7|2|n4|Bye|4|true||0|",
        "7||n1|Hello|1|false||2|",
    ];
    assert_eq!(bench.rows(&nodes::TABLE), rows);
    let rejects = bench.rejects();
    for (reject, column) in rejects.iter().zip(["node_id", "conversation_id", "position"]) {
        assert!(reject.contains(&format!("{column}: ")), "{rejects:?}");
    }

    // An older revision changes nothing, a newer one does.
    let older = format!("{HEADER}7,,n1,Zzz,9,yes,,1\n");
    assert_eq!(total(&bench.load("older.csv", older)), [1, 0, 0, 1, 0, 0, 0]);
    let newer = format!("{HEADER}7,,n1,Aaa,,,,3\n");
    assert_eq!(total(&bench.load("newer.csv", newer)), [1, 0, 1, 0, 0, 0, 0]);
    assert_eq!(bench.rows(&nodes::TABLE)[3], "7||n1|Aaa||||3|");
    bench.lake().undo().unwrap();
    assert_eq!(bench.rows(&nodes::TABLE), rows);

    // They have no day: none is missing, in any time zone.
    for zone in ["UTC", "America/Bogota"] {
        let csv = bench.stdout(&format!("coverage --lake lake -f csv --timezone {zone}"));
        let row = csv.lines().find(|line| line.starts_with("nodes,")).unwrap();
        let cells: Vec<&str> = row.split(',').collect();
        assert_eq!(cells[1..6], ["", "", "0", "", "4"]);
        assert!(cells[6].starts_with("20"), "{row}");
        assert_eq!(cells[7..], ["", "", "", ""]);
    }
}

#[test]
fn nodes_load_from_json_and_need_only_their_ids() {
    let bench = Bench::new();
    let json = r#"[{"conversation_id": 7, "node_id": "n1", "is_final": true, "position": 2}]"#;
    assert_eq!(bench.load("flows.json", json).files[0].table, nodes::NAME);
    assert_eq!(bench.rows(&nodes::TABLE), ["7||n1||2|true||0|"]);
}

/// A node: flow, version, revision, label.
type Node = (u8, Option<u8>, u8, &'static str);

fn node() -> impl Strategy<Value = Node> {
    let version = prop::option::of(1..3u8);
    (1..3u8, version, 0..3u8, prop::sample::select(vec!["Hello", "Bye", ""]))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Any split into loads, in any order, gives the rows of one load.
    #[test]
    fn order_of_loads_changes_no_node(
        files in prop::collection::vec(prop::collection::vec(node(), 1..6), 1..4),
    ) {
        let text = |nodes: &[Node]| {
            let row = |(flow, version, revision, label): &Node| {
                let version = version.map_or_else(String::new, |version| version.to_string());
                format!("{flow},{version},n1,{label},,,,{revision}\n")
            };
            format!("{HEADER}{}", nodes.iter().map(row).collect::<String>())
        };
        let (one, several, turned) = (Bench::new(), Bench::new(), Bench::new());
        one.load("all.csv", text(&files.concat()));
        for (number, nodes) in files.iter().enumerate() {
            several.load(&format!("{number}.csv"), text(nodes));
        }
        for (number, nodes) in files.iter().enumerate().rev() {
            turned.load(&format!("{number}.csv"), text(nodes));
        }
        prop_assert_eq!(several.rows(&nodes::TABLE), one.rows(&nodes::TABLE));
        prop_assert_eq!(turned.rows(&nodes::TABLE), one.rows(&nodes::TABLE));
    }
}
