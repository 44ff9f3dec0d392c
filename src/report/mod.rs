//! The page: a report for managers and analysts, as one HTML file.
//!
//! ```text
//! Period     28 days to the last day that has rows, and the 28 days before
//!   │ ask        queries of the catalog, as `wabalake query` runs them
//!   ▼
//! sections   each names its query and reads columns of the answer
//!   │ charts     SVG that stretches, texts that do not
//!   ▼
//! one file   without network requests: it works offline and prints; or a mail, see [`mail`]
//! ```
//!
//! Texts of exports are untrusted: [`html`] escapes all of them, and the page's content security policy
//! allows only its own script. Only the sections of [`Options::with_people`] contain phone numbers or
//! names of people.

mod answer;
mod charts;
mod conversation;
mod figures;
mod html;
mod mail;
mod rates;
mod sections;
mod tables;

use std::cell::RefCell;

use chrono::{DateTime, Datelike as _, Days, NaiveDate, Utc};
use chrono_tz::Tz;
use polars::prelude::PlHashMap;
use wabalake_data::Table;
use wabalake_data::cells::phone::full_number;
use wabalake_data::tables::{deployments, messages, rates as price_list, sessions};
use wabalake_queries::query::billing::rules::PricingDefaults;
use wabalake_queries::query::{CatalogEntry, Defaults, OutputColumn, Query};

use self::answer::QueryAnswer;
use self::html::Html;
use crate::alerts::Judgements;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::run::polars as engine;

/// The style sheet.
const STYLE: &str = include_str!("page.css");

/// The script: tooltips, sorting, filters.
const SCRIPT: &str = include_str!("page.js");

/// The Base64 of the SHA-256 of [`SCRIPT`], for the content security policy. `make test-page`
/// checks it.
const SCRIPT_HASH: &str = include_str!("page.js.sha256");

/// The maximum number of rows read of an answer.
const MOST_ROWS: u64 = 100_000;

/// The default number of days: whole weeks, so that each weekday occurs equally often.
const DAYS: u64 = 28;

/// The options of the page.
#[derive(Clone, Debug)]
pub struct Options {
    /// The first local date.
    pub from: Option<NaiveDate>,
    /// The last local date.
    pub to: Option<NaiveDate>,
    /// The number of days, if `from` is missing.
    pub days: Option<u32>,
    /// The time zone in which days begin.
    pub timezone: Tz,
    /// Shows the page of this conversation.
    pub conversation: Option<String>,
    /// Only this version of the conversation.
    pub version: Option<i32>,
    /// Shows people: numbers, answers, messages.
    pub with_people: bool,
    /// Shows the history of this person.
    pub phone: Option<String>,
    /// How messages are priced.
    pub pricing: PricingDefaults,
    /// What the alerts judged; it is shown before all else.
    pub alerts: Judgements,
}

impl Options {
    /// The options of the lake settings.
    pub fn of(config: &Config) -> Self {
        Self {
            from: None,
            to: None,
            days: config.page.days,
            timezone: config.timezone.unwrap_or(Tz::UTC),
            conversation: None,
            version: None,
            with_people: false,
            phone: None,
            pricing: config.pricing.defaults(),
            alerts: Judgements::none(Utc::now()),
        }
    }
}

/// Renders the page.
///
/// # Errors
///
/// Dates in the wrong order, people who were not asked for, a lake that cannot be read.
pub fn page(lake: &Lake, options: &Options) -> Result<String> {
    let (title, page, sections) = content(lake, options)?;
    Ok(whole(&title, &page, &sections, options).into_string())
}

/// Renders the page as a mail without sender and recipients, in the format of RFC 5322. Without a
/// subject, it has the page's title and period.
///
/// # Errors
///
/// As [`page`]; people, whom no mail names.
pub fn email(lake: &Lake, options: &Options, subject: Option<&str>) -> Result<Vec<u8>> {
    if options.with_people || options.phone.is_some() {
        return Err(Error::usage("a mail names nobody")
            .hint("leave out `--with-people` and `--phone`, or write a page: `--form page`"));
    }
    let (title, page, sections) = content(lake, options)?;
    mail::message(&title, &page, &sections, subject)
}

