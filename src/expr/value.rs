//! The values that expressions read and produce.

use std::collections::BTreeMap;
use std::fmt;

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use crate::clock::{Span, Timestamp};

/// How deep a value may be nested: what `serde_json` reads, and what no walk over a value can overflow the stack with.
const MAX_DEPTH: usize = 128;

/// A value: what JSON has, plus spans and points in time.
///
/// It serialises as plain JSON, spans and times as their text. It is deliberately not read back from JSON: a span would
/// come back as a string. Whoever stores a value knows its declared type and makes the value from the text again.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// JSON `null`: there is a value, and it is nothing. A missing value is no `Value` at all.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number. JSON integers always become this.
    Int(i64),
    /// A number with a fraction.
    Double(f64),
    /// Text.
    Text(String),
    /// A span of time.
    Span(Span),
    /// A point in time.
    Time(Timestamp),
    /// Values in order.
    List(Vec<Value>),
    /// Values by key.
    Map(BTreeMap<String, Value>),
}

/// The JSON cannot be taken as a value without changing what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAValue {
    /// An integer beyond 64 bits with sign.
    #[error("the number {0} does not fit into 64 bits with a sign")]
    TooLarge(String),
    /// Lists and maps in one another, too many.
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

impl Value {
    /// An empty map.
    #[must_use]
    pub fn empty_map() -> Self {
        Self::Map(BTreeMap::new())
    }

    /// What kind of value this is, for messages: `a string`, `a list`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an integer",
            Self::Double(_) => "a number",
            Self::Text(_) => "a string",
            Self::Span(_) => "a duration",
            Self::Time(_) => "a timestamp",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }

    /// The value under `key`, when this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Map(map) => map.get(key),
            _ => None,
        }
    }

    /// As plain JSON; a number that JSON cannot write (an infinity) becomes `null`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(b) => (*b).into(),
            Self::Int(n) => (*n).into(),
            Self::Double(n) => (*n).into(),
            Self::Text(text) => text.as_str().into(),
            Self::Span(span) => span.to_string().into(),
            Self::Time(time) => time.to_string().into(),
            Self::List(list) => list.iter().map(Self::to_json).collect(),
            Self::Map(map) => map.iter().map(|(k, v)| (k.clone(), v.to_json())).collect(),
        }
    }

    fn from_json(json: serde_json::Value, depth: usize) -> Result<Self, NotAValue> {
        use serde_json::Value as Json;
        let deeper = depth.checked_sub(1).ok_or(NotAValue::TooDeep)?;
        Ok(match json {
            Json::Null => Self::Null,
            Json::Bool(b) => Self::Bool(b),
            Json::String(text) => Self::Text(text),
            Json::Number(n) => match (n.as_i64(), n.as_f64()) {
                (Some(whole), _) => Self::Int(whole),
                // As a double, two different ids would become equal.
                _ if n.is_u64() => return Err(NotAValue::TooLarge(n.to_string())),
                (None, Some(double)) => Self::Double(double),
                (None, None) => return Err(NotAValue::TooLarge(n.to_string())),
            },
            Json::Array(list) => Self::List(
                list.into_iter()
                    .map(|v| Self::from_json(v, deeper))
                    .collect::<Result<_, _>>()?,
            ),
            Json::Object(map) => Self::Map(
                map.into_iter()
                    .map(|(k, v)| Ok((k, Self::from_json(v, deeper)?)))
                    .collect::<Result<_, _>>()?,
            ),
        })
    }
}

impl TryFrom<serde_json::Value> for Value {
    type Error = NotAValue;
    fn try_from(json: serde_json::Value) -> Result<Self, NotAValue> {
        Self::from_json(json, MAX_DEPTH)
    }
}
impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}
impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}
impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
impl From<Span> for Value {
    fn from(value: Span) -> Self {
        Self::Span(value)
    }
}
impl From<Timestamp> for Value {
    fn from(value: Timestamp) -> Self {
        Self::Time(value)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(b) => serializer.serialize_bool(*b),
            Self::Int(n) => serializer.serialize_i64(*n),
            Self::Double(n) => serializer.serialize_f64(*n),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Span(span) => serializer.collect_str(span),
            Self::Time(time) => serializer.collect_str(time),
            Self::List(list) => {
                let mut seq = serializer.serialize_seq(Some(list.len()))?;
                list.iter().try_for_each(|v| seq.serialize_element(v))?;
                seq.end()
            }
            Self::Map(map) => {
                let mut entries = serializer.serialize_map(Some(map.len()))?;
                map.iter()
                    .try_for_each(|(k, v)| entries.serialize_entry(k, v))?;
                entries.end()
            }
        }
    }
}

/// As compact JSON, except that spans and times stand without quotes.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Span(span) => write!(f, "{span}"),
            Self::Time(time) => write!(f, "{time}"),
            Self::Double(n) if !n.is_finite() => write!(f, "{n}"),
            other => write!(f, "{}", other.to_json()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_keeps_what_it_says() {
        let json =
            json!({"n": 3, "x": 3.0, "neg": -1, "list": [null, true, "a"], "map": {"k": {}}});
        let value = Value::try_from(json.clone()).expect("plain JSON is a value");
        assert_eq!(value.get("n"), Some(&Value::Int(3)));
        assert_eq!(value.get("x"), Some(&Value::Double(3.0)));
        assert_eq!(value.to_json(), json);
        assert_eq!(serde_json::to_value(&value).expect("serialises"), json);
    }

    #[test]
    fn what_would_be_changed_is_refused() {
        let large = Value::try_from(json!([u64::MAX]));
        assert!(matches!(large, Err(NotAValue::TooLarge(_))), "{large:?}");
        let mut deep = json!(1);
        for _ in 0..=MAX_DEPTH {
            deep = json!([deep]);
        }
        assert_eq!(Value::try_from(deep), Err(NotAValue::TooDeep));
    }

    #[test]
    fn spans_and_times_are_text_outside() {
        let value = Value::List(vec![
            Value::Span(Span::from_secs(90)),
            Value::Time(Timestamp::from_micros(0)),
        ]);
        assert_eq!(value.to_json(), json!(["1m30s", "1970-01-01T00:00:00Z"]));
    }
}
