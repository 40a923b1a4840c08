//! Between our values and the interpreter's.

use std::collections::HashMap;

use cel::common::types::{
    CelBool, CelDouble, CelDuration, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString,
    CelTimestamp,
};
use cel::common::value::Val;
use chrono::{DateTime, Duration, FixedOffset};

use super::{Value, Why};
use crate::clock::{Span, Timestamp};

/// A value of the interpreter, looked at.
pub(super) enum View<'b, 'v> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(&'b str),
    Span(Duration),
    Time(DateTime<FixedOffset>),
    List(&'b CelList<'v>),
    Map(&'b CelMap<'v>),
    /// What expressions here have no use for: types, unsigned integers, bytes.
    Other,
}

impl<'b, 'v> View<'b, 'v> {
    pub(super) fn of(value: &'b (dyn Val + 'v)) -> Self {
        if value.downcast_ref::<CelNull>().is_some() {
            Self::Null
        } else if let Some(b) = value.downcast_ref::<CelBool>() {
            Self::Bool(*b.inner())
        } else if let Some(n) = value.downcast_ref::<CelInt>() {
            Self::Int(*n.inner())
        } else if let Some(n) = value.downcast_ref::<CelDouble>() {
            Self::Double(*n.inner())
        } else if let Some(text) = value.downcast_ref::<CelString>() {
            Self::Text(text.inner())
        } else if let Some(span) = value.downcast_ref::<CelDuration>() {
            Self::Span(*span.inner())
        } else if let Some(time) = value.downcast_ref::<CelTimestamp>() {
            Self::Time(*time.inner())
        } else if let Some(list) = value.downcast_ref::<CelList>() {
            Self::List(list)
        } else if let Some(map) = value.downcast_ref::<CelMap>() {
            Self::Map(map)
        } else {
            Self::Other
        }
    }

    pub(super) fn kind(&self) -> &'static str {
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
            Self::Other => "something else",
        }
    }

    /// Roughly how many bytes the value holds.
    pub(super) fn bytes(&self) -> usize {
        const EACH: usize = 32;
        match self {
            Self::Text(text) => EACH + text.len(),
            Self::List(list) => {
                EACH + list
                    .iter()
                    .map(|v| View::of(v.as_ref()).bytes())
                    .sum::<usize>()
            }
            Self::Map(map) => {
                let keys = map
                    .keys()
                    .map(|key| View::of(key.inner()).bytes())
                    .sum::<usize>();
                EACH + keys
                    + map
                        .values()
                        .map(|v| View::of(v.as_ref()).bytes())
                        .sum::<usize>()
            }
            _ => EACH,
        }
    }

    /// The value as one of ours; refuses what ours cannot say.
    pub(super) fn to_value(&self) -> Result<Value, Why> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(b) => Value::Bool(*b),
            Self::Int(n) => Value::Int(*n),
            Self::Double(n) if n.is_finite() => Value::Double(*n),
            Self::Double(_) => return Err(Why::new("the result is not a finite number")),
            Self::Text(text) => Value::Text((*text).to_owned()),
            Self::Span(span) => Value::Span(span_of(*span)?),
            Self::Time(time) => Value::Time(Timestamp::from_micros(time.timestamp_micros())),
            Self::List(list) => Value::List(
                list.iter()
                    .map(|v| View::of(v.as_ref()).to_value())
                    .collect::<Result<_, _>>()?,
            ),
            Self::Map(map) => {
                let entries = map.iter().map(|(key, value)| match key {
                    CelMapKey::String(key) => {
                        Ok((key.inner().to_owned(), View::of(value.as_ref()).to_value()?))
                    }
                    _ => Err(Why::new(
                        "a map with keys that are not strings is no value here",
                    )),
                });
                Value::Map(entries.collect::<Result<_, _>>()?)
            }
            Self::Other => return Err(Why::new("the result is a type, not a value")),
        })
    }
}

/// A span of the interpreter as one of ours, in whole milliseconds; ours are never negative.
pub(super) fn span_of(span: Duration) -> Result<Span, Why> {
    u64::try_from(span.num_milliseconds())
        .map(Span::from_millis)
        .map_err(|_| Why::new("a duration is negative"))
}

/// One of our values, lent to the interpreter; `None` for a span that is longer than it can count.
pub(super) fn lend(value: &Value) -> Option<Box<dyn Val + '_>> {
    Some(match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(b) => Box::new(CelBool::from(*b)),
        Value::Int(n) => Box::new(CelInt::from(*n)),
        Value::Double(n) => Box::new(CelDouble::from(*n)),
        Value::Text(text) => Box::new(CelString::from(text.as_str())),
        Value::Span(span) => {
            let millis = i64::try_from(span.millis()).ok()?;
            Box::new(CelDuration::from(Duration::try_milliseconds(millis)?))
        }
        Value::Time(time) => Box::new(CelTimestamp::from(time.as_chrono().fixed_offset())),
        Value::List(list) => {
            let list: Vec<Box<dyn Val + '_>> = list.iter().map(lend).collect::<Option<_>>()?;
            Box::new(CelList::from(list))
        }
        Value::Map(map) => return lend_map(map.iter()),
    })
}

/// Some members of a map, lent to the interpreter as a map.
pub(super) fn lend_map<'v>(
    members: impl Iterator<Item = (&'v String, &'v Value)>,
) -> Option<Box<dyn Val + 'v>> {
    let map: HashMap<CelMapKey<'_>, Box<dyn Val + '_>> = members
        .map(|(k, v)| Some((CelMapKey::from(k.as_str()), lend(v)?)))
        .collect::<Option<_>>()?;
    Some(Box::new(CelMap::from(map)))
}
