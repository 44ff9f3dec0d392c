//! `audience`: whom rules choose, who is left out, and the files.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use wabalake::audience::{self, Counts, Rule, Selected};
use wabalake_data::tables::runs;

use crate::support::{Bench, Said};

const DEPLOYMENTS: &str = "\
conversation_id,conversation_version,user_country_code,user_cellphone,deployment_timestamp,\
user_responded_timestamp,delivery_status,status_detail,user_id
34820,1,57,3005550101,2025-06-05 10:00:00,2025-06-06 09:00:00,Delivered,,
34820,1,57,3005550102,2025-06-05 10:00:00,,Delivered,,
34820,1,52,5555550123,2025-06-05 10:00:00,,Delivered,,
34821,1,52,5555550123,2025-06-08 10:00:00,,Failed,FAILURE_BY_UNABLE_TO_CONTACT,
34820,1,57,12,2025-06-05 10:00:00,,Delivered,,
34820,1,,,2025-06-05 10:00:00,,Delivered,,CO.1349
34820,1,57,3005550106,2025-06-05 10:00:00,,Delivered,,
34820,1,57,3005550107,2025-05-01 10:00:00,,Delivered,,
34821,1,57,3005550107,2025-06-09 12:00:00,,Failed,FAILURE_BY_META_CHOSE_NOT_DELIVER,
";

const SESSIONS: &str = "\
session_id,session_started_timestamp,user_country_code,user_cellphone,line_whatsapp_number,\
first_message_timestamp,last_message_timestamp,meta_source_type,meta_source_id
s1,2025-06-06 09:00:00,57,3005550101,12025550140,2025-06-06 09:00:10,2025-06-09 20:00:00,Ad,ad9
s2,2025-06-01 09:00:00,57,3005550108,12025550140,2025-06-01 09:00:10,2025-06-01 09:05:00,Post,p1
";

/// One was seen; of the others one is of the last day, one a reaction, one exactly a day old.
const MESSAGES: &str = "\
whatsapp_id,from,to,message_direction,template_name,format,created_at,delivered_at,seen_at
m1,12025550140,573005550102,outgoing,promo,template,2025-06-07 10:00:00,2025-06-07 10:00:01,2025-06-07 11:00:00
m2,573005550109,12025550140,incoming,,text,2025-06-09 01:00:00,,
m3,573005550110,12025550140,incoming,,reaction,2025-06-09 10:00:00,,
m4,573005550111,12025550140,incoming,,text,2025-06-09 00:00:00,,
";

/// Of sessions, of a person, of both, and of a session that is not in the lake.
const CONVERSIONS: &str = "\
conversion_id,event,converted_at,session_id,phone
c1,purchase,2025-06-08 10:00:00,s1,
c2,Lead,2025-06-08 10:00:00,,573005550102
c3,purchase,2025-06-08 10:00:00,s1,573005550103
c4,purchase,2025-06-08 10:00:00,gone,573005550104
";

const TAGS: &str = "\
phone,tag,since
573005550107,vip,2025-06-01
573005550108,vip,2025-06-11
573005550109,black friday,
";

/// One person stopped on 1 June and resumed on 2 June, another stopped on 7 June.
const PREFERENCES: &str = r#"{"entry": [{"id": "9001", "time": 1749000000, "changes": [{
    "field": "user_preferences", "value": {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "12025550140", "phone_number_id": "77"},
        "user_preferences": [
            {"wa_id": "573005550102", "value": "stop", "timestamp": 1748736000},
            {"wa_id": "573005550102", "value": "resume", "timestamp": 1748822400},
            {"wa_id": "573005550106", "value": "stop", "timestamp": 1749254400}
        ]
    }
}]}]}"#;

const SETTINGS: &str = "
[[audiences]]
name = 'june'
rule = 'sent in 60d or visited in 30d'
[[audiences]]
name = 'broken'
rule = 'sent in 60'
";

const AT: &str = "2025-06-10T00:00:00Z";

/// A lake that many tests read; none changes its tables of exports.
static LAKE: LazyLock<Bench> = LazyLock::new(|| {
    let bench = Bench::new();
    let files = [
        ("deployments.csv", DEPLOYMENTS),
        ("sessions.csv", SESSIONS),
        ("messages.csv", MESSAGES),
        ("conversions.csv", CONVERSIONS),
        ("tags.csv", TAGS),
        ("preferences.json", PREFERENCES),
    ];
    let files = files.map(|(name, text)| bench.file(name, text));
    bench.load_files(&files).unwrap();
    bench.file("lake/wabalake.toml", SETTINGS);
    bench
});

fn select(rule: &str) -> Selected {
    let at: DateTime<Utc> = AT.parse().unwrap();
    audience::select(&LAKE.lake(), &Rule::read(rule).unwrap(), at).unwrap()
}

