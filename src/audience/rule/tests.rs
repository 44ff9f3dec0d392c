//! Tests of rules.

use super::parser::{DEEPEST, HOUR, MOST};
use super::*;

/// The rule with brackets around everything that is joined.
fn spelt(rule: &Rule) -> String {
    let joined = |rules: &[Rule], by: &str| {
        format!("({})", rules.iter().map(spelt).collect::<Vec<_>>().join(by))
    };
    match rule {
        Rule::Is(Condition::Happened(what, within)) => {
            let what = format!("{what:?}");
            let what = what.split(['(', ' ']).next().unwrap_or_default();
            format!("{what} {}", within / HOUR)
        }
        Rule::Is(condition) => format!("{condition:?}"),
        Rule::Not(rule) => format!("not {}", spelt(rule)),
        Rule::All(rules) => joined(rules, " and "),
        Rule::Any(rules) => joined(rules, " or "),
    }
}

#[test]
fn not_binds_tightest_then_and() {
    for (text, expected) in [
        ("lost", "Lost"),
        ("sent in 2d", "Sent 48"),
        ("clicked-ad in 5H", "ClickedAd 5"),
        ("window open or not lost and tag:a", "(WindowOpen or (not Lost and Tag(\"a\")))"),
        ("(window open OR lost) AND tag:a", "((WindowOpen or Lost) and Tag(\"a\"))"),
        ("not(lost)and not not window  open", "(not Lost and not not WindowOpen)"),
        ("lost or lost or lost", "(Lost or Lost or Lost)"),
        ("tag:\"black friday\" and tag:or", "(Tag(\"black friday\") and Tag(\"or\"))"),
        ("country:co and capped in 48h", "(Country(\"CO\") and Capped 48)"),
        ("delivered[ country = CO | mx, conversation-version=2] in 1d", "Delivered 24"),
        ("read [template=a b|c] in 3h", "Read 3"),
        ("converted[event=purchase] in 7d and wrote in 7d", "(Converted 168 and Wrote 168)"),
    ] {
        assert_eq!(spelt(&Rule::read(text).unwrap()), expected, "{text}");
    }
    assert!(Rule::read("not (sent in 1d or lost)").unwrap().names_lost());
    assert!(!Rule::read("tag:lost").unwrap().names_lost());
}

const EXAMPLE: &str = "such as: delivered in 30d and not (replied in 30d or tag:vip)";
const TIME: &str = "write it as in 30d, or as in 48h";
const CONDITIONS: &str = "it is one of `sent`, `delivered`, `failed`, `replied`, `read`, `visited`, `wrote`, \
                          `clicked-ad`, `converted`, `tag:`, `country:`, `window open`, `lost` and `capped`";
const FILTERS: &str = "did you mean `country`? it takes `country`, `tag`, `conversation-id`, \
                       `conversation-version`, `delivery-status` and `state`";

#[test]
fn errors_name_the_column_and_no_value() {
    for (text, what, hint) in [
        ("", "column 1: a condition is missing", EXAMPLE),
        ("lost and", "column 9: a condition is missing", EXAMPLE),
        ("lost sent in 3d", "column 6: expected `and`, `or` or the end", EXAMPLE),
        ("lost)", "column 5: expected `and`, `or` or the end", EXAMPLE),
        (
            "lost and delivred in 3d",
            "column 10: no condition `delivred`",
            "did you mean `delivered`?",
        ),
        ("573005550101", "column 1: no condition `…`", CONDITIONS),
        ("\u{e9}\u{e9} or lost", "column 1: no condition `\u{e9}\u{e9}`", CONDITIONS),
        ("(lost", "column 1: `(` is not closed", "add a `)`"),
        ("sent", "column 5: a time is missing", TIME),
        ("sent in 30", "column 9: no time", TIME),
        ("sent in 0d", "column 9: no time", TIME),
        ("sent in -1d", "column 9: no time", TIME),
        ("sent[country=CO in 3d", "column 5: `[` is not closed", "add a `]`"),
        ("sent[contry=CO] in 3d", "column 6: `sent` has no filter `contry`", FILTERS),
        (
            "sent[country=] in 3d",
            "column 6: `country` has no value",
            "write it as country=VALUE, or country=A|B",
        ),
        (
            "sent[tag=a, conversation-version=x] in 3d",
            "column 13: `conversation-version`: not a whole number",
            "write one or several, such as 1,2",
        ),
        (
            "wrote[country=CO] in 3d",
            "column 7: `wrote` has no filter `country`",
            "leave out the brackets: it takes no filters",
        ),
        ("window closed", "column 1: `window` is half a condition", "write: window open"),
        ("country:Colombi", "column 1: no country with phone numbers", "did you mean `CO`?"),
        ("lost or tag:", "column 9: `tag:` has no tag", "write it as tag:vip"),
        ("tag:\"a", "column 5: `\"` is not closed", "write tag:\"two words\""),
    ] {
        let expected = Invalid::new(what).hint(hint);
        assert_eq!(Rule::read(text).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn rules_are_limited() {
    let fault = |text: &str| Rule::read(text).unwrap_err().what;
    let nested = |times: usize| format!("{}lost{}", "(".repeat(times), ")".repeat(times));
    assert!(Rule::read(&nested(DEEPEST - 1)).is_ok());
    assert!(fault(&nested(100_000)).contains("more than 50 `not`"));
    assert!(fault(&"not ".repeat(100_000)).contains("more than 50 `not`"));
    let many = |times: usize| vec!["lost"; times].join(" or ");
    assert!(Rule::read(&many(MOST)).is_ok());
    assert!(fault(&many(MOST + 1)).contains("more than 100 conditions"));
}
