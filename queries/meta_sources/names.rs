//! What an ad is called: its campaign, its ad set, its name.
//!
//! The rows of `ad_spend` tell it, of all days. The latest one that does so counts for the ad, and the latest
//! one of a campaign or an ad set for what that is called:
//!
//! ```text
//! ad  day     campaign_id  campaign_name     the ad's campaign
//! 1   1 June  7            Summer            7, Summer sale
//! 1   9 June  -            -
//! 2   3 June  7            Summer sale       7, Summer sale
//! 3   2 June  -            Winter            -, Winter
//! ```

use polars::prelude::{Expr, JoinArgs, JoinType, LazyFrame, SortMultipleOptions, col, lit, when};
use wabalake_data::tables::CURRENCY;
use wabalake_data::tables::ad_spend::{
    self, AD_ID, AD_NAME, AD_SET_ID, AD_SET_NAME, CAMPAIGN_ID, CAMPAIGN_NAME, DAY,
};

use crate::query::Tables;

/// What is asked for of an ad.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Named {
    /// Its campaign.
    Campaign,
    /// Its ad set.
    AdSet,
    /// Its name.
    Ad,
}

/// The ad of a row; empty for one of no ad.
const AD: &str = "named_ad";
/// What something with an id is called.
const CALLED: &str = "called";

impl Named {
    /// The columns of the id and of the name.
    pub(crate) const fn columns(self) -> [&'static str; 2] {
        match self {
            Self::Campaign => [CAMPAIGN_ID, CAMPAIGN_NAME],
            Self::AdSet => [AD_SET_ID, AD_SET_NAME],
            Self::Ad => [AD_ID, AD_NAME],
        }
    }

    /// Each ad that has one, with the columns of the id and of the name.
    fn of_ads(self, tables: &Tables) -> LazyFrame {
        let [id, name] = self.columns();
        let rows = tables.scan(&ad_spend::TABLE);
        let has = |column: &str| col(column).is_not_null();
        if let Self::Ad = self {
            let rows = rows.select([AD_ID, DAY, CURRENCY, name].map(col));
            return latest(rows.filter(has(name)), AD_ID, &[name], name);
        }
        let rows = rows.select([AD_ID, DAY, CURRENCY, id, name].map(col));
        let called = latest(rows.clone().filter(has(id).and(has(name))), id, &[name], name)
            .select([col(id), col(name).alias(CALLED)]);
        // Without an id it is known by its name.
        let name_of_id = when(has(id)).then(col(CALLED)).otherwise(col(name)).alias(name);
        latest(rows.filter(has(id).or(has(name))), AD_ID, &[id, name], name)
            .join(called, [col(id)], [col(id)], JoinArgs::new(JoinType::Left))
            .select([col(AD_ID), col(id), name_of_id])
    }

    /// The relation of [`Named::of_ads`] in SQL.
    pub(crate) const fn relation(self) -> &'static str {
        match self {
            Self::Campaign => "campaign_of_ads",
            Self::AdSet => "ad_set_of_ads",
            Self::Ad => "ad_names",
        }
    }

    /// The SQL of that relation and those that it needs, each with a comma after.
    pub(crate) fn sql(self) -> String {
        let (names, of_ads) = (include_str!("names.sql"), include_str!("of_ads.sql"));
        match self {
            Self::Campaign => [names, of_ads].concat().replace("{what}", "campaign"),
            Self::AdSet => [names, of_ads].concat().replace("{what}", "ad_set"),
            Self::Ad => names.replace("{what}", "ad"),
        }
    }
}

/// The columns of the latest row of each key; of one day that with the greatest currency counts, then that with
/// the greatest name.
fn latest(rows: LazyFrame, key: &str, columns: &[&str], name: &str) -> LazyFrame {
    let last = || [col(DAY), col(CURRENCY).fill_null(lit("")), col(name).fill_null(lit(""))];
    let of_last =
        |column: &&str| col(*column).sort_by(last(), SortMultipleOptions::default()).last();
    rows.group_by([col(key)]).agg(columns.iter().map(of_last).collect::<Vec<Expr>>())
}

/// Adds to rows what is asked for of their ad, which an expression tells.
pub(crate) fn with_names(rows: LazyFrame, ad: Expr, asked: &[Named], tables: &Tables) -> LazyFrame {
    if asked.is_empty() {
        return rows;
    }
    // Polars joins rows with a null key one by one, and no ad has an empty id.
    let rows = rows.with_column(ad.fill_null(lit("")).alias(AD));
    let left = || JoinArgs::new(JoinType::Left);
    asked
        .iter()
        .fold(rows, |rows, named| rows.join(named.of_ads(tables), [col(AD)], [col(AD_ID)], left()))
}
