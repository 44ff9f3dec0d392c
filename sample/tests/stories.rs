//! What clean exports tell beside counts: repeats, second answers, a template that wears out, agents,
//! and an experiment.

use super::*;
use crate::episode::{DAY, Deployment, MessageKind, SECOND, SendOutcome};
use crate::people::Rhythm;

/// Visits the episodes of a plan, with the number of each.
fn each_episode(plan: &Plan, mut visit: impl FnMut(&Episode, u32)) {
    let generator = plan.generator();
    let rhythms = Rhythm::of_week();
    let mut episode = generator.blank();
    for day in 0..plan.end() {
        for number in 0..generator.episodes(day) {
            generator.generate(day, number, &rhythms, &mut episode);
            visit(&episode, number);
        }
    }
}

#[test]
fn repeats_follow_capped_sends_to_the_same_person() {
    let generator = SMALL.generator();
    let mut capped = BTreeMap::<_, Vec<i64>>::new();
    let mut repeats = Vec::new();
    each_episode(&SMALL, |episode, number| {
        let Some(sent) = episode.deployment else { return };
        let who = (episode.person.national.digits().to_vec(), sent.flow.id);
        if number >= generator.sends_and_visits(episode.day) {
            repeats.push((who.clone(), sent.at));
        }
        if sent.outcome == SendOutcome::Failed(company::CAPPED) {
            capped.entry(who).or_default().push(sent.at);
        }
    });
    assert!(repeats.len() > 5, "{repeats:?}");
    for (who, at) in repeats {
        let days_before = (at - 14 * DAY)..at;
        assert!(capped[&who].iter().any(|before| days_before.contains(before)));
    }
}

#[test]
fn episodes_of_possible_repeats_are_mostly_empty() {
    let generator = SMALL.generator();
    let (mut possible, mut found) = (0, 0);
    each_episode(&SMALL, |episode, number| {
        if number >= generator.sends_and_visits(episode.day) {
            possible += 1;
            found += usize::from(!episode.messages.is_empty() || episode.deployment.is_some());
        } else {
            assert!(episode.deployment.is_some() || !episode.sessions.is_empty());
        }
    });
    assert!(found > 5 && found * 10 < possible, "{found} of {possible}");
}

#[test]
fn some_answers_are_followed_by_a_second_one() {
    let mut twice = 0;
    each_episode(&SMALL, |episode, _| {
        let talked = episode.messages.iter().filter(|one| one.kind != MessageKind::Template);
        let mut talked: Vec<_> = talked.map(|one| (one.at, one.kind)).collect();
        talked.sort_by_key(|(at, _)| *at);
        let is_second = |pair: &&[(i64, MessageKind)]| {
            let [(first, kind), (second, next)] = **pair else { return false };
            kind == MessageKind::Outgoing && next == kind && second - first <= 90 * SECOND
        };
        twice += talked.windows(2).filter(is_second).count();
    });
    assert!(twice > 20, "{twice}");
}

#[test]
fn the_promotion_is_read_less_in_the_end_of_a_season() {
    let plan = Plan { days: 91, ..SMALL };
    let horizon = plan.generator().midnight(plan.end());
    let mut counts = [[0, 0]; 2];
    let mut paused = BTreeSet::new();
    each_episode(&plan, |episode, _| {
        let promotion = company::FLOWS[company::PROMOTION].id;
        let sent = episode.deployment.filter(|sent| sent.flow.id == promotion);
        let Some(sent) = sent else { return };
        if sent.outcome == SendOutcome::Failed(company::PAUSED) {
            paused.insert(episode.day);
        }
        assert!(
            ![42, 66, 67].contains(&episode.day)
                || !matches!(sent.outcome, SendOutcome::Delivered(_))
        );
        let part = match episode.day {
            0..14 => 0,
            70.. => 1,
            _ => return,
        };
        let messages = episode.messages.iter().filter(|one| one.kind == MessageKind::Template);
        for message in messages.filter(|one| one.delivered.is_some_and(|at| at < horizon)) {
            counts[part][0] += 1;
            counts[part][1] += usize::from(message.seen.is_some());
        }
    });
    assert!([42, 66, 67].iter().all(|day| paused.contains(day)), "{paused:?}");
    let [first, last] = counts.map(|[delivered, read]| 100 * read / delivered);
    assert!(first > last + 15, "{first} %, then {last} %");
}

#[test]
fn the_mexican_line_is_full_for_a_week() {
    let plan = Plan { days: 56, ..SMALL };
    let mut days = BTreeSet::new();
    let mut others = 0;
    each_episode(&plan, |episode, _| {
        let is_full = |sent: &Deployment| sent.outcome == SendOutcome::Failed(company::FULL);
        if episode.deployment.as_ref().is_some_and(is_full) {
            if episode.line.number == company::LINES[1].number {
                days.insert(episode.day);
            } else {
                others += 1;
            }
        }
    });
    // A few sends fail for it at any time.
    assert!((47..54).filter(|day| days.contains(day)).count() > 5, "{days:?}");
    assert!(others > 0);
}

/// The records of the companions of a plan whose names start so, without the headers.
fn companion(plan: &Plan, name: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for file in plan.companions().filter(|file| file.name.starts_with(name)) {
        let mut bytes = Vec::new();
        file.write(&mut bytes).unwrap();
        let text = |cell: Vec<u8>| String::from_utf8(cell).unwrap();
        let rows = records(&bytes, b',').into_iter().skip(1);
        found.extend(rows.map(|row| row.into_iter().map(text).collect()));
    }
    found
}

#[test]
fn agents_differ_in_how_long_they_take() {
    let mut waits = BTreeMap::<String, Vec<i64>>::new();
    for row in companion(&SMALL, "agent_chats") {
        let [agent, assigned, answered] = [3, 5, 8].map(|place: usize| row[place].clone());
        if !answered.is_empty() {
            waits.entry(agent).or_default().push(instant(&answered) - instant(&assigned));
        }
    }
    let mean = |agent: &str| {
        let waits = &waits[agent];
        assert!(waits.len() > 20);
        waits.iter().sum::<i64>() / i64::try_from(waits.len()).unwrap() / SECOND
    };
    let [davi, alba, noor] = ["Davi", "Alba", "Noor"].map(mean);
    assert!(davi + 120 < alba && alba + 120 < noor, "{davi} s, {alba} s, {noor} s");
}

#[test]
fn people_are_drawn_for_the_experiment_once() {
    let mut groups = BTreeMap::<String, BTreeSet<String>>::new();
    for row in companion(&SMALL, "audience_tags") {
        if row[1].starts_with("june-") {
            assert_eq!(row[2], "2025-05-26");
            groups.entry(row[1].clone()).or_default().insert(row[0].clone());
        }
    }
    let names: Vec<_> = groups.keys().map(String::as_str).collect();
    assert_eq!(names, ["june-control", "june-treated"]);
    let [control, treated] = names[..] else { panic!("{names:?}") };
    let [control, treated] = [&groups[control], &groups[treated]];
    assert!(control.len() > 80 && treated.len() > 80, "{}, {}", control.len(), treated.len());
    assert!(control.is_disjoint(treated));
    // Nobody is drawn in a plan that ends before.
    let shorter = companion(&Plan { days: 25, ..SMALL }, "audience_tags");
    assert!(!shorter.is_empty() && shorter.iter().all(|row| !row[1].contains('-')));
}
