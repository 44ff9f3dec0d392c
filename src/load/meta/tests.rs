use std::collections::BTreeMap;

use super::counted::CountedText;
use super::walk::walk;
use crate::load::limits;

/// The field, the dimensions and the number of points of each group.
fn groups(text: &str) -> Vec<(Option<&'static str>, Option<String>, usize)> {
    let mut points = BTreeMap::<usize, usize>::new();
    let summary = walk(CountedText::new(text.as_bytes()), &mut |group, _| {
        *points.entry(group).or_default() += 1;
        Ok(())
    });
    let summary = summary.unwrap();
    let with_points = points.into_iter().map(|(at, points)| (&summary.groups[at], points));
    with_points.map(|(group, points)| (group.field(), group.dimensions(), points)).collect()
}

#[test]
fn fields_are_detected_by_name_or_by_keys() {
    let point = |keys: &str| format!("{{\"start\":1,\"end\":2{keys}}}");
    for (keys, field, dimensions) in [
        (",\"sent\":1,\"delivered\":1", "analytics", None),
        (",\"conversation\":1,\"country\":\"US\"", "conversation_analytics", Some("COUNTRY")),
        (",\"cost\":1,\"pricing_type\":\"REGULAR\"", "pricing_analytics", Some("PRICING_TYPE")),
        (",\"sent\":1,\"template_id\":\"7\"", "template_analytics", None),
        (",\"read\":1,\"template_group_id\":\"7\"", "template_group_analytics", None),
        (
            ",\"count\":1,\"cost\":1,\"direction\":\"USER_INITIATED\",\"tier\":\"0:MAX\"",
            "call_analytics",
            Some("DIRECTION,TIER"),
        ),
    ] {
        let point = point(keys);
        for text in [
            format!("{{\"{field}\":{{\"data\":[{{\"data_points\":[{point}]}}]}},\"id\":\"1\"}}"),
            format!("{{\"{field}\":{{\"data_points\":[{point}]}}}}"),
            format!("{{\"data\":[{{\"data_points\":[{point}]}}],\"paging\":{{}}}}"),
            format!("[{{\"data\":[{{\"data_points\":[{point}]}}]}}]"),
        ] {
            let expected = [(Some(field), dimensions.map(str::to_owned), 1)];
            assert_eq!(groups(&text), expected, "{text}");
        }
    }
    assert_eq!(groups("{\"data\":[],\"paging\":{}}"), []);
    assert_eq!(groups("{\"data\":[{\"data_points\":[{\"start\":1}]}]}")[0].0, None);
}

#[test]
fn responses_in_sequence_keep_their_accounts() {
    let one = |id| format!("{{\"analytics\":{{\"data_points\":[]}},\"id\":\"{id}\"}}\n");
    let summary = format!("{}{}", one(7), one(8));
    let summary = walk(CountedText::new(summary.as_bytes()), &mut |_, _| Ok(())).unwrap();
    let accounts: Vec<_> = summary.groups.iter().map(|g| summary.account(g).cloned()).collect();
    assert_eq!(accounts, [Some("7".to_owned()), Some("8".to_owned())]);
    assert_eq!(summary.groups.iter().map(|g| g.response).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn a_part_that_is_too_long_is_refused() {
    let long = "x".repeat(limits::RECORD + 100);
    let text = format!("{{\"analytics\":{{\"data_points\":[{{\"start\":\"{long}\"}}]}}}}");
    let fault = walk(CountedText::new(text.as_bytes()), &mut |_, _| Ok(())).err().unwrap();
    assert!(fault.is_io(), "{fault}");
    let points = "{\"start\":1},".repeat(limits::RECORD / 8);
    let text = format!("{{\"analytics\":{{\"data_points\":[{points}{{}}]}}}}");
    assert!(walk(CountedText::new(text.as_bytes()), &mut |_, _| Ok(())).is_ok());
}
