//! Request patterns: a method, and a path as a server understands it.

use super::glob::glob_matches;
use crate::runbook::pattern::RequestPattern;

/// Whether a request matches a pattern. The path is compared as a server understands it, whichever way it is spelled.
#[must_use]
pub fn request_is_denied(method: &str, path: &str, pattern: &RequestPattern) -> bool {
    let path = path.split(['?', '#']).next().unwrap_or(path);
    let glob = pattern.path().to_lowercase();
    let wanted = pattern.method();
    wanted.is_none_or(|wanted| wanted.as_str().eq_ignore_ascii_case(method))
        && (glob_matches(&path.to_lowercase(), &glob) || glob_matches(&plain(path), &glob))
}

/// The path in its plainest spelling.
fn plain(path: &str) -> String {
    let mut text = path.to_owned();
    // Something on the way may decode what was encoded twice. Every round makes it shorter, so this ends.
    while let Some(decoded) = decoded(&text) {
        text = decoded;
    }
    text.retain(|c| !c.is_control());
    let mut segments = Vec::new();
    for segment in text.split(['/', '\\']) {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/")).to_lowercase()
}

/// The text with one round of percent-encoding undone; none where there is nothing to undo.
fn decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let hex = hex.filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        let code = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        out.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    (out.len() < bytes.len()).then(|| String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_pattern_looks_at_method_and_path() {
        let table = [
            (
                "PUT /edges/*/routes*",
                "PUT",
                "/edges/fra1/routes/web?x=1",
                true,
            ),
            (
                "PUT /edges/*/routes*",
                "GET",
                "/edges/fra1/routes/web",
                false,
            ),
            ("* /edges/*", "delete", "/edges/fra1", true),
            ("PUT /edges/*", "PUT", "/operations", false),
            ("PUT\t/edges/*", "PUT", "/edges/fra1", true),
            ("PUT /edges/*", "PUT", "/%65dges/fra1", true),
            ("PUT /edges/*", "PUT", "/%2565dges/fra1", true),
            ("PUT /edges/*", "PUT", "//x/../EDGES/fra1", true),
            ("PUT /edges/*", "PUT", "/x/%2e%2E/edges/fra1", true),
            ("PUT /edges/*", "PUT", "/x/..\\edges\\fra1", true),
            ("PUT /edges/*", "PUT", "/edges/../operations", true),
            ("PUT /edges/*", "PUT", "/operations/100%", false),
        ];
        for (pattern, method, path, denied) in table {
            let read = RequestPattern::parse(pattern).expect(pattern);
            assert_eq!(
                request_is_denied(method, path, &read),
                denied,
                "{pattern} / {method} {path}"
            );
        }
    }
}
