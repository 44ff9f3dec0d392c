//! `conversation-users --variables wide`: columns that only the rows tell.

use crate::support::Bench;

const DEPLOYMENTS: &str = "\
conversation_id,conversation_version,deployment_timestamp,delivery_status,user_cellphone
7,1,2025-06-02T09:00:00Z,Delivered,573005550101
7,1,2025-06-01T09:00:00Z,Delivered,573005550102
8,1,2025-06-01T08:00:00Z,Delivered,573005550103
";

const VARIABLES: &str = "\
phone,conversation_id,name,value,at
573005550101,7,city,\"Bogotá, D. C.\",2025-06-02T09:05:00Z
573005550101,7,Zone,4,2025-06-02T09:05:00Z
573005550102,7,city,,2025-06-01T09:05:00Z
573005550102,7,\"say \"\"hi|\"\"\",yes,2025-06-01T09:05:00Z
573005550103,8,ñ,1,2025-06-01T08:05:00Z
";

const BEFORE: &str = "user_phone,conversation_id,conversation_version,deployment_timestamp,delivery_status,\
                      state,conversation_stage,last_activity,session_id,session_status";
const WIDE: &str = "query conversation-users --lake lake -f csv --variables wide";

fn loaded() -> Bench {
    let bench = Bench::new();
    bench.load("deployments.csv", DEPLOYMENTS);
    bench.load("variables.csv", VARIABLES);
    bench
}

/// The header behind the other columns, then the last cells of each row.
fn shown(bench: &Bench, options: &str) -> Vec<String> {
    let csv = bench.stdout(&format!("{WIDE} {options}"));
    let mut lines = csv.lines();
    let header = lines.next().unwrap().strip_prefix(BEFORE).unwrap().to_owned();
    // The session's status, in front of the variables, is null.
    let cells = lines.map(|line| line.split_once(",delivered,,,,").unwrap().1.to_owned());
    [header].into_iter().chain(cells).collect()
}

#[test]
fn variables_have_a_column_for_each_name_among_the_rows() {
    let bench = loaded();
    let header = ",var_Zone,var_city,\"var_say \"\"hi|\"\"\",var_ñ";
    let rows = [",4,\"Bogotá, D. C.\",,", ",,,yes,", ",,,,1"];
    assert_eq!(shown(&bench, ""), [header, rows[0], rows[1], rows[2]]);
    // The names are those of all rows, also of rows that are not shown.
    assert_eq!(shown(&bench, "--limit 2"), [header, rows[0], rows[1]]);
    assert_eq!(shown(&bench, "--limit 0"), [header]);
    // They are those of the answer's rows alone.
    assert_eq!(shown(&bench, "--conversation-id 8"), [",var_ñ", ",1"]);
    assert_eq!(shown(&bench, "--from 2025-07-01"), [""]);
}

#[test]
fn names_of_columns_are_escaped_in_each_format() {
    let bench = loaded();
    let line = |format: &str, row: usize| {
        let text = bench.stdout(&format!("{WIDE} -f {format}").replace("-f csv ", ""));
        text.lines().nth(row).unwrap().to_owned()
    };
    let ends = "\"var_Zone\":\"4\",\"var_city\":\"Bogotá, D. C.\",\"var_say \\\"hi|\\\"\":null,\"var_ñ\":null}";
    assert!(line("ndjson", 0).ends_with(ends), "{}", line("ndjson", 0));
    let ends = "| var_Zone | var_city | var_say \"hi\\|\" | var_ñ |";
    assert!(line("markdown", 0).ends_with(ends), "{}", line("markdown", 0));
    bench.stdout(&format!("{WIDE} -o answer.parquet").replace("-f csv ", ""));
}

#[test]
fn objects_are_the_default_and_a_mart_holds_them() {
    let bench = loaded();
    let objects = bench.stdout(&WIDE.replace("--variables wide", ""));
    assert!(objects.starts_with(&format!("{BEFORE},variables\n")), "{objects}");
    assert_eq!(bench.stdout(&WIDE.replace("wide", "JSON")), objects);

    let settings = |params: &str| {
        let text = format!(
            "[inbox]\nfolders = []\n\n[privacy]\npeople_in_marts = true\n\n\
             [[marts]]\nname = 'sent'\nquery = 'conversation-users'\n{params}"
        );
        bench.file("lake/wabalake.toml", text);
    };
    settings("params = { variables = 'wide' }\n");
    let said = bench.run("nightly --lake lake");
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("mart `sent`: `--variables wide` gives columns that only the rows tell"),
        "{}",
        said.err
    );
    settings("");
    let from_tables = bench.stdout(&format!("{WIDE} --limit 1"));
    assert_eq!(bench.run("nightly --lake lake").code, 0);
    let plan = bench.stdout("explain conversation-users --lake lake --variables wide");
    assert!(plan.starts_with("answered from the mart `sent`"), "{plan}");
    assert_eq!(bench.stdout(&format!("{WIDE} --limit 1")), from_tables);
}
