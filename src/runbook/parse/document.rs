//! A whole runbook: its head, its parts in order, and the rules over all of them.

use super::super::diagnostic::Diagnostic;
use super::super::library::Library;
use super::super::model::{Check, CheckSet, Freeze, FreezeScope, Guard, Runbook, Source, Step};
use super::super::{order, references};
use super::fields::{Fields, Reading, Value};
use super::mistakes::quoted;
use super::outline::Outline;
use super::rules::{check, guard, outcomes};
use super::steps::step;
use super::text::{Spot, Text};
use super::tree::{Node, grow};
use super::uses::{Finder, Shelf};
use super::values::{inputs, secrets};

/// The format of runbooks that this version reads.
pub(crate) const FORMAT: &str = "runbook/v1";

const RUNBOOK: [&str; 15] = [
    "format",
    "id",
    "title",
    "summary",
    "owner",
    "reviewed",
    "review_every",
    "inputs",
    "secrets",
    "freeze",
    "preflight",
    "guards",
    "steps",
    "closing",
    "outcomes",
];

/// Reads a runbook; `libraries` is what its `use:` entries are taken from.
///
/// `file_name` is recorded as the name of the source, without being opened.
///
/// # Errors
/// Every mistake of the document, in its order, at least one; more than 50 end with one that counts the rest.
pub fn parse(
    file_name: &str,
    text: &[u8],
    libraries: &[Library],
) -> Result<Runbook, Vec<Diagnostic>> {
    read(text, |root, text, reading| {
        let mut runbook = document(root, libraries, reading)?;
        let own = Source {
            file: file_name.to_owned(),
            text: text.to_owned(),
        };
        runbook.sources.insert(0, own);
        Some(runbook)
    })
}

/// Reads a document with a reader of its tree.
pub(crate) fn read<T>(
    bytes: &[u8],
    reader: impl FnOnce(&Node, &str, &mut Reading) -> Option<T>,
) -> Result<T, Vec<Diagnostic>> {
    let text = Text::of(bytes)?;
    let mut reading = Reading::default();
    let result = grow(&text, &mut reading.mistakes)
        .and_then(|root| reader(&root, text.as_str(), &mut reading));
    match result {
        Some(result) if reading.mistakes.is_empty() => Ok(result),
        _ => {
            if reading.mistakes.is_empty() {
                // No reader gives up silently; if one ever does, the document is still not accepted.
                let start = Spot { start: 0, end: 0 };
                reading.mistakes.at(
                    start,
                    "the document cannot be read; this is a bug in the tool",
                );
            }
            Err(reading.mistakes.located(&text))
        }
    }
}

/// The fields of a document of this format. Another format is the only mistake reported of it.
pub(crate) fn header<'n>(
    root: &'n Node,
    format: &str,
    known: &[&str],
    reading: &mut Reading,
) -> Option<Fields<'n>> {
    let what = "the document";
    let value = Value {
        name: what,
        node: root,
    };
    value.pairs(&mut reading.mistakes)?;
    let Some(found) = root.get("format") else {
        reading
            .mistakes
            .at(root.spot, "the document has no `format`")
            .help(&format!("begin it with `format: {format}`"));
        return None;
    };
    if found.as_text() != Some(format) {
        let text = found.as_text().map_or("this".to_owned(), quoted);
        reading
            .mistakes
            .at(found.spot, &format!("the format {text} is not read here"))
            .help(&format!("this tool reads `{format}` here"));
        return None;
    }
    Fields::open(root, what, known, reading)
}

fn document(root: &Node, libraries: &[Library], reading: &mut Reading) -> Option<Runbook> {
    let fields = header(root, FORMAT, &RUNBOOK, reading)?;
    let id = fields
        .need("id", reading)
        .and_then(|value| value.parsed("an id", &mut reading.mistakes));
    let [title, owner] = ["title", "owner"].map(|key| {
        fields
            .need(key, reading)
            .and_then(|value| value.line(&mut reading.mistakes))
    });
    let summary = fields
        .need("summary", reading)
        .and_then(|value| value.paragraph(&mut reading.mistakes));
    let reviewed = fields
        .need("reviewed", reading)
        .and_then(|value| date(value, reading));
    let review_every = fields
        .get("review_every")
        .and_then(|value| value.span(&mut reading.mistakes));
    let inputs = fields
        .get("inputs")
        .map_or(Vec::new(), |value| inputs(value, reading));
    let secrets = fields
        .get("secrets")
        .map_or(Vec::new(), |value| secrets(value, reading));
    let freeze = fields
        .need("freeze", reading)
        .and_then(|value| freeze(value, reading));
    let mut finder = Finder::new(libraries);
    let mut parts = parts(&fields, &mut finder, reading);
    parts.outline.inputs = inputs.iter().map(|input| input.id.clone()).collect();
    let outcomes = fields
        .need("outcomes", reading)
        .map_or(Vec::new(), |value| outcomes(value, reading));
    parts.outline.outcomes = reading.take_mentions();
    let names_are_complete = parts.complete
        && fields.get("inputs").is_none_or(|value| {
            value.pairs(&mut reading.mistakes).map(<[_]>::len) == Some(inputs.len())
        });
    references::judge(
        &parts.outline,
        libraries,
        names_are_complete,
        &mut reading.mistakes,
    );
    if parts.complete {
        order::judge(&parts.outline, &mut reading.mistakes);
    }
    let sources = finder.used().map(Library::source).collect();
    Some(Runbook {
        id: id?,
        title: title?,
        summary: summary?,
        owner: owner?,
        reviewed: reviewed?,
        review_every,
        inputs,
        secrets,
        freeze: freeze?,
        preflight: parts.preflight,
        guards: parts.guards,
        steps: parts.steps,
        closing: parts.closing,
        outcomes,
        sources,
    })
}

