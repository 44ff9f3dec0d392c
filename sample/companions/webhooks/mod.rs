//! Webhooks of Meta, as a receiver of the business stores them: one line of the business, with its messages,
//! their statuses, the user ids of people, and events.
//!
//! No report of a vendor has this line. People are those of the other exports; some hide their number, and
//! only their user id is known. A day has about one message for each hundred sessions, three at least, and
//! one or two changes of templates, limits, preferences or ids. Beside them stands how the promotion
//! wears out.
//!
//! ```text
//! visit      message ─ answer: sent, delivered, read ─ reaction
//! send       template: sent, delivered, read, or failed ─ button
//! ```

mod wear;

use std::collections::BTreeSet;
use std::io;

use wabalake_data::reference::countries;

use super::Companion;
use super::events::one_of;
use crate::Summary;
use crate::company::{FLOWS, Flow, OWN_LINE, PROMOTION, Phrases, SOURCES, phrases};
use crate::episode::SECOND;
use crate::people::{Person, Rhythm};
use crate::random::{Random, hash};

/// Sessions for each visit or send, which have two messages on average.
const SESSIONS_PER_EXCHANGE: u32 = 200;

/// The purpose of the random stream, so that the other exports do not depend on it.
const STREAM: u64 = 11;

/// Meta's id of the line.
const PHONE_NUMBER_ID: &str = "100000000000002";

impl Companion {
    /// Writes a webhook per line, in the order of their times. In a dirty plan some are delivered twice.
    pub(super) fn webhooks(&self, out: &mut impl io::Write) -> io::Result<Summary> {
        let generator = self.plan.generator();
        let rhythms = Rhythm::of_week();
        let mut rows = Rows::default();
        for number in self.days.clone() {
            let stream = hash(&[self.plan.seed, STREAM, number.cast_unsigned()]);
            let mut random = Random::new(stream);
            let midnight = generator.midnight(number) / SECOND;
            let mut person = || {
                let episode = random.below(generator.sends_and_visits(number));
                generator.person(number, episode)
            };
            let exchanges = (self.plan.sessions_per_day / SESSIONS_PER_EXCHANGE).max(2);
            let people: Vec<_> = (0..exchanges).map(|_| person()).collect();
            let [changed, replaced] = [person(), person()];
            let mut day = Day { random, midnight, deliveries: Vec::new(), rows: &mut rows };
            for (index, person) in people.iter().enumerate() {
                let person = Shown::of(person);
                // The answer to a visit never fails, so each day has messages both ways.
                match index == 0 || day.random.chance(600) {
                    true => day.visit(&person),
                    false => day.send(&person),
                }
            }
            day.event(&Shown::of(&changed));
            if day.random.chance(500) {
                day.user_id_update(&replaced);
            }
            day.report_wear(number);
            day.stop_promotion(&self.plan, number, 3 * exchanges, &rhythms);
            day.deliveries.sort();
            for (_, delivery) in &day.deliveries {
                let is_repeated = self.plan.dirt && day.random.chance(50);
                for _ in 0..=u8::from(is_repeated) {
                    writeln!(out, "{delivery}")?;
                }
            }
        }
        out.flush()?;
        Ok(Summary { good: rows.count(), rejected: 0 })
    }
}

/// The rows that a load of the file gives.
#[derive(Default)]
struct Rows {
    messages: u64,
    events: u64,
    /// The user ids and what they are linked to.
    links: BTreeSet<[String; 2]>,
}

impl Rows {
    fn count(&self) -> u64 {
        self.messages + self.events + self.links.len() as u64
    }
}

/// A person as webhooks show them.
struct Shown {
    /// The number, unless the person hides it.
    number: Option<String>,
    user_id: String,
    name: String,
    phrases: &'static Phrases,
}

impl Shown {
    fn of(person: &Person) -> Self {
        let country = person.country();
        let is_hidden = (person.nature >> 48).is_multiple_of(5);
        let national = String::from_utf8_lossy(person.national.digits());
        Self {
            number: (!is_hidden).then(|| format!("{}{national}", country.code)),
            user_id: user_id(person, 0),
            name: format!("Cliente {}", person.nature % 1_000),
            phrases: phrases(country.language),
        }
    }

    /// The members of an object that show the person, under the keys of the number and the user id.
    fn members(&self, number: &str, user_id: &str) -> String {
        let id = format!("\"{user_id}\":\"{}\"", self.user_id);
        match &self.number {
            Some(digits) => format!("\"{number}\":\"{digits}\",{id}"),
            None => id,
        }
    }
}

