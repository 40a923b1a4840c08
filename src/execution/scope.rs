//! What the names in a runbook's expressions mean at one point of an execution.

use serde_json::json;

use crate::clock::Timestamp;
use crate::expr::{Scope, Value};
use crate::ids::Field;
use crate::runbook::kind::Kind;

use super::ad_hoc::AdHoc;
use super::event::{Chosen, Origin};
use super::plan::Plan;
use super::state::State;
use super::step::StepEnd;

/// The scope at `now`. What is not known yet is not in it, so that an expression over it is unknown.
#[must_use]
pub fn scope(plan: &Plan, state: &State, now: Timestamp) -> Scope {
    let mut scope = Scope::new(now);
    for input in &plan.runbook().inputs {
        if let Some(value) = state
            .opened
            .inputs
            .get(&input.id)
            .and_then(|v| input.kind.value(v))
        {
            scope.set_in("inputs", input.id.as_str(), value);
        }
    }
    for (id, fact) in &state.facts {
        if let Some(value) = kind_of_fact(plan, id).and_then(|kind| kind.value(&fact.value)) {
            scope.set_in("facts", id.as_str(), value);
        }
        scope.set_captured(id.as_str(), fact.at);
        if fact.origin == Origin::Measured {
            scope.set_measured(id.as_str());
        }
    }
    for (id, item) in &state.evidence {
        scope.set_captured(id.as_str(), item.at);
        if item.origin == Origin::Measured {
            scope.set_measured(id.as_str());
        }
    }
    for (step, chosen) in &state.decisions {
        scope.set_in(
            "decisions",
            &step.in_expressions(),
            Value::Text(chosen.option.to_string()),
        );
    }
    if let Some(run) = state.run.clone().and_then(|run| Value::try_from(run).ok()) {
        scope.set("run", run);
    }
    let target = &state.opened.target;
    let target = json!({
        "name": target.to_string(),
        "workspace": target.workspace,
        "environment": target.environment,
        "service": target.service,
    });
    set_json(&mut scope, "target", target);
    set_json(&mut scope, "execution", about(plan, state));
    scope
}

fn about(plan: &Plan, state: &State) -> serde_json::Value {
    let skipped: Vec<&str> = state
        .steps
        .iter()
        .filter(|(_, step)| matches!(step.ended, Some(StepEnd::Skipped { .. })))
        .map(|(id, _)| id.as_str())
        .collect();
    let acknowledged: Vec<&str> = state
        .acknowledged
        .keys()
        .map(crate::ids::Slug::as_str)
        .collect();
    json!({
        "id": state.opened.id,
        "runbook": state.runbook.id,
        "operator": state.operator.name,
        "drill": state.opened.drill,
        "began": state.began,
        "fence": state.freeze.as_ref().map(|f| f.fence),
        "comments": state.comments,
        "skipped": skipped,
        "acknowledged": acknowledged,
        "ad_hoc": state.ad_hoc.iter().map(AdHoc::about).collect::<Vec<_>>(),
        "missing": missing(plan, state),
        "record": record(plan, state),
    })
}

/// The decisions so far, a line each, for the comment on the run: what, whose decision, why.
fn record(plan: &Plan, state: &State) -> String {
    let steps = plan.runbook().steps.iter();
    let decided = steps.filter_map(|step| Some((step, state.decisions.get(&step.id)?)));
    let lines = decided.map(|(step, chosen)| {
        let Chosen {
            option,
            owner,
            reason,
            ..
        } = chosen;
        format!("{}: {option}, decided by {owner}: {reason}", step.title)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The evidence that steps which are over were to leave and did not.
#[must_use]
pub fn missing(plan: &Plan, state: &State) -> Vec<Field> {
    let over = plan.runbook().steps.iter().filter(|step| {
        let at = state.step(&step.id);
        // What was lost with an answer can never be had; what was read back stands in its place.
        plan.is_over(step, &at) && at.ended != Some(StepEnd::NotApplicable) && !at.read_back
    });
    let wanted = over.flat_map(|step| &step.evidence).map(|e| &e.id);
    wanted
        .filter(|id| !state.left.contains_key(*id))
        .cloned()
        .collect()
}

/// The kind that the runbook gives a fact; the same wherever it is produced.
#[must_use]
pub fn kind_of_fact<'a>(plan: &'a Plan, id: &Field) -> Option<&'a Kind> {
    let mut facts = plan.runbook().steps.iter().flat_map(|step| &step.facts);
    facts.find(|fact| fact.id == *id).map(|fact| &fact.kind)
}

fn set_json(scope: &mut Scope, name: &str, value: serde_json::Value) {
    if let Ok(value) = Value::try_from(value) {
        scope.set(name, value);
    }
}
