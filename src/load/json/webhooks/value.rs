//! JSON values whose texts are borrowed from the file.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use wabalake_data::cells::number::float_text;

/// A JSON value.
#[derive(Debug)]
pub(super) enum Json<'t> {
    Null,
    Bool(bool),
    Whole(i128),
    Float(f64),
    Text(Cow<'t, str>),
    List(Vec<Json<'t>>),
    Object(Object<'t>),
}

/// A JSON object, in the order of its keys. Of equal keys the first counts.
#[derive(Debug, Default)]
pub(super) struct Object<'t>(pub(super) Vec<(Cow<'t, str>, Json<'t>)>);

impl<'t> Json<'t> {
    /// Parses a whole text.
    pub(super) fn read(text: &'t [u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(text)
    }

    pub(super) fn object(&self) -> Option<&Object<'t>> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The text of a cell: that of a string, a number or a boolean, else empty.
    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Whole(number) => number.to_string().into(),
            Self::Float(number) => float_text(*number).into(),
            Self::Bool(yes) => if *yes { "true" } else { "false" }.into(),
            Self::Null | Self::List(_) | Self::Object(_) => "".into(),
        }
    }

    /// The elements of a list; any other value is the only element.
    fn elements(&self) -> &[Self] {
        match self {
            Self::List(parts) => parts,
            single => std::slice::from_ref(single),
        }
    }

    /// The value as JSON.
    pub(super) fn written(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Self::Null => "null".to_owned(),
            Self::Text(text) => quoted(text),
            Self::List(parts) => {
                let parts: Vec<String> = parts.iter().map(Self::written).collect();
                format!("[{}]", parts.join(","))
            }
            Self::Object(Object(entries)) => {
                let entry = |(key, value): &(Cow<'_, str>, Self)| {
                    format!("{}:{}", quoted(key), value.written())
                };
                format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(","))
            }
            other => other.text().into_owned(),
        }
    }
}

impl<'t> Object<'t> {
    pub(super) fn get(&self, key: &str) -> Option<&Json<'t>> {
        let found = self.0.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value).filter(|value| !matches!(value, Json::Null))
    }

    /// The value at nested keys.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Json<'t>> {
        let (last, outer) = path.split_last()?;
        let mut object = self;
        for key in outer {
            object = object.inner(key)?;
        }
        object.get(last)
    }

    /// The object below a key.
    pub(super) fn inner(&self, key: &str) -> Option<&Self> {
        self.get(key)?.object()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The text below a key; empty without one.
    pub(super) fn text(&self, key: &str) -> Cow<'_, str> {
        self.get(key).map(Json::text).unwrap_or_default()
    }

    /// The text at nested keys; empty without one.
    pub(super) fn text_at(&self, path: &[&str]) -> Cow<'_, str> {
        self.at(path).map(Json::text).unwrap_or_default()
    }

    /// The first text that is not empty among some keys.
    pub(super) fn first_text(&self, keys: &[&str]) -> Cow<'_, str> {
        let mut texts = keys.iter().map(|key| self.text(key));
        texts.find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// The elements of the list below a key; any other value is the only element.
    pub(super) fn elements(&self, key: &str) -> impl Iterator<Item = &Json<'t>> {
        self.get(key).into_iter().flat_map(Json::elements)
    }

    /// The objects among [`Object::elements`].
    pub(super) fn objects(&self, key: &str) -> impl Iterator<Item = &Self> {
        self.elements(key).filter_map(Json::object)
    }

    /// The offset in the text from which this was read.
    pub(super) fn offset(&self, text: &[u8]) -> Option<usize> {
        let (Cow::Borrowed(key), _) = self.0.first()? else { return None };
        let offset = key.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
        // Only blanks are between the brace and the first key.
        memchr::memrchr(b'{', text.get(..offset)?)
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value of JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Json::Whole(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Json::Whole(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Json::Float(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut parts = Vec::new();
        while let Some(part) = list.next_element()? {
            parts.push(part);
        }
        Ok(Json::List(parts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((Key(key), value)) = map.next_entry()? {
            entries.push((key, value));
        }
        Ok(Json::Object(Object(entries)))
    }
}

/// A key, borrowed unless it is escaped.
struct Key<'t>(Cow<'t, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Key(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Key(Cow::Owned(value.to_owned())))
    }
}