/// The user id of a person; `before` counts back from the present one.
fn user_id(person: &Person, before: u64) -> String {
    let country = countries::by_name(person.country().name).unwrap_or_default();
    let serial = hash(&[person.nature, STREAM, before]) % 10_000_000_000_000_000;
    format!("{country}.1349{serial:016}")
}

/// The webhooks of a day, with their times in unix seconds.
struct Day<'r> {
    random: Random,
    midnight: i64,
    deliveries: Vec<(i64, String)>,
    rows: &'r mut Rows,
}

/// The outcome of a message to a person.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Delivered,
    Read,
    Failed,
}

impl Day<'_> {
    /// A time of the day after which two hours are left.
    fn time(&mut self) -> i64 {
        self.midnight + 10 * 3600 + self.seconds(0, 12 * 3600)
    }

    fn seconds(&mut self, low: u32, high: u32) -> i64 {
        i64::from(low + self.random.below(high - low))
    }

    /// An id of a message. Meta's spell the person's number; these are random.
    fn message_id(&mut self) -> String {
        self.rows.messages += 1;
        format!("wamid.{:016X}{:016X}", self.random.number(), self.random.number())
    }

    /// Adds a webhook of the line's account with one change.
    fn deliver(&mut self, at: i64, field: &str, value: &str) {
        self.deliver_of(OWN_LINE.waba, at, field, value);
    }

    /// Adds a webhook of an account with one change.
    fn deliver_of(&mut self, account: &str, at: i64, field: &str, value: &str) {
        self.deliveries.push((
            at,
            format!(
                "{{\"object\":\"whatsapp_business_account\",\"entry\":[{{\"id\":\"{account}\",\"time\":{at},\
                 \"changes\":[{{\"field\":\"{field}\",\"value\":{{{value}}}}}]}}]}}"
            ),
        ));
    }

    /// Adds a webhook of the line with one element of the list `key`, and the contact that it is about.
    fn deliver_element(
        &mut self,
        at: i64,
        [field, key]: [&str; 2],
        element: &str,
        contact: Option<&Shown>,
    ) {
        let contacts = contact.map_or_else(String::new, |person| {
            let ids = person.members("wa_id", "user_id");
            format!("\"contacts\":[{{\"profile\":{{\"name\":\"{}\"}},{ids}}}],", person.name)
        });
        let line = OWN_LINE.number;
        let value = format!(
            "\"messaging_product\":\"whatsapp\",\"metadata\":{{\"display_phone_number\":\"{line}\",\
             \"phone_number_id\":\"{PHONE_NUMBER_ID}\"}},{contacts}\"{key}\":[{{{element}}}]"
        );
        self.deliver(at, field, &value);
    }

    /// Notes that a webhook shows the number and the user id of a person.
    fn link(&mut self, person: &Shown) {
        if let Some(number) = &person.number {
            self.rows.links.insert([person.user_id.clone(), number.clone()]);
        }
    }

    /// A message of a person.
    fn incoming(&mut self, person: &Shown, at: i64, content: &str) {
        let id = self.message_id();
        let from = person.members("from", "from_user_id");
        let element = format!("{from},\"id\":\"{id}\",\"timestamp\":\"{at}\",{content}");
        self.deliver_element(at, ["messages", "messages"], &element, Some(person));
        self.link(person);
    }

    /// The statuses of a message to a person. Returns the time of the last one.
    fn statuses(
        &mut self,
        person: &Shown,
        (id, sent): (&str, i64),
        outcome: Outcome,
        details: &str,
    ) -> i64 {
        let delivered = sent + self.seconds(1, 60);
        let read = delivered + self.seconds(5, 1800);
        let statuses = match outcome {
            Outcome::Failed => &[("failed", delivered)][..],
            Outcome::Delivered => &[("sent", sent), ("delivered", delivered)],
            Outcome::Read => &[("sent", sent), ("delivered", delivered), ("read", read)],
        };
        let recipient = person.members("recipient_id", "recipient_user_id");
        let mut last = sent;
        for &(status, at) in statuses {
            let element = format!(
                "\"id\":\"{id}\",\"status\":\"{status}\",\"timestamp\":\"{at}\",{recipient},{details}"
            );
            self.deliver_element(at, ["messages", "statuses"], &element, None);
            last = at;
        }
        self.link(person);
        last
    }

    /// A person writes and gets an answer, some of them from the app of the business.
    fn visit(&mut self, person: &Shown) {
        let at = self.time();
        let said = quoted(one_of(person.phrases.person, self.random.number()));
        let content = match self.random.below(10) {
            0 => "\"type\":\"image\",\"image\":{\"mime_type\":\"image/jpeg\"}".to_owned(),
            1 | 2 => {
                let source = self.random.one_of(&SOURCES);
                let kind = if source.is_ad { "ad" } else { "post" };
                let click = self.random.number();
                format!(
                    "\"type\":\"text\",\"text\":{{\"body\":{said}}},\"referral\":{{\"source_type\":\
                     \"{kind}\",\"source_id\":\"{}\",\"headline\":{},\"ctwa_clid\":\"A{click:016x}\"}}",
                    source.id,
                    quoted(source.headline)
                )
            }
            _ => format!("\"type\":\"text\",\"text\":{{\"body\":{said}}}"),
        };
        self.incoming(person, at, &content);
        let sent = at + self.seconds(3, 600);
        let id = self.message_id();
        if self.random.chance(300) {
            let text = quoted(one_of(person.phrases.agent, self.random.number()));
            let to = person.members("to", "to_user_id");
            let echo = format!(
                "\"from\":\"{}\",{to},\"id\":\"{id}\",\"timestamp\":\"{sent}\",\"type\":\"text\",\
                 \"text\":{{\"body\":{text}}}",
                OWN_LINE.number
            );
            self.deliver_element(sent, ["smb_message_echoes", "message_echoes"], &echo, None);
        }
        let outcome = if self.random.chance(700) { Outcome::Read } else { Outcome::Delivered };
        let free = pricing("free_customer_service", "service");
        let last = self.statuses(person, (&id, sent), outcome, &free);
        if outcome == Outcome::Read && self.random.chance(150) {
            let reaction = format!(
                "\"type\":\"reaction\",\"reaction\":{{\"message_id\":\"{id}\",\"emoji\":\"👍\"}}"
            );
            let at = last + self.seconds(2, 300);
            self.incoming(person, at, &reaction);
        }
    }

    /// The business sends a template, and some people press its button.
    fn send(&mut self, person: &Shown) {
        let at = self.time();
        let id = self.message_id();
        let flow = self.template();
        let outcome = match self.random.below(100) {
            0..8 => Outcome::Failed,
            8..35 => Outcome::Delivered,
            _ => Outcome::Read,
        };
        let order =
            format!("\"biz_opaque_callback_data\":\"order-{}\"", self.random.below(100_000));
        let details = match outcome {
            Outcome::Failed => format!(
                "{order},\"errors\":[{{\"code\":131026,\"title\":\"Message undeliverable\"}}]"
            ),
            _ => format!("{order},{}", pricing("regular", flow.category)),
        };
        let last = self.statuses(person, (&id, at), outcome, &details);
        if outcome == Outcome::Read && self.random.chance(500) {
            let button = format!(
                "\"context\":{{\"from\":\"{}\",\"id\":\"{id}\"}},\"type\":\"button\",\"button\":\
                 {{\"text\":\"Sí\",\"payload\":\"{}\"}}",
                OWN_LINE.number, flow.nodes[1]
            );
            let at = last + self.seconds(2, 900);
            self.incoming(person, at, &button);
        }
    }

    /// A flow that begins with a template.
    fn template(&mut self) -> &'static Flow {
        let number = FLOWS.iter().filter(|flow| !flow.template.is_empty()).count();
        &FLOWS[self.random.index(number)]
    }

    /// An event of a template, the line, the account or a person.
    fn event(&mut self, person: &Shown) {
        self.rows.events += 1;
        let at = self.time();
        let flow = match self.template() {
            // Its events tell how it wears out.
            flow if flow.id == FLOWS[PROMOTION].id => &FLOWS[PROMOTION + 1],
            flow => flow,
        };
        let line = OWN_LINE.number;
        let (field, value) = match self.random.below(20) {
            0..8 => {
                let wish = if self.random.chance(700) { "stop" } else { "resume" };
                return self.preference(person, wish, at);
            }
            8..12 => {
                let [status, reason] = self.random.one_of(&[
                    ["APPROVED", "NONE"],
                    ["PAUSED", "NONE"],
                    ["REJECTED", "INVALID_FORMAT"],
                    ["APPROVED", "NONE"],
                ]);
                status_update(flow, status, reason)
            }
            12..15 => {
                let scores = self.random.one_of(&[
                    ["GREEN", "YELLOW"],
                    ["YELLOW", "RED"],
                    ["YELLOW", "GREEN"],
                ]);
                quality_update(flow, scores)
            }
            15 | 16 => {
                let value = format!(
                    "\"previous_category\":\"UTILITY\",\"new_category\":\"MARKETING\",{}",
                    template_members(flow)
                );
                ("template_category_update", value)
            }
            17 => (
                "phone_number_quality_update",
                format!(
                    "\"display_phone_number\":\"{line}\",\"event\":\"UPGRADE\",\"old_limit\":\"TIER_1K\",\
                     \"current_limit\":\"TIER_10K\""
                ),
            ),
            18 => {
                let value = "\"max_daily_conversation_per_phone\":10000".to_owned();
                ("business_capability_update", value)
            }
            _ => {
                let value = format!(
                    "\"event\":\"VOLUME_BASED_PRICING_TIER_UPDATE\",\"volume_tier_info\":{{\
                     \"tier_update_time\":{at},\"pricing_category\":\"UTILITY\",\"tier\":\"25001:100000\",\
                     \"effective_month\":\"{}\",\"region\":\"COLOMBIA\"}}",
                    month(at)
                );
                ("account_update", value)
            }
        };
        self.deliver(at, field, &value);
    }

    /// A person stops marketing messages, or resumes them: the `wish`.
    fn preference(&mut self, person: &Shown, wish: &str, at: i64) {
        let ids = person.members("wa_id", "user_id");
        let element = format!(
            "{ids},\"category\":\"marketing_messages\",\"value\":\"{wish}\",\
             \"detail\":\"User requested to {wish} marketing messages\",\"timestamp\":{at}"
        );
        let parts = ["user_preferences", "user_preferences"];
        self.deliver_element(at, parts, &element, Some(person));
        self.link(person);
    }

    /// A person has another user id.
    fn user_id_update(&mut self, person: &Person) {
        let at = self.time();
        let previous = user_id(person, 1);
        let person = Shown::of(person);
        let current = &person.user_id;
        let number = person.number.as_ref();
        let number = number.map_or_else(String::new, |digits| format!("\"wa_id\":\"{digits}\","));
        let element = format!(
            "{number}\"user_id\":{{\"previous\":\"{previous}\",\"current\":\"{current}\"}},\
             \"timestamp\":\"{at}\""
        );
        let parts = ["user_id_update", "user_id_update"];
        self.deliver_element(at, parts, &element, Some(&person));
        self.link(&person);
        self.rows.links.insert([person.user_id, previous]);
    }
}