/// The lists of a runbook, with what they say about each other.
struct Parts {
    preflight: Vec<Check>,
    guards: Vec<Guard>,
    steps: Vec<Step>,
    closing: Vec<Check>,
    outline: Outline,
    /// Whether every step could be read as far as others can refer to it.
    complete: bool,
}

fn parts(fields: &Fields<'_>, finder: &mut Finder<'_>, reading: &mut Reading) -> Parts {
    let mut parts = Parts {
        preflight: Vec::new(),
        guards: Vec::new(),
        steps: Vec::new(),
        closing: Vec::new(),
        outline: Outline {
            steps: Vec::new(),
            checks: Vec::new(),
            guards: Vec::new(),
            inputs: Vec::new(),
            outcomes: Vec::new(),
            steps_spot: fields.spot_of("steps"),
        },
        complete: true,
    };
    for (key, set) in [
        ("preflight", CheckSet::Preflight),
        ("closing", CheckSet::Closing),
    ] {
        let Some(value) = fields.get(key) else {
            continue;
        };
        each(value, Shelf::Checks, finder, reading, |node, reading| {
            let (check, outline) = check(node, set, reading);
            match set {
                CheckSet::Preflight => parts.preflight.extend(check),
                CheckSet::Closing => parts.closing.extend(check),
            }
            parts.outline.checks.push(outline);
        });
    }
    if let Some(value) = fields.get("guards") {
        each(value, Shelf::Guards, finder, reading, |node, reading| {
            let (guard, outline) = guard(node, reading);
            parts.guards.extend(guard);
            parts.outline.guards.push(outline);
        });
    }
    let found = match fields.need("steps", reading) {
        None => None,
        Some(value) => each(value, Shelf::Steps, finder, reading, |node, reading| {
            let (step, outline) = step(node, reading);
            parts.steps.extend(step);
            parts.complete &= outline.complete;
            parts.outline.steps.push(outline);
        }),
    };
    parts.complete &= found == Some(parts.outline.steps.len());
    parts
}

/// Reads each entry of a list, `use` entries resolved; says how many entries there are.
fn each(
    value: Value<'_>,
    shelf: Shelf,
    finder: &mut Finder<'_>,
    reading: &mut Reading,
    mut read: impl FnMut(&Node, &mut Reading),
) -> Option<usize> {
    // A runbook without guards is poor, but one without steps is nothing.
    let all = value.items(&mut reading.mistakes)?;
    let items = match shelf {
        Shelf::Checks | Shelf::Guards if all.is_empty() => all,
        _ => value.some_items(&mut reading.mistakes)?,
    };
    for node in items {
        if let Some(node) = finder.resolve(node, shelf, reading) {
            read(&node, reading);
        }
        // What a broken item mentioned belongs to no other.
        reading.take_mentions();
    }
    Some(items.len())
}

fn date(value: Value<'_>, reading: &mut Reading) -> Option<chrono::NaiveDate> {
    let wanted = "a date like `2026-11-20`";
    let text = value.text(&mut reading.mistakes)?;
    let date = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .ok()
        .filter(|date| date.format("%Y-%m-%d").to_string() == text);
    if date.is_none() {
        value.wrong(wanted, &mut reading.mistakes);
    }
    date
}

fn freeze(value: Value<'_>, reading: &mut Reading) -> Option<Freeze> {
    let fields = Fields::open(value.node, "`freeze`", &["scope", "lease"], reading)?;
    let scope = fields.need("scope", reading).and_then(|value| {
        let words = [
            ("workspace", FreezeScope::Workspace),
            ("environment", FreezeScope::Environment),
            ("service", FreezeScope::Service),
        ];
        value.word(&words, &mut reading.mistakes)
    });
    let lease = fields
        .need("lease", reading)
        .and_then(|value| value.span(&mut reading.mistakes));
    Some(Freeze {
        scope: scope?,
        lease: lease?,
    })
}
