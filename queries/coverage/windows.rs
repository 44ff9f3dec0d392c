//! `coverage --windows`: the exports to ask for, and the calls of Meta's API.
//!
//! ```text
//! sessions     rows on 1 to 4 June, one of the 3rd open; today is the 10th
//!   new        5 to 9 June       no rows
//!   again      3 June            open sessions
//! meta_points  analytics of account 1001, stored until 8 June
//!   new        8 to 9 June       analytics     /1001?fields=analytics.start(…).end(…).granularity(DAY)
//! ```

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{Days, NaiveDate, TimeDelta};
use chrono_tz::Tz;
use polars::prelude::{
    Column, DataFrame, OptFlags, Schema, SchemaRef, UnionArgs, UniqueKeepStrategy, concat,
    concat_lf_diagonal,
};
use wabalake_data::Table;
use wabalake_data::tables::deployments::DEPLOYMENT_TIMESTAMP;
use wabalake_data::tables::meta_points::{self, END, FIELD, TEMPLATE_ID, WABA_ID};
use wabalake_data::tables::{events, instant, messages, sessions};

use super::{
    BY_WINDOWS, DAY, Params, TABLE, Window, dates, in_windows, loaded_days, loaded_windows,
    local_day, windows,
};
use crate::query::meta::Field;
use crate::query::meta::units::{Analytics, ConversationAnalytics, PricingAnalytics};
use crate::query::prelude::*;
use crate::query::time::{self, SECOND, day_start, instant_literal};
use crate::template_analytics::TemplateAnalytics;

/// `new` or `again`.
pub const ACTION: &str = "action";
/// First day to export.
pub const FROM: &str = "from";
/// Last day to export.
pub const TO: &str = "to";
/// Days in between that need the export.
const DAYS: &str = "days";
/// Why they need it; of Meta's figures the field.
pub const REASON: &str = "reason";
/// The call of Meta's API that fetches them: path and query, without host and token.
const CALL: &str = "call";
/// The day from which Meta no longer keeps the first of them.
const EXPIRES_ON: &str = "expires_on";

const ACTIONS: [&str; 2] = [NEW, AGAIN];
const NEW: &str = "new";
/// The action of an export whose rows may still change.
pub const AGAIN: &str = "again";

/// Whether a row of the day may still change.
const MAY_CHANGE: &str = "may_change";
/// The local date of the greatest end of a field's points.
const STORED_UNTIL: &str = "stored_until";
/// Templates in one call.
const TEMPLATES_AT_ONCE: usize = 10;
/// Days before today of which Meta may still count clicks and reads of templates.
const STILL_COUNTING_DAYS: u64 = 7;

/// The shape of the answer.
pub(super) fn shape() -> Shape {
    Shape {
        columns: vec![
            OutputColumn::term(TABLE),
            OutputColumn::word(ACTION),
            OutputColumn::date(FROM),
            OutputColumn::date(TO),
            OutputColumn::count(DAYS),
            OutputColumn::term(REASON),
            OutputColumn::term(CALL),
            OutputColumn::date(EXPIRES_ON),
        ],
        key: vec![TABLE, ACTION, FROM, CALL],
        order: vec![
            Order::Ascending(TABLE),
            Order::Listed(ACTION, &ACTIONS),
            Order::Ascending(FROM),
            Order::Ascending(CALL),
        ],
        sql: Cow::Borrowed(include_str!("windows.sql")),
    }
}

/// The plan of the windows.
pub(super) fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
    let mut found = vec![calls(tables, params)?];
    for table in BY_WINDOWS {
        found.push(exports(tables, table, params)?);
    }
    concat(found, UnionArgs::default())
}

/// Binds the parameters of the twin.
pub(super) fn bind(params: &Params, bindings: Bindings) -> Bindings {
    let rows = FIELDS.iter().map(|field| {
        format!(
            "('{}', '{}', '{}', {})",
            field.name,
            field.granularity,
            field.dimensions(),
            field.first_days
        )
    });
    bindings
        .integer("again_days", params.again_days())
        .list("waba", params.waba.allowed())
        .integer("keeps_days", params.keeps_days(false))
        .integer("keeps_template_days", params.keeps_days(true))
        .slot("fields", rows.collect::<Vec<_>>().join(",\n        "))
}

