//! The kinds of values that inputs and facts have, and what counts as one.

use std::fmt;
use std::str::FromStr;

use serde_json::Value as Json;

use crate::clock::{Span, Timestamp};
use crate::digest::Digest;
use crate::expr::Value;
use crate::ids::Principal;

/// What kind of value an input or a fact holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Text without control characters.
    String,
    /// A whole number that fits 64 bits, signed.
    Integer,
    /// A number, possibly with a fraction.
    Number,
    /// Yes or no.
    Boolean,
    /// A span of time: `15m`.
    Duration,
    /// A point in time with an offset.
    Timestamp,
    /// A person or a service that acts.
    Principal,
    /// A SHA-256 digest, with or without the prefix `sha256:`.
    Digest,
    /// Any JSON value.
    Json,
    /// Several values of one kind.
    List(Box<Kind>),
    /// A value of the kind, or `null`: known to be absent.
    Optional(Box<Kind>),
}

/// Why a value is not of the kind that was asked for. `Display` is a fragment that follows the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not {0}")]
pub struct Mismatch(pub String);

/// The text names no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a type: use string, integer, number, boolean, duration, timestamp, principal, digest, json, `list<…>`, or one of them followed by `?` where it may be absent"
)]
pub struct NotAKind;

impl Kind {
    /// How people are told what to type: `a whole number`.
    #[must_use]
    pub fn wanted(&self) -> String {
        match self {
            Self::String => "text".into(),
            Self::Integer => "a whole number".into(),
            Self::Number => "a number".into(),
            Self::Boolean => "`yes` or `no`".into(),
            Self::Duration => "a duration like `15m`".into(),
            Self::Timestamp => "a time like `2026-11-20T23:15:06Z`".into(),
            Self::Principal => "a name like `alice` or `alice@example.com`".into(),
            Self::Digest => "a SHA-256 digest, 64 hexadecimal characters".into(),
            Self::Json => "JSON".into(),
            Self::List(item) => {
                format!("a comma-separated list, each {}, or `none`", item.wanted())
            }
            Self::Optional(inner) => format!("{}, or `none`", inner.wanted()),
        }
    }

    /// The value itself where it is of this kind, in its normal form.
    ///
    /// # Errors
    /// A [`Mismatch`] that says what was wanted; nothing is converted silently.
    pub fn accept(&self, value: &Json) -> Result<Json, Mismatch> {
        let text = || value.as_str().ok_or_else(|| Mismatch(self.wanted()));
        let miss = || Mismatch(self.wanted());
        match self {
            Self::String => match text()? {
                t if t.chars().any(|c| c.is_control() && c != '\n' && c != '\t') => {
                    Err(Mismatch("text without control characters".into()))
                }
                _ => Ok(value.clone()),
            },
            Self::Integer => value.as_i64().map(Json::from).ok_or_else(miss),
            Self::Number => value
                .as_f64()
                .filter(|n| n.is_finite())
                .map(|_| value.clone())
                .ok_or_else(miss),
            Self::Boolean => value.as_bool().map(Json::from).ok_or_else(miss),
            Self::Duration => text()?
                .parse::<Span>()
                .map(|v| v.to_string().into())
                .map_err(|_| miss()),
            Self::Timestamp => text()?
                .parse::<Timestamp>()
                .map(|v| v.to_string().into())
                .map_err(|_| miss()),
            Self::Principal => text()?
                .parse::<Principal>()
                .map(|v| v.to_string().into())
                .map_err(|_| miss()),
            Self::Digest => {
                let t = text()?;
                t.strip_prefix("sha256:")
                    .unwrap_or(t)
                    .parse::<Digest>()
                    .map_err(|_| miss())?;
                Ok(value.clone())
            }
            Self::Json => Ok(value.clone()),
            Self::List(item) => {
                let items = value.as_array().ok_or_else(miss)?;
                items
                    .iter()
                    .map(|v| item.accept(v))
                    .collect::<Result<Vec<_>, _>>()
                    .map(Json::from)
            }
            Self::Optional(_) if value.is_null() => Ok(Json::Null),
            Self::Optional(inner) => inner.accept(value),
        }
    }

    /// The value as expressions read it: a duration compares as a duration. None where it is not of this kind.
    #[must_use]
    pub fn value(&self, json: &Json) -> Option<Value> {
        match self {
            Self::Duration => json.as_str()?.parse().ok().map(Value::Span),
            Self::Timestamp => json.as_str()?.parse().ok().map(Value::Time),
            Self::List(item) => json
                .as_array()?
                .iter()
                .map(|v| item.value(v))
                .collect::<Option<_>>()
                .map(Value::List),
            Self::Optional(_) if json.is_null() => Some(Value::Null),
            Self::Optional(inner) => inner.value(json),
            Self::Number => json.as_f64().map(Value::Double),
            Self::String
            | Self::Integer
            | Self::Boolean
            | Self::Principal
            | Self::Digest
            | Self::Json => Value::try_from(json.clone()).ok(),
        }
    }

