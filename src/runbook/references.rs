//! What names refer to: each must mean something, and mean it in time.
//!
//! A name that nothing produces would make its expression unknown for ever, which refuses; better that the author learns
//! it than the operator.

use std::collections::{BTreeMap, BTreeSet};

use super::library::Library;
use super::model::Effect;
use super::parse::mistakes::{Mistakes, quoted, unlocated};
use super::parse::outline::{
    Form, GROUPS, Mention, Moment, Name, Need, Outline, Product, StepOutline, Subject,
};
use super::parse::text::Spot;
use super::parse::uses::Shelf;
use crate::ids::{Field, Slug};

/// Top names that every expression may read.
const EVERYWHERE: [&str; 4] = ["run", "target", "execution", "now"];
/// Top names that mean something only while facts are extracted from what a step gave.
pub(super) const EXTRACTING: [&str; 8] = [
    "body",
    "digest",
    "exit_code",
    "headers",
    "lines",
    "outcome",
    "status",
    "stdout",
];

/// Reports every name that is used twice, means nothing, or is read too early.
///
/// `complete` says whether all names are known; while some could not be read, names that seem to mean nothing are let
/// pass, since their author has probably defined them.
pub(super) fn judge(
    outline: &Outline,
    libraries: &[Library],
    complete: bool,
    mistakes: &mut Mistakes,
) {
    refuse_doubles(outline, mistakes);
    let names = Names {
        outline,
        libraries,
        complete,
        steps: step_indices(outline),
        inputs: outline.inputs.iter().map(Field::as_str).collect(),
        facts: BTreeMap::new(),
        decisions: decisions(outline),
        witnesses: witnesses(outline),
    }
    .with_facts();
    for (index, step) in outline.steps.iter().enumerate() {
        let seat = Seat {
            step: Some(index),
            followed: Some(index),
            reads_first: false,
        };
        names.judge(&step.mentions, seat, mistakes);
        names.judge_returns(index, mistakes);
    }
    for check in &outline.checks {
        let judging = |step: &StepOutline| step.form == Some(Form::Checks(check.set));
        let judged_at = outline.steps.iter().position(judging);
        let seat = Seat {
            step: judged_at,
            followed: judged_at,
            reads_first: true,
        };
        names.judge(&check.mentions, seat, mistakes);
    }
    for guard in &outline.guards {
        let watched = names.first_named(&guard.mentions, Need::Watched);
        let before = match watched {
            Some(watched) if !guard.names(Need::Guarded) => Some(watched),
            _ => names.first_named(&guard.mentions, Need::Guarded),
        };
        let seat = Seat {
            step: before,
            followed: names
                .first_named(&guard.mentions, Need::Followed)
                .or(before),
            reads_first: true,
        };
        names.judge(&guard.mentions, seat, mistakes);
    }
    let end = Seat {
        step: None,
        followed: None,
        reads_first: false,
    };
    names.judge(&outline.outcomes, end, mistakes);
}

fn refuse_doubles(outline: &Outline, mistakes: &mut Mistakes) {
    let steps = outline.steps.iter().map(|s| (s.id.as_ref(), s.spot));
    refuse_same("steps", steps, mistakes);
    let checks = outline.checks.iter().map(|c| (c.id.as_ref(), c.spot));
    refuse_same("checks", checks, mistakes);
    let guards = outline.guards.iter().map(|g| (g.id.as_ref(), g.spot));
    refuse_same("guards", guards, mistakes);
    let facts = outline.steps.iter().flat_map(|step| &step.facts);
    refuse_different("fact", "type", facts, mistakes);
    let evidence = outline.steps.iter().flat_map(|step| &step.evidence);
    refuse_different("evidence", "media type", evidence, mistakes);
}

fn refuse_same<'o>(
    what: &str,
    ids: impl Iterator<Item = (Option<&'o Slug>, Spot)>,
    mistakes: &mut Mistakes,
) {
    let mut seen: BTreeMap<&Slug, Spot> = BTreeMap::new();
    for (id, spot) in ids {
        let Some(id) = id else { continue };
        if let Some(first) = seen.get(id) {
            mistakes
                .at(spot, &format!("two {what} are called `{id}`"))
                .relate(unlocated(*first), "the first one is here");
        } else {
            seen.insert(id, spot);
        }
    }
}