impl Params {
    fn keeps_days(&self, templates: bool) -> i64 {
        if templates {
            self.meta_keeps_template_days.unwrap_or(90)
        } else {
            self.meta_keeps_days.unwrap_or(365)
        }
    }
}

/// The windows of a table that is exported in windows.
fn exports(tables: &Tables, table: &'static Table, params: &Params) -> PolarsResult<LazyFrame> {
    let (since, today) = (params.since(), params.today());
    let may_change_from = before(today, params.again_days());
    let (may_change, why) = may_change(table, params.now_micros);
    let days = tables
        .scan(table)
        .select([local_day(table, params.timezone.zone()).alias(DAY), may_change.alias(MAY_CHANGE)])
        .group_by([col(DAY)])
        .agg([col(MAY_CHANGE).any(true)]);
    let days_and_loads =
        concat_lf_diagonal([days, loaded_windows(tables, table, params)], UnionArgs::default())?;
    Ok(listed(days_and_loads, "windows to export", move |found| {
        let days = dates(found, DAY)?;
        let mut covered = loaded_days(found, since, today)?;
        covered.extend(days.iter().copied().flatten());
        let of = |action, reason: &str, windows: Vec<Window>| {
            let reason = reason.to_owned();
            windows.into_iter().map(move |window| Listed {
                table: table.name,
                action,
                window,
                reason: reason.clone(),
                call: None,
                expires_on: None,
            })
        };
        let open: BTreeSet<NaiveDate> = found
            .column(MAY_CHANGE)?
            .bool()?
            .iter()
            .zip(days)
            .filter_map(|(may_change, day)| day.filter(|_| may_change == Some(true)))
            .filter(|day| *day >= may_change_from && *day < today)
            .collect();
        let new = of(NEW, "no rows", windows(&covered, since, today));
        Ok(new.chain(of(AGAIN, why, in_windows(open.into_iter()))).collect())
    }))
}

/// Predicate: a row of a table may still change, and the reason.
fn may_change(table: &Table, now: i64) -> (Expr, &'static str) {
    if *table == sessions::TABLE {
        return (col(sessions::SESSION_FINISHED_TIMESTAMP).is_null(), "open sessions");
    }
    let day_ago = instant_literal(now.saturating_sub(time::DAY));
    let on_its_way = delivery_is("In Process").or(delivery_is("Sent")).fill_null(lit(false));
    (on_its_way.and(col(DEPLOYMENT_TIMESTAMP).lt(day_ago)), "in process")
}

/// A field of Meta's API in calls for days.
struct CalledField {
    name: &'static str,
    /// Meta's word for days.
    granularity: &'static str,
    dimensions: &'static [&'static str],
    /// How many days before today a lake without points begins.
    first_days: u64,
    /// `true` if it is called for templates by id.
    of_templates: bool,
    in_utc: bool,
}

impl CalledField {
    const fn of<F: Field>(granularity: &'static str, first_days: u64) -> Self {
        Self {
            name: F::NAME,
            granularity,
            dimensions: F::DIMENSIONS,
            first_days,
            of_templates: !F::ALWAYS.is_empty(),
            in_utc: F::DAYS_IN_UTC,
        }
    }

    /// The part of a call that names all dimensions; empty without any.
    fn dimensions(&self) -> String {
        let names: BTreeSet<&str> = self.dimensions.iter().copied().collect();
        if names.is_empty() { String::new() } else { listing("dimensions", names) }
    }
}

static FIELDS: [CalledField; 4] = [
    CalledField::of::<Analytics>("DAY", 364),
    CalledField::of::<ConversationAnalytics>("DAILY", 364),
    CalledField::of::<PricingAnalytics>("DAILY", 364),
    CalledField::of::<TemplateAnalytics>("DAILY", 89),
];

/// `.dimensions(["COUNTRY","PHONE"])`
fn listing<'a>(name: &str, values: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = values.into_iter().map(|value| format!("\"{value}\"")).collect();
    format!(".{name}([{}])", quoted.join(","))
}

