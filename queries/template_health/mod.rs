//! Which templates wear out?
//!
//! One row per template with template messages created in the range, or with an event of the
//! template before the range ends; its counts are 0 if it has events alone. Messages and events
//! without a template's name share one row. Failed messages count as `paused_failures` if Meta's
//! code says that the template was paused or disabled.
//!
//! Status, quality and category are those of the latest event of each kind that has a new value, of
//! any language of the template; of two at one instant the greater value counts. They are as of the
//! end of `--to`. `pauses` are the events of the range that paused it.
//!
//! A stop is an event by which a person stops marketing messages. It belongs to the last template
//! message that was delivered to the person, of any template, if that arrived at most
//! `--stop-hours` before:
//!
//! ```text
//! arrived         delivered_at, else sent_at, else created_at
//! messages        ●────── 72 h ──────┤       ●────── 72 h ──────┤
//! stop                      ✕                                        ✕
//! belongs to      the first ●                nobody's: it is too late
//! ```
//!
//! A message with several stops counts once in `stops`. It counts if it was created in the range
//! and passes the filters; the stop may come later. Of the filters, `--template` and `--waba`
//! choose the events of templates, too; the others choose messages alone.

use polars::prelude::{JoinCoalesce, SortMultipleOptions, UniqueKeepStrategy, by_name};
use wabalake_data::Table;
use wabalake_data::tables::events::{
    self, AT, EVENT, MARKETING_PREFERENCE, NEW_VALUE, TEMPLATE_CATEGORY, TEMPLATE_QUALITY,
    TEMPLATE_STATUS,
};
use wabalake_data::tables::messages::{
    self, CREATED_AT, DELIVERED_AT, ERROR_CODE, MESSAGE_TYPE, SENT_AT, TEMPLATE_NAME, WHATSAPP_ID,
};
use wabalake_data::tables::{MESSAGE_KEY, USER_KEY, USER_PHONE, audience_tags};

use crate::kernels::once;
use crate::query::failures;
use crate::query::joins::{Greatest, Nearest, nearest_of};
use crate::query::numbers::whole;
use crate::query::prelude::*;
use crate::query::time::{HOUR, Span};

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct TemplateHealth;

impl Filtered for TemplateHealth {
    const TABLE: &'static Table = &messages::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_MESSAGES;
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    range: DayRange,
    #[command(flatten)]
    filters: Filters<TemplateHealth>,

    /// How many hours after the arrival of a template message a stop belongs to it
    #[arg(
        long,
        value_name = "HOURS",
        default_value_t = 72,
        value_parser = whole::<i64>(1..=876_000)
    )]
    stop_hours: i64,
}

/// The latest status, such as APPROVED or PAUSED.
pub const STATUS: &str = "status";
/// When it was reported.
pub const STATUS_SINCE: &str = "status_since";
/// The latest quality, such as GREEN or RED.
pub const QUALITY: &str = "quality";
/// When it was reported.
pub const QUALITY_SINCE: &str = "quality_since";
/// The latest category that a change was reported to.
pub const CATEGORY: &str = "category";
/// How often the template was paused in the range.
pub const PAUSES: &str = "pauses";
/// Template messages.
pub const CREATED: &str = "created";
/// Delivered messages among them.
pub const DELIVERED: &str = "delivered";
/// Share of the messages that were delivered.
pub const DELIVERED_PCT: &str = "delivered_pct";
/// Read messages among them.
pub const READ: &str = "read";
/// Share of the delivered messages that were read.
pub const READ_PCT: &str = "read_pct";
/// Messages that failed because the template was paused or disabled.
pub const PAUSED_FAILURES: &str = "paused_failures";
/// Delivered messages after which the person stopped marketing messages.
pub const STOPS: &str = "stops";
/// Share of the delivered messages after which the person stopped marketing messages.
pub const STOP_PCT: &str = "stop_pct";

const COUNTS: [&str; 6] = [PAUSES, CREATED, DELIVERED, READ, PAUSED_FAILURES, STOPS];

/// `true` for a message or an event of a template that is counted.
const IS_COUNTED: &str = "is_counted";
const ARRIVED: &str = "arrived";
const STOPPED: &str = "stopped";
const SINCE: &str = "since";

