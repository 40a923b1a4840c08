//! The order that every runbook keeps: freeze, read the run, preflight, only then change; close, and release last.

use super::model::{CheckSet, Effect};
use super::parse::mistakes::{Mistakes, unlocated};
use super::parse::outline::{Form, Outline, StepOutline};

/// Reports what is missing, doubled or out of order. The outline must be complete.
pub(super) fn judge(outline: &Outline, mistakes: &mut Mistakes) {
    let steps = Steps {
        outline,
        first_change: outline
            .steps
            .iter()
            .position(|step| step.effect == Effect::Change),
    };
    let freeze = steps.the_only(Form::TakeFreeze, "history: take-freeze", mistakes);
    let preflight = steps.the_only(
        Form::Checks(CheckSet::Preflight),
        "checks: preflight",
        mistakes,
    );
    let closing = steps.the_only(Form::Checks(CheckSet::Closing), "checks: closing", mistakes);
    let release = steps.the_only(Form::ReleaseFreeze, "history: release-freeze", mistakes);
    steps.stands_before_changes(freeze, "the freeze is taken", mistakes);
    steps.stands_before_changes(preflight, "preflight was judged", mistakes);
    if let Some(preflight) = preflight {
        steps.run_is_read_before(preflight, mistakes);
    }
    steps.ends(closing, release, mistakes);
}

struct Steps<'o> {
    outline: &'o Outline,
    first_change: Option<usize>,
}

impl Steps<'_> {
    fn get(&self, index: usize) -> &StepOutline {
        &self.outline.steps[index]
    }

    fn name(&self, index: usize) -> String {
        self.get(index)
            .id
            .as_ref()
            .map_or("a step".into(), |id| format!("`{id}`"))
    }

    /// The index of the first step of a form; reports where there is none or more than one.
    fn the_only(&self, form: Form, written: &str, mistakes: &mut Mistakes) -> Option<usize> {
        let mut found = (0..self.outline.steps.len()).filter(|i| self.get(*i).form == Some(form));
        let Some(first) = found.next() else {
            mistakes
                .at(self.outline.steps_spot, &format!("no step has `{written}`"))
                .help("every runbook freezes, judges preflight, judges closing and releases, each once");
            return None;
        };
        for other in found {
            let message = format!("{} is a second step with `{written}`", self.name(other));
            mistakes
                .at(self.get(other).spot, &message)
                .relate(unlocated(self.get(first).spot), "the first one is here");
        }
        Some(first)
    }

    /// Such a step comes before every change, and nothing lets it be left out.
    fn stands_before_changes(&self, step: Option<usize>, done: &str, mistakes: &mut Mistakes) {
        let Some(step) = step else {
            return;
        };
        if let Some(change) = self.first_change
            && change < step
        {
            let message = format!("{} may change the target before {done}", self.name(change));
            mistakes
                .at(self.get(change).spot, &message)
                .help(&format!(
                    "move {} before it; if the step only looks, say `effect: read`",
                    self.name(step)
                ))
                .relate(unlocated(self.get(step).spot), "that happens only here");
        }
        self.is_certain(step, "changes rely on it", mistakes);
    }

    /// Nothing lets the step be left out.
    fn is_certain(&self, step: usize, because: &str, mistakes: &mut Mistakes) {
        if !self.get(step).certain {
            let message = format!("{} may not depend on anything", self.name(step));
            mistakes
                .at(self.get(step).spot, &message)
                .help(&format!("remove `when` and `required: false`: {because}"));
        }
    }

    fn run_is_read_before(&self, preflight: usize, mistakes: &mut Mistakes) {
        let read = (0..preflight).any(|i| self.get(i).form == Some(Form::ReadRun));
        if !read {
            let message = format!("no step reads the run before {}", self.name(preflight));
            mistakes.at(self.get(preflight).spot, &message).help(
                "put a step with `history: read-run` before it: preflight judges what was read",
            );
        }
    }

    /// Closing and release are the last two steps.
    fn ends(&self, closing: Option<usize>, release: Option<usize>, mistakes: &mut Mistakes) {
        let (Some(closing), Some(release)) = (closing, release) else {
            return;
        };
        for step in [closing, release] {
            self.is_certain(step, "no execution ends with its freeze held", mistakes);
        }
        let last = self.outline.steps.len() - 1;
        if release != last {
            mistakes
                .at(
                    self.get(release).spot,
                    &format!("{} must be the last step", self.name(release)),
                )
                .help("what happens after the release happens without a freeze");
        }
        if closing + 1 != release {
            let message = format!(
                "{} must stand right before {}",
                self.name(closing),
                self.name(release)
            );
            mistakes
                .at(self.get(closing).spot, &message)
                .help("what happens after the closing checks could undo what they found");
        }
    }
}
