//! Tests of the settings file.

use super::*;
use crate::audience::Rule;

#[test]
fn a_lake_without_the_file_has_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path()).unwrap();
    assert_eq!(Config::of(&lake).unwrap(), Config::default());
    assert_eq!(Config::read("").unwrap(), Config::default());
}

#[test]
fn every_setting_is_read() {
    let config = Config::read(
        "# ours\ntimezone = \"America/Bogota\"\nsource_timezone = \"UTC\"\n\
         default_country = \"co\"\n\
         [source_timezones]\nad_spend = 'America/New_York'\n\
         [inbox]\nfolders = ['in']\nafter = 'move'\nloaded = 'done'\nsettle_seconds = 0\n\
         window = 'rows'\n\
         [[inbox.windows]]\npattern = '(?<from>.{10})_(?<to>.{10})'\n\
         [[inbox.windows]]\npattern = '(?P<from>.*)to(?P<to>.*)'\n\
         [[marts]]\nname = 'd'\nquery = 'return-rate'\n\
         params = { days = [1, 7], mode = 'within', latest_version = true, no = false }\n\
         [[marts]]\nname = 'own'\nsql = 'own.sql'\nparams = { since = '2025-01-01', deep = true }\n\
         [[alerts]]\nname = 'a'\nquery = 'delivery-rate'\nparams = { by = ['day', 'country'] }\n\
         column = 'delivered_pct'\nrule = 'change_pct'\nvalue = 12.5\ndirection = 'down'\n\
         mature_days = 0\nmin_count = { column = 'deployments', value = 50 }\nmissing = 'fires'\n\
         [lake]\numask = '007'\n\
         [nightly]\nmetrics = 'w.prom'\nnotify_seconds = 5\nfail_on_alerts = true\nviews = 'v.sql'\n\
         [retention]\ndays = 30\n\
         [privacy]\npeople_in_marts = true\npeople_in_audiences = true\npeople_in_views = true\n\
         [page]\nfile = 'p.html'\nemail = 'm.eml'\nsubject = 'Weekly'\n\
         [[audiences]]\nname = 'june'\nrule = 'sent in 30d'\n\
         [sql]\nfiles = true\n\
         [pricing]\nfree_service_messages = 0\nentry_point = 'none'\npricing = 'computed'\n\
         [hours]\nweekly = 'Mon-Fri 9:00-18:00'\nholidays = [2026-12-25, '2026-05-01']\n\
         [mcp]\nrows = 1000\nseconds = 5\nsql = true\npeople = true\n",
    )
    .unwrap();
    assert_eq!(config.timezone, Some(Tz::America__Bogota));
    assert_eq!(config.default_country, Some("CO"));
    assert_eq!(config.source_timezone_of("sessions"), Tz::UTC);
    assert_eq!(config.source_timezone_of("ad_spend"), Tz::America__New_York);
    assert_eq!(config.inbox.after, After::Move);
    assert!(config.inbox.settle().is_zero());
    assert_eq!(config.inbox.window, Window::Rows);
    assert_eq!(config.inbox.windows().patterns[1].to_string(), "(?P<from>.*)to(?P<to>.*)");
    assert_eq!(
        config.marts[0].arguments(),
        ["--days=1,7", "--latest-version", "--mode=within"],
        "a switch that is off is no argument",
    );
    assert_eq!(config.marts[1].source, MartSource::Sql("own.sql".into()));
    assert_eq!(config.marts[1].parameters(), ["deep=true", "since=2025-01-01"]);
    let alert = &config.alerts[0];
    assert_eq!(alert.arguments(), ["--by=day,country"]);
    assert_eq!((alert.rule, alert.value), (AlertRule::ChangePct, 12.5));
    assert_eq!((alert.direction, alert.missing), (Some(AlertDirection::Down), AlertState::Fires));
    assert_eq!((alert.mature_days, alert.weeks, alert.min_points), (Some(0), None, None));
    let least = MinCount { column: "deployments".to_owned(), value: 50.0 };
    assert_eq!((alert.min_change, alert.min_count.as_ref()), (None, Some(&least)));
    assert!(config.nightly.fail_on_alerts);
    assert_eq!(config.retention.days, Some(30));
    assert_eq!(config.nightly.notify_limit(), Duration::from_secs(5));
    let umask = config.lake.umask.unwrap();
    assert_eq!((umask.bits(), umask.to_string().as_str()), (0o007, "007"));
    assert!(config.privacy.people_in_marts && !config.privacy.people_on_page);
    assert!(config.privacy.people_in_audiences && !config.privacy.people_in_answers);
    let [AudienceSettings { name, rule }] = config.audiences.as_slice() else { panic!() };
    assert_eq!((name.as_str(), rule.as_str()), ("june", "sent in 30d"));
    assert!(config.privacy.people_in_views);
    assert_eq!(config.nightly.views, Some("v.sql".into()));
    assert_eq!(config.page.email, Some("m.eml".into()));
    assert_eq!(config.page.subject.as_deref(), Some("Weekly"));
    assert!(config.sql.files);
    let pricing = config.defaults().pricing;
    assert_eq!(pricing.free_service_messages(), 0);
    assert_eq!(pricing.entry_point(), EntryPoint::None);
    assert_eq!(pricing.pricing(), PricingSource::Computed);
    let hours = config.defaults().hours;
    assert_eq!(hours.weekly.unwrap().to_string(), "Mon-Fri 09:00-18:00");
    assert_eq!(hours.holidays.to_string(), "2026-05-01, 2026-12-25");
    assert_eq!((config.mcp.rows(), config.mcp.time_limit()), (1_000, Duration::from_secs(5)));
    assert!(config.mcp.sql && config.mcp.people);
}