impl Query for TemplateHealth {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "template-health",
        title: "Which templates wear out",
        question: "Which templates wear out? The latest status, quality and category of each \
                   template, how often it was paused, and of its messages how many were delivered \
                   and read, failed because it was paused, or made the person stop marketing \
                   messages.",
        reads: &[&messages::TABLE, &events::TABLE, &audience_tags::TABLE],
        // Stops, and messages that they may belong to, lie outside the range too.
        range: Range::History,
        columns: &[
            OutputColumn::term(TEMPLATE_NAME),
            OutputColumn::word(STATUS),
            OutputColumn::instant(STATUS_SINCE),
            OutputColumn::word(QUALITY),
            OutputColumn::instant(QUALITY_SINCE),
            OutputColumn::word(CATEGORY),
            OutputColumn::count(PAUSES),
            OutputColumn::count(CREATED),
            OutputColumn::count(DELIVERED),
            OutputColumn::pct(DELIVERED_PCT),
            OutputColumn::count(READ),
            OutputColumn::pct(READ_PCT),
            OutputColumn::count(PAUSED_FAILURES),
            OutputColumn::count(STOPS),
            OutputColumn::pct(STOP_PCT),
        ],
        key: &[TEMPLATE_NAME],
        order: &[Order::Descending(DELIVERED)],
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--stop-hours", "48"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &messages::TABLE,
        cells: &[TEMPLATE_NAME],
        counts: &[CREATED, DELIVERED, READ, STOPS],
        id: &[WHATSAPP_ID],
        rows: |tables, params| {
            let sent = sent(tables, params, &[col(USER_PHONE), col(CREATED_AT)]);
            let key = [col(MESSAGE_KEY)];
            let with_ids = sent.clone();
            let sent = once(sent);
            let stopped = stopped(sent.clone(), with_ids, told(tables, params), params.stop_hours)?
                .select([col(MESSAGE_KEY), lit(true).alias(STOPS)]);
            let counted = sent.filter(col(IS_COUNTED)).with_column(lit(true).alias(CREATED));
            Ok(counted.join(stopped, &key, &key, JoinArgs::new(JoinType::Left)))
        },
        sql: include_str!("people.sql"),
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.range.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters])
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let was_paused = failures::state_of_code(ERROR_CODE).eq(lit("template_paused"));
        let paused = message_failed().and(was_paused).alias(PAUSED_FAILURES);
        let (with_ids, told) = (sent(tables, params, &[paused]), told(tables, params));
        // Read once for the counts and for the stops.
        let sent = once(with_ids.clone());
        let template = [col(TEMPLATE_NAME)];
        let counted = sent.clone().filter(col(IS_COUNTED)).group_by(&template).agg([
            rows().alias(CREATED),
            rows_where(col(DELIVERED)).alias(DELIVERED),
            rows_where(col(READ)).alias(READ),
            rows_where(col(PAUSED_FAILURES)).alias(PAUSED_FAILURES),
        ]);
        let stops = stopped(sent, with_ids, told.clone(), params.stop_hours)?
            .group_by(&template)
            .agg([rows().alias(STOPS)]);
        let with_stops = JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Left) };
        let all = JoinArgs {
            coalesce: JoinCoalesce::CoalesceColumns,
            nulls_equal: true,
            ..JoinArgs::new(JoinType::Full)
        };
        Ok(counted
            .join(stops, &template, &template, with_stops)
            .join(latest(told, params), &template, &template, all)
            .with_columns(COUNTS.map(|count| col(count).fill_null(lit(0))))
            .with_columns([
                share_pct(col(DELIVERED), col(CREATED)).alias(DELIVERED_PCT),
                share_pct(col(READ), col(DELIVERED)).alias(READ_PCT),
                share_pct(col(STOPS), col(DELIVERED)).alias(STOP_PCT),
            ]))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.filters.bind(params.range.bind(Bindings::new()));
        params
            .filters
            .bind_table(bindings, &events::TABLE)
            .integer("stop_hours", params.stop_hours)
            .slot("codes", failures::codes_sql())
            .slot("stopped", include_str!("stopped.sql").trim_end().to_owned())
    }
}

/// The template messages of the lake, and what counts of them. `others` are columns that they have beside these.
fn sent(tables: &Tables, params: &Params, others: &[Expr]) -> LazyFrame {
    let (messages, passes) = params.filters.marked(tables.scan(&messages::TABLE), tables);
    let in_range = params.range.holds_instant(&col(CREATED_AT));
    let arrived = col(DELIVERED_AT).fill_null(col(SENT_AT)).fill_null(col(CREATED_AT));
    let own = [
        col(TEMPLATE_NAME),
        col(WHATSAPP_ID),
        col(MESSAGE_KEY),
        col(USER_KEY),
        arrived.cast(DataType::Int64).alias(ARRIVED),
        message_delivered().alias(DELIVERED),
        message_read().alias(READ),
        in_range.into_iter().fold(passes, Expr::and).alias(IS_COUNTED),
    ];
    let is_template = col(MESSAGE_TYPE).eq(lit("template"));
    messages.filter(is_template).select([&own[..], others].concat())
}

