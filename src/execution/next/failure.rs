//! What follows a failure: another try by itself, telling the run of a do-not that happened, or the ways on for a person.

use crate::clock::Span;
use crate::ids::Slug;
use crate::runbook::model::{Action, Effect, HistoryCall, Necessity, Step};

use super::super::event::{HistoryWork, Holds, Work};
use super::super::gate::{self, Demand};
use super::super::question::{Asked, Way};
use super::super::step::Failure;
use super::{Course, Next, Performance};

impl Course<'_> {
    pub(super) fn after_failure(&self, failure: &Failure) -> Next {
        let again = matches!(failure, Failure::Attempt { .. })
            && self.at.tries > 0
            && self.at.tries < self.step.attempts;
        if again {
            let pause = Span::from_secs(1 << self.at.tries.min(5).saturating_sub(1));
            let due = self.at.finished_at.map_or(self.now, |at| at.plus(pause));
            return if self.now < due {
                Next::Sleep(due)
            } else {
                self.begin()
            };
        }
        if let Failure::Violated { .. } = failure
            && let Some(telling) = self.tell_of_violations()
        {
            return telling;
        }
        self.ask(Asked::Failed {
            failure: failure.clone(),
            ways: self.ways(failure),
        })
    }

    /// Tells the run of the do-nots that were measured to have happened, once; nothing where that was done, or was tried
    /// and failed since it was last measured. What is only not ruled out is not told.
    fn tell_of_violations(&self) -> Option<Next> {
        let mut steps = self.plan.runbook().steps.iter();
        let posts = |s: &&Step| matches!(s.action, Action::History(HistoryCall::PostComment(_)));
        let work_of = &steps.find(posts)?.id;
        let told = self.at.readings.get(work_of);
        if told.is_some_and(|told| told.failed.is_none() || told.event > self.at.mark) {
            return None;
        }
        let (_, broken) =
            gate::judge_guards(self.plan, self.state, self.step, Demand::After, self.now);
        let happened = broken.iter().filter(|verdict| verdict.holds == Holds::No);
        let happened = happened.filter_map(|v| Some((self.plan.guard(&v.id)?, v)));
        let lines = happened.map(|(g, v)| format!("{} [{}]: {}", g.do_not, g.id, v.observed));
        let lines: Vec<String> = lines.collect();
        if lines.is_empty() {
            return None;
        }
        let (id, step) = (self.state.opened.id, &self.step.id);
        let attempt = told.map_or(0, |told| told.count) + 1;
        let body = format!(
            "After step `{step}` of `{}`, execution {id}, a do-not has happened:\n{}",
            self.state.runbook.id,
            lines.join("\n")
        );
        let key = format!("{id}/violation/{step}/{attempt}");
        Some(Next::Perform(Performance {
            step: step.clone(),
            work_of: work_of.clone(),
            attempt,
            work: Work::History(HistoryWork::PostViolation { body, key }),
            change: false,
        }))
    }

    fn ways(&self, failure: &Failure) -> Vec<Way> {
        let by_hand = matches!(
            self.step.action,
            Action::ByHand | Action::Command(_) | Action::Request(_)
        );
        let mut ways = match failure {
            Failure::Refused { .. } if failure.is_freeze_lost() => {
                vec![Way::FreezeAgain, Way::Retry]
            }
            Failure::Attempt { .. } if by_hand => vec![Way::Retry, Way::DoneByHand],
            Failure::Attempt { .. } | Failure::Refused { .. } | Failure::Rejected { .. } => {
                vec![Way::Retry]
            }
            Failure::Judged { .. } if self.at.performed => vec![Way::LookAgain, Way::Retry],
            Failure::Judged { .. } => vec![Way::Retry],
            Failure::Violated { .. } => vec![Way::LookAgain],
        };
        // What must hold after a change that may have reached the target is not dodged by leaving the step out.
        let violated = matches!(failure, Failure::Violated { .. });
        let bound = self.at.changed && self.plan.guards_after(self.step).next().is_some();
        if self.step.necessity == Necessity::Skippable && !violated && !bound {
            ways.push(Way::Skip);
        }
        if let Some(earlier) = &self.step.on_failure
            && !self.must_be_read_back()
            && self
                .reopened(earlier)
                .iter()
                .all(|id| *id == self.step.id || !self.state.step(id).changed)
        {
            ways.push(Way::BackTo(earlier.clone()));
        }
        ways
    }

    /// Whether a change was performed and nobody could read back what came of it. Until then there is nothing to decide
    /// again on.
    fn must_be_read_back(&self) -> bool {
        let verify = self.step.verify.as_ref();
        let unread = verify.and_then(|v| gate::unread(self.step, &self.at, &v.read));
        self.step.effect == Effect::Change && self.at.performed && unread.is_some()
    }

    /// The steps that going back to `earlier` would open again.
    fn reopened(&self, earlier: &Slug) -> Vec<Slug> {
        super::super::accept::reopened(self.plan, earlier, &self.step.id)
    }
}
