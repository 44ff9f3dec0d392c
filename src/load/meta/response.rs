//! The structure of the responses in a source: accounts, fields, groups of points.

use std::collections::BTreeSet;

use serde_json::Value;
use wabalake_data::cells::list;
use wabalake_data::tables::meta_points as table;

/// The most groups and responses in one file.
pub(super) const MOST_GROUPS: usize = 1 << 20;

/// Points in one list, and what they share.
#[derive(Clone, Debug, Default)]
pub(super) struct PointGroup {
    /// Index of the response that contains them.
    pub(super) response: usize,
    /// Index of the response whose `data` has an entry with them.
    pub(super) entry_of: Option<usize>,
    pub(super) field: Option<&'static str>,
    pub(super) granularity: Option<String>,
    /// The product type of points that do not name one.
    pub(super) product_type: Option<String>,
    pub(super) phone_numbers: Option<String>,
    pub(super) country_codes: Option<String>,
    /// Columns that any of the points has.
    pub(super) columns: BTreeSet<&'static str>,
}

impl PointGroup {
    /// Returns the dimensions of the points, in Meta's words.
    pub(super) fn dimensions(&self) -> Option<String> {
        let words = table::DIMENSION_COLUMNS.iter();
        let carried = words.filter(|(_, column)| self.columns.contains(column));
        list::sorted(carried.map(|(word, _)| *word))
    }

    /// Returns the field of the points, detected from their keys if the response does not name it.
    pub(super) fn field(&self) -> Option<&'static str> {
        let has = |columns: &[&str]| columns.iter().any(|column| self.columns.contains(column));
        let [messages, conversations, pricing, templates, template_groups, calls] = table::FIELDS;
        self.field.or_else(|| match () {
            () if has(&[table::COUNT, table::AVERAGE_DURATION, table::DIRECTION]) => Some(calls),
            () if has(&[table::TEMPLATE_GROUP_ID]) => Some(template_groups),
            () if has(&[
                table::CONVERSATION,
                table::CONVERSATION_CATEGORY,
                table::CONVERSATION_TYPE,
                table::CONVERSATION_DIRECTION,
            ]) =>
            {
                Some(conversations)
            }
            () if has(&[
                table::VOLUME,
                table::PRICING_CATEGORY,
                table::PRICING_TYPE,
                table::TIER,
            ]) =>
            {
                Some(pricing)
            }
            () if has(&[table::TEMPLATE_ID, table::READ, table::CLICKED]) => Some(templates),
            () if has(&[table::SENT, table::DELIVERED]) => Some(messages),
            () => None,
        })
    }
}

/// The result of reading a source once.
#[derive(Default)]
pub(super) struct Summary {
    pub(super) groups: Vec<PointGroup>,
    /// Objects that may be responses.
    pub(super) responses: Vec<Response>,
    /// `true` if there was a list of points or one of the fields.
    pub(super) is_answer: bool,
    /// `true` if `data` was an empty list.
    pub(super) is_empty: bool,
    /// `true` if a response begins with an error.
    pub(super) is_refusal: bool,
    /// The error in a response.
    pub(super) fault: Option<Value>,
    pub(super) unknown: Vec<String>,
}

/// An object that may be a response.
#[derive(Clone, Debug, Default)]
pub(super) struct Response {
    /// The account that it names.
    pub(super) account: Option<String>,
}

impl Summary {
    /// Returns the account of a group. An entry of `data` belongs to the object around it.
    pub(super) fn account(&self, group: &PointGroup) -> Option<&String> {
        let of = |response: usize| self.responses.get(response)?.account.as_ref();
        group.entry_of.and_then(of).or_else(|| of(group.response))
    }
}