/// A change of a template's status: the field of a webhook and its value.
fn status_update(flow: &Flow, status: &str, reason: &str) -> (&'static str, String) {
    let template = template_members(flow);
    let value = format!("\"event\":\"{status}\",\"reason\":\"{reason}\",{template}");
    ("message_template_status_update", value)
}

/// A change of a template's quality score: the field of a webhook and its value.
fn quality_update(flow: &Flow, [before, after]: [&str; 2]) -> (&'static str, String) {
    let template = template_members(flow);
    let value = format!(
        "\"previous_quality_score\":\"{before}\",\"new_quality_score\":\"{after}\",{template}"
    );
    ("message_template_quality_update", value)
}

/// The members of an object that show the template of a flow.
fn template_members(flow: &Flow) -> String {
    format!(
        "\"message_template_id\":{},\"message_template_name\":\"{}\",\"message_template_language\":\"es\"",
        100_000_000_000_000 + u64::from(flow.id),
        flow.template
    )
}

/// The price of a message, as statuses have it.
fn pricing(kind: &str, category: &str) -> String {
    let is_billable = kind == "regular";
    format!(
        "\"pricing\":{{\"billable\":{is_billable},\"pricing_model\":\"PMP\",\"type\":\"{kind}\",\
         \"category\":\"{category}\"}}"
    )
}

/// Formats the month of an instant in unix seconds, such as `2025-05`.
fn month(at: i64) -> String {
    chrono::DateTime::from_timestamp_secs(at).unwrap_or_default().format("%Y-%m").to_string()
}

/// Formats a text as JSON.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}