    /// Reads what a person typed.
    ///
    /// # Errors
    /// A [`Mismatch`] that says what was wanted. Empty text is never a value, except an empty list.
    pub fn read(&self, typed: &str) -> Result<Json, Mismatch> {
        let typed = typed.trim();
        let miss = || Mismatch(self.wanted());
        if let Self::Optional(inner) = self {
            return if matches!(typed, "none" | "null") {
                Ok(Json::Null)
            } else {
                inner.read(typed)
            };
        }
        if let Self::List(item) = self {
            if matches!(typed, "none" | "[]") {
                return Ok(Json::Array(Vec::new()));
            }
            let parts = typed
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty());
            return parts
                .map(|part| item.read(part))
                .collect::<Result<Vec<_>, _>>()
                .map(Json::from);
        }
        if typed.is_empty() {
            return Err(miss());
        }
        let value = match self {
            Self::Integer => typed.parse::<i64>().map(Json::from).map_err(|_| miss())?,
            Self::Number => serde_json::from_str::<serde_json::Number>(typed)
                .map(Json::Number)
                .map_err(|_| miss())?,
            Self::Boolean => match typed.to_ascii_lowercase().as_str() {
                "yes" | "y" | "true" => true.into(),
                "no" | "n" | "false" => false.into(),
                _ => return Err(miss()),
            },
            Self::Json => serde_json::from_str(typed).map_err(|_| miss())?,
            _ => typed.into(),
        };
        self.accept(&value)
    }
}

impl FromStr for Kind {
    type Err = NotAKind;
    fn from_str(text: &str) -> Result<Self, NotAKind> {
        parse(text, 0)
    }
}

/// Deepest nesting of `list<…>` and `?`; no real fact needs more.
const DEEPEST: usize = 4;

fn parse(text: &str, depth: usize) -> Result<Kind, NotAKind> {
    if depth > DEEPEST {
        return Err(NotAKind);
    }
    if let Some(inner) = text.strip_suffix('?') {
        return match parse(inner, depth + 1)? {
            Kind::Optional(_) => Err(NotAKind),
            inner => Ok(Kind::Optional(Box::new(inner))),
        };
    }
    if let Some(item) = text
        .strip_prefix("list<")
        .and_then(|rest| rest.strip_suffix('>'))
    {
        return Ok(Kind::List(Box::new(parse(item, depth + 1)?)));
    }
    Ok(match text {
        "string" => Kind::String,
        "integer" => Kind::Integer,
        "number" => Kind::Number,
        "boolean" => Kind::Boolean,
        "duration" => Kind::Duration,
        "timestamp" => Kind::Timestamp,
        "principal" => Kind::Principal,
        "digest" => Kind::Digest,
        "json" => Kind::Json,
        _ => return Err(NotAKind),
    })
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String => f.write_str("string"),
            Self::Integer => f.write_str("integer"),
            Self::Number => f.write_str("number"),
            Self::Boolean => f.write_str("boolean"),
            Self::Duration => f.write_str("duration"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Principal => f.write_str("principal"),
            Self::Digest => f.write_str("digest"),
            Self::Json => f.write_str("json"),
            Self::List(item) => write!(f, "list<{item}>"),
            Self::Optional(inner) => write!(f, "{inner}?"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn kinds_survive_their_text() {
        for text in [
            "string",
            "integer?",
            "list<string>",
            "list<list<integer>>",
            "list<string?>",
            "json",
            "digest?",
        ] {
            assert_eq!(text.parse::<Kind>().expect(text).to_string(), text);
        }
        for bad in [
            "",
            "int",
            "list<>",
            "list<string",
            "string??",
            "list<list<list<list<list<string>>>>>",
        ] {
            assert!(bad.parse::<Kind>().is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_is_converted_silently() {
        let refused = [
            (Kind::Integer, json!("3")),
            (Kind::Integer, json!(3.5)),
            (Kind::Boolean, json!("true")),
            (Kind::Boolean, json!(null)),
            (Kind::String, json!(3)),
            (Kind::String, json!("a\u{1b}[2J")),
            (Kind::Timestamp, json!("2026-11-20 10:00")),
            (Kind::List(Box::new(Kind::Integer)), json!([1, "2"])),
        ];
        for (kind, value) in refused {
            assert!(kind.accept(&value).is_err(), "{kind} {value}");
        }
    }

    #[test]
    fn what_is_typed_is_read_as_its_kind() {
        assert_eq!(Kind::Boolean.read("yes"), Ok(json!(true)));
        assert!(Kind::Boolean.read("").is_err());
        assert!(Kind::Boolean.read("maybe").is_err());
        assert!(Kind::String.read("  ").is_err());
        assert_eq!(
            "list<integer>".parse::<Kind>().expect("kind").read("1, 2"),
            Ok(json!([1, 2]))
        );
        assert_eq!(
            "string?".parse::<Kind>().expect("kind").read("none"),
            Ok(Json::Null)
        );
        assert_eq!(Kind::Duration.read("90s"), Ok(json!("1m30s")));
    }
}