/// Several steps may produce the same fact, but it must be the same kind of thing.
fn refuse_different<'o>(
    what: &str,
    property: &str,
    products: impl Iterator<Item = &'o Product>,
    mistakes: &mut Mistakes,
) {
    let mut seen: BTreeMap<&str, &Product> = BTreeMap::new();
    for product in products {
        let first = *seen.entry(product.id.as_str()).or_insert(product);
        if let (Some(is), Some(was)) = (&product.is, &first.is)
            && is != was
        {
            let message = format!(
                "{what} `{}` has the {property} `{is}` here and `{was}` elsewhere",
                product.id
            );
            mistakes
                .at(product.spot, &message)
                .relate(unlocated(first.spot), "elsewhere");
        }
    }
}

fn step_indices(outline: &Outline) -> BTreeMap<&Slug, usize> {
    let mut indices = BTreeMap::new();
    for (index, step) in outline.steps.iter().enumerate() {
        if let Some(id) = &step.id {
            indices.entry(id).or_insert(index);
        }
    }
    indices
}

/// The decisions as expressions name them, each with the step that makes it.
fn decisions(outline: &Outline) -> BTreeMap<String, Made> {
    let steps = outline.steps.iter().enumerate();
    steps
        .filter(|(_, step)| step.form == Some(Form::Choose))
        .filter_map(|(at, step)| {
            let name = step.id.as_ref()?.in_expressions();
            let spot = step.spot;
            Some((name, Made { at, spot }))
        })
        .collect()
}

/// Every fact and item of evidence.
fn witnesses(outline: &Outline) -> BTreeSet<&str> {
    let steps = outline.steps.iter();
    steps
        .flat_map(|step| step.facts.iter().chain(&step.evidence))
        .map(|product| product.id.as_str())
        .collect()
}

/// Where a fact or a decision is made first.
#[derive(Clone, Copy)]
struct Made {
    /// At which step.
    at: usize,
    /// Where that is written.
    spot: Spot,
}

/// Where in the order of steps something is judged.
#[derive(Clone, Copy)]
struct Seat {
    /// At which step; `None` where everything that is produced at all has been produced, or where that cannot be told.
    step: Option<usize>,
    /// After which step, for what is judged afterwards.
    followed: Option<usize>,
    /// Whether the steps it reads are read before anything is judged.
    reads_first: bool,
}

struct Names<'o> {
    outline: &'o Outline,
    libraries: &'o [Library],
    complete: bool,
    steps: BTreeMap<&'o Slug, usize>,
    inputs: BTreeSet<&'o str>,
    facts: BTreeMap<&'o str, Made>,
    decisions: BTreeMap<String, Made>,
    witnesses: BTreeSet<&'o str>,
}

impl<'o> Names<'o> {
    /// Adds for each fact the first step that produces it, itself or by reading another step again.
    fn with_facts(mut self) -> Self {
        for (at, step) in self.outline.steps.iter().enumerate() {
            let own = step.facts.iter();
            let again: Vec<&Product> = self.read_again(&step.mentions).collect();
            for fact in own.chain(again) {
                let spot = fact.spot;
                self.facts
                    .entry(fact.id.as_str())
                    .or_insert(Made { at, spot });
            }
        }
        self
    }