/// The people whom a rule chooses: of Colombian numbers the last three digits.
fn people(rule: &str) -> String {
    let people = select(rule).people;
    let short = people.iter().map(|person| person.strip_prefix("573005550").unwrap_or(person));
    short.collect::<Vec<_>>().join(" ")
}

/// Runs a command with arguments that may have spaces.
fn run(line: &str, arguments: &[&str]) -> Said {
    Said::of(LAKE.command(line).args(arguments).output().unwrap())
}

#[test]
fn conditions_are_of_a_time_that_ends_at_the_instant() {
    for (rule, expected) in [
        ("sent in 30d", "101 102 107"),
        ("sent in 36h", "107"),
        // 1 May 10:00 is exactly 950 hours before: the start is not included.
        ("delivered in 950h", "101 102"),
        ("delivered in 951h", "101 102 107"),
        ("delivered[country=MX|US] in 41d", ""),
        ("failed in 30d", "107"),
        ("failed[state=frequency-capped] in 2d", "107"),
        ("capped in 48h", "107"),
        ("replied in 4d", "101"),
        ("replied in 3d", ""),
        ("read in 7d", "102"),
        ("read[template=promo|other] in 7d", "102"),
        ("read[template=other] in 7d", ""),
        ("visited in 30d", "101 108"),
        ("visited[channel=meta-post] in 30d", "108"),
        ("visited[conversation-id=7] in 30d", ""),
        ("clicked-ad in 30d", "101"),
        ("wrote in 24h", "101 109"),
        ("window open", "101 109"),
        ("converted in 7d", "101 102 104"),
        ("converted[event=PURCHASE] in 7d", "101 104"),
        ("tag:vip", "107"),
        ("tag:\"black friday\"", "109"),
        ("country:MX", ""),
        ("country:MX and lost", "525555550123"),
        ("lost", "525555550123"),
        ("not sent in 60d", "103 104 108 109 110 111"),
    ] {
        assert_eq!(people(rule), expected, "{rule}");
    }
}

#[test]
fn conditions_are_joined() {
    for (rule, expected) in [
        ("tag:vip or clicked-ad in 30d and visited in 30d", "101 107"),
        ("(tag:vip or clicked-ad in 30d) and visited in 30d", "101"),
        ("not tag:vip and sent in 60d", "101 102"),
        ("not (tag:vip or replied in 30d) and sent in 60d", "102"),
        ("country:CO and not country:CO", ""),
    ] {
        assert_eq!(people(rule), expected, "{rule}");
    }
}

#[test]
fn people_are_left_out_by_the_first_reason() {
    let counts = Counts {
        matched: 5,
        no_phone: 1,
        invalid_phone: 1,
        stopped: 1,
        lost: 1,
        held_out: 0,
        audience: 1,
    };
    let rule = "delivered[conversation-id=34820] in 30d and not replied in 30d";
    assert_eq!(select(rule).counts, counts);
    let named = Counts { lost: 0, audience: 2, ..counts };
    assert_eq!(select(&format!("{rule} and (lost or not lost)")).counts, named);
    let later: DateTime<Utc> = "2025-06-06T23:59:59Z".parse().unwrap();
    let before = audience::select(&LAKE.lake(), &Rule::read(rule).unwrap(), later).unwrap();
    // Before one of them stopped, and before the deployment that one was lost by.
    assert_eq!(before.people, ["525555550123", "573005550102", "573005550106"]);
}

#[test]
fn people_are_only_counted_without_permission() {
    let line = "audience june --lake lake --at 2025-06-10T00:00:00Z";
    let counts = "matched: 8\nno phone: 1\ninvalid phone: 1\nstopped: 1\nlost: 1\naudience: 4\n";
    let said = run(line, &[]);
    assert_eq!((said.out.as_str(), said.err.as_str(), said.code), ("", counts, 0));
    let said = run(line, &["-o", "refused.csv", "--holdout", "5", "--holdout-out", "groups.csv"]);
    assert!(said.err.ends_with(
        "warning: no file was written: it would name people\n  \
         hint: add `--with-people`, or set people_in_audiences = true in [privacy]\n"
    ));
    assert_eq!((said.out.as_str(), said.code), ("", 0));
    assert!(!LAKE.exists("refused.csv") && !LAKE.exists("groups.csv"));
}

