//! The fields of Meta's API: their filters, dimensions and measures.

use wabalake_data::Invalid;
use wabalake_data::cells::enumeration::Enumeration;
use wabalake_data::cells::phone::digits;
use wabalake_data::tables::meta_points;
use wabalake_data::tables::meta_points::{
    CONVERSATION_CATEGORY, CONVERSATION_DIRECTION, CONVERSATION_TYPE, COST, COUNTRY, COUNTRY_CODES,
    PHONE_NUMBER, PHONE_NUMBERS, PRICING_CATEGORY, PRICING_TYPE, PRODUCT_TYPES, TEMPLATE_ID,
};

use crate::query::{OutputColumn, filters};

/// A field of Meta's API, such as `analytics`.
pub trait Field: Send + Sync + 'static {
    /// Meta's name of the field.
    const NAME: &'static str;
    /// The filters that it takes.
    const FILTERS: &'static [Filter];
    /// Meta's names of its optional dimensions.
    const DIMENSIONS: &'static [&'static str] = &[];
    /// The columns that it is always broken down by.
    const ALWAYS: &'static [OutputColumn] = &[];
    /// Its measures.
    const MEASURES: &'static [OutputColumn];
    /// `true` if a caller may choose among the measures.
    const CHOOSES: bool = true;
    /// `true` if days are its only granularity.
    const DAYS_ONLY: bool = false;
    /// `true` if its days begin in UTC unless the account's time zone is asked for.
    const DAYS_IN_UTC: bool = false;
    /// A filter of stored points whose column Meta reports in newer responses only: of points that
    /// are equal otherwise, those that have it count, and those that lack it do not. Units computed
    /// from messages do not have the column.
    const REFINED_BY: Option<&'static Filter> = None;
}

/// Returns `true` if a field has a cost among its measures.
pub(super) fn has_cost<F: Field>() -> bool {
    F::MEASURES.iter().any(|measure| measure.name == COST)
}

/// The measures of a field that are counts.
pub(super) fn counts<F: Field>() -> impl Iterator<Item = &'static str> {
    F::MEASURES.iter().map(|measure| measure.name).filter(|name| *name != COST)
}

/// A filter of a field.
#[derive(Debug)]
pub struct Filter {
    /// Meta's name; the option is the same with `-` for `_`.
    pub(super) name: &'static str,
    /// The column of units that is compared.
    pub(super) column: &'static str,
    /// Meta's name of the dimension by which stored points must be broken down to be filtered.
    pub(super) dimension: Option<&'static str>,
    pub(super) help: &'static str,
    /// The default value; an empty list lets every unit pass.
    pub(super) default: &'static [&'static str],
    /// Meta's values, if it lists them. They are accepted in any spelling.
    pub(super) words: &'static [&'static str],
    /// Parses one value.
    pub(super) read: fn(&str) -> Result<String, Invalid>,
}

/// The column of units with Meta's number for the type of a message.
const PRODUCT_TYPE: &str = "product_type";

/// `--phone-numbers`
pub const BY_PHONE: Filter = Filter {
    name: PHONE_NUMBERS,
    column: PHONE_NUMBER,
    dimension: Some("PHONE"),
    help: "Only these lines",
    default: &[],
    words: &[],
    read: |word| Ok(digits(word).map_or_else(|| word.to_owned(), Into::into)),
};

/// `--country-codes`
pub const BY_COUNTRY: Filter = Filter {
    name: COUNTRY_CODES,
    column: COUNTRY,
    dimension: Some("COUNTRY"),
    help: "Only people of these countries (ISO 3166-1 alpha-2)",
    default: &[],
    words: &[],
    read: |word| Ok(word.to_uppercase()),
};

/// `--product-types`
pub const BY_PRODUCT: Filter = Filter {
    name: "product_types",
    column: PRODUCT_TYPE,
    dimension: None,
    help: "Only these types of messages: 0 templates, 2 other outgoing ones, 100 incoming ones; \
           ignored with --source meta",
    default: &["0", "2"],
    words: &[],
    read: |word| match word {
        "0" | "2" | "100" => Ok(word.to_owned()),
        _ => Err(Invalid::new("no such type of messages").hint("it takes 0, 2 and 100")),
    },
};