/// The title of a page, its context with the answers, and its sections.
fn content<'a>(
    lake: &'a Lake,
    options: &Options,
) -> Result<(String, PageContext<'a>, Vec<Section>)> {
    if options.phone.is_some() && !options.with_people {
        return Err(Error::usage("`--phone` shows a person's history")
            .hint("add `--with-people`, and mind who receives the page"));
    }
    if options.conversation.is_none() && (options.with_people || options.version.is_some()) {
        return Err(Error::usage("people and versions are shown on a conversation's own page")
            .hint("name it: `--conversation-id ID`"));
    }
    if options.phone.as_deref().is_some_and(|phone| full_number(phone).is_none()) {
        return Err(Error::usage("that is no phone number")
            .hint("write it in full, with the country's code: --phone +12025550143"));
    }
    let period = Period::of(lake, options)?;
    let page = PageContext {
        lake,
        period,
        with_people: options.with_people,
        pricing: options.pricing,
        now: Utc::now(),
        known: RefCell::default(),
    };
    let (title, sections) = match &options.conversation {
        Some(id) => (format!("Conversation {id}"), conversation::sections(&page, id, options)?),
        None => ("WhatsApp conversations".to_owned(), sections::sections(&page)?),
    };
    let sections: Vec<Section> =
        sections::alerts(&options.alerts).into_iter().chain(sections).collect();
    Ok((title, page, sections))
}

/// A section of the page.
struct Section {
    /// Its anchor.
    id: &'static str,
    title: &'static str,
    /// What the numbers are, and what counts.
    about: String,
    /// Commands that give the same numbers.
    commands: Vec<String>,
    body: Html,
}

/// Local dates, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Period {
    from: NaiveDate,
    to: NaiveDate,
    zone: Tz,
}

impl Period {
    fn of(lake: &Lake, options: &Options) -> Result<Self> {
        let zone = options.timezone;
        let today = Utc::now().with_timezone(&zone).date_naive();
        let to = match options.to {
            Some(to) => to,
            None => last_day(lake)?.map_or(today, |last| last.min(today)),
        };
        let days = options.days.map_or(DAYS, u64::from).max(1);
        let from = options.from.or_else(|| to.checked_sub_days(Days::new(days - 1))).unwrap_or(to);
        if from > to {
            return Err(Error::usage(format!("the page would begin on {from} and end on {to}"))
                .hint("give `--from` a date that is not after `--to`"));
        }
        Ok(Self { from, to, zone })
    }

    fn days(self) -> u64 {
        u64::try_from((self.to - self.from).num_days()).unwrap_or(0) + 1
    }

    /// The period of the same length just before.
    fn before(self) -> Self {
        let back = Days::new(self.days());
        let back = |date: NaiveDate| date.checked_sub_days(back).unwrap_or(date);
        Self { from: back(self.from), to: back(self.to), ..self }
    }

    /// The dates before one, and the period before without as many at its end. All dates of both if
    /// there are none before it.
    fn until(self, end: Option<NaiveDate>) -> [Self; 2] {
        let before = self.before();
        let last = end.filter(|end| *end > self.from).and_then(|end| end.pred_opt());
        let Some(to) = last.filter(|last| *last < self.to) else { return [self, before] };
        let same = to.checked_sub_days(Days::new(self.days())).unwrap_or(before.to);
        [Self { to, ..self }, Self { to: same, ..before }]
    }

    fn words(self) -> String {
        let (first, last) = (figures::long(self.from), figures::long(self.to));
        match self.days() {
            1 => first,
            days => format!("{first} to {last}, {days} days"),
        }
    }

    /// The step of a time axis, such that it has not too many places.
    fn step(self) -> Step {
        match self.days() {
            0..=92 => Step::Day,
            93..=730 => Step::Week,
            _ => Step::Month,
        }
    }
}

/// The step of a time axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Day,
    Week,
    Month,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The starts of the days, weeks or months that overlap a period.
    fn starts(self, period: Period) -> Vec<NaiveDate> {
        let first = match self {
            Self::Day => Some(period.from),
            Self::Week => {
                let into = u64::from(period.from.weekday().num_days_from_monday());
                period.from.checked_sub_days(Days::new(into))
            }
            Self::Month => period.from.with_day(1),
        };
        let next = |date: &NaiveDate| match self {
            Self::Day => date.succ_opt(),
            Self::Week => date.checked_add_days(Days::new(7)),
            Self::Month => date.checked_add_months(chrono::Months::new(1)),
        };
        let starts = std::iter::successors(first, next);
        starts.take_while(|start| *start <= period.to).collect()
    }
}

/// The last day with sessions, deployments or messages.
fn last_day(lake: &Lake) -> Result<Option<NaiveDate>> {
    let mut last = None;
    for table in [&sessions::TABLE, &deployments::TABLE, &messages::TABLE] {
        last = last.max(last_day_of(lake, table)?);
    }
    Ok(last)
}

/// The last UTC day with rows of a table.
fn last_day_of(lake: &Lake, table: &'static Table) -> Result<Option<NaiveDate>> {
    Ok(lake.snapshot(table)?.files.iter().filter_map(|file| file.day).max())
}

