//! Groups user ids that are linked to each other, and picks the person of each group.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use polars::prelude::PlHashMap;

/// A row of `identities`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link<'r> {
    pub(super) user_id: &'r str,
    /// A number if `is_phone`, else another user id.
    pub(super) linked: &'r str,
    pub(super) is_phone: bool,
    /// In microseconds; `None` is unknown.
    pub(super) first_seen: Option<i64>,
    /// In microseconds; `None` is before all.
    pub(super) last_seen: Option<i64>,
}

/// The person of each user id that the links name.
///
/// Ids that links between user ids connect, in any direction and order, are a group. Its person is the
/// linked number that was seen last (of two, the smaller text), else the id that was seen first (of two,
/// the smaller text). An id that was seen at an unknown time comes after all others.
pub(super) fn persons(links: &[Link<'_>]) -> PlHashMap<Arc<str>, Arc<str>> {
    let mut groups = Groups::default();
    for link in links {
        let id = groups.id(link.user_id);
        if !link.is_phone {
            let other = groups.id(link.linked);
            groups.join(id, other);
        }
    }
    let mut phones: HashMap<usize, (Option<i64>, Reverse<&str>)> = HashMap::new();
    let mut first_seen: Vec<Option<i64>> = vec![None; groups.parents.len()];
    for link in links {
        let id = groups.id(link.user_id);
        let mut named = vec![id];
        if link.is_phone {
            let seen = (link.last_seen, Reverse(link.linked));
            let group = groups.root(id);
            let latest = phones.entry(group).or_insert(seen);
            *latest = (*latest).max(seen);
        } else {
            named.push(groups.id(link.linked));
        }
        for id in named {
            let earlier = first_seen[id].into_iter().chain(link.first_seen).min();
            first_seen[id] = earlier;
        }
    }
    let mut firsts: HashMap<usize, (bool, Option<i64>, &str)> = HashMap::new();
    let ids: Vec<(&str, usize)> = groups.ids.iter().map(|(name, id)| (*name, *id)).collect();
    for (name, id) in &ids {
        let seen = (first_seen[*id].is_none(), first_seen[*id], *name);
        let group = groups.root(*id);
        let first = firsts.entry(group).or_insert(seen);
        *first = (*first).min(seen);
    }
    let of_group: HashMap<usize, Arc<str>> = firsts
        .into_iter()
        .map(|(group, (.., first))| {
            let person = phones.get(&group).map_or(first, |(_, Reverse(phone))| phone);
            (group, Arc::from(person))
        })
        .collect();
    let person = |(name, id): (&str, usize)| {
        Some((Arc::from(name), Arc::clone(of_group.get(&groups.root(id))?)))
    };
    ids.into_iter().filter_map(person).collect()
}

/// Disjoint sets of user ids.
#[derive(Default)]
struct Groups<'r> {
    ids: PlHashMap<&'r str, usize>,
    /// An id of the same group; the root of a group is its own.
    parents: Vec<usize>,
}

impl<'r> Groups<'r> {
    fn id(&mut self, name: &'r str) -> usize {
        let next = self.parents.len();
        let id = *self.ids.entry(name).or_insert(next);
        if id == next {
            self.parents.push(next);
        }
        id
    }

    fn root(&mut self, mut id: usize) -> usize {
        while self.parents[id] != id {
            // Halves the path, so that later searches are short.
            self.parents[id] = self.parents[self.parents[id]];
            id = self.parents[id];
        }
        id
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        self.parents[one.max(other)] = one.min(other);
    }
}