/// The events that tell of a template, or that a person stopped marketing messages: these alone
/// have a person. Read once for both.
fn told(tables: &Tables, params: &Params) -> LazyFrame {
    let events = tables.scan(&events::TABLE);
    let (events, passes) = params.filters.told_apart(events, &events::TABLE, tables);
    let person = when(is_stop()).then(col(USER_KEY)).otherwise(lit(Null {}));
    let is_counted = is_of_template().and(passes.unwrap_or(lit(true)));
    once(events.filter(is_of_template().or(is_stop())).select([
        col(TEMPLATE_NAME),
        col(EVENT),
        col(AT),
        col(NEW_VALUE),
        person.alias(USER_KEY),
        is_counted.alias(IS_COUNTED),
    ]))
}

/// Predicate: an event is of a type.
fn is_event(event: &'static str) -> Expr {
    col(EVENT).eq(lit(event))
}

/// Predicate: an event tells of a template.
fn is_of_template() -> Expr {
    is_event(TEMPLATE_STATUS).or(is_event(TEMPLATE_QUALITY)).or(is_event(TEMPLATE_CATEGORY))
}

/// Predicate: a person stopped marketing messages.
fn is_stop() -> Expr {
    is_event(MARKETING_PREFERENCE).and(col(NEW_VALUE).eq(lit("stop")))
}

/// The latest status, quality and category of each template before the range ends, and its pauses
/// in the range.
fn latest(told: LazyFrame, params: &Params) -> LazyFrame {
    let span = params.range.span();
    let until = Span { from: None, ..span }.holds(&col(AT));
    let is_pause = is_event(TEMPLATE_STATUS).and(col(NEW_VALUE).eq(lit("PAUSED")));
    let pauses = span.holds(&col(AT)).into_iter().fold(is_pause, Expr::and);
    // An event without a new value sorts before all others: it is the last only if it is alone.
    let since = when(col(NEW_VALUE).is_not_null()).then(col(AT)).otherwise(lit(Null {}));
    let of_kinds = told
        .filter(until.into_iter().fold(col(IS_COUNTED), Expr::and))
        .with_columns([since.alias(SINCE), pauses.alias(PAUSES)])
        .group_by([TEMPLATE_NAME, EVENT].map(col))
        .agg([
            col(NEW_VALUE)
                .sort_by([SINCE, NEW_VALUE].map(col), SortMultipleOptions::default())
                .last(),
            col(SINCE).max(),
            rows_where(col(PAUSES)).alias(PAUSES),
        ]);
    let of_kind = |event: &'static str, column: &str| {
        when(is_event(event)).then(col(column)).otherwise(lit(Null {})).max()
    };
    of_kinds.group_by([col(TEMPLATE_NAME)]).agg([
        of_kind(TEMPLATE_STATUS, NEW_VALUE).alias(STATUS),
        of_kind(TEMPLATE_STATUS, SINCE).alias(STATUS_SINCE),
        of_kind(TEMPLATE_QUALITY, NEW_VALUE).alias(QUALITY),
        of_kind(TEMPLATE_QUALITY, SINCE).alias(QUALITY_SINCE),
        of_kind(TEMPLATE_CATEGORY, NEW_VALUE).alias(CATEGORY),
        col(PAUSES).sum(),
    ])
}

/// The messages that count and that a stop belongs to: their template and their key, each once.
///
/// `with_ids` has the messages `sent` once more; see [`Greatest`].
fn stopped(
    sent: LazyFrame,
    with_ids: LazyFrame,
    told: LazyFrame,
    hours: i64,
) -> PolarsResult<LazyFrame> {
    let is_known = || col(USER_KEY).is_not_null();
    let key = [col(USER_KEY)];
    // The messages of all other people do not matter, and are most.
    let people = told.clone().filter(is_known()).select([col(USER_KEY)]);
    // Events without a person find no message.
    let stops = told.select([col(USER_KEY), col(AT).cast(DataType::Int64).alias(STOPPED)]);
    let columns = [USER_KEY, ARRIVED, TEMPLATE_NAME, MESSAGE_KEY, IS_COUNTED].map(col);
    let of_people = |sent: LazyFrame| sent.filter(is_known().and(col(DELIVERED)));
    let with_ids = of_people(with_ids).select([&columns[..], &[col(WHATSAPP_ID)]].concat());
    let delivered =
        of_people(sent).select(columns).join(people, &key, &key, JoinArgs::new(JoinType::Semi));
    let found = nearest_of(
        Nearest::LastBefore,
        (stops, STOPPED),
        (delivered, ARRIVED, &[TEMPLATE_NAME, MESSAGE_KEY, IS_COUNTED]),
        &[USER_KEY],
        // A stop so many hours later is too late.
        hours * HOUR - 1,
        Some(Greatest { text: WHATSAPP_ID, events: with_ids }),
    )?;
    let message = Some(by_name([MESSAGE_KEY], true, false));
    Ok(found
        .filter(col(IS_COUNTED))
        .select([TEMPLATE_NAME, MESSAGE_KEY].map(col))
        .unique(message, UniqueKeepStrategy::Any))
}
