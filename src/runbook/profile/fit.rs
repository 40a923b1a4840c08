//! Whether mappings fit the steps of a runbook, and the runbook with them in place.

use super::super::diagnostic::Diagnostic;
use super::super::model::{Action, Effect, EvidenceSpec, FactSpec, Runbook, Secret, Step};
use super::super::parse::mistakes::{Mistakes, listed};
use super::super::parse::outline::{Form, Mention, Need, Outline, Product, StepOutline, Subject};
use super::super::parse::text::{Spot, Text};
use super::super::references;
use super::Profile;
use super::mapping::{Mapping, reads_output};
use crate::ids::{Field, Slug};

/// The runbook with its mapped steps done as mapped.
pub(super) fn fit(profile: &Profile, runbook: &Runbook) -> Result<Runbook, Vec<Diagnostic>> {
    let mut mistakes = Mistakes::default();
    let mut fitted = runbook.clone();
    let mut outline = outline(runbook);
    for mapping in profile.mappings(&runbook.id) {
        let mut steps = fitted.steps.iter_mut().zip(&mut outline.steps);
        let Some((step, outline)) = steps.find(|(step, _)| step.id == mapping.step) else {
            let message = format!("runbook `{}` has no step `{}`", runbook.id, mapping.step);
            let known = runbook.steps.iter().map(|step| step.id.as_str());
            mistakes.unknown(
                mapping.spot,
                &message,
                mapping.step.as_str(),
                ("steps are", known),
            );
            continue;
        };
        if let Some(why) = unmappable(step) {
            let message = format!("step `{}` cannot be mapped: {why}", step.id);
            mistakes.at(mapping.spot, &message).help("remove it here");
            continue;
        }
        judge_effect(step, mapping, &mut mistakes);
        judge_facts(step, mapping, &mut mistakes);
        judge_evidence(step, mapping, &mut mistakes);
        map(step, mapping);
        outline.form = Some(Form::of(&mapping.action));
        outline.mentions.extend(mapping.mentions.iter().cloned());
    }
    references::judge(&outline, &[], true, &mut mistakes);
    if mistakes.is_empty() {
        fitted.secrets = secrets(profile, &fitted);
        return Ok(fitted);
    }
    let text = Text::of(profile.source.text.as_bytes())?;
    let mut found = mistakes.located(&text);
    for mistake in &mut found {
        // Whatever is related stands in the runbook, which is another document.
        mistake.related.clear();
    }
    Err(found)
}

/// Why a step is done by nothing but the tool itself.
fn unmappable(step: &Step) -> Option<&'static str> {
    match &step.action {
        Action::Choose(_) => Some("a person decides there"),
        Action::Wait(_) => Some("it waits for what other steps find out; map those"),
        Action::Repeat(_) => Some("it performs other steps once more; map those"),
        Action::History(_) => Some("it speaks to the run history"),
        Action::Checks(_) => Some("it judges the checks of the runbook"),
        Action::HandOver(_) => Some("it hands over to another runbook; map the steps of that"),
        Action::ByHand => {
            let follows = !step.facts.is_empty() && step.facts.iter().all(follows);
            let nothing_else = step.evidence.is_empty() && step.effect == Effect::Read;
            (follows && nothing_else).then_some("all its facts follow from others")
        }
        Action::Command(_) | Action::Request(_) => None,
    }
}

/// Whether a fact follows from other facts, whatever the step gives.
fn follows(fact: &FactSpec) -> bool {
    fact.from.as_ref().is_some_and(|from| !reads_output(from))
}

/// A change stays a change, and what only reads is not done by what may change something.
fn judge_effect(step: &Step, mapping: &Mapping, mistakes: &mut Mistakes) {
    let id = &step.id;
    match (step.effect, mapping.effect) {
        (Effect::Change, Some((Effect::Read, spot))) => {
            mistakes
                .at(spot, &format!("step `{id}` is a change"))
                .help("remove `effect`: a profile cannot make a change into a read");
        }
        (Effect::Read, Some((Effect::Change, spot))) => {
            mistakes.at(spot, &format!("step `{id}` only reads")).help(
                "map it to something that only looks: the runbook performs it without confirmation",
            );
        }
        (Effect::Read, None) if mapping.by_itself == Effect::Change => {
            let message = format!("step `{id}` only reads, and this may change something");
            mistakes
                .at(mapping.action_spot, &message)
                .help("if it only looks, say `effect: read`");
        }
        (Effect::Change, Some((Effect::Change, _)) | None)
        | (Effect::Read, Some((Effect::Read, _)) | None) => {}
    }
}

