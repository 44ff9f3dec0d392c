//! The fields of Meta's analytics API: computed from the lake's messages, or as Meta reported them.
//!
//! ```text
//! --fields 'analytics.start(1748736000).end(1748822400).granularity(DAY)'   Meta's syntax
//! --from 2025-06-01 --to 2025-06-01 --granularity day                       the same as options
//!   │
//!   ├─ --source lake   units ── filters ── buckets in the reporting zone ──► points
//!   └─ --source meta   stored points of such buckets ──────────────────────► points
//! ```
//!
//! A query declares a [`Field`] and gives units: rows with an instant, the columns of its filters and
//! dimensions, and its measures. Everything else is common to all fields.
//!
//! | module | what it holds |
//! |---|---|
//! | [`fields`] | filters, dimensions and measures of a field |
//! | [`units`] | the fields of messages, conversations and deliveries, and their units |
//! | [`points`] | the plan of the points, and the envelope of a response |
//! | `options`, `expression` | parsers of the options and of Meta's syntax |
//! | `stored` | the points that Meta reported |

use polars::prelude::{LazyFrame, PolarsResult};

use super::{OutputColumn, Query, Tables};

mod expression;
pub mod fields;
mod options;
pub mod points;
mod stored;
pub mod units;

pub use fields::{
    BY_CONVERSATION_CATEGORY, BY_CONVERSATION_DIRECTION, BY_CONVERSATION_TYPE, BY_COUNTRY,
    BY_PHONE, BY_PRICING_CATEGORY, BY_PRICING_TYPE, BY_PRODUCT, BY_TEMPLATE, BY_TEMPLATE_PRODUCT,
    Field, Filter,
};
pub use points::{Points, PointsSource};

/// How a query's answer is written as a response of Meta's API.
pub struct MetaShape<Q: Query> {
    /// The field that the response is about.
    pub field: &'static str,
    /// The columns of the answer, which depend on the dimensions and measures asked for.
    pub columns: fn(&Q::Params) -> Vec<OutputColumn>,
    /// The part of the response that surrounds the points.
    pub envelope: fn(&Tables, &Q::Params) -> PolarsResult<Envelope>,
}

/// The part of a response of Meta's API that surrounds the points.
pub struct Envelope {
    /// The field that is answered.
    pub field: &'static str,
    /// Meta's word for the length of the buckets.
    pub granularity: &'static str,
    /// The accounts asked for; empty for all.
    pub wabas: Vec<String>,
    /// The phone lines asked for, sorted.
    pub phone_numbers: Option<Vec<String>>,
    /// The countries asked for, sorted.
    pub country_codes: Option<Vec<String>>,
    /// The accounts, lines and countries that have points: `waba_id`, `phone_numbers` and
    /// `country_codes`, the latter two as comma-separated lists.
    pub met: LazyFrame,
}