#[test]
fn values_of_a_repeated_option_may_have_commas() {
    let config = Config::read(
        "[[marts]]
        name = 'behind'
        query = 'failure-reasons'
        params.by = ['day', 'country']
        params.people = true
        params.cell = ['country=CO', 'status_detail=not sent, and not paid']",
    );
    assert_eq!(
        config.unwrap().marts[0].arguments(),
        [
            "--by=day,country",
            "--cell=country=CO",
            "--cell=status_detail=not sent, and not paid",
            "--people"
        ],
    );
}

#[test]
fn errors_name_the_line_and_suggest_the_nearest_name() {
    for (text, lines) in [
        ("timezon = 'UTC'", "error: line 1: no key `timezon`\n  hint: did you mean `timezone`?"),
        (
            "\n[inbox]\nfolder = ['in']",
            "error: line 3: no key `folder`\n  hint: did you mean `folders`?",
        ),
        ("[inbox]\nafter = 'mov'", "error: line 2: no value `mov`\n  hint: did you mean `move`?"),
        ("[retention]\nxyz = 1", "error: line 2: no key `xyz`\n  hint: it takes `days`"),
        (
            "timezone = 'America/Bogata'",
            "error: line 1: `timezone`: no such time zone\n  hint: did you mean `America/Bogota`?",
        ),
        (
            "timezone = 5",
            "error: line 1: `timezone`: invalid type: integer `5`, expected a string\n  \
             hint: write it as in: timezone = \"America/Bogota\"",
        ),
        (
            "[nightly]\nnotify_seconds = 0",
            "error: line 2: `notify_seconds`: not a whole number of seconds from 1 on\n  \
             hint: write it as in: notify_seconds = 60",
        ),
        (
            "[inbox]\nsettle_seconds = -1",
            "error: line 2: `settle_seconds`: not a whole number of seconds from 0 on\n  \
             hint: write it as in: settle_seconds = 30",
        ),
        (
            "[lake]\numask = 27",
            "error: line 2: `umask`: a umask is a text in quotes\n  \
             hint: write it as in: umask = \"027\"",
        ),
        (
            "[lake]\numask = '1027'",
            "error: line 2: `umask`: a umask is three octal digits\n  \
             hint: write it as in: umask = \"027\"",
        ),
        (
            "[lake]\numask = '777'",
            "error: line 2: `umask`: the first digit must be 0, or the owner has no access\n  hint: write it as in: umask = \"027\"",
        ),
        (
            "[pricing]\nfree_service_messages = -1",
            "error: line 2: `free_service_messages`: not a whole number from 0 on\n  \
             hint: write it as in: free_service_messages = 1000",
        ),
        (
            "[pricing]\nentry_point = 'always'",
            "error: line 2: no value `always`\n  hint: it takes `type`, `window`, `either` and `none`",
        ),
        (
            "[hours]\nweekly = 'Mon 9-18'",
            "error: line 2: `weekly`: `9-18` is no part of a day\n  \
             hint: write it as in: weekly = \"Mon-Fri 09:00-13:00 14:00-18:00; Sat 09:00-13:00\"",
        ),
        (
            "[hours]\nholidays = ['25.12.2026']",
            "error: line 2: `holidays`: not a date\n  \
             hint: write it as in: holidays = [\"2026-12-25\"]",
        ),
        ("[inbox]\nwindow = 'row'", "error: line 2: no value `row`\n  hint: did you mean `rows`?"),
        (
            "[[inbox.windows]]\npattern = '(?<from>.)'",
            "error: line 2: `pattern`: a pattern without a group `to`\n  \
             hint: write it as in: pattern = '(?<from>[\\d-]{10})_(?<to>[\\d-]{10})'",
        ),
        (
            "[inbox]\n[[inbox.windows]]\npattern = '(?<from>.'",
            "error: line 3: `pattern`: not a regular expression: unclosed group\n  \
             hint: write it as in: pattern = '(?<from>[\\d-]{10})_(?<to>[\\d-]{10})'",
        ),
        (
            "[[inbox.windows]]\npatern = ''",
            "error: line 2: no key `patern`\n  hint: did you mean `pattern`?",
        ),
        (
            "[inbox]\nafter = 'move'",
            "error: [inbox] has `after = \"move\"` without a folder\n  \
             hint: add one: loaded = \"../loaded\"",
        ),
    ] {
        assert_eq!(Config::read(text).unwrap_err().lines(), lines);
    }
    let error = Config::read("[source_timezones]\nsesions = 'UTC'").unwrap_err();
    assert!(error.lines().ends_with("no table `sesions`\n  hint: did you mean `sessions`?"));
    let error = Config::read("timezone: UTC").unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert!(error.lines().ends_with("hint: write it as in: timezone = \"America/Bogota\""));
}