/// The context of a page: its lake and period, and the answers so far.
struct PageContext<'a> {
    lake: &'a Lake,
    period: Period,
    /// `true` allows answers with columns of people.
    with_people: bool,
    pricing: PricingDefaults,
    now: DateTime<Utc>,
    /// Answers so far, by command.
    known: RefCell<PlHashMap<String, QueryAnswer>>,
}

impl PageContext<'_> {
    /// The answer of a query for the period, with further options.
    fn ask<Q: Query>(&self, options: &[&str]) -> Result<QueryAnswer> {
        self.ask_about::<Q>(self.period, options)
    }

    fn ask_about<Q: Query>(&self, period: Period, options: &[&str]) -> Result<QueryAnswer> {
        self.answer(&CatalogEntry::of::<Q>(), period, options)
    }

    /// Returns `true` if the lake has prices of messages.
    fn has_prices(&self) -> Result<bool> {
        Ok(self.lake.snapshot(&price_list::TABLE)?.rows() > 0)
    }

    /// The answers for the period and for the one before.
    fn ask_both<Q: Query>(&self, options: &[&str]) -> Result<[QueryAnswer; 2]> {
        Ok([self.ask::<Q>(options)?, self.ask_about::<Q>(self.period.before(), options)?])
    }

    /// The period and its clock as a sentence.
    fn dates(&self) -> String {
        let zone = self.period.zone.name().replace('_', " ");
        format!("{}. Days begin at midnight in {zone}.", self.period.words())
    }

    /// The program and the time, after "It was ".
    fn made(&self) -> String {
        let now = self.now.with_timezone(&self.period.zone).format("%-d %B %Y at %H:%M");
        format!("made by wabalake {} on {now}", env!("CARGO_PKG_VERSION"))
    }

    fn answer(
        &self,
        entry: &CatalogEntry,
        period: Period,
        options: &[&str],
    ) -> Result<QueryAnswer> {
        let name = entry.spec.name;
        let (from, to) = (Some(period.from), Some(period.to));
        let (timezone, pricing) = (period.zone, self.pricing);
        let defaults = Defaults { timezone, from, to, pricing, ..Defaults::default() };
        let question = entry.ask_for(options, &defaults).map_err(|error| {
            Error::bug(format!("the page passes wrong options to `{name}`: {error}"))
        })?;
        let (from, to) = question.dates();
        let dates = [("--from=", from), ("--to=", to)].into_iter();
        let dates = dates.filter(|(name, _)| !options.iter().any(|given| given.starts_with(name)));
        let dates = dates.filter_map(|(name, date)| Some(format!("{name}{}", date?)));
        let mut arguments = vec![name.to_owned()];
        arguments.extend(dates);
        arguments.push(format!("--timezone={}", question.timezone()));
        arguments.extend(options.iter().map(|option| (*option).to_owned()));
        let command_line = arguments.join(" ");
        if let Some(known) = self.known.borrow().get(&command_line) {
            return Ok(known.clone());
        }
        if !self.with_people && question.columns().iter().any(OutputColumn::names_people) {
            return Err(Error::bug(format!("`{name}` names people on a page that names nobody")));
        }
        let plan = engine::plan(self.lake, &question, Some(MOST_ROWS))?;
        let answered = QueryAnswer {
            query: name,
            columns: question.columns(),
            rows: engine::collect(plan, &question)?,
            zone: period.zone,
            about: entry.spec.question,
            command: format!("wabalake query {command_line}"),
        };
        self.known.borrow_mut().insert(command_line, answered.clone());
        Ok(answered)
    }
}

