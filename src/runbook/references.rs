//! What names refer to: each must mean something, and mean it in time.
//!
//! A name that nothing produces would make its expression unknown for ever, which refuses; better that the author learns
//! it than the operator.

use std::collections::BTreeMap;

use super::library::Library;
use super::model::Effect;
use super::parse::fields::{Mistakes, listed, nearest, quoted, unlocated};
use super::parse::outline::{
    Form, GROUPS, Mention, Moment, Name, Need, Outline, Product, StepOutline, Subject,
};
use super::parse::text::Spot;
use super::parse::uses::Shelf;
use crate::ids::Slug;

/// Top names that every expression may read.
const EVERYWHERE: [&str; 4] = ["run", "target", "execution", "now"];
/// Top names that mean something only while facts are extracted from what a step gave.
const EXTRACTING: [&str; 6] = ["body", "exit_code", "stdout", "lines", "outcome", "status"];

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
        facts: first_producers(outline),
    };
    for (index, step) in outline.steps.iter().enumerate() {
        let seat = Seat {
            step: Some(index),
            reads_first: false,
        };
        names.judge(&step.mentions, seat, mistakes);
        names.judge_returns(index, mistakes);
    }
    for check in &outline.checks {
        let judging = |step: &StepOutline| step.form == Some(Form::Checks(check.set));
        let seat = Seat {
            step: outline.steps.iter().position(judging),
            reads_first: true,
        };
        names.judge(&check.mentions, seat, mistakes);
    }
    for guard in &outline.guards {
        let seat = Seat {
            step: names.first_guarded(&guard.mentions),
            reads_first: true,
        };
        names.judge(&guard.mentions, seat, mistakes);
    }
    let end = Seat {
        step: None,
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
    refuse_different("fact", "a", facts, mistakes);
    let evidence = outline.steps.iter().flat_map(|step| &step.evidence);
    refuse_different("evidence", "of media type", evidence, mistakes);
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
    article: &str,
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
                "{what} `{}` is {article} `{is}` here and {article} `{was}` elsewhere",
                product.id
            );
            mistakes
                .at(product.spot, &message)
                .relate(unlocated(first.spot), "elsewhere");
        }
    }
}

/// For each fact the first step that produces it, itself or by reading another step again.
fn first_producers(outline: &Outline) -> BTreeMap<&str, usize> {
    let mut facts = BTreeMap::new();
    for (index, step) in outline.steps.iter().enumerate() {
        for fact in &step.facts {
            facts.entry(fact.id.as_str()).or_insert(index);
        }
        for read in reread(outline, &step.mentions) {
            for fact in &read.facts {
                facts.entry(fact.id.as_str()).or_insert(index);
            }
        }
    }
    facts
}

/// The steps that something reads again.
fn reread<'o>(
    outline: &'o Outline,
    mentions: &'o [Mention],
) -> impl Iterator<Item = &'o StepOutline> {
    mentions
        .iter()
        .filter_map(|mention| match &mention.subject {
            Subject::Step {
                id,
                need: Need::Reread,
            } => outline.steps.iter().find(|s| s.id.as_ref() == Some(id)),
            _ => None,
        })
}

/// Where in the order of steps something is judged.
#[derive(Clone, Copy)]
struct Seat {
    /// At which step; `None` where everything that is produced at all has been produced, or where that cannot be told.
    step: Option<usize>,
    /// Whether the steps it reads are read before anything is judged.
    reads_first: bool,
}

struct Names<'o> {
    outline: &'o Outline,
    libraries: &'o [Library],
    complete: bool,
    facts: BTreeMap<&'o str, usize>,
}

impl<'o> Names<'o> {
    fn step(&self, id: &Slug) -> Option<(usize, &'o StepOutline)> {
        let mut steps = self.outline.steps.iter().enumerate();
        steps.find(|(_, step)| step.id.as_ref() == Some(id))
    }

    /// The earliest step that a guard stands before.
    fn first_guarded(&self, mentions: &[Mention]) -> Option<usize> {
        let mut named = mentions
            .iter()
            .filter_map(|mention| match &mention.subject {
                Subject::Step {
                    id,
                    need: Need::Guarded,
                } => Some(self.step(id).map(|(index, _)| index)),
                _ => None,
            });
        match named.next() {
            // A step that does not exist is reported by itself; then nothing can be said about time.
            Some(first) => named.try_fold(first?, |first, next| Some(first.min(next?))),
            None => {
                let mut steps = self.outline.steps.iter();
                steps.position(|step| step.effect == Effect::Change)
            }
        }
    }

