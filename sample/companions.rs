//! The files that go with a plan's exports: the vendors' own counts, events, spend, and what a
//! business knows by itself.
//!
//! They are of the same episodes: Kaleyra's summaries and Meta's points count what the messages
//! tell, closings close the sessions, conversions and answers name them, spend is on the ads that
//! brought people. Of a clean plan the counts are exact; a dirty one's exports lack what a loader
//! must refuse, and misspell some words.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::ops::Range;
use std::rc::Rc;

use chrono::{DateTime, Datelike as _, NaiveDate, SecondsFormat};

use super::card::RATES;
use super::company::{LINES, SOURCES};
use super::ledger::{Charge, Ledger, Route, alpha_2};
use super::people::COUNTRIES;
use super::random::{hash, mix};
use super::story::{HOUR, Id, MINUTE, SECOND, Session, Story};
use super::{Plan, Summary};
use wabalake_data::tables::{
    Table, ad_spend, audience_tags, closures, conversions, message_summaries, meta_points, rates,
    session_summaries, variables,
};

/// A file that goes with a plan's exports. It is UTF-8 and not compressed.
#[derive(Clone, Debug)]
pub struct Companion {
    /// Its name.
    pub name: String,
    /// The table that it is of.
    pub table: &'static Table,
    what: What,
    plan: Plan,
    days: Range<i64>,
    /// Of an even download.
    even: bool,
    /// Worked out once for all files of a download.
    ledger: Rc<OnceCell<Ledger>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    MessageSummary,
    SessionSummary,
    ConversationSummary,
    Closures,
    Analytics,
    ConversationAnalytics,
    PricingAnalytics,
    TemplateAnalytics,
    AdSpend,
    Conversions,
    Tags,
    Variables,
    Rates,
}

/// What a download brings, with the names of the files.
const DOWNLOADED: [(What, &str, &str, &Table); 12] = [
    (What::MessageSummary, "kaleyra_summary_messages", "csv", &message_summaries::TABLE),
    (What::SessionSummary, "kaleyra_summary_sessions", "csv", &session_summaries::TABLE),
    (What::ConversationSummary, "kaleyra_summary_conversations", "csv", &session_summaries::TABLE),
    (What::Closures, "session_close", "jsonl", &closures::TABLE),
    (What::Analytics, "meta_analytics", "jsonl", &meta_points::TABLE),
    (What::ConversationAnalytics, "meta_conversation_analytics", "jsonl", &meta_points::TABLE),
    (What::PricingAnalytics, "meta_pricing_analytics", "jsonl", &meta_points::TABLE),
    (What::TemplateAnalytics, "meta_template_analytics", "jsonl", &meta_points::TABLE),
    (What::AdSpend, "ads_manager", "csv", &ad_spend::TABLE),
    (What::Conversions, "conversions", "csv", &conversions::TABLE),
    (What::Tags, "audience_tags", "csv", &audience_tags::TABLE),
    (What::Variables, "variables", "csv", &variables::TABLE),
];

/// Of a thousand sessions in which a person wrote, those that led to a purchase.
const PURCHASES: u64 = 180;

impl Plan {
    /// The files that go with the exports, the earliest download first; the rate card comes last.
    ///
    /// ```
    /// use wabalake_sample::Plan;
    /// let plan = Plan { days: 40, sessions_per_day: 20, ..Plan::default() };
    /// let names: Vec<_> = plan.companions().map(|file| file.name).collect();
    /// assert_eq!(names[0], "kaleyra_summary_messages_2025_05_31.csv");
    /// assert_eq!(names.last().unwrap(), "rates.csv");
    /// assert_eq!(names.len(), 2 * 12 + 1);
    /// ```
    pub fn companions(&self) -> impl Iterator<Item = Companion> {
        let plan = *self;
        let downloads = self.downloads();
        let all = 0..self.end();
        let files = downloads.into_iter().enumerate().flat_map(move |(place, days)| {
            let ledger = Rc::default();
            let made_on = plan.date(days.end).unwrap_or(NaiveDate::MAX).format("%Y_%m_%d");
            let made_on = made_on.to_string();
            DOWNLOADED.into_iter().map(move |(what, stem, suffix, table)| Companion {
                name: format!("{stem}_{made_on}.{suffix}"),
                table,
                what,
                plan,
                days: days.clone(),
                even: place % 2 == 0,
                ledger: Rc::clone(&ledger),
            })
        });
        let card = Companion {
            name: "rates.csv".to_owned(),
            table: &rates::TABLE,
            what: What::Rates,
            plan,
            days: all,
            even: true,
            ledger: Rc::default(),
        };
        files.chain((self.days > 0).then_some(card))
    }
}