    /// The facts of the steps that something reads again.
    fn read_again(&self, mentions: &[Mention]) -> impl Iterator<Item = &'o Product> {
        mentions
            .iter()
            .filter_map(|mention| match &mention.subject {
                Subject::Step {
                    id,
                    need: Need::Reread,
                } => self.step(id),
                _ => None,
            })
            .flat_map(|(_, step)| &step.facts)
    }

    fn step(&self, id: &Slug) -> Option<(usize, &'o StepOutline)> {
        let index = *self.steps.get(id)?;
        Some((index, &self.outline.steps[index]))
    }

    /// The earliest step that a guard names; where it names none to stand before, the first change.
    fn first_named(&self, mentions: &[Mention], wanted: Need) -> Option<usize> {
        let mut named = mentions
            .iter()
            .filter_map(|mention| match &mention.subject {
                Subject::Step { id, need } if *need == wanted => {
                    Some(self.step(id).map(|(index, _)| index))
                }
                _ => None,
            });
        match named.next() {
            // A step that does not exist is reported by itself; then nothing can be said about time.
            Some(first) => named.try_fold(first?, |first, next| Some(first.min(next?))),
            None if wanted == Need::Guarded => {
                let mut steps = self.outline.steps.iter();
                steps.position(|step| step.effect == Effect::Change)
            }
            None => None,
        }
    }

    fn judge(&self, mentions: &[Mention], seat: Seat, mistakes: &mut Mistakes) {
        let read_again: BTreeSet<&str> = self
            .read_again(mentions)
            .map(|fact| fact.id.as_str())
            .collect();
        for mention in mentions {
            match &mention.subject {
                Subject::Step { id, need } => self.judge_step(id, *need, mention.spot, mistakes),
                Subject::Guard { id } => self.judge_guard(id, mention.spot, mistakes),
                Subject::Names { moment, names } => {
                    let reads = seat.reads_first || *moment != Moment::Before;
                    let reading = Situation {
                        moment: *moment,
                        seat,
                        read_again: reads.then_some(&read_again),
                    };
                    for (name, spot) in names {
                        self.judge_name(name, reading, spot.unwrap_or(mention.spot), mistakes);
                    }
                }
            }
        }
    }

    fn judge_step(&self, id: &Slug, need: Need, spot: Spot, mistakes: &mut Mistakes) {
        let Some((_, step)) = self.step(id) else {
            if self.complete {
                self.refuse_unknown_step(id, spot, mistakes);
            }
            return;
        };
        let related = unlocated(step.spot);
        if need == Need::Watched && step.form.is_some_and(|form| form != Form::Wait) {
            mistakes
                .at(
                    spot,
                    &format!("`{id}` does not wait, so nothing can be watched during it"),
                )
                .help("name a step with `wait`, or let the guard stand `before` it")
                .relate(related, "it is defined here");
            return;
        }
        if need != Need::Reread {
            return;
        }
        if step.form.is_some_and(|form| !form.can_be_read_again()) {
            mistakes
                .at(spot, &format!("`{id}` cannot be read again as part of something else"))
                .help("name steps that are a command, a request, done by hand, or read the run or its logs")
                .relate(related, "it is defined here");
        } else if step.form.is_some() && step.effect == Effect::Change {
            mistakes
                .at(
                    spot,
                    &format!("`{id}` may change the target, so it cannot be read again"),
                )
                .help("name steps that only look; if it only looks, say `effect: read` there")
                .relate(related, "it is defined here");
        }
    }

    /// What stands before an option must exist, and demand something beforehand.
    fn judge_guard(&self, id: &Slug, spot: Spot, mistakes: &mut Mistakes) {
        let mut guards = self.outline.guards.iter();
        match guards.find(|guard| guard.id.as_ref() == Some(id)) {
            Some(guard) if guard.requires => {}
            Some(guard) => {
                mistakes
                    .at(
                        spot,
                        &format!("`{id}` requires nothing, so it keeps no option closed"),
                    )
                    .help("give it `require`, or name another guard")
                    .relate(unlocated(guard.spot), "it is defined here");
            }
            None if self.complete => {
                let known = self.outline.guards.iter().filter_map(|g| g.id.as_ref());
                let known = known.map(Slug::as_str);
                let message = format!("there is no guard `{id}`");
                mistakes.unknown(spot, &message, id.as_str(), ("guards are", known));
            }
            None => {}
        }
    }

    fn refuse_unknown_step(&self, id: &Slug, spot: Spot, mistakes: &mut Mistakes) {
        let message = format!("there is no step `{id}`");
        let mut libraries = self.libraries.iter();
        match libraries.find(|library| library.item(Shelf::Steps, id.as_str()).is_some()) {
            Some(library) => mistakes.at(spot, &message).help(&format!(
                "a library has one: add `use: {}/{id}` to the steps",
                library.id()
            )),
            None => {
                let known = self.steps.keys().map(|id| id.as_str());
                mistakes.unknown(spot, &message, id.as_str(), ("steps are", known))
            }
        };
    }

    /// A failure can only lead back.
    fn judge_returns(&self, index: usize, mistakes: &mut Mistakes) {
        for mention in &self.outline.steps[index].mentions {
            if let Subject::Step {
                id,
                need: Need::Return,
            } = &mention.subject
                && let Some((target, step)) = self.step(id)
                && target >= index
            {
                mistakes
                    .at(mention.spot, &format!("`{id}` is not an earlier step"))
                    .help("after a failure one can go back, never past what was not done")
                    .relate(unlocated(step.spot), "it is defined here");
            }
        }
    }

    fn judge_name(&self, name: &Name, now: Situation<'_>, spot: Spot, mistakes: &mut Mistakes) {
        match name {
            Name::Top(top) => judge_top(top, now.moment, spot, mistakes),
            Name::Witness(id) => {
                let known = self.witnesses.iter().copied();
                if self.complete && !self.witnesses.contains(&*id.replace('-', "_")) {
                    let message = format!("no step produces a fact or evidence {}", quoted(id));
                    mistakes.unknown(spot, &message, id, (THERE_ARE, known));
                }
            }
            Name::Below(group, id) => match group.as_str() {
                "inputs" => {
                    let known = self.inputs.iter().copied();
                    if self.complete && !self.inputs.contains(&**id) {
                        let message = format!("there is no input {}", quoted(id));
                        mistakes.unknown(spot, &message, id, (THERE_ARE, known));
                    }
                }
                "facts" => self.judge_fact(id, now, spot, mistakes),
                _ => self.judge_decision(id, now, spot, mistakes),
            },
        }
    }

    fn judge_fact(&self, id: &str, now: Situation<'_>, spot: Spot, mistakes: &mut Mistakes) {
        if !self.complete || now.read_again.is_some_and(|facts| facts.contains(id)) {
            return;
        }
        match self.facts.get(id) {
            Some(made) if now.is_after(*made) => {}
            Some(made) => {
                mistakes
                    .at(spot, &format!("no earlier step produces the fact `{id}`"))
                    .help("move the step that produces it, or judge this later")
                    .relate(unlocated(made.spot), "it is produced only here");
            }
            None => {
                let message = format!("no step produces the fact {}", quoted(id));
                let known = self.facts.keys().copied();
                mistakes.unknown(spot, &message, id, (THERE_ARE, known));
            }
        }
    }

    fn judge_decision(&self, id: &str, now: Situation<'_>, spot: Spot, mistakes: &mut Mistakes) {
        if !self.complete {
            return;
        }
        match self.decisions.get(id) {
            Some(made) if now.is_after(*made) => {}
            Some(made) => {
                mistakes
                    .at(spot, &format!("no earlier step decides `{id}`"))
                    .help("move the step that decides it, or judge this later")
                    .relate(unlocated(made.spot), "it is decided only here");
            }
            None => {
                let message = format!("there is no `choose` step {}", quoted(id));
                let known = self.decisions.keys().map(String::as_str);
                mistakes.unknown(spot, &message, id, (THERE_ARE, known));
            }
        }
    }
}

