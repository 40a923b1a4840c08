//! How one step is done, as a profile says it: well-formed by itself, not yet compared with the step.

use super::super::model::{Action, Effect, EvidenceSource};
use super::super::parse::actions::{ACTIONS, Manner, manner};
use super::super::parse::fields::{Fields, Reading, Value};
use super::super::parse::mistakes::{listed, quoted};
use super::super::parse::outline::{Form, Mention, Moment};
use super::super::parse::steps::{EFFECTS, SOURCES};
use super::super::parse::text::Spot;
use super::super::parse::tree::Pair;
use super::super::parse::values::field_id;
use super::super::references::EXTRACTING;
use super::document::{Endpoints, key};
use crate::clock::Span;
use crate::expr::Expression;
use crate::ids::{Field, Slug};

const MAPPING: [&str; 8] = [
    "command",
    "env",
    "exit_codes",
    "request",
    "effect",
    "timeout",
    "facts",
    "evidence",
];

/// A step, and what does it.
#[derive(Debug, Clone)]
pub(super) struct Mapping {
    /// Which step.
    pub(super) step: Slug,
    /// The place of its id.
    pub(super) spot: Spot,
    /// A command or a request.
    pub(super) action: Action,
    /// The place of that key.
    pub(super) action_spot: Spot,
    /// What the action does to the world as far as can be told by itself.
    pub(super) by_itself: Effect,
    /// What the profile says that it does to the world, with the place.
    pub(super) effect: Option<(Effect, Spot)>,
    /// The longest one attempt may take, where the profile says so.
    pub(super) timeout: Option<Span>,
    /// How each fact is extracted.
    pub(super) facts: Given<Expression>,
    /// Where each item of evidence is taken from.
    pub(super) evidence: Given<EvidenceSource>,
    /// The names that its expressions mention.
    pub(super) mentions: Vec<Mention>,
}

/// What a mapping gives, by id.
#[derive(Debug, Clone)]
pub(super) struct Given<T> {
    /// What is given, in the order written.
    pub(super) items: Vec<(Field, Spot, T)>,
    /// What a caret points at when something is missing.
    pub(super) spot: Spot,
}

impl<T> Given<T> {
    /// What is given for an id.
    pub(super) fn get(&self, id: &Field) -> Option<&T> {
        let item = self.items.iter().find(|(given, ..)| given == id);
        item.map(|(_, _, what)| what)
    }
}

/// Whether an expression reads anything of what a step gave.
pub(super) fn reads_output(expression: &Expression) -> bool {
    let references = expression.references();
    references.iter().any(|r| EXTRACTING.contains(&r.root()))
}

/// Reads how a step is done.
pub(super) fn mapping(
    pair: &Pair,
    endpoints: &Endpoints,
    reading: &mut Reading,
) -> Option<Mapping> {
    let step = key(pair, "the id of a step", reading);
    let what = format!("step {}", quoted(&pair.key));
    let fields = Fields::open(&pair.value, what, &MAPPING, reading)?;
    let manner = manner_of(&fields, endpoints, reading);
    let effect = fields.get("effect").and_then(|value| {
        let effect = value.word(&EFFECTS, &mut reading.mistakes)?;
        Some((effect, value.spot()))
    });
    let timeout = fields
        .get("timeout")
        .and_then(|value| value.span(&mut reading.mistakes));
    let facts = given(&fields, "facts", pair.spot, reading, fact);
    let form = manner.as_ref().and_then(|(manner, _)| manner.form);
    let evidence = given(&fields, "evidence", pair.spot, reading, |pair, reading| {
        evidence_item(pair, form, reading)
    });
    refuse_same_source(&evidence, reading);
    let mentions = reading.take_mentions();
    let (manner, action_spot) = manner?;
    Some(Mapping {
        step: step?,
        spot: pair.spot,
        action: manner.action?,
        action_spot,
        by_itself: manner.effect,
        effect,
        timeout,
        facts,
        evidence,
        mentions,
    })
}

/// The command or request with the place of its key.
fn manner_of(
    fields: &Fields<'_>,
    endpoints: &Endpoints,
    reading: &mut Reading,
) -> Option<(Manner, Spot)> {
    let given = ACTIONS.into_iter().find(|key| fields.get(key).is_some());
    let Some(given) = given else {
        let message = format!("{} has neither `command` nor `request`", fields.what);
        reading
            .mistakes
            .at(fields.spot, &message)
            .help("a step that a person does needs no mapping: remove it");
        return None;
    };
    if !MAPPING.contains(&given) {
        // It was reported as an unknown key.
        return None;
    }
    let manner = manner(fields, Effect::Change, reading);
    if let Some(Action::Request(request)) = &manner.action
        && let Some(node) = fields.get("request").and_then(|v| v.node.get("endpoint"))
    {
        endpoints.need(&request.endpoint, node, reading);
    }
    Some((manner, fields.spot_of(given)))
}

fn given<T>(
    fields: &Fields<'_>,
    key: &'static str,
    otherwise: Spot,
    reading: &mut Reading,
    read: impl Fn(&Pair, &mut Reading) -> Option<T>,
) -> Given<T> {
    let value = fields.get(key);
    let pairs = value.and_then(|value| value.pairs(&mut reading.mistakes));
    let what = if key == "facts" {
        "a fact"
    } else {
        "an item of evidence"
    };
    let mut items = Vec::new();
    for pair in pairs.unwrap_or_default() {
        let id = field_id(&pair.key, pair.spot, what, reading);
        let item = read(pair, reading);
        items.extend(id.zip(item).map(|(id, item)| (id, pair.spot, item)));
    }
    Given {
        items,
        spot: value.map_or(otherwise, |_| fields.spot_of(key)),
    }
}

fn fact(pair: &Pair, reading: &mut Reading) -> Option<Expression> {
    let value = Value {
        name: &pair.key,
        node: &pair.value,
    };
    let from = value.expression(Moment::Extracting, reading)?;
    if !reads_output(&from) {
        let message = format!(
            "fact {} reads nothing of what the step gives",
            quoted(&pair.key)
        );
        let known = listed(EXTRACTING.into_iter());
        reading
            .mistakes
            .at(value.spot(), &message)
            .help(&format!("take it from one of {known}"));
    }
    Some(from)
}

fn evidence_item(pair: &Pair, form: Option<Form>, reading: &mut Reading) -> Option<EvidenceSource> {
    let value = Value {
        name: &pair.key,
        node: &pair.value,
    };
    let source = value.word(&SOURCES, &mut reading.mistakes)?;
    let wanted = match (form, source) {
        (Some(Form::Command), EvidenceSource::Body) => "a command leaves `stdout` and `stderr`",
        (Some(Form::Request), EvidenceSource::Stdout | EvidenceSource::Stderr) => {
            "a request leaves `body`"
        }
        _ => return Some(source),
    };
    let message = format!("evidence {} cannot come from there", quoted(&pair.key));
    reading.mistakes.at(value.spot(), &message).help(wanted);
    None
}

/// An output is kept once, under one name.
fn refuse_same_source(evidence: &Given<EvidenceSource>, reading: &mut Reading) {
    for (index, (id, spot, source)) in evidence.items.iter().enumerate() {
        let earlier = &evidence.items[..index];
        if let Some((first, ..)) = earlier.iter().find(|(_, _, other)| other == source) {
            let message = format!("evidence `{id}` is the same output as `{first}`");
            reading.mistakes.at(*spot, &message).help(
                "each output is one item of evidence; leave the step to a person where it needs more",
            );
        }
    }
}