/// The calls of Meta's API.
fn calls(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
    let asked: Vec<String> = params.waba.allowed().to_vec();
    let (zone, today) = (params.timezone.zone(), params.today());
    let keeps = [params.keeps_days(false), params.keeps_days(true)];
    let of_an_account = || tables.scan(&meta_points::TABLE).filter(col(WABA_ID).is_not_null());
    let end = (col(END).cast(DataType::Int64) * lit(SECOND)).cast(instant());
    let ended_on = |zone| time::Clock::Day.start(end.clone(), zone);
    let of_templates = col(FIELD).eq(lit(TemplateAnalytics::NAME));
    let ended_on = when(of_templates).then(ended_on(Tz::UTC)).otherwise(ended_on(zone));
    let points = of_an_account()
        .group_by([col(WABA_ID), col(FIELD)])
        .agg([ended_on.max().alias(STORED_UNTIL)]);
    let templates = |table: &'static Table| {
        let rows = tables.scan(table).select([col(WABA_ID), col(TEMPLATE_ID)]);
        rows.filter(col(WABA_ID).is_not_null().and(col(TEMPLATE_ID).is_not_null()))
    };
    let templates = [templates(&meta_points::TABLE), templates(&events::TABLE)];
    let templates = concat(templates, UnionArgs::default())?.unique(None, UniqueKeepStrategy::Any);
    let of_messages = tables.scan(&messages::TABLE).select([col(messages::WABA_ID)]);
    let of_messages =
        of_messages.filter(col(WABA_ID).is_not_null()).unique(None, UniqueKeepStrategy::Any);
    let mut known = vec![points, templates];
    if asked.is_empty() {
        known.push(of_messages);
    }
    let known = concat_lf_diagonal(known, UnionArgs::default())?;
    Ok(listed(known, "calls of Meta's API", move |found| {
        let known = Known::of(found)?;
        let mut rows = Vec::new();
        for waba in known.accounts(&asked) {
            for field in &FIELDS {
                let until = known.stored.get(&(waba.clone(), field.name.to_owned())).copied();
                let from = until.unwrap_or_else(|| before(today, field.first_days.cast_signed()));
                let zone = if field.in_utc { Tz::UTC } else { zone };
                let call = Call { waba: &waba, field, zone, today };
                let keeps = keeps[usize::from(field.of_templates)];
                let templates = known.templates.get(&waba);
                rows.extend(call.listed(NEW, field.name, from, templates, keeps));
                if field.of_templates {
                    let from = before(today, STILL_COUNTING_DAYS.cast_signed());
                    rows.extend(call.listed(AGAIN, "still counting", from, templates, keeps));
                }
            }
        }
        Ok(rows)
    }))
}

/// What the lake knows of accounts.
#[derive(Default)]
struct Known {
    /// The accounts with points, and those with messages.
    of_points: BTreeSet<String>,
    of_messages: BTreeSet<String>,
    /// The date until which points of an account's field are stored.
    stored: BTreeMap<(String, String), NaiveDate>,
    /// The templates of an account.
    templates: BTreeMap<String, BTreeSet<String>>,
}

impl Known {
    /// Reads rows of points, templates and messages: each has columns of its own.
    fn of(found: &DataFrame) -> PolarsResult<Self> {
        let mut known = Self::default();
        let text = |name: &str| found.column(name).and_then(Column::str).cloned();
        let (wabas, fields, templates) = (text(WABA_ID)?, text(FIELD)?, text(TEMPLATE_ID)?);
        let untils = dates(found, STORED_UNTIL)?;
        for (row, until) in untils.into_iter().enumerate() {
            let Some(waba) = wabas.get(row).map(str::to_owned) else { continue };
            match (fields.get(row), templates.get(row)) {
                (Some(field), _) => {
                    known.of_points.insert(waba.clone());
                    if let Some(until) = until {
                        known.stored.insert((waba, field.to_owned()), until);
                    }
                }
                (None, Some(template)) => {
                    known.templates.entry(waba).or_default().insert(template.to_owned());
                }
                (None, None) => drop(known.of_messages.insert(waba)),
            }
        }
        Ok(known)
    }

