//! The plan: a runbook as it will really be stepped through here, with what a person must do in place of what is missing.

use std::collections::BTreeMap;

use crate::ids::Slug;
use crate::runbook::model::{Action, Check, CheckSet, Effect, Guard, HistoryCall, Runbook, Step};

use super::event::CheckSetName;
use super::state::State;
use super::step::StepState;

/// A runbook as it is stepped through here.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    runbook: Runbook,
}

impl Plan {
    /// Plans the runbook; the steps named in `by_hand` are a person's, whatever the runbook says.
    #[must_use]
    pub fn new(mut runbook: Runbook, by_hand: &BTreeMap<Slug, String>) -> Self {
        for step in &mut runbook.steps {
            if by_hand.contains_key(&step.id) {
                put_in_hand(step);
            }
        }
        Self { runbook }
    }

    /// The same under executions that handed over to it: what they deny, it denies.
    #[must_use]
    pub fn under(mut self, outer: &[Runbook]) -> Self {
        let guards = outer.iter().flat_map(|runbook| &runbook.guards);
        let denying = guards.filter(|g| !g.deny.commands.is_empty() || !g.deny.requests.is_empty());
        self.runbook.guards.extend(denying.map(|guard| Guard {
            before: Vec::new(),
            during: Vec::new(),
            after: Vec::new(),
            read: Vec::new(),
            require: None,
            ensure: None,
            ..guard.clone()
        }));
        self
    }

    /// The runbook, with that done.
    #[must_use]
    pub fn runbook(&self) -> &Runbook {
        &self.runbook
    }

    /// The step of this name.
    #[must_use]
    pub fn step(&self, id: &Slug) -> Option<&Step> {
        self.runbook.step(id)
    }

    /// The step that is under way, with its number from 1; none when all are over.
    #[must_use]
    pub fn position(&self, state: &State) -> Option<(usize, &Step)> {
        let mut steps = self.runbook.steps.iter().enumerate();
        steps
            .find(|(_, step)| !self.is_over(step, &state.step(&step.id)))
            .map(|(i, step)| (i + 1, step))
    }

    /// Whether nothing is left to do in the step.
    #[must_use]
    pub fn is_over(&self, step: &Step, at: &StepState) -> bool {
        let settled = at.failure.is_none() && at.doubt.is_none() && at.open.is_none();
        at.ended.is_some() || (at.performed && settled && !self.is_judged(step))
    }

    /// Whether something has to hold after the step, so that it is over only once that was measured.
    #[must_use]
    pub fn is_judged(&self, step: &Step) -> bool {
        let verified = step.verify.is_some() && step.effect == Effect::Change;
        step.expect.is_some() || verified || self.guards_after(step).next().is_some()
    }

    /// The guards that demand something before the step.
    pub fn guards_before<'a>(&'a self, step: &'a Step) -> impl Iterator<Item = &'a Guard> {
        let stands = |g: &&Guard| g.during.is_empty() || !g.before.is_empty();
        let guards = self.runbook.guards.iter().filter(stands);
        guards.filter(|g| g.require.is_some() && concerns(&g.before, step))
    }

    /// The guards that stand before every change.
    pub fn guards_everywhere(&self) -> impl Iterator<Item = &Guard> {
        let everywhere = |g: &&Guard| g.before.is_empty() && g.during.is_empty();
        self.runbook.guards.iter().filter(everywhere)
    }

    /// The guards that demand something at every look of a waiting step.
    pub fn guards_during<'a>(&'a self, step: &'a Step) -> impl Iterator<Item = &'a Guard> {
        let guards = self.runbook.guards.iter();
        guards.filter(|g| g.require.is_some() && g.during.contains(&step.id))
    }

    /// The guards that demand something after the step.
    pub fn guards_after<'a>(&'a self, step: &'a Step) -> impl Iterator<Item = &'a Guard> {
        self.runbook
            .guards
            .iter()
            .filter(|g| g.ensure.is_some() && concerns(after(g), step))
    }

    /// The do-nots that an operator at this step should have before their eyes.
    pub fn do_nots<'a>(&'a self, step: &'a Step) -> impl Iterator<Item = &'a Guard> {
        let watched = |g: &Guard| g.during.contains(&step.id);
        let named = move |g: &&Guard| {
            let elsewhere = g.before.is_empty() && !g.during.is_empty();
            watched(g) || (!elsewhere && (concerns(&g.before, step) || concerns(after(g), step)))
        };
        self.runbook.guards.iter().filter(named)
    }

    /// The guard of this name.
    #[must_use]
    pub fn guard(&self, id: &Slug) -> Option<&Guard> {
        self.runbook.guards.iter().find(|g| g.id == *id)
    }

    /// The checks of a set.
    #[must_use]
    pub fn checks(&self, set: CheckSet) -> &[Check] {
        match set {
            CheckSet::Preflight => &self.runbook.preflight,
            CheckSet::Closing => &self.runbook.closing,
        }
    }

    /// The steps that are read before a set of checks is judged: the run, then what the checks name, each once.
    #[must_use]
    pub fn check_readings(&self, set: CheckSet) -> Vec<&Slug> {
        let run = self
            .runbook
            .steps
            .iter()
            .filter(|s| s.action == Action::History(HistoryCall::ReadRun));
        let named = self.checks(set).iter().flat_map(|c| &c.read);
        distinct(run.take(1).map(|s| &s.id).chain(named))
    }
}

/// Each once, in order.
pub(super) fn distinct<'a>(ids: impl Iterator<Item = &'a Slug>) -> Vec<&'a Slug> {
    let mut seen = Vec::new();
    for id in ids {
        if !seen.contains(&id) {
            seen.push(id);
        }
    }
    seen
}

fn after(guard: &Guard) -> &[Slug] {
    if guard.after.is_empty() {
        &guard.before
    } else {
        &guard.after
    }
}

fn concerns(named: &[Slug], step: &Step) -> bool {
    if named.is_empty() {
        step.effect == Effect::Change
    } else {
        named.contains(&step.id)
    }
}

/// Makes a person do what the step would have had done. What it must prove stays; where it came from a response, it is typed.
fn put_in_hand(step: &mut Step) {
    step.action = Action::ByHand;
    step.attempts = 1;
    for fact in &mut step.facts {
        fact.from = None;
    }
    for evidence in &mut step.evidence {
        evidence.from = None;
    }
}

impl From<CheckSet> for CheckSetName {
    fn from(set: CheckSet) -> Self {
        match set {
            CheckSet::Preflight => Self::Preflight,
            CheckSet::Closing => Self::Closing,
        }
    }
}
