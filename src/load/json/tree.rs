//! Deserializes JSON into a tree that separates wrapped records from plain values.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::surrogates::without_lone_surrogates;
use crate::error::Result;
use crate::load::json_value::{WRAPPED, is_envelope};

/// An object whose wrappers are separate from plain values.
pub(super) struct Object {
    /// The line on which it begins, from 0.
    pub(super) line: u64,
    pub(super) values: Vec<(String, Member)>,
}

pub(super) enum Member {
    Value(Value),
    /// The value of a wrapper's key.
    Wrapped(Tree),
}

/// A value that may contain records.
pub(super) enum Tree {
    Object(Object),
    List(Vec<Tree>),
    Value(Value),
}

impl Tree {
    /// Deserializes JSON that is inside so many wrappers.
    pub(super) fn read(bytes: &[u8], wrapped: usize) -> serde_json::Result<Self> {
        let bytes = &*without_lone_surrogates(bytes);
        let line = Cell::new(0);
        let seed = TreeSeed { wrapped, line: &line };
        if memchr::memchr(b'\n', bytes).is_none() {
            let mut text = serde_json::Deserializer::from_slice(bytes);
            let tree = seed.deserialize(&mut text)?;
            return text.end().map(|()| tree);
        }
        let mut text = serde_json::Deserializer::from_reader(LineCounter { bytes, line: &line });
        let tree = seed.deserialize(&mut text)?;
        text.end().map(|()| tree)
    }

    /// Returns `true` for null and for lists of nulls.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Value(value) => value.is_null(),
            Self::List(parts) => parts.iter().all(Self::is_empty),
            Self::Object(_) => false,
        }
    }

    pub(super) fn value(&self) -> Value {
        match self {
            Self::Value(value) => value.clone(),
            Self::List(parts) => parts.iter().map(Self::value).collect(),
            Self::Object(object) => {
                let value = |part: &Member| match part {
                    Member::Value(value) => value.clone(),
                    Member::Wrapped(tree) => tree.value(),
                };
                let values = object.values.iter();
                Value::Object(values.map(|(name, part)| (name.clone(), value(part))).collect())
            }
        }
    }
}

/// A reader that counts lines.
struct LineCounter<'t> {
    bytes: &'t [u8],
    line: &'t Cell<u64>,
}

impl Read for LineCounter<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        let lines = memchr::memchr_iter(b'\n', &buffer[..read]).count() as u64;
        self.line.set(self.line.get() + lines);
        Ok(read)
    }
}

/// Deserializes a [`Tree`].
#[derive(Clone, Copy)]
struct TreeSeed<'t> {
    wrapped: usize,
    /// The current line.
    line: &'t Cell<u64>,
}

impl<'de> DeserializeSeed<'de> for TreeSeed<'_> {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TreeSeed<'_> {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value of JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Value(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Value(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Value(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Value(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Value(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Value(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Tree, E> {
        Ok(Tree::Value(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        let mut parts = Vec::new();
        while let Some(part) = list.next_element_seed(self)? {
            parts.push(part);
        }
        Ok(Tree::List(parts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let line = self.line.get();
        let mut values = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let part = if self.wrapped < WRAPPED && is_envelope(&key) {
                let inner = Self { wrapped: self.wrapped + 1, ..self };
                Member::Wrapped(map.next_value_seed(inner)?)
            } else {
                Member::Value(map.next_value()?)
            };
            values.push((key, part));
        }
        Ok(Tree::Object(Object { line, values }))
    }
}