#[test]
fn errors_about_alerts_and_assistants_name_the_line() {
    for (text, lines) in [
        (
            "[[alerts]]\nrule = 'anomalous'",
            "error: line 2: no value `anomalous`\n  hint: did you mean `anomaly`?",
        ),
        (
            "[[alerts]]\nvalue = 'high'",
            "error: line 2: `value`: not a number\n  hint: write it as in: value = 4",
        ),
        (
            "[[alerts]]\nvalue = nan",
            "error: line 2: `value`: not a number\n  hint: write it as in: value = 4",
        ),
        (
            "[[alerts]]\nmin_change = -1",
            "error: line 2: `min_change`: not a number from 0 on\n  \
             hint: write it as in: min_change = 3",
        ),
        (
            "[[alerts]]\nweeks = 0",
            "error: line 2: `weeks`: not a whole number from 1 to 1000\n  \
             hint: write it as in: weeks = 8",
        ),
        (
            "[[alerts]]\nmin_count = 50",
            "error: line 2: `min_count`: invalid type: integer `50`, expected a table of a column and a \
             value\n  hint: write it as in: min_count = { column = \"deployments\", value = 50 }",
        ),
        (
            "[mcp]\nrows = 1001",
            "error: line 2: `rows`: not a whole number from 1 to 1000\n  \
             hint: write it as in: rows = 200",
        ),
        (
            "[mcp]\nseconds = 0",
            "error: line 2: `seconds`: not a whole number of seconds from 1 on\n  \
             hint: write it as in: seconds = 60",
        ),
    ] {
        assert_eq!(Config::read(text).unwrap_err().lines(), lines);
    }
    let error = Config::read("[[alerts]]\nname = 'a'\nquery = 'delivery-rate'").unwrap_err();
    assert!(error.lines().ends_with("missing field `column`\n  hint: add it: column = …"));
}

#[test]
fn mart_has_either_a_query_or_sql() {
    for (text, what) in [
        ("[[marts]]\nname = 'm'", "line 2: mart `m` has neither `query` nor `sql`"),
        (
            "\n[[marts]]\nsql = 'm.sql'\nquery = 'drop-off'\nname = 'm'",
            "line 5: mart `m` has both `query` and `sql`",
        ),
    ] {
        let hint = "write one of them: query = \"delivery-rate\", or sql = \"FILE.sql\"";
        assert_eq!(
            Config::read(text).unwrap_err().lines(),
            format!("error: {what}\n  hint: {hint}")
        );
    }
    let error = Config::read("[[marts]]\nname = 'm'\nsq = 'm.sql'").unwrap_err();
    assert_eq!(error.lines(), "error: line 3: no key `sq`\n  hint: did you mean `sql`?");
}