fn judge_facts(step: &Step, mapping: &Mapping, mistakes: &mut Mistakes) {
    let (following, found): (Vec<&FactSpec>, Vec<&FactSpec>) =
        step.facts.iter().partition(|fact| follows(fact));
    for (id, spot, _) in &mapping.facts.items {
        if following.iter().any(|fact| fact.id == *id) {
            let message = format!("fact `{id}` follows from others");
            mistakes
                .at(*spot, &message)
                .help("remove it: the runbook says how");
        }
    }
    let known: Vec<&Field> = found.iter().map(|fact| &fact.id).collect();
    let given = mapping.facts.items.iter();
    let given = given.filter(|(id, ..)| following.iter().all(|fact| fact.id != *id));
    let given: Vec<_> = given.map(|(id, spot, _)| (id, *spot)).collect();
    judge_same("fact", step, &known, &given, mapping.facts.spot, mistakes);
}

fn judge_evidence(step: &Step, mapping: &Mapping, mistakes: &mut Mistakes) {
    let known: Vec<&Field> = step.evidence.iter().map(|item| &item.id).collect();
    let given = mapping.evidence.items.iter();
    let given: Vec<_> = given.map(|(id, spot, _)| (id, *spot)).collect();
    judge_same(
        "evidence",
        step,
        &known,
        &given,
        mapping.evidence.spot,
        mistakes,
    );
}

/// What is given is what the step must find out or leave: no less and no more.
fn judge_same(
    what: &str,
    step: &Step,
    known: &[&Field],
    given: &[(&Field, Spot)],
    missing_at: Spot,
    mistakes: &mut Mistakes,
) {
    for (id, spot) in given {
        if !known.contains(id) {
            let message = format!("step `{}` has no {what} `{id}`", step.id);
            let known = known.iter().map(|id| id.as_str());
            mistakes.unknown(*spot, &message, id.as_str(), ("it has", known));
        }
    }
    let missing = known
        .iter()
        .filter(|id| given.iter().all(|(given, _)| given != *id));
    let mut missing = missing.map(|id| id.as_str()).peekable();
    if missing.peek().is_some() {
        let message = format!("step `{}` lacks the {what} {}", step.id, listed(missing));
        mistakes
            .at(missing_at, &message)
            .help("give all that it must prove, or leave the step as it is");
    }
}

fn map(step: &mut Step, mapping: &Mapping) {
    if step.action == Action::ByHand {
        // Facts that follow may follow from those that were typed, so these are extracted first.
        step.facts.sort_by_key(follows);
    }
    step.action = mapping.action.clone();
    step.timeout = mapping.timeout.unwrap_or(step.timeout);
    if step.effect == Effect::Change {
        // That a repetition is harmless was said about something else.
        step.attempts = 1;
    }
    for fact in &mut step.facts {
        if let Some(from) = mapping.facts.get(&fact.id) {
            fact.from = Some(from.clone());
        }
    }
    for item in &mut step.evidence {
        item.from = mapping.evidence.get(&item.id).copied();
    }
}

/// The runbook's secrets and those of the profile, each variable once.
fn secrets(profile: &Profile, runbook: &Runbook) -> Vec<Secret> {
    let is_new = |secret: &&Secret| {
        let mut known = runbook.secrets.iter();
        known.all(|known| known.variable != secret.variable)
    };
    let new = profile.secrets.iter().filter(is_new);
    runbook.secrets.iter().chain(new).cloned().collect()
}

/// A runbook as its own document described it; places mean nothing.
fn outline(runbook: &Runbook) -> Outline {
    Outline {
        steps: runbook.steps.iter().map(step_outline).collect(),
        checks: Vec::new(),
        guards: Vec::new(),
        inputs: runbook
            .inputs
            .iter()
            .map(|input| input.id.clone())
            .collect(),
        outcomes: Vec::new(),
        steps_spot: ELSEWHERE,
    }
}

/// A place in the runbook, of which nothing is shown.
const ELSEWHERE: Spot = Spot { start: 0, end: 0 };

fn step_outline(step: &Step) -> StepOutline {
    let again = match &step.action {
        Action::Wait(wait) => &wait.read[..],
        Action::Repeat(steps) => steps,
        _ => &[],
    };
    let verified = step.verify.iter().flat_map(|verify| &verify.read);
    StepOutline {
        id: Some(step.id.clone()),
        spot: ELSEWHERE,
        form: Some(Form::of(&step.action)),
        effect: step.effect,
        certain: false,
        facts: step.facts.iter().map(fact_product).collect(),
        evidence: step.evidence.iter().map(evidence_product).collect(),
        mentions: again.iter().chain(verified).map(reread).collect(),
        complete: true,
    }
}

fn fact_product(fact: &FactSpec) -> Product {
    Product {
        id: fact.id.clone(),
        is: Some(fact.kind.to_string()),
        spot: ELSEWHERE,
    }
}

fn evidence_product(item: &EvidenceSpec) -> Product {
    Product {
        id: item.id.clone(),
        is: Some(item.media_type.clone()),
        spot: ELSEWHERE,
    }
}

fn reread(id: &Slug) -> Mention {
    Mention {
        spot: ELSEWHERE,
        subject: Subject::Step {
            id: id.clone(),
            need: Need::Reread,
        },
    }
}