#[test]
fn files_are_written_and_recorded() {
    let bench = Bench::new();
    for (name, text) in [("deployments.csv", DEPLOYMENTS), ("sessions.csv", SESSIONS)] {
        bench.load(name, text);
    }
    let settings = format!("[privacy]\npeople_in_audiences = true\n{SETTINGS}");
    bench.file("lake/wabalake.toml", settings);
    let written = |line: &str, arguments: &[&str]| {
        let mut command = bench.command(&format!("audience {line} --lake lake --at {AT}"));
        let said = Said::of(command.args(arguments).output().unwrap());
        assert_eq!((said.out.as_str(), said.code), ("", 0), "{}", said.err);
        said.err
    };
    // 573005550101 is held out: see `HoldOut`.
    let told = written("june -o june.csv --holdout 10 --holdout-out groups.csv", &[]);
    assert!(told.ends_with("lost: 1\nheld out: 1\naudience: 4\n"), "{told}");
    let june = "country_code,cellphone\n+57,3005550102\n+57,3005550106\n+57,3005550107\n\
                +57,3005550108\n";
    assert_eq!(bench.read("june.csv"), june);
    let groups = "phone,tag,since\n\
                  +573005550101,june-control,2025-06-10T00:00:00Z\n\
                  +573005550102,june-treated,2025-06-10T00:00:00Z\n\
                  +573005550106,june-treated,2025-06-10T00:00:00Z\n\
                  +573005550107,june-treated,2025-06-10T00:00:00Z\n\
                  +573005550108,june-treated,2025-06-10T00:00:00Z\n";
    assert_eq!(bench.read("groups.csv"), groups);
    written("june -o phones.txt -f phones", &[]);
    assert!(bench.read("phones.txt").starts_with("+573005550101\n+573005550102\n"));
    let rule = ["--rule", "visited[channel=meta-post] in 30d"];
    written("-o hashes.csv -f meta-sha256", &rule);
    // printf 573005550108 | sha256sum
    let hash = "b45edffc70006b21f0988fe93001f693baee5b22e914767a7fa051df88964ad5";
    assert_eq!(bench.read("hashes.csv"), format!("phone\n{hash}\n"));
    #[cfg(unix)]
    for file in ["june.csv", "groups.csv", "hashes.csv"] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = bench.path(file).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let counts = |held: u32, audience: u32| {
        format!(
            "audience|june|{{\"matched\":8,\"no_phone\":1,\"invalid_phone\":1,\"stopped\":0,\
             \"lost\":1,\"held_out\":{held},\"audience\":{audience}}}"
        )
    };
    let typed = "audience||{\"matched\":1,\"no_phone\":0,\"invalid_phone\":0,\"stopped\":0,\"lost\":0,\
                 \"held_out\":0,\"audience\":1}";
    assert_eq!(
        bench.columns(&runs::TABLE, &["command", "rule", "counts"], "|"),
        [counts(0, 5), counts(1, 4), typed.to_owned()]
    );

    // The groups are those of `holdout-lift`.
    bench.load("groups.csv", groups);
    bench.load(
        "conversions.csv",
        "conversion_id,event,converted_at\nc1,visit,2025-07-01 00:00:00\n",
    );
    let lift = bench.stdout(
        "query holdout-lift --treated june-treated --control june-control --lake lake -f csv",
    );
    let people: Vec<_> =
        lift.lines().map(|line| line.split(',').take(2).collect::<Vec<_>>()).collect();
    assert_eq!(people[1..], [["treated", "4"], ["control", "1"], ["difference", "5"]]);
}

const FAULTS: [(&[&str], i32, &str); 8] = [
    (
        &["--rule", "sent in 3d and repled in 3d"],
        2,
        "error: `--rule` `sent in 3d and repled in 3d`: column 16: no condition `repled`\n  \
         hint: did you mean `replied`?\n",
    ),
    (
        &["broken"],
        1,
        "error: the rule of the audience `broken`: column 9: no time\n  \
         hint: write it as in 30d, or as in 48h\n",
    ),
    (
        &["jun"],
        2,
        "error: there is no audience `jun`\n  \
         hint: did you mean `june`? `wabalake config` lists them, as audiences.NAME\n",
    ),
    (
        &["--rule", "lost", "--holdout", "5"],
        2,
        "error: `--holdout` needs the name of an audience, which it is drawn by\n  \
         hint: write the rule into wabalake.toml, under [[audiences]]\n",
    ),
    (
        &["june", "--holdout", "100.5"],
        2,
        "error: `--holdout` `100.5`: not a share in percent\n  \
         hint: write a number from 0 to 100 with at most two decimals, such as 10 or 2.5\n",
    ),
    (
        &["june", "--at", "yesterday"],
        2,
        "error: `--at yesterday` is no instant in UTC\n  \
         hint: write it as 2025-06-01T10:00:00, which is of that zone, or 2025-06-01T10:00:00Z\n",
    ),
    (
        &["june", "-f", "phones", "--columns", "a,b"],
        2,
        "error: `--columns` names the columns of the form `treble`\n  \
         hint: leave it out: the other forms have one column\n",
    ),
    (&[], 2, "error: `NAME` is missing\n  hint: see `wabalake audience --help`\n"),
];

#[test]
fn errors_name_the_audience_and_the_place() {
    for (arguments, code, expected) in FAULTS {
        let said = run("audience --lake lake", arguments);
        assert_eq!((said.out.as_str(), said.err.as_str(), said.code), ("", expected, code));
    }
    let both = run("audience june --lake lake", &["--rule", "lost"]);
    assert!(both.err.contains("cannot be used with") && both.code == 2, "{}", both.err);
}
