//! What the alerts judged in the nightly run that made the page.

use chrono::SecondsFormat;
use wabalake_data::words::{counted, counted_as};

use super::ROWS;
use crate::alerts::{Judgement, Judgements};
use crate::config::AlertState;
use crate::report::Section;
use crate::report::figures::{Unit, label, long};
use crate::report::html::Html;
use crate::report::tables::{TableColumn, table};

/// The alerts; `None` if the settings define none.
pub(in crate::report) fn alerts(judged: &Judgements) -> Option<Section> {
    if judged.alerts.is_empty() {
        return None;
    }
    let (all, firing) = (judged.alerts.len() as u64, judged.firing() as u64);
    let mut body = Html::new();
    body.raw("<p class=\"verdict\">").text(&match firing {
        0 => format!("✓ {}, of which none fires.", counted(all, "alert")),
        firing => {
            let fires = counted_as(firing, "alert fires", "alerts fire");
            format!("! {fires}, of {all}.")
        }
    });
    body.raw("</p>");
    // What fires comes first, whatever the order of the settings.
    let of = |state: AlertState| judged.all().filter(move |judgement| judgement.state == state);
    let shown: Vec<&Judgement> = of(AlertState::Fires).chain(of(AlertState::Unknown)).collect();
    if !shown.is_empty() {
        let texts = |text: fn(&Judgement) -> Option<String>| -> Vec<Option<String>> {
            shown.iter().map(|of| text(of)).collect()
        };
        let figures = |figure: fn(&Judgement) -> Option<f64>| -> Vec<Option<f64>> {
            shown.iter().map(|of| figure(of)).collect()
        };
        body.add(&table(
            "Alerts that fire or cannot be judged",
            &[
                TableColumn::texts("Alert", texts(|of| Some(of.alert.clone()))),
                TableColumn::texts("Group", texts(|of| of.group.clone())),
                TableColumn::texts("From", texts(|of| Some(long(of.bucket)))),
                TableColumn::figures("Value", Unit::Number, figures(|of| of.value)),
                TableColumn::figures("Expected", Unit::Number, figures(|of| of.expected)),
                TableColumn::figures("At least", Unit::Number, figures(|of| of.low)),
                TableColumn::figures("At most", Unit::Number, figures(|of| of.high)),
                TableColumn::texts("State", texts(|of| Some(label(of.state.name())))),
            ],
            ROWS,
        ));
    }
    let about = "Is a number unusual? Each alert judges the last day, week or month whose rows have arrived. \
                 Expected is a limit, the value of the day, week or month before, or the median of the same \
                 weekday. What cannot be judged is too small or has too little to be compared with.";
    let now = judged.now.to_rfc3339_opts(SecondsFormat::Secs, true);
    Some(Section {
        id: "alerts",
        title: "Alerts",
        about: about.to_owned(),
        commands: vec![format!("wabalake alerts --now {now}")],
        body,
    })
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;
    use crate::alerts::JudgedAlert;

    /// Judgements about countries by one alert.
    fn judged(states: &[(&str, AlertState)]) -> Judgements {
        let bucket: NaiveDate = "2026-11-27".parse().unwrap();
        let judgement = |(country, state): &(&str, AlertState)| Judgement {
            alert: "delivery-drop".to_owned(),
            bucket,
            group: Some(format!("country={country}")),
            value: Some(62.5),
            expected: Some(95.0),
            low: Some(94.25),
            high: Some(95.75),
            state: *state,
        };
        let groups = states.iter().map(judgement).collect();
        let now = "2026-11-30T03:15:00.5Z".parse().unwrap();
        Judgements {
            now,
            alerts: vec![JudgedAlert { name: "delivery-drop".to_owned(), bucket, groups }],
        }
    }

    #[test]
    fn firing_groups_are_shown_first_and_calm_ones_are_not() {
        let states =
            [("<CO>", AlertState::Unknown), ("MX", AlertState::Ok), ("PE", AlertState::Fires)];
        let section = alerts(&judged(&states)).unwrap();
        assert_eq!(section.commands, ["wabalake alerts --now 2026-11-30T03:15:00Z"]);
        let html = section.body.into_string();
        assert!(html.contains("! 1 alert fires, of 1."), "{html}");
        let at = |text: &str| html.find(text).unwrap_or_else(|| panic!("no {text} in {html}"));
        assert!(at("country=PE") < at("country=&lt;CO&gt;"));
        assert!(html.contains("27 November 2026") && html.contains(">62.50</td>"), "{html}");
        assert!(!html.contains("country=MX"), "{html}");
    }

    #[test]
    fn section_is_left_out_without_alerts() {
        assert!(alerts(&Judgements::none(judged(&[]).now)).is_none());
        let calm = alerts(&judged(&[("CO", AlertState::Ok)])).unwrap().body.into_string();
        assert!(
            calm.contains("✓ 1 alert, of which none fires.") && !calm.contains("<table"),
            "{calm}"
        );
    }
}