impl Companion {
    /// Writes the file, and tells how many rows a load of it gives.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl io::Write) -> io::Result<Summary> {
        let mut text = String::new();
        let good = match self.what {
            What::MessageSummary => self.message_summary(&mut text),
            What::SessionSummary => self.session_summary(false, &mut text),
            What::ConversationSummary => self.session_summary(true, &mut text),
            What::Analytics => self.analytics(&mut text),
            What::ConversationAnalytics => self.conversation_analytics(&mut text),
            What::PricingAnalytics => self.pricing_analytics(&mut text),
            What::TemplateAnalytics => self.template_analytics(&mut text),
            What::AdSpend => self.ad_spend(&mut text),
            What::Rates => card(&mut text),
            What::Closures | What::Conversions | What::Tags | What::Variables => {
                return self.of_sessions(out);
            }
        };
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(Summary { good, rejected: 0 })
    }

    /// What was known when the file was made.
    fn horizon(&self) -> i64 {
        let known = if self.plan.dirt { self.days.end } else { self.plan.end() };
        self.plan.teller().midnight(known)
    }

    fn ledger(&self) -> &Ledger {
        self.ledger.get_or_init(|| Ledger::of(&self.plan, &self.days, self.horizon()))
    }

    /// `May 01, 2025`
    fn printed(&self, day: i64) -> String {
        self.plan.date(day).unwrap_or_default().format("\"%b %d, %Y\"").to_string()
    }

    fn message_summary(&self, out: &mut String) -> u64 {
        let campaign = if self.even { "" } else { "CAMPAIGN NAME," };
        line(
            out,
            format_args!(
                "DATE,WABA ID,WA PHONE NUMBER,DISPLAY NAME,{campaign}COUNTRY,MESSAGE TYPE,CREATED,FAILED,SENT,\
             DELIVERED,READ,RECEIVED"
            ),
        );
        let campaign = if self.even { "" } else { "-," };
        let mut rows = 0;
        for ((day, route, kind), count) in &self.ledger().messages {
            let start =
                format!("{},{}{campaign}{}", self.printed(*day), of_line(*route), country(*route));
            let counts = if kind.starts_with("Incoming") {
                format!("-,-,-,-,-,{}", count.received)
            } else {
                let [created, failed] = [count.created, count.failed];
                format!("{created},{failed},{},{},{},-", count.sent, count.delivered, count.read)
            };
            line(out, format_args!("{start},{kind},{counts}"));
            rows += 1;
        }
        rows
    }

    /// Lines whose conversations go by category have the newer report.
    fn session_summary(&self, by_category: bool, out: &mut String) -> u64 {
        line(
            out,
            format_args!(
                "{}",
                if by_category {
                    "DATE,WABA ID,WA PHONE,DISPLAY NAME,CAMPAIGN NAME,DESTINATION,CONVERSATION CATEGORY,FREE TIER,\
             NUMBER OF SESSIONS,AMOUNT"
                } else {
                    "DATE,WABA ID,WA PHONE NUMBER,DISPLAY NAME,COUNTRY,SESSION TYPE,FREE TIER,NUMBER OF SESSIONS,\
             AMOUNT ($)"
                }
            ),
        );
        let campaign = if by_category { "-," } else { "" };
        let mut rows = 0;
        for ((day, route, of, is_free), charge) in &self.ledger().conversations {
            if LINES[route.0].by_category != by_category {
                continue;
            }
            let of = match *of {
                "business_initiated" => "Business-initiated",
                "user_initiated" => "User-initiated",
                "referral_conversion" if !by_category => "Referral",
                category => category,
            };
            let free = if *is_free { "Yes" } else { "No" };
            let amount = charge.millionths.map_or("-".to_owned(), amount);
            line(
                out,
                format_args!(
                    "{},{}{campaign}{},{of},{free},{},{amount}",
                    self.printed(*day),
                    of_line(*route),
                    country(*route),
                    charge.count
                ),
            );
            rows += 1;
        }
        rows
    }

    /// Writes a response for each account, a line each.
    fn responses(
        field: &str,
        before: impl Fn(&str) -> String,
        points: &BTreeMap<&'static str, Vec<String>>,
        out: &mut String,
    ) -> u64 {
        let mut rows = 0;
        for (account, points) in points {
            rows += points.len() as u64;
            let points = points.join(",");
            let inner = format!("{}\"data_points\":[{points}]", before(account));
            let answer = if field == meta_points::FIELDS[0] {
                format!("{{{inner}}}")
            } else {
                format!("{{\"data\":[{{{inner}}}]}}")
            };
            line(out, format_args!("{{\"{field}\":{answer},\"id\":\"{account}\"}}"));
        }
        rows
    }

    /// `"start":…,"end":…` of a day.
    fn bucket(&self, day: i64) -> String {
        let seconds = |day| self.plan.teller().midnight(day) / SECOND;
        format!("\"start\":{},\"end\":{}", seconds(day), seconds(day + 1))
    }

    fn analytics(&self, out: &mut String) -> u64 {
        let mut sums = BTreeMap::<(&str, i64), [u64; 2]>::new();
        for ((day, route, _), count) in &self.ledger().messages {
            let [sent, delivered] = sums.entry((LINES[route.0].waba, *day)).or_default();
            *sent += count.sent;
            *delivered += count.delivered;
        }
        let mut points = BTreeMap::<&'static str, Vec<String>>::new();
        for ((account, day), [sent, delivered]) in sums {
            if sent + delivered > 0 {
                points.entry(account).or_default().push(format!(
                    "{{{},\"sent\":{sent},\"delivered\":{delivered}}}",
                    self.bucket(day)
                ));
            }
        }
        let quoted = |texts: BTreeSet<&str>| {
            texts.into_iter().map(|text| format!("\"{text}\"")).collect::<Vec<_>>().join(",")
        };
        let countries: BTreeSet<_> =
            (0..COUNTRIES.len()).map(|place| alpha_2((0, place))).collect();
        let before = |account: &str| {
            let lines = LINES.iter().filter(|line| line.waba == account).map(|line| line.number);
            let (lines, countries) = (quoted(lines.collect()), quoted(countries.clone()));
            format!(
                "\"phone_numbers\":[{lines}],\"country_codes\":[{countries}],\"granularity\":\"DAY\","
            )
        };
        Self::responses(meta_points::FIELDS[0], before, &points, out)
    }

    fn conversation_analytics(&self, out: &mut String) -> u64 {
        let mut points = BTreeMap::<&'static str, Vec<String>>::new();
        for ((day, route, of, is_free), charge) in &self.ledger().conversations {
            let kind = match *of {
                "referral_conversion" => "FREE_ENTRY_POINT",
                _ if *is_free => "FREE_TIER",
                _ => "REGULAR",
            };
            let direction = match *of {
                "referral_conversion" => "UNKNOWN",
                "user_initiated" | "service" => "USER_INITIATED",
                _ => "BUSINESS_INITIATED",
            };
            let category = match *of {
                "user_initiated" | "referral_conversion" => "SERVICE".to_owned(),
                "business_initiated" => "UNKNOWN".to_owned(),
                category => category.to_uppercase(),
            };
            points.entry(LINES[route.0].waba).or_default().push(format!(
                "{{{},\"conversation\":{},{},\"conversation_type\":\"{kind}\",\"conversation_direction\":\
                 \"{direction}\",\"conversation_category\":\"{category}\"{}}}",
                self.bucket(*day), charge.count, place(*route), cost(charge)
            ));
        }
        Self::responses(meta_points::FIELDS[1], |_| String::new(), &points, out)
    }

    fn pricing_analytics(&self, out: &mut String) -> u64 {
        let mut points = BTreeMap::<&'static str, Vec<String>>::new();
        for ((day, (route, category, of, tier)), charge) in &self.ledger().volumes {
            let tier =
                if tier.is_empty() { String::new() } else { format!(",\"tier\":\"{tier}\"") };
            points.entry(LINES[route.0].waba).or_default().push(format!(
                "{{{},{}{tier},\"pricing_type\":\"{of}\",\"pricing_category\":\"{category}\",\"volume\":{}{}}}",
                self.bucket(*day), place(*route), charge.count, cost(charge)
            ));
        }
        Self::responses(meta_points::FIELDS[2], |_| String::new(), &points, out)
    }

    fn template_analytics(&self, out: &mut String) -> u64 {
        let mut points = BTreeMap::<&'static str, Vec<String>>::new();
        for ((day, account, template), count) in &self.ledger().templates {
            points.entry(account).or_default().push(format!(
                "{{\"template_id\":\"{template}\",{},\"sent\":{},\"delivered\":{},\"read\":{}}}",
                self.bucket(*day),
                count.sent,
                count.delivered,
                count.read
            ));
        }
        let before = |_: &str| "\"granularity\":\"DAILY\",".to_owned();
        Self::responses(meta_points::FIELDS[3], before, &points, out)
    }

    /// Day by day in English; in every second download in Spanish, with decimal commas.
    fn ad_spend(&self, out: &mut String) -> u64 {
        let ads = || SOURCES.iter().filter(|source| source.is_ad);
        let cents =
            |id: u64, day: i64| 300 + hash(&[self.plan.seed, 4, id, day.cast_unsigned()]) % 4_000;
        let total: u64 =
            self.days.clone().flat_map(|day| ads().map(move |ad| cents(ad.id, day))).sum();
        let dates =
            [self.days.start, self.days.end - 1].map(|day| self.plan.date(day).unwrap_or_default());
        // Of days that are all no more than months, nobody could tell which is which.
        let mut all = self.days.clone().filter_map(|day| self.plan.date(day));
        let is_clear = all.any(|date| date.day() > 12);
        let mut rows = 0;
        if self.even {
            line(
                out,
                format_args!(
                    "Reporting starts,Reporting ends,Campaign name,Ad name,Ad ID,Amount spent (USD)"
                ),
            );
            let [first, last] = dates;
            line(out, format_args!("{first},{last},,,,{}.{:02}", total / 100, total % 100));
        } else {
            line(
                out,
                format_args!(
                    "Día;Nombre de la campaña;Nombre del anuncio;Identificador del anuncio;Importe gastado (USD)"
                ),
            );
        }
        for day in self.days.clone() {
            let date = self.plan.date(day).unwrap_or_default();
            for ad in ads() {
                let cents = cents(ad.id, day);
                let (id, whole, rest) = (ad.id, cents / 100, cents % 100);
                let name = if ad.is_video { "Video" } else { "Imagen" };
                let campaign = ad.headline;
                if self.even {
                    line(
                        out,
                        format_args!("{date},{date},\"{campaign}\",{name},{id},{whole}.{rest:02}"),
                    );
                } else {
                    let date = date.format(if is_clear { "%d/%m/%Y" } else { "%Y-%m-%d" });
                    line(out, format_args!("{date};{campaign};{name};{id};{whole},{rest:02}"));
                }
                rows += 1;
            }
        }
        rows
    }

    /// Files with a row for some of the sessions, or for their people.
    fn of_sessions(&self, out: &mut impl io::Write) -> io::Result<Summary> {
        let mut text = String::new();
        match self.what {
            What::Conversions => {
                text.push_str("conversion_id,event,converted_at,session_id,phone,value,currency\n");
            }
            What::Tags => text.push_str("phone,tag,since\n"),
            What::Variables => text.push_str("session_id,phone,conversation_id,name,value,at\n"),
            _ => {}
        }
        let teller = self.plan.teller();
        let horizon = self.horizon();
        let instants = teller.midnight(self.days.start)..teller.midnight(self.days.end);
        let mut tagged = BTreeSet::new();
        let mut story = teller.blank();
        let mut good = 0;
        for day in (self.days.start - 1).max(0)..self.days.end {
            let rhythm = teller.rhythm(day);
            for episode in 0..teller.episodes(day) {
                teller.tell(day, episode, &rhythm, &mut story);
                for (place, session) in story.sessions.iter().enumerate() {
                    if !instants.contains(&session.start) || session.start >= horizon {
                        continue;
                    }
                    good += match self.what {
                        What::Closures => closure(&story, place, session, horizon, &mut text),
                        What::Conversions => conversion(&story, place, session, horizon, &mut text),
                        What::Variables => variable(&story, place, session, horizon, &mut text),
                        _ => tags(&story, &mut tagged, &mut text),
                    };
                }
            }
            out.write_all(text.as_bytes())?;
            text.clear();
        }
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(Summary { good, rejected: 0 })
    }
}

