//! Requests as the simulated control plane reads them, and its answers.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

/// What the simulated control plane answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The document; a problem document (RFC 9457) when the status is 400 or more.
    pub body: Json,
}

impl Answer {
    pub(super) fn ok(body: Json) -> Self {
        Self { status: 200, body }
    }

    /// A problem document: what is wrong in one line, and what to do.
    pub(super) fn problem(status: u16, title: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let body =
            json!({"type": "about:blank", "status": status, "title": title, "detail": detail});
        Self { status, body }
    }

    /// The same problem, with one more member.
    pub(super) fn with(mut self, member: &str, value: Json) -> Self {
        if let Json::Object(body) = &mut self.body {
            body.insert(member.to_owned(), value);
        }
        self
    }
}

/// A request, taken apart.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    /// The path without its query, as it was sent.
    pub(super) path: &'a str,
    pub(super) segments: Vec<String>,
    pub(super) query: BTreeMap<String, String>,
    pub(super) body: &'a [u8],
}

impl<'a> Request<'a> {
    /// Takes a request apart.
    ///
    /// # Errors
    /// An answer with status 400, when path or query cannot be read in one way only.
    pub(super) fn new(
        method: &'a str,
        path: &'a str,
        query: &str,
        body: &'a [u8],
    ) -> Result<Self, Answer> {
        let unreadable = |what: &str| Answer::problem(400, "Bad Request", what);
        let segments: Option<Vec<String>> = path.split('/').skip(1).map(decoded).collect();
        let segments =
            segments.ok_or_else(|| unreadable("the path is not percent-encoded UTF-8"))?;
        let mut pairs = BTreeMap::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
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
        Ok(Self {
            method,
            path,
            segments,
            query: pairs,
            body,
        })
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// An answer with status 400, when it is not JSON.
    pub(super) fn json(&self) -> Result<Json, Answer> {
        serde_json::from_slice(self.body).map_err(|error| {
            Answer::problem(400, "Bad Request", format!("the body is not JSON: {error}"))
        })
    }

    /// The one query parameter that this path knows.
    ///
    /// # Errors
    /// An answer with status 400 when there is another: a filter that is silently ignored answers another question.
    pub(super) fn only(&self, name: &str) -> Result<Option<&str>, Answer> {
        match self.query.keys().find(|key| *key != name) {
            Some(other) => Err(Answer::problem(
                400,
                "Bad Request",
                format!("unknown query parameter `{other}`; this path knows `{name}`"),
            )),
            None => Ok(self.query.get(name).map(String::as_str)),
        }
    }

    /// The query, which must be empty.
    pub(super) fn no_query(&self) -> Result<(), Answer> {
        match self.query.keys().next() {
            Some(other) => Err(Answer::problem(
                400,
                "Bad Request",
                format!("unknown query parameter `{other}`; this path knows none"),
            )),
            None => Ok(()),
        }
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

    #[test]
    fn values_arrive_as_they_were_meant() {
        let request =
            Request::new("GET", "/a%2Fb/c", "artifact=sha256%3Aab&x", b"").expect("reads");
        assert_eq!(request.segments, ["a/b", "c"]);
        assert_eq!(request.query["artifact"], "sha256:ab");
        assert_eq!(request.only("artifact").expect_err("x").status, 400);
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
            let refused = Request::new("GET", path, query, b"").expect_err(path);
            assert_eq!(refused.status, 400, "{path}?{query}");
        }
    }
}