macro_rules! enumerated {
    ($($(#[$doc:meta])* $filter:ident: $name:literal of $column:ident, $dimension:literal,
        $help:literal, [$($word:literal $(= $other:literal)?),*];)*) => {
        $(
            $(#[$doc])*
            pub const $filter: Filter = Filter {
                name: $name,
                column: $column,
                dimension: Some($dimension),
                help: $help,
                default: &[],
                words: &[$($word),*],
                read: |word| {
                    static WORDS: Enumeration =
                        Enumeration::new(&[$(($word, &[$($other)?])),*]);
                    Ok(WORDS.canonical(word).map_or_else(|| spelled_by_meta(word), str::to_owned))
                },
            };
        )*
    };
}

/// A word that no list has, in upper case and with `_`, as Meta spells its words.
fn spelled_by_meta(word: &str) -> String {
    word.to_uppercase().replace(['-', ' '], "_")
}

enumerated! {
    /// `--conversation-categories`
    BY_CONVERSATION_CATEGORY: "conversation_categories" of CONVERSATION_CATEGORY,
        "CONVERSATION_CATEGORY",
        "Only conversations of these categories, such as MARKETING",
        ["AUTHENTICATION", "AUTHENTICATION_INTERNATIONAL", "MARKETING", "SERVICE", "UTILITY",
         "UNKNOWN"];

    /// `--conversation-types`
    BY_CONVERSATION_TYPE: "conversation_types" of CONVERSATION_TYPE, "CONVERSATION_TYPE",
        "Only conversations of these types: FREE_ENTRY_POINT, FREE_TIER, REGULAR",
        ["FREE_ENTRY_POINT" = "FREE_ENTRY", "FREE_TIER", "REGULAR", "UNKNOWN"];

    /// `--conversation-directions`
    BY_CONVERSATION_DIRECTION: "conversation_directions" of CONVERSATION_DIRECTION,
        "CONVERSATION_DIRECTION",
        "Only conversations begun by one of these: BUSINESS_INITIATED, USER_INITIATED, UNKNOWN",
        ["BUSINESS_INITIATED", "USER_INITIATED", "UNKNOWN"];

    /// `--pricing-types`
    BY_PRICING_TYPE: "pricing_types" of PRICING_TYPE, "PRICING_TYPE",
        "Only messages of these pricing types: FREE_CUSTOMER_SERVICE, FREE_ENTRY_POINT, REGULAR",
        ["FREE_CUSTOMER_SERVICE", "FREE_ENTRY_POINT" = "FREE_ENTRY", "REGULAR"];

    /// `--pricing-categories`
    BY_PRICING_CATEGORY: "pricing_categories" of PRICING_CATEGORY, "PRICING_CATEGORY",
        "Only messages of these categories, such as MARKETING",
        ["AUTHENTICATION", "AUTHENTICATION_INTERNATIONAL", "MARKETING", "MARKETING_LITE",
         "REFERRAL_CONVERSION", "SERVICE", "UTILITY", "UNKNOWN"];
}

/// `--product-type`
pub const BY_TEMPLATE_PRODUCT: Filter = Filter {
    name: meta_points::PRODUCT_TYPE,
    column: meta_points::PRODUCT_TYPE,
    dimension: None,
    help: "Only points of these product types: CLOUD_API, MARKETING_MESSAGES_API_FOR_WHATSAPP; \
           ignored with --source lake",
    default: &[],
    words: &["CLOUD_API", "MARKETING_MESSAGES_API_FOR_WHATSAPP"],
    read: |word| Ok(filters::listed_or_any(&PRODUCT_TYPES, word)),
};

/// `--template-ids`
pub const BY_TEMPLATE: Filter = Filter {
    name: "template_ids",
    column: TEMPLATE_ID,
    dimension: None,
    help: "Only these templates",
    default: &[],
    words: &[],
    read: |word| Ok(word.to_owned()),
};

#[cfg(test)]
mod tests {
    use wabalake_data::tables::messages;

    use super::*;

    #[test]
    fn every_pricing_category_of_messages_is_accepted_in_any_spelling() {
        for category in messages::PRICING_CATEGORIES.values() {
            let by_meta = category.to_uppercase();
            assert!(BY_PRICING_CATEGORY.words.contains(&by_meta.as_str()), "{category}");
            for word in [category, &category.replace('_', "-"), &category.replace('_', " ")] {
                assert_eq!((BY_PRICING_CATEGORY.read)(word).unwrap(), by_meta, "{word}");
            }
        }
    }

    #[test]
    fn unknown_words_are_spelled_as_meta_spells_its_own() {
        assert_eq!((BY_PRICING_CATEGORY.read)("one-more kind").unwrap(), "ONE_MORE_KIND");
        assert_eq!((BY_PRICING_TYPE.read)("free entry").unwrap(), "FREE_ENTRY_POINT");
    }
}