/// Appends a line.
fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = writeln!(out, "{text}");
}

/// `WABA ID,WA PHONE NUMBER,DISPLAY NAME,`
fn of_line((line, _): Route) -> String {
    let line = &LINES[line];
    format!("{},{},\"{}\",", line.waba, line.number, line.display_name)
}

fn country((_, country): Route) -> &'static str {
    COUNTRIES[country].name
}

/// A point's line and country.
fn place(route: Route) -> String {
    format!("\"phone_number\":\"{}\",\"country\":\"{}\"", LINES[route.0].number, alpha_2(route))
}

/// A point's cost, if it has one.
fn cost(charge: &Charge) -> String {
    charge.millionths.map(|sum| format!(",\"cost\":{}", amount(sum))).unwrap_or_default()
}

/// Millionths as an amount.
fn amount(millionths: i64) -> String {
    let text = format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn card(out: &mut String) -> u64 {
    line(out, format_args!("effective_from,country,category,tier_from,price,currency,revision"));
    for rate in &RATES {
        line(
            out,
            format_args!(
                "{},{},{},{},{},{},0",
                rate.first_day(),
                rate.country,
                rate.category,
                rate.tier_from,
                amount(rate.price),
                rate.currency
            ),
        );
    }
    RATES.len() as u64
}

/// `2025-05-01T18:52:30.511000Z`
fn stamp(at: i64) -> String {
    DateTime::from_timestamp_micros(at)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn hex([high, low]: [u64; 2]) -> String {
    format!("{high:016x}{low:016x}")
}

/// An id that belongs to another one.
fn id_from(id: [u64; 2], of: u64) -> String {
    hex(id.map(|half| mix(half ^ hash(&[of]))))
}

fn closure(story: &Story, place: usize, session: &Session, horizon: i64, out: &mut String) -> u64 {
    let Some(finish) = session.finish.filter(|at| at + SECOND < horizon) else { return 0 };
    let id = story.id(Id::Session(place));
    let person = &story.person;
    let number = String::from_utf8_lossy(person.national.digits());
    let hsm = match &story.deployment {
        Some(sent) => format!("{{\"name\":\"{}\"}}", sent.flow.template),
        None => "null".to_owned(),
    };
    line(
        out,
        format_args!(
            "{{\"event_id\":\"{}\",\"timestamp\":\"{}\",\"event_type\":\"session.close\",\"session\":\
         {{\"external_id\":\"{}\",\"closed_at\":\"{}\"}},\"user\":{{\"country_code\":\"+{}\",\
         \"cellphone\":\"{number}\"}},\"hsm\":{hsm}}}",
            id_from(id, 5),
            stamp(finish + SECOND),
            hex(id),
            stamp(finish),
            person.country().code
        ),
    );
    1
}

fn conversion(
    story: &Story,
    place: usize,
    session: &Session,
    horizon: i64,
    out: &mut String,
) -> u64 {
    let Some(last) = session.last else { return 0 };
    let whim = mix(story.habit(Id::Session(place)) ^ 6);
    let at = last.at
        + 10 * MINUTE
        + i64::try_from(whim >> 32).unwrap_or(0) % (60 * HOUR / SECOND) * SECOND;
    if whim % 1000 >= PURCHASES || at >= horizon {
        return 0;
    }
    let id = story.id(Id::Session(place));
    let country = story.person.country();
    let (currency, unit) = match country.code {
        "57" => ("COP", 4_000),
        "52" => ("MXN", 20),
        "55" => ("BRL", 5),
        _ => ("USD", 1),
    };
    let value = unit * (10 + whim / 1000 % 90);
    let number = String::from_utf8_lossy(story.person.national.digits());
    // The shop's till knows the session; its site knows the person.
    let whose = if (whim / 7).is_multiple_of(2) {
        format!("{},", hex(id))
    } else {
        format!(",{}{number}", country.code)
    };
    let id = &id_from(id, 6)[..12];
    line(out, format_args!("{id},purchase,{},{whose},{value}.00,{currency}", stamp(at)));
    1
}

fn variable(story: &Story, place: usize, session: &Session, horizon: i64, out: &mut String) -> u64 {
    let Some(last) = session.last.filter(|last| last.at < horizon) else { return 0 };
    let whim = story.habit(Id::Session(place)) >> 20;
    // The last question that was answered.
    let mut answered = session.flow.nodes[..=session.node].iter().rev();
    let said = answered.find_map(|node| Some((node, answer(node, whim)?)));
    let Some((node, value)) = said else { return 0 };
    let value = value.replace('"', "\"\"");
    let id = hex(story.id(Id::Session(place)));
    line(out, format_args!("{id},,{},{node},\"{value}\",{}", session.flow.id, stamp(last.at)));
    1
}

/// What a person says to a node that asks something.
fn answer(node: &str, whim: u64) -> Option<&'static str> {
    let answers: &[&str] = match node {
        "city" => &["Bogotá", "Medellín", "Ciudad de México", "São Paulo"],
        "score" => &["1", "2", "3", "4", "5"],
        "size" => &["S", "M", "L"],
        "coupon" => &["LUZ, \"10%\"", ""],
        "topic" => &["precio", "envío", " otro "],
        "reason" => &["talla", "color", "-"],
        _ => return None,
    };
    Some(one_of(answers, whim))
}

fn one_of(list: &[&'static str], whim: u64) -> &'static str {
    let place = whim % list.len() as u64;
    list[usize::try_from(place).unwrap_or(0)]
}

fn tags(story: &Story, tagged: &mut BTreeSet<String>, out: &mut String) -> u64 {
    let person = &story.person;
    let since = match person.nature >> 20 & 3 {
        0 => "",
        1 => "2025-01-01",
        _ => "2025-05-10",
    };
    let tag = match person.nature >> 8 & 15 {
        0 | 1 => "vip",
        2 => "mayorista",
        3..6 => "newsletter",
        _ => return 0,
    };
    let phone =
        format!("{}{}", person.country().code, String::from_utf8_lossy(person.national.digits()));
    if !tagged.insert(phone.clone()) {
        return 0;
    }
    line(out, format_args!("{phone},{tag},{since}"));
    1
}