    fn judge(&self, mentions: &[Mention], seat: Seat, mistakes: &mut Mistakes) {
        for mention in mentions {
            match &mention.subject {
                Subject::Step { id, need } => self.judge_step(id, *need, mention.spot, mistakes),
                Subject::Names { moment, names } => {
                    for (name, spot) in names {
                        let spot = spot.unwrap_or(mention.spot);
                        let read = if seat.reads_first || *moment != Moment::Before {
                            mentions
                        } else {
                            &[]
                        };
                        self.judge_name(name, *moment, seat, read, spot, mistakes);
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
        if need != Need::Reread {
            return;
        }
        let related = unlocated(step.spot);
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

    fn refuse_unknown_step(&self, id: &Slug, spot: Spot, mistakes: &mut Mistakes) {
        let mistake = mistakes.at(spot, &format!("there is no step `{id}`"));
        let known = || self.outline.steps.iter().filter_map(|s| s.id.as_ref());
        let offered = self
            .libraries
            .iter()
            .find(|library| library.item(Shelf::Steps, id.as_str()).is_some());
        if let Some(library) = offered {
            mistake.help(&format!(
                "a library has one: add `use: {}/{id}` to the steps",
                library.id()
            ));
        } else if let Some(near) = nearest(id.as_str(), known().map(Slug::as_str)) {
            mistake.help(&format!("did you mean `{near}`?"));
        } else {
            mistake.help(&format!("steps are {}", listed(known().map(Slug::as_str))));
        }
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

    fn judge_name(
        &self,
        name: &Name,
        moment: Moment,
        seat: Seat,
        read: &[Mention],
        spot: Spot,
        mistakes: &mut Mistakes,
    ) {
        match name {
            Name::Top(top) => judge_top(top, moment, spot, mistakes),
            Name::Witness(id) => self.judge_witness(id, spot, mistakes),
            Name::Below(group, id) => match group.as_str() {
                "inputs" => {
                    let known = || self.outline.inputs.iter().map(|id| id.as_str());
                    if self.complete && !known().any(|known| known == id) {
                        refuse_unknown("there is no input", id, known(), spot, mistakes);
                    }
                }
                "facts" => self.judge_fact(id, moment, seat, read, spot, mistakes),
                _ => self.judge_decision(id, moment, seat, spot, mistakes),
            },
        }
    }

    fn judge_fact(
        &self,
        id: &str,
        moment: Moment,
        seat: Seat,
        read: &[Mention],
        spot: Spot,
        mistakes: &mut Mistakes,
    ) {
        let Some(made) = self.facts.get(id).copied() else {
            if self.complete {
                let known = self.facts.keys().copied();
                refuse_unknown("no step produces the fact", id, known, spot, mistakes);
            }
            return;
        };
        let read_in_time = reread(self.outline, read)
            .any(|step| step.facts.iter().any(|fact| fact.id.as_str() == id));
        if in_time(made, moment, seat) || read_in_time || !self.complete {
            return;
        }
        let product = self
            .outline
            .steps
            .iter()
            .flat_map(|step| &step.facts)
            .find(|fact| fact.id.as_str() == id);
        let mistake = mistakes.at(spot, &format!("no earlier step produces the fact `{id}`"));
        mistake.help("move the step that produces it, or judge this later");
        if let Some(product) = product {
            mistake.relate(unlocated(product.spot), "it is produced only here");
        }
    }

    fn judge_decision(
        &self,
        id: &str,
        moment: Moment,
        seat: Seat,
        spot: Spot,
        mistakes: &mut Mistakes,
    ) {
        let decisions: Vec<(usize, String, Spot)> = self
            .outline
            .steps
            .iter()
            .enumerate()
            .filter(|(_, step)| step.form == Some(Form::Choose))
            .filter_map(|(index, step)| {
                Some((index, step.id.as_ref()?.in_expressions(), step.spot))
            })
            .collect();
        let Some((made, _, place)) = decisions.iter().find(|(_, name, _)| name == id) else {
            if self.complete {
                let known = decisions.iter().map(|(_, name, _)| name.as_str());
                refuse_unknown("there is no `choose` step", id, known, spot, mistakes);
            }
            return;
        };
        if !in_time(*made, moment, seat) && self.complete {
            mistakes
                .at(spot, &format!("no earlier step decides `{id}`"))
                .help("move the step that decides it, or judge this later")
                .relate(unlocated(*place), "it is decided only here");
        }
    }

    fn judge_witness(&self, id: &str, spot: Spot, mistakes: &mut Mistakes) {
        let steps = || self.outline.steps.iter();
        let known = || {
            steps()
                .flat_map(|step| step.facts.iter().chain(&step.evidence))
                .map(|product| product.id.as_str())
        };
        let spelled = id.replace('-', "_");
        if self.complete && !known().any(|known| known == spelled) {
            refuse_unknown(
                "no step produces a fact or evidence",
                id,
                known(),
                spot,
                mistakes,
            );
        }
    }
}

/// Whether something made at a step is there when it is read.
fn in_time(made: usize, moment: Moment, seat: Seat) -> bool {
    let Some(step) = seat.step else {
        return true;
    };
    match moment {
        Moment::Before => made < step,
        Moment::After | Moment::Extracting => made <= step,
        Moment::End => true,
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
        refuse_unknown("there is nothing called", name, known, spot, mistakes);
    }
}

fn refuse_unknown<'k>(
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'k str>,
    spot: Spot,
    mistakes: &mut Mistakes,
) {
    let known: Vec<&str> = known.collect();
    let mistake = mistakes.at(spot, &format!("{what} {}", quoted(name)));
    if let Some(near) = nearest(name, known.iter().copied()) {
        mistake.help(&format!("did you mean `{near}`?"));
    } else if known.is_empty() {
        mistake.help("there are none in this runbook");
    } else {
        mistake.help(&format!("there are {}", listed(known.into_iter())));
    }
}
