//! Requests as the simulated control plane reads them, and its answers.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

/// What the simulated control plane answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Headers beside the media type.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The document; a problem document (RFC 9457) when the status is 400 or more.
    pub body: Json,
}

impl Answer {
    pub(super) fn ok(body: Json) -> Self {
        Self {
            status: 200,
            headers: BTreeMap::new(),
            body,
        }
    }

    /// A problem document: what is wrong in one line, and what to do.
    pub(super) fn problem(status: u16, detail: impl Into<String>) -> Self {
        let title = StatusCode::from_u16(status).ok();
        let title = title.and_then(|status| status.canonical_reason());
        let body = json!({
            "type": "about:blank", "status": status, "title": title.unwrap_or("Problem"), "detail": detail.into(),
        });
        Self {
            status,
            headers: BTreeMap::new(),
            body,
        }
    }

    /// The same problem, with one more member.
    pub(super) fn with(mut self, member: &str, value: Json) -> Self {
        if let Json::Object(body) = &mut self.body {
            body.insert(member.to_owned(), value);
        }
        self
    }
}

/// A request as it is sent: path and query percent-encoded, the path without its query and the query without its `?`.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The path.
    pub path: &'a str,
    /// The query; empty where there is none.
    pub query: &'a str,
    /// The header `Idempotency-Key`.
    pub key: Option<&'a str>,
    /// The body; empty where there is none.
    pub body: &'a [u8],
}

/// A request, taken apart.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    /// The path without its query, as it was sent.
    pub(super) path: &'a str,
    pub(super) segments: Vec<String>,
    pub(super) query: BTreeMap<String, String>,
    /// The body; null where there is none, and where the request only reads.
    pub(super) body: Json,
    key: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// Takes a request apart.
    ///
    /// # Errors
    /// An answer with status 400, when path, query or body cannot be read in one way only.
    pub(super) fn new(asked: Asked<'a>) -> Result<Self, Answer> {
        let unreadable = |what: &str| Answer::problem(400, what);
        let segments: Option<Vec<String>> = asked.path.split('/').skip(1).map(decoded).collect();
        let segments =
            segments.ok_or_else(|| unreadable("the path is not percent-encoded UTF-8"))?;
        let mut pairs = BTreeMap::new();
        for pair in asked.query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(key), Some(value)) = (decoded(key), decoded(value)) else {
                return Err(unreadable("the query is not percent-encoded UTF-8"));
            };
            if let Some(first) = pairs.insert(key.clone(), value) {
                return Err(unreadable(&format!(
                    "`{key}` is given twice, first as `{first}`"
                )));
            }
        }
        let request = Self {
            method: asked.method,
            path: asked.path,
            segments,
            query: pairs,
            body: Json::Null,
            key: asked.key.filter(|key| !key.is_empty()),
        };
        if request.only_reads() || asked.body.is_empty() {
            return Ok(request);
        }
        let body = serde_json::from_slice(asked.body);
        let body = body.map_err(|error| unreadable(&format!("the body is not JSON: {error}")))?;
        Ok(Self { body, ..request })
    }

    /// Whether it asks for nothing to be changed.
    pub(super) fn only_reads(&self) -> bool {
        self.method == "GET"
    }

    /// The idempotency key, from the body or from the header; an empty one is none.
    ///
    /// # Errors
    /// An answer with status 400, when they differ.
    pub(super) fn key(&self) -> Result<Option<&str>, Answer> {
        let within = self.body.get("idempotency_key").and_then(Json::as_str);
        match (within.filter(|key| !key.is_empty()), self.key) {
            (Some(within), Some(header)) if within != header => Err(Answer::problem(
                400,
                "the body has one idempotency key, and the header another",
            )),
            (within, header) => Ok(within.or(header)),
        }
    }

    /// That the query has no parameter but these.
    ///
    /// # Errors
    /// An answer with status 400 when it has: a filter that is silently ignored answers another question.
    pub(super) fn knows(&self, parameters: &[String]) -> Result<(), Answer> {
        let other = self.query.keys().find(|key| !parameters.contains(key));
        other.map_or(Ok(()), |other| {
            let known = match parameters {
                [] => "none".to_owned(),
                some => format!("`{}`", some.join("`, `")),
            };
            let detail = format!("unknown query parameter `{other}`; this path knows {known}");
            Err(Answer::problem(400, detail))
        })
    }
}

/// Percent-decodes; `None` when an escape is broken or the result is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get<'a>(path: &'a str, query: &'a str) -> Asked<'a> {
        Asked {
            method: "GET",
            path,
            query,
            key: None,
            body: b"",
        }
    }

    #[test]
    fn values_arrive_as_they_were_meant() {
        let request = Request::new(get("/a%2Fb/c", "artifact=sha256%3Aab&x")).expect("reads");
        assert_eq!(request.segments, ["a/b", "c"]);
        assert_eq!(request.query["artifact"], "sha256:ab");
        let known = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let refused = request.knows(&known(&["artifact"])).expect_err("x");
        assert_eq!(refused.status, 400);
        assert_eq!(request.knows(&known(&["artifact", "x"])), Ok(()));
    }

    #[test]
    fn what_reads_in_two_ways_is_refused() {
        for (path, query) in [
            ("/%", ""),
            ("/%ff", ""),
            ("/a", "k=%4"),
            ("/a", "k=1&k=2"),
            ("/a", "%zz=1"),
        ] {
            let refused = Request::new(get(path, query)).expect_err(path);
            assert_eq!(refused.status, 400, "{path}?{query}");
        }
    }

    #[test]
    fn there_is_one_idempotency_key_or_none() {
        for (key, body, expected) in [
            (None, "", Ok(None)),
            (Some(""), r#"{"idempotency_key": ""}"#, Ok(None)),
            (Some("k"), "", Ok(Some("k"))),
            (None, r#"{"idempotency_key": "k"}"#, Ok(Some("k"))),
            (Some("k"), r#"{"idempotency_key": "k"}"#, Ok(Some("k"))),
            (Some("l"), r#"{"idempotency_key": "k"}"#, Err(400)),
        ] {
            let request = Request::new(Asked {
                method: "POST",
                key,
                body: body.as_bytes(),
                ..get("/a", "")
            });
            let request = request.expect("reads");
            let found = request.key().map_err(|answer| answer.status);
            assert_eq!(found, expected, "{key:?} {body}");
        }
    }
}