    /// The accounts to list: those asked for, else those with points, else those with messages.
    fn accounts(&self, asked: &[String]) -> BTreeSet<String> {
        if !asked.is_empty() {
            return asked.iter().cloned().collect();
        }
        let known = if self.of_points.is_empty() { &self.of_messages } else { &self.of_points };
        known.clone()
    }
}

/// The calls for one field of an account.
struct Call<'a> {
    waba: &'a str,
    field: &'a CalledField,
    /// The time zone in which days begin.
    zone: Tz,
    today: NaiveDate,
}

impl Call<'_> {
    /// The rows for the days from a date to yesterday: one, or one for each ten templates.
    fn listed(
        &self,
        action: &'static str,
        reason: &str,
        from: NaiveDate,
        templates: Option<&BTreeSet<String>>,
        keeps_days: i64,
    ) -> Vec<Listed> {
        let days = self.today.signed_duration_since(from).num_days();
        if days < 1 {
            return Vec::new();
        }
        let of: Vec<String> = if self.field.of_templates {
            let ids: Vec<&str> = templates.into_iter().flatten().map(String::as_str).collect();
            let at_once = ids.chunks(TEMPLATES_AT_ONCE);
            at_once.map(|ids| listing("template_ids", ids.iter().copied())).collect()
        } else {
            vec![self.field.dimensions()]
        };
        let second = |date| day_start(self.zone, date).div_euclid(SECOND);
        let call = |of: String| {
            format!(
                "/{}?fields={}.start({}).end({}).granularity({}){of}",
                self.waba,
                self.field.name,
                second(from),
                second(self.today),
                self.field.granularity
            )
        };
        let window = Window { from, to: before(self.today, 1), days };
        let row = |of| Listed {
            table: meta_points::NAME,
            action,
            window,
            reason: reason.to_owned(),
            call: Some(call(of)),
            expires_on: from.checked_add_signed(TimeDelta::days(keeps_days)),
        };
        of.into_iter().map(row).collect()
    }
}

/// The date some days before another.
fn before(date: NaiveDate, days: i64) -> NaiveDate {
    let days = Days::new(days.unsigned_abs());
    date.checked_sub_days(days).unwrap_or(NaiveDate::MIN)
}

/// A row of the answer.
struct Listed {
    table: &'static str,
    action: &'static str,
    window: Window,
    reason: String,
    call: Option<String>,
    expires_on: Option<NaiveDate>,
}

/// A node of the plan that lists windows from what was found.
fn listed(
    found: LazyFrame,
    name: &'static str,
    list: impl Fn(&DataFrame) -> PolarsResult<Vec<Listed>> + Send + Sync + 'static,
) -> LazyFrame {
    let columns = shape().columns.into_iter();
    let columns = columns.map(|column| (column.name.into(), column.of.data_type()));
    let schema: SchemaRef = Arc::new(columns.collect::<Schema>());
    found.map(
        move |found| frame(&list(&found)?),
        OptFlags::empty(),
        Some(Arc::new(move |_: &Schema| -> PolarsResult<SchemaRef> { Ok(schema.clone()) })),
        Some(name),
    )
}

fn frame(rows: &[Listed]) -> PolarsResult<DataFrame> {
    let date = |name: &str, of: &dyn Fn(&Listed) -> Option<NaiveDate>| {
        let days: Vec<Option<i32>> =
            rows.iter().map(|row| of(row).map(|date| date.to_epoch_days())).collect();
        Column::new(name.into(), days).cast(&DataType::Date)
    };
    let columns = vec![
        Column::new(TABLE.into(), rows.iter().map(|row| row.table).collect::<Vec<_>>()),
        Column::new(ACTION.into(), rows.iter().map(|row| row.action).collect::<Vec<_>>()),
        date(FROM, &|row| Some(row.window.from))?,
        date(TO, &|row| Some(row.window.to))?,
        Column::new(DAYS.into(), rows.iter().map(|row| row.window.days).collect::<Vec<_>>()),
        Column::new(REASON.into(), rows.iter().map(|row| &*row.reason).collect::<Vec<_>>()),
        Column::new(CALL.into(), rows.iter().map(|row| row.call.as_deref()).collect::<Vec<_>>()),
        date(EXPIRES_ON, &|row| row.expires_on)?,
    ];
    DataFrame::new(rows.len(), columns)
}