/// The page around its sections.
fn whole(title: &str, page: &PageContext<'_>, sections: &[Section], options: &Options) -> Html {
    let mut html = Html::new();
    html.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
    html.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; ");
    html.raw("style-src 'unsafe-inline'; script-src 'sha256-").raw(SCRIPT_HASH.trim_ascii_end());
    html.raw("'; base-uri 'none'; form-action 'none'\">\n");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    html.raw("<meta name=\"color-scheme\" content=\"light dark\">\n");
    html.raw("<meta name=\"robots\" content=\"noindex\"><meta name=\"referrer\" content=\"no-referrer\">\n");
    html.raw("<title>").text(title).raw("</title>\n<style>\n").raw(STYLE).raw("</style></head>\n");
    html.raw("<body><a class=\"skip\" href=\"#page\">To the figures</a><header><h1>").text(title);
    html.raw("</h1><p>").text(&page.dates());
    html.raw("</p></header>\n<nav aria-label=\"Sections\">");
    for section in sections {
        html.raw("<a href=\"#")
            .raw(section.id)
            .raw("\">")
            .text(&figures::label(section.id))
            .raw("</a>");
    }
    html.raw("</nav>\n<main id=\"page\">\n");
    for section in sections {
        html.raw("<section id=\"").raw(section.id).raw("\"><h2>").raw(section.title).raw("</h2>");
        if !section.about.is_empty() {
            html.raw("<p class=\"about\">").prose(&section.about).raw("</p>");
        }
        html.add(&section.body);
        if !section.commands.is_empty() {
            html.raw("<details class=\"how\"><summary>Where these figures are from</summary>");
            for command in &section.commands {
                html.raw("<code>").text(command).raw(" --lake …</code>");
            }
            html.raw("</details>");
        }
        html.raw("</section>\n");
    }
    html.raw("</main>\n<footer><p>");
    if options.with_people {
        html.raw(
            "<strong>This page names people.</strong> Pass it on to nobody who need not know. ",
        );
    } else {
        html.raw("This page names nobody. ");
    }
    html.raw("It was ").text(&page.made());
    html.raw(" and asks nothing of any network.</p></footer>\n");
    html.raw("<div id=\"tip\" role=\"status\" hidden></div>\n<script>").raw(SCRIPT);
    html.raw("</script></body></html>\n");
    html
}

#[cfg(test)]
mod tests {
    use wabalake_queries::conversation_users::ConversationUsers;
    use wabalake_queries::drop_off::DropOff;

    use super::*;

    fn period(from: &str, to: &str) -> Period {
        Period { from: from.parse().unwrap(), to: to.parse().unwrap(), zone: Tz::UTC }
    }

    fn page(lake: &Lake) -> PageContext<'_> {
        PageContext {
            lake,
            period: period("2025-05-01", "2025-05-28"),
            with_people: false,
            pricing: PricingDefaults::default(),
            now: Utc::now(),
            known: RefCell::default(),
        }
    }

    #[test]
    fn previous_period_has_the_same_length() {
        let before = period("2025-05-01", "2025-05-28").before();
        assert_eq!(before, period("2025-04-03", "2025-04-30"));
        assert_eq!(before.words(), "3 April 2025 to 30 April 2025, 28 days");
        assert_eq!(period("2025-05-01", "2025-05-01").words(), "1 May 2025");
    }

    #[test]
    fn last_dates_are_left_out_of_both_periods() {
        let whole = period("2025-05-01", "2025-05-28");
        let until = |date: &str| whole.until(date.parse().ok());
        let cut = [period("2025-05-01", "2025-05-26"), period("2025-04-03", "2025-04-28")];
        assert_eq!(until("2025-05-27"), cut);
        let all = [whole, period("2025-04-03", "2025-04-30")];
        for not_within in ["2025-05-29", "2025-06-30", "2025-05-01", "2025-04-01", "never"] {
            assert_eq!(until(not_within), all, "{not_within}");
        }
    }

    #[test]
    fn axis_has_every_step() {
        let starts = |step: Step, from, to| -> Vec<String> {
            step.starts(period(from, to)).iter().map(ToString::to_string).collect()
        };
        assert_eq!(starts(Step::Day, "2025-02-28", "2025-03-01"), ["2025-02-28", "2025-03-01"]);
        assert_eq!(starts(Step::Week, "2025-06-01", "2025-06-02"), ["2025-05-26", "2025-06-02"]);
        assert_eq!(starts(Step::Month, "2024-12-31", "2025-01-01"), ["2024-12-01", "2025-01-01"]);
    }

    #[test]
    fn unknown_query_option_is_a_bug() {
        let folder = tempfile::TempDir::new().unwrap();
        let lake = Lake::create(folder.path()).unwrap();
        let page = page(&lake);
        assert_eq!(page.ask::<DropOff>(&[]).unwrap().height(), 0);
        let error = page.ask::<DropOff>(&["--gone=1"]).err();
        assert_eq!(error.map(|error| error.exit_code()), Some(3));
    }

    #[test]
    fn page_without_people_refuses_queries_about_people() {
        let folder = tempfile::TempDir::new().unwrap();
        let lake = Lake::create(folder.path()).unwrap();
        let page = |with_people| PageContext { with_people, ..page(&lake) };
        assert!(page(true).ask::<ConversationUsers>(&[]).is_ok());
        let error = page(false).ask::<ConversationUsers>(&[]).err();
        assert_eq!(error.map(|error| error.exit_code()), Some(3));
    }

    #[test]
    fn script_and_style_do_not_close_their_tags() {
        assert!(!SCRIPT.contains("</") && !STYLE.contains("</"));
    }
}