#[test]
fn the_template_lists_every_setting() {
    let as_written = Config::read(TEMPLATE).unwrap();
    assert!(!as_written.marts.is_empty());
    let is_sql = |mart: &MartSettings| matches!(mart.source, MartSource::Sql(_));
    assert!(!as_written.marts.iter().any(is_sql));
    // A setting that is commented out has no space after its `#`; sentences do.
    let settings = TEMPLATE.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with([' ', '#']) => setting,
        _ => line,
    });
    let all = Config::read(&settings.collect::<Vec<_>>().join("\n")).unwrap();
    assert!(all.timezone.is_some() && all.source_timezone.is_some());
    assert!(all.marts.iter().any(is_sql));
    assert!(as_written.audiences.is_empty());
    assert!(all.audiences.iter().all(|audience| Rule::read(&audience.rule).is_ok()));
    assert_eq!(all.audiences.len(), 1);
    assert!(!all.source_timezones.is_empty());
    assert!(all.page.file.is_some() && all.page.days.is_some());
    assert!(all.nightly.metrics.is_some() && all.nightly.notify_command.is_some());
    assert_eq!(all.nightly.notify_limit(), NightlySettings::default().notify_limit());
    assert_eq!(all.inbox.settle(), InboxSettings::default().settle());
    assert!(all.inbox.settle_seconds.is_some());
    assert_eq!((all.inbox.window, all.inbox.windows.len()), (Window::Rows, 1));
    assert!(all.nightly.notify_seconds.is_some() && all.lake.umask.is_some());
    assert!(all.retention.days.is_some());
    assert_eq!(all.store.named().len(), 2);
    let (set, usual) = (all.pricing.defaults(), PricingDefaults::default());
    assert_eq!(set.free_service_messages, Some(usual.free_service_messages()));
    assert_eq!(set.entry_point, Some(usual.entry_point()));
    assert_eq!(set.pricing, Some(usual.pricing()));
    let alert = &all.alerts[0];
    assert!(alert.direction.is_some() && alert.mature_days.is_some() && alert.weeks.is_some());
    assert!(alert.min_points.is_some() && alert.min_change.is_some() && alert.min_count.is_some());
    assert!(all.nightly.fail_on_alerts);
    assert!(all.hours.weekly.is_some() && all.hours.holidays != Holidays::default());
    let usual = McpSettings::default();
    assert_eq!((all.mcp.rows, all.mcp.rows()), (Some(200), usual.rows()));
    assert_eq!((all.mcp.seconds, all.mcp.time_limit()), (Some(60), usual.time_limit()));
}

#[test]
fn options_of_stores_are_read_without_secrets() {
    let text = "[store]\nregion = 'eu-west-1'\nallow-http = true\nretries = 3\n";
    let options = Config::read(text).unwrap().store;
    assert_eq!(options.to_string(), "region=eu-west-1;allow_http=true;retries=3");
    assert_eq!(Config::read_store(text).unwrap(), options);
    let secret = "wJalrXUtnFEMI";
    for (text, lines) in [
        (
            format!("timezone = 'UTC'\n[store]\nsecret_access_key = '{secret}'"),
            "error: line 3: [store]: a secret is no option of a store",
        ),
        (
            format!("[store]\n\nproxy = 'http://u:{secret}@proxy.example'"),
            "error: line 3: [store]: the URL of the option `proxy` holds",
        ),
        (
            format!("[store]\n{secret} = 1"),
            "error: line 2: [store]: an option of a store is unknown",
        ),
    ] {
        let error = Config::read(&text).unwrap_err();
        assert!(error.lines().starts_with(lines), "{}", error.lines());
        assert!(!format!("{error:?} {}", error.lines()).contains(secret));
        assert_eq!(error.exit_code(), 1);
    }
    let error = Config::read_store("[stor]\nregion = 'eu-west-1'").unwrap_err();
    assert_eq!(error.lines(), "error: line 1: no key `stor`\n  hint: did you mean `store`?");
}
