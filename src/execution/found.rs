//! What a step found out: extracting facts from what came back, and deriving facts from others.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::clock::Timestamp;
use crate::digest::Digest;
use crate::expr::{Expression, Scope, Value};
use crate::ids::Field;
use crate::runbook::kind::Mismatch;
use crate::runbook::model::{Action, Effect, EvidenceSpec, FactSpec, Step};

use super::event::{Answer, Found, Origin};
use super::plan::Plan;
use super::scope::scope;
use super::state::State;

/// What came back from performing something.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CameBack {
    /// The declared name of the exit code or status.
    pub outcome: String,
    /// The exit code.
    pub exit_code: Option<i64>,
    /// The HTTP status.
    pub status: Option<i64>,
    /// Standard output, where it is text and short enough.
    pub stdout: Option<String>,
    /// The JSON body, the JSON that a command printed, or the document that the run history answered with.
    pub body: Option<Json>,
    /// What is kept of an answer's headers, by name in lower case.
    pub headers: Option<BTreeMap<String, String>>,
    /// The digest of exactly the bytes that were kept: of an answer's body, or of standard output.
    pub digest: Option<Digest>,
}

/// Extracts the facts of a step from what came back.
///
/// # Errors
/// For people: which fact could not be told, and why. A fact is never guessed.
pub fn extract(
    plan: &Plan,
    state: &State,
    step: &Step,
    came_back: &CameBack,
    now: Timestamp,
) -> Result<BTreeMap<Field, Json>, String> {
    let mut scope = scope(plan, state, now);
    scope.set("outcome", Value::Text(came_back.outcome.clone()));
    if let Some(code) = came_back.exit_code {
        scope.set("exit_code", code);
    }
    if let Some(status) = came_back.status {
        scope.set("status", status);
    }
    if let Some(stdout) = &came_back.stdout {
        scope.set("stdout", Value::Text(stdout.clone()));
        scope.set(
            "lines",
            Value::List(
                stdout
                    .lines()
                    .map(|line| Value::Text(line.into()))
                    .collect(),
            ),
        );
    }
    if let Some(body) = came_back.body.clone() {
        scope.set(
            "body",
            Value::try_from(body).map_err(|why| format!("the body cannot be read: {why}"))?,
        );
    }
    if let Some(headers) = &came_back.headers {
        let headers = serde_json::json!(headers);
        let headers = Value::try_from(headers).map_err(|why| format!("the headers: {why}"))?;
        scope.set("headers", headers);
    }
    if let Some(digest) = &came_back.digest {
        scope.set("digest", Value::Text(format!("sha256:{digest}")));
    }
    let mut facts = BTreeMap::new();
    for spec in &step.facts {
        let Some(from) = &spec.from else { continue };
        let value = evaluate(spec, from, &scope)?;
        if let Some(known) = spec.kind.value(&value) {
            scope.set_in("facts", spec.id.as_str(), known);
        }
        facts.insert(spec.id.clone(), value);
    }
    Ok(facts)
}

/// The facts and the evidence that a person gives who does the step by hand. After an effect that was read back it is
/// only the facts that the lost answer would have brought and nothing else did: its evidence can never be had, and what
/// was read back stands in its place.
#[must_use]
pub fn wanted<'a>(state: &State, step: &'a Step) -> (Vec<&'a FactSpec>, Vec<&'a EvidenceSpec>) {
    let read_back = state.step(&step.id).read_back;
    let typed = |spec: &&FactSpec| spec.from.is_none() || step.is_automated();
    let facts = step.facts.iter().filter(typed);
    let evidence = step.evidence.iter();
    (
        facts
            .filter(|spec| !(read_back && state.facts.contains_key(&spec.id)))
            .collect(),
        evidence
            .filter(|_| !(read_back && step.is_automated()))
            .collect(),
    )
}

pub(super) fn is_anything_wanted(state: &State, step: &Step) -> bool {
    let (facts, evidence) = wanted(state, step);
    !facts.is_empty() || !evidence.is_empty()
}

/// Whether everything in the step follows from facts that are known, so that nobody is asked.
#[must_use]
pub fn is_derived(step: &Step) -> bool {
    let by_hand = step.action == Action::ByHand && step.effect == Effect::Read;
    by_hand
        && !step.facts.is_empty()
        && step.evidence.is_empty()
        && step.facts.iter().all(|f| f.from.is_some())
}

/// Derives the facts of a step in which nobody is asked.
///
/// # Errors
/// For people: which fact does not follow, and why.
pub fn derive(plan: &Plan, state: &State, step: &Step, now: Timestamp) -> Result<Answer, String> {
    let derived = derived(plan, state, step, &BTreeMap::new(), now)?;
    Ok(Answer::Facts(Found {
        derived,
        ..Found::default()
    }))
}

/// The facts of a step that follow from others, `typed` ones of the same step included, with where they come from: a
/// fact is measured only if everything it follows from is.
pub(super) fn derived(
    plan: &Plan,
    state: &State,
    step: &Step,
    typed: &BTreeMap<Field, Json>,
    now: Timestamp,
) -> Result<BTreeMap<Field, (Json, Origin)>, String> {
    let mut scope = scope(plan, state, now);
    let mut origins: BTreeMap<String, Origin> = state
        .facts
        .iter()
        .map(|(id, fact)| (format!("facts.{id}"), fact.origin))
        .collect();
    for spec in step.facts.iter().filter(|s| s.from.is_none()) {
        if let Some(value) = typed.get(&spec.id).and_then(|v| spec.kind.value(v)) {
            scope.set_in("facts", spec.id.as_str(), value);
            origins.insert(format!("facts.{}", spec.id), Origin::Attested);
        }
    }
    let mut derived = BTreeMap::new();
    for spec in &step.facts {
        let Some(from) = &spec.from else { continue };
        let value = evaluate(spec, from, &scope)?;
        let attested = from.references().iter().any(|reference| {
            let about = |fact: &String| {
                reference.path == *fact || reference.path.starts_with(&format!("{fact}."))
            };
            origins
                .iter()
                .any(|(fact, origin)| *origin == Origin::Attested && about(fact))
        });
        let origin = if attested {
            Origin::Attested
        } else {
            Origin::Measured
        };
        if let Some(known) = spec.kind.value(&value) {
            scope.set_in("facts", spec.id.as_str(), known);
        }
        origins.insert(format!("facts.{}", spec.id), origin);
        derived.insert(spec.id.clone(), (value, origin));
    }
    Ok(derived)
}

fn evaluate(spec: &FactSpec, from: &Expression, scope: &Scope) -> Result<Json, String> {
    let value = from
        .value(scope)
        .map_err(|why| format!("fact `{}`: {why}", spec.id))?;
    accept(spec, &value.to_json())
        .map_err(|why| format!("fact `{}`: `{}` {why}", spec.id, value.to_json()))
}

/// The value in its normal form, where the fact may have it.
pub(super) fn accept(spec: &FactSpec, value: &Json) -> Result<Json, Mismatch> {
    let value = spec.kind.accept(value)?;
    let listed = spec.one_of.is_empty()
        || value
            .as_str()
            .is_some_and(|v| spec.one_of.iter().any(|one| one == v));
    if listed {
        Ok(value)
    } else {
        Err(Mismatch(format!("one of {}", spec.one_of.join(", "))))
    }
}
