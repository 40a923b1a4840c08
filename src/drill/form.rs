//! JSON documents with expressions in them.

use std::fmt;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json};

use super::names::Names;
use crate::expr::{Template, Why};

/// A JSON document in which text may hold `${…}`; text that is one `${…}` as a whole becomes its value, of any kind.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Form {
    /// Null, a boolean or a number.
    Plain(Json),
    /// Text.
    Text(Template),
    /// Documents in order.
    List(Vec<Form>),
    /// Documents by name; the names may hold `${…}` as well.
    Map(Vec<(Template, Form)>),
}

impl Form {
    /// The document with every expression replaced by its value.
    pub(super) fn fill(&self, names: &mut Names<'_>) -> Result<Json, Why> {
        match self {
            Self::Plain(json) => Ok(json.clone()),
            Self::Text(template) => names.filled(template).map(|value| value.to_json()),
            Self::List(list) => list.iter().map(|item| item.fill(names)).collect(),
            Self::Map(map) => {
                let mut filled = Map::new();
                for (key, item) in map {
                    let key = names.text(key)?;
                    let item = item.fill(names)?;
                    if filled.insert(key.clone(), item).is_some() {
                        return Err(Why::new(format!("`{key}` is there twice")));
                    }
                }
                Ok(Json::Object(filled))
            }
        }
    }

    /// The same, where it has to be a map.
    pub(super) fn fill_map(&self, names: &mut Names<'_>) -> Result<Map<String, Json>, Why> {
        match self.fill(names)? {
            Json::Object(map) => Ok(map),
            other => Err(Why::new(format!("`{other}` is no map"))),
        }
    }

    /// Whether it is a map, or may become one.
    pub(super) fn may_be_map(&self) -> bool {
        match self {
            Self::Map(_) => true,
            Self::Text(template) => !template.is_literal(),
            Self::Plain(_) | Self::List(_) => false,
        }
    }

    /// Every text in it.
    pub(super) fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Plain(_) => Vec::new(),
            Self::Text(template) => vec![template],
            Self::List(list) => list.iter().flat_map(Self::templates).collect(),
            Self::Map(map) => {
                let both = map.iter().flat_map(|(key, item)| {
                    let mut both = item.templates();
                    both.push(key);
                    both
                });
                both.collect()
            }
        }
    }
}

/// Text in a document, with `${…}` in it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text(pub(super) Template);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        template(&String::deserialize(deserializer)?).map(Self)
    }
}

fn template<E: Error>(text: &str) -> Result<Template, E> {
    Template::parse(text).map_err(|error| E::custom(format_args!("`{text}`: {error}")))
}

impl<'de> Deserialize<'de> for Form {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Form;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document")
    }

    fn visit_unit<E>(self) -> Result<Form, E> {
        Ok(Form::Plain(Json::Null))
    }

    fn visit_none<E>(self) -> Result<Form, E> {
        Ok(Form::Plain(Json::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Form, D::Error> {
        Form::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Form, E> {
        Ok(Form::Plain(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Form, E> {
        Ok(Form::Plain(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Form, E> {
        let value = i64::try_from(value);
        let value =
            value.map_err(|_| E::custom("the number does not fit into 64 bits with a sign"));
        value.map(|value| Form::Plain(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Form, E> {
        Ok(Form::Plain(value.into()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Form, E> {
        template(value).map(Form::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Form, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element()? {
            list.push(item);
        }
        Ok(Form::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Form, A::Error> {
        let mut entries = Vec::new();
        while let Some((Text(key), item)) = map.next_entry()? {
            entries.push((key, item));
        }
        Ok(Form::Map(entries))
    }
}
