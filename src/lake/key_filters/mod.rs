//! Bloom filters of data files: they tell which files may hold rows of a person.
//!
//! ```text
//! a data file   [ rows … | filter of user_key | filter of session_key | footer ]
//! its add       wabalake.filter.user_key = 81234+8216:9f3a51c07be51244
//!   │ one question about a person    the filters of all files are read, and few files
//!   ▼
//! 2 of 365 files
//! ```
//!
//! They are Bloom filters of Parquet, which the footer names for other programs. The log has their places
//! and hashes, so that they are read without the footer; it says nothing of what is in them. A file without
//! a filter, or with one that was altered, may hold anybody.
//!
//! The filter of `user_key` also has the hashes of `user_phone` and `user_id`, as an erasure looks for both
//! of one row.

mod find;
mod write;

use std::collections::HashMap;
use std::ops::Range;

use parquet::bloom_filter::Sbbf;
use polars::prelude::*;
use wabalake_data::tables::{SESSION_KEY, USER_ID, USER_KEY, USER_PHONE, text_key};
use xxhash_rust::xxh3::xxh3_64;

pub(super) use self::find::WantedKeys;
pub(super) use self::write::write_parquet;
use crate::error::Result;

/// The prefix of the tags of an `add` with the places of filters; a column follows.
const TAG: &str = "wabalake.filter.";

/// The share of other keys that a filter takes for one of its own: 7 bits for each key.
const FALSE_POSITIVES: f64 = 0.03;

/// Where a Bloom filter is in a data file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::lake) struct FilterPlace {
    range: Range<u64>,
    /// The hash of its bytes.
    hash: u64,
}

/// The filters of a data file; `None` for a column without one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::lake) struct FilterPlaces {
    users: Option<FilterPlace>,
    sessions: Option<FilterPlace>,
}

impl FilterPlace {
    /// The place of bytes that begin at an offset.
    fn of(offset: u64, bytes: &[u8]) -> Self {
        Self { range: offset..offset + bytes.len() as u64, hash: xxh3_64(bytes) }
    }

    /// Parses the value of a tag.
    fn read(tag: &str) -> Option<Self> {
        let (place, hash) = tag.split_once(':')?;
        let (offset, length) = place.split_once('+')?;
        let (offset, length): (u64, u64) = (offset.parse().ok()?, length.parse().ok()?);
        let range = offset..offset.checked_add(length)?;
        Some(Self { range, hash: u64::from_str_radix(hash, 16).ok()? })
    }

    /// The name and value of the tag of a column.
    fn tag(&self, column: &str) -> (String, Option<String>) {
        let Range { start, end } = self.range;
        (format!("{TAG}{column}"), Some(format!("{start}+{}:{:016x}", end - start, self.hash)))
    }

    /// Parses the filter; `None` if the bytes are not those that were written.
    fn open(&self, bytes: &[u8]) -> Option<Sbbf> {
        if xxh3_64(bytes) != self.hash {
            return None;
        }
        Sbbf::from_bytes(bytes).ok()
    }
}

impl FilterPlaces {
    /// The places in the tags of an `add`.
    pub(in crate::lake) fn read(tags: Option<&HashMap<String, Option<String>>>) -> Self {
        let place = |column| {
            let tag = tags?.get(&format!("{TAG}{column}"))?.as_deref()?;
            FilterPlace::read(tag)
        };
        Self { users: place(USER_KEY), sessions: place(SESSION_KEY) }
    }
}

/// The Bloom filter of a hash column of rows.
fn filter_of(rows: &DataFrame, column: &str) -> Result<Sbbf> {
    let mut filter = Sbbf::new_with_ndv_fpp(rows.height() as u64, FALSE_POSITIVES)?;
    for key in rows.column(column)?.i64()?.iter().flatten() {
        filter.insert(&key);
    }
    if column == USER_KEY {
        for person in [USER_PHONE, USER_ID].iter().filter_map(|name| rows.column(name).ok()) {
            for person in person.str()?.iter().flatten() {
                filter.insert(&text_key(person));
            }
        }
    }
    // It was sized for rows that all have another key.
    filter.fold_to_target_fpp(FALSE_POSITIVES);
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows_of(keys: &[Option<i64>], people: &[Option<String>]) -> DataFrame {
        let people: StringChunked = people.iter().map(Option::as_deref).collect();
        let columns = vec![
            Column::new(USER_KEY.into(), keys),
            people.with_name(USER_ID.into()).into_column(),
        ];
        DataFrame::new(keys.len(), columns).unwrap()
    }

    proptest! {
        #[test]
        fn filter_holds_all_keys_and_user_ids(
            rows in prop::collection::vec((any::<Option<i64>>(), prop::option::of("[a-z]{0,3}")), 1..400),
            tail in prop::collection::vec(any::<u8>(), 0..9),
        ) {
            let (keys, people): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
            let mut bytes = Vec::new();
            filter_of(&rows_of(&keys, &people), USER_KEY).unwrap().write(&mut bytes).unwrap();
            let place = FilterPlace::of(11, &bytes);
            let (_, tag) = place.tag(USER_KEY);
            prop_assert_eq!(FilterPlace::read(&tag.unwrap()), Some(place.clone()));
            let filter = place.open(&bytes).unwrap();
            prop_assert!(keys.iter().flatten().all(|key| filter.check(key)));
            prop_assert!(people.iter().flatten().all(|person| filter.check(&text_key(person))));
            let altered = [&bytes[..], &tail].concat();
            prop_assert_eq!(place.open(&altered).is_some(), tail.is_empty());
        }
    }

    #[test]
    fn few_other_keys_pass() {
        // Many rows of few people: the filter is sized for the people.
        let keys: Vec<Option<i64>> =
            (0..20_000_i64).map(|row| Some(text_key(&(row % 3_000).to_string()))).collect();
        let filter = filter_of(&rows_of(&keys, &vec![None; keys.len()]), USER_KEY).unwrap();
        assert!(filter.num_blocks() * 32 <= 2 * 3_000, "{} blocks", filter.num_blocks());
        let others =
            (3_000..13_000).filter(|other: &i32| filter.check(&text_key(&other.to_string())));
        assert!(others.count() < 500);
    }

    #[test]
    fn strange_tags_are_no_filters() {
        for tag in ["", "1", "1+2", "+2:00", "1+:0", "18446744073709551615+1:0", "1+2:x", "-1+2:0"]
        {
            assert_eq!(FilterPlace::read(tag), None, "{tag}");
        }
    }
}