/// What stands before the names that could have been meant.
const THERE_ARE: &str = "there are";

/// When and where an expression is judged.
#[derive(Clone, Copy)]
struct Situation<'r> {
    moment: Moment,
    seat: Seat,
    /// The facts that are read again just before.
    read_again: Option<&'r BTreeSet<&'r str>>,
}

impl Situation<'_> {
    /// Whether something is there by now.
    fn is_after(self, made: Made) -> bool {
        match self.moment {
            Moment::Before => self.seat.step.is_none_or(|step| made.at < step),
            Moment::After | Moment::Extracting => {
                self.seat.followed.is_none_or(|step| made.at <= step)
            }
            Moment::End => true,
        }
    }
}

fn judge_top(name: &str, moment: Moment, spot: Spot, mistakes: &mut Mistakes) {
    if EVERYWHERE.contains(&name) || (moment == Moment::Extracting && EXTRACTING.contains(&name)) {
        return;
    }
    if GROUPS.contains(&name) {
        mistakes
            .at(spot, &format!("`{name}` must be followed by a name"))
            .help(&format!("write `{name}.` and the name"));
    } else if EXTRACTING.contains(&name) {
        mistakes
            .at(spot, &format!("`{name}` means nothing here"))
            .help("it is there only in the `from` of a fact, in a step with an output; take a fact from it and read that");
    } else {
        let known = EVERYWHERE.iter().chain(&GROUPS).copied();
        let message = format!("there is nothing called {}", quoted(name));
        mistakes.unknown(spot, &message, name, (THERE_ARE, known));
    }
}
