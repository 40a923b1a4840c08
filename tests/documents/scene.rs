//! How the cases are written: a runbook that is right, and one edit that makes it wrong.

use runbook::runbook::diagnostic::{Diagnostic, Paint, render};
use runbook::runbook::library::Library;
use runbook::runbook::model::Runbook;
use runbook::runbook::parse;

/// A runbook with one of everything.
pub(crate) const BREW: &str = include_str!("brew.yaml");
/// The library that it uses.
pub(crate) const STANDARD: &str = include_str!("standard.yaml");

/// Marks the place where a mistake is expected; not part of the document.
const MARK: char = '«';

/// Reads a runbook with the library at hand.
pub(crate) fn read(text: &str) -> Result<Runbook, Vec<Diagnostic>> {
    let library =
        Library::parse("standard.yaml", STANDARD.as_bytes()).expect("the library is right");
    parse("brew.yaml", text.as_bytes(), &[library])
}

/// One edit, the beginning of the message that it must lead to, at the mark, and nothing else.
pub(crate) type Case = (&'static str, &'static str, &'static str);

/// Makes each edit in the runbook alone and compares what is said.
pub(crate) fn refused(cases: &[Case]) {
    let mut failures = String::new();
    for (old, new, message) in cases {
        assert_eq!(
            BREW.matches(old).count(),
            1,
            "not exactly once in the runbook: {old}"
        );
        let text = BREW.replace(old, new);
        failures.push_str(&compare(&text, message, |text| read(text).map(drop)));
    }
    assert!(failures.is_empty(), "{failures}");
}

/// Reads a document with a mark in it; the difference to what was expected, as text.
pub(crate) fn compare(
    text: &str,
    message: &str,
    read: impl Fn(&str) -> Result<(), Vec<Diagnostic>>,
) -> String {
    let at = text.find(MARK).expect("the case has a mark");
    let line = text[..at].matches('\n').count() + 1;
    let column = text[text[..at].rfind('\n').map_or(0, |n| n + 1)..at]
        .chars()
        .count()
        + 1;
    let text = text.replacen(MARK, "", 1);
    let found = match read(&text) {
        Ok(()) => return format!("accepted, but expected {line}:{column} {message}\n"),
        Err(found) => found,
    };
    if let [only] = &found[..]
        && only.message.starts_with(message)
        && (only.place.line, only.place.column) == (line, column)
    {
        return String::new();
    }
    let shown = render(&found, "case.yaml", text.as_bytes(), Paint::Plain);
    format!(
        "expected {line}:{column} {message}\nfound {} mistakes:\n{shown}\n",
        found.len()
    )
}
