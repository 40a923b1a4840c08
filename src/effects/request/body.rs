//! The body of an answer: a JSON value, or a reason why it is none.

use std::fmt;

use serde_json::Value;

use crate::redact::Redactor;

/// Most of a text that is kept, in bytes; a page of HTML is looked at, not worked with.
const TEXT: usize = 1024 * 1024;

/// What an endpoint answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Nothing.
    Empty,
    /// A JSON document.
    Json(Value),
    /// Something else. No fact can be taken from it.
    Text {
        /// The first megabyte of it.
        text: String,
        /// Why it is not JSON.
        why: NotJson,
    },
}

/// Why a body is not a JSON value. `Display` is what to tell the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotJson {
    /// A page for people, often of a proxy or a login.
    #[error("the endpoint answered HTML, not JSON")]
    Html,
    /// Neither declared as JSON nor looking like it.
    #[error("the endpoint answered {0}, not JSON")]
    Other(Kind),
    /// Declared as JSON or looking like it, and not it: cut, wrong, or nested deeper than 128 levels.
    #[error("the endpoint answered what should be JSON and cannot be read: {0}")]
    Malformed(String),
}

/// The media type that an endpoint declared, if it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind(Option<String>);

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(kind) => write!(f, "`{}`", kind.escape_debug()),
            None => f.write_str("text of no declared type"),
        }
    }
}

/// Reads a masked body. Strings are masked once more when they are unescaped: JSON can spell any character in two ways.
pub(super) fn read(bytes: &[u8], content_type: Option<&str>, redactor: &Redactor) -> Body {
    let kind = content_type.map(|kind| {
        let kind = kind.split(';').next().unwrap_or_default();
        kind.trim().to_ascii_lowercase()
    });
    let content = bytes.trim_ascii();
    if content.is_empty() {
        return Body::Empty;
    }
    let declared = kind.as_deref().is_some_and(|kind| {
        kind == "application/json" || kind == "text/json" || kind.ends_with("+json")
    });
    let why = if declared || matches!(content[0], b'{' | b'[') {
        match serde_json::from_slice(content) {
            Ok(mut value) => {
                mask(&mut value, redactor);
                return Body::Json(value);
            }
            Err(_) if content[0] == b'<' => NotJson::Html,
            Err(e) => NotJson::Malformed(e.to_string()),
        }
    } else if kind.as_deref() == Some("text/html") || content[0] == b'<' {
        NotJson::Html
    } else {
        NotJson::Other(Kind(kind))
    };
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(TEXT)]).into_owned();
    Body::Text { text, why }
}

/// As deep as the parser let the value be.
fn mask(value: &mut Value, redactor: &Redactor) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => *text = redactor.text(text),
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, redactor)),
        Value::Object(fields) => {
            let masked = std::mem::take(fields).into_iter().map(|(key, mut field)| {
                mask(&mut field, redactor);
                (redactor.text(&key), field)
            });
            *fields = masked.collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn why(bytes: &[u8], kind: Option<&str>) -> String {
        match read(bytes, kind, &Redactor::default()) {
            Body::Text { why, .. } => why.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn json_is_what_parses_and_is_declared_or_looks_so() {
        let read = |bytes: &[u8], kind| read(bytes, kind, &Redactor::default());
        let json = Some("application/json; charset=utf-8");
        assert_eq!(read(b" 42 ", json), Body::Json(json!(42)));
        assert_eq!(
            read(b"{\"a\":1}", Some("text/plain")),
            Body::Json(json!({"a": 1}))
        );
        assert_eq!(
            read(b"{}", Some("application/problem+json")),
            Body::Json(json!({}))
        );
        assert_eq!(read(b" \n", json), Body::Empty);
    }

    #[test]
    fn what_is_not_json_says_what_it_is() {
        let html = b"<!doctype html><title>Sign in</title>";
        assert_eq!(
            why(html, Some("text/html")),
            "the endpoint answered HTML, not JSON"
        );
        assert_eq!(
            why(html, Some("application/json")),
            "the endpoint answered HTML, not JSON"
        );
        assert_eq!(
            why(b"42", Some("text/plain")),
            "the endpoint answered `text/plain`, not JSON"
        );
        assert_eq!(
            why(b"ok", None),
            "the endpoint answered text of no declared type, not JSON"
        );
        for bad in [&b"{\"a\":1"[..], b"{} {}", b"{\"a\":NaN}", b"[\"\xff\"]"] {
            assert!(why(bad, None).contains("cannot be read"), "{bad:?}");
        }
    }

    #[test]
    fn a_document_nested_to_overflow_the_stack_is_refused() {
        let bomb = "[".repeat(1_000_000);
        assert!(why(bomb.as_bytes(), None).contains("recursion limit"));
    }

    #[test]
    fn a_secret_in_escapes_is_masked_once_it_is_read() {
        let (redactor, _) = Redactor::new([("T", "hunter2")]);
        let body = read(br#"{"\u0068unter2": ["hunt\u0065r2", 1]}"#, None, &redactor);
        assert_eq!(
            body,
            Body::Json(json!({"[REDACTED:T]": ["[REDACTED:T]", 1]}))
        );
    }
}
