//! What comes next: the one decision that live stepping, resuming, planning and testing share.
//!
//! The course of one step, in order: its condition; for a change the preflight (again, where it is too old), what the
//! guards read, the guards, the typed name, the approval, and the reading and judging once more, since answering takes
//! time; then the work; then what must hold afterwards, read back.

mod failure;

use crate::clock::{Span, Timestamp};
use crate::expr::{Expression, Truth};
use crate::ids::{ExecutionId, RunbookId, Slug};
use crate::runbook::model::{Action, CheckSet, Choose, HistoryCall, Step, Wait};

use super::event::{Event, Ground, HistoryWork, Holds, StepVerdict, Work};
use super::found::{derive, is_derived};
use super::gate::{self, Demand};
use super::plan::{Plan, distinct};
use super::question::{Asked, Question};
use super::scope::scope;
use super::state::{Standing, State};
use super::step::{Doubt, StepState, Waiting};
use super::work::{render, subject};

/// How much later than agreed a look may be before what lay in between counts as unwatched.
const UNWATCHED: Span = Span::from_secs(60);

/// What comes next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// This follows from what is known: record it.
    Record(Event),
    /// Perform this, its intent recorded first. A change needs a clearance.
    Perform(Performance),
    /// Only a person can say how to go on.
    Ask(Question),
    /// Step through another runbook, in an execution of its own, and record how that ended.
    HandOver(HandOver),
    /// Nothing until then.
    Sleep(Timestamp),
    /// Nothing any more, or not in this process.
    Finished,
}

/// Another runbook that a step hands over to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandOver {
    /// The step that waits for its end.
    pub step: Slug,
    /// Which runbook.
    pub runbook: RunbookId,
    /// The execution of it, which may still have to begin.
    pub execution: ExecutionId,
}

/// Something to perform.
#[derive(Debug, Clone, PartialEq)]
pub struct Performance {
    /// The step under way.
    pub step: Slug,
    /// Whose work: its own, or that of a step read on its behalf.
    pub work_of: Slug,
    /// Which attempt at it.
    pub attempt: u32,
    /// What.
    pub work: Work,
    /// Whether it may only be performed with a clearance.
    pub change: bool,
}

/// What comes next, at `now`.
#[must_use]
pub fn next(plan: &Plan, state: &State, now: Timestamp) -> Next {
    if state.standing != Standing::Open {
        return Next::Finished;
    }
    match plan.position(state) {
        None => Next::Record(close(plan, state, now)),
        Some((_, step)) => Course {
            plan,
            state,
            step,
            at: state.step(&step.id),
            now,
        }
        .next(),
    }
}

fn close(plan: &Plan, state: &State, now: Timestamp) -> Event {
    let scope = scope(plan, state, now);
    let outcomes = &plan.runbook().outcomes;
    let mut truths = outcomes.iter().map(|o| (o, o.when.truth(&scope)));
    // Up to the first that holds. One before it that is unknown might have been it: then success cannot be claimed.
    let mut unknown = false;
    let label = truths
        .find(|(_, truth)| {
            unknown |= matches!(truth, Truth::Unknown(_));
            truth.is_true()
        })
        .map(|(outcome, _)| outcome)
        .or(outcomes.last());
    match label {
        Some(o) => Event::Closed {
            outcome: o.label.clone(),
            success: o.success && !unknown,
        },
        // A runbook without outcomes cannot be built; aborting is the answer that claims nothing.
        None => Event::Aborted {
            reason: "the runbook names no outcome".into(),
        },
    }
}

/// One step under way.
struct Course<'a> {
    plan: &'a Plan,
    state: &'a State,
    step: &'a Step,
    at: StepState,
    now: Timestamp,
}

impl<'a> Course<'a> {
    fn next(&self) -> Next {
        if let Some(beside) = self.state.ad_hoc.iter().find(|c| c.is_in_doubt()) {
            return self.ask(Asked::Beside {
                argv: beside.argv.clone(),
            });
        }
        if let Some(open) = &self.at.open {
            if let Work::HandOver { runbook, execution } = &open.work {
                return Next::HandOver(HandOver {
                    step: self.step.id.clone(),
                    runbook: runbook.clone(),
                    execution: *execution,
                });
            }
            return self.ask(Asked::ByHand {
                work_of: open.work_of.clone(),
            });
        }
        if let Some(doubt) = &self.at.doubt {
            return self.settle(doubt);
        }
        if let Some(failure) = &self.at.failure {
            return self.after_failure(failure);
        }
        if self.at.refreezing {
            return self.freeze_again();
        }
        if self.at.performed {
            self.judge()
        } else {
            self.begin()
        }
    }

    fn begin(&self) -> Next {
        if let Some(when) = &self.step.when {
            let (holds, observed) = gate::measure(when, &scope(self.plan, self.state, self.now));
            match holds {
                Holds::Yes => {}
                Holds::No => {
                    let because = format!("{} ({observed})", when.source());
                    return Next::Record(Event::NotApplicable {
                        step: self.step.id.clone(),
                        because,
                    });
                }
                Holds::Unknown => return self.unknown("whether the step applies", observed),
            }
        }
        match &self.step.action {
            _ if gate::needs_clearance(self.step) => self.change(),
            Action::ByHand => self.by_hand(),
            Action::Command(_) | Action::Request(_) | Action::History(_) | Action::HandOver(_) => {
                self.read()
            }
            Action::Choose(choose) => self.choose(choose),
            Action::Wait(wait) => self.wait(wait),
            Action::Repeat(steps) => self.repeat(steps),
            Action::Checks(set) => self
                .refuse_before()
                .or_else(|| self.check(*set))
                .unwrap_or_else(|| self.judge()),
        }
    }

    /// Performs the step that takes the freeze, on behalf of the one under way.
    fn freeze_again(&self) -> Next {
        let takes = |step: &&Step| step.action == Action::History(HistoryCall::TakeFreeze);
        let Some(freezing) = self.plan.runbook().steps.iter().find(takes) else {
            let why = "the runbook has no step that takes one".to_owned();
            return self.unknown("how to take the freeze again", why);
        };
        let work_of = freezing.id.clone();
        match render(self.plan, self.state, freezing, self.now) {
            Ok(work) => Next::Perform(Performance {
                step: self.step.id.clone(),
                attempt: self.at.readings.get(&work_of).map_or(0, |r| r.count) + 1,
                work_of,
                work: again(work),
                change: false,
            }),
            Err(unrendered) => self.unknown("how to take the freeze again", unrendered.why),
        }
    }

    fn change(&self) -> Next {
        if gate::is_stale(CheckSet::Preflight, self.state, self.now) {
            return self.check_again(CheckSet::Preflight);
        }
        if let Some(stop) = self.refuse_checks(CheckSet::Preflight) {
            return stop;
        }
        let readings = gate::guard_readings(self.plan.guards_before(self.step));
        if let Some(next) = self.readings(&readings) {
            return next;
        }
        let work = match render(self.plan, self.state, self.step, self.now) {
            Ok(work) => work,
            Err(unrendered) => return self.unknown("what exactly to perform", unrendered.why),
        };
        let grounds = gate::grounds_before(self.plan, self.state, self.step, Some(&work), self.now);
        if !grounds.is_empty() {
            return self.refuse(grounds);
        }
        self.consent(&work)
            .unwrap_or_else(|| self.perform_own(work))
    }

    /// The typed name and the approval, where the step wants them and does not have them yet.
    fn consent(&self, work: &Work) -> Option<Next> {
        let scope = scope(self.plan, self.state, self.now);
        if let Some(confirm) = &self.step.confirm
            && gate::unconfirmed(self.state, self.step, work).is_some()
        {
            return Some(match confirm.text(&scope) {
                Ok(expected) => self.ask(Asked::Confirm {
                    expected,
                    work: work.clone(),
                }),
                Err(why) => self.unknown("the name to confirm", why.to_string()),
            });
        }
        let approve = self.step.approve.as_ref()?;
        gate::unapproved(self.plan, self.state, self.step, work, self.now)?;
        let subject = subject(self.state, self.step, work);
        Some(match approve.by.principal(&scope) {
            Ok(by) => self.ask(Asked::Approve {
                by,
                work: work.clone(),
                subject,
            }),
            Err(why) => self.unknown("who has to approve", why),
        })
    }

    fn read(&self) -> Next {
        // The freeze is released on what was found at the end, not on what was found before a night's sleep.
        let releases = self.step.action == Action::History(HistoryCall::ReleaseFreeze);
        if releases && gate::is_stale(CheckSet::Closing, self.state, self.now) {
            return self.check_again(CheckSet::Closing);
        }
        if releases && let Some(stop) = self.refuse_checks(CheckSet::Closing) {
            return stop;
        }
        if let Some(stop) = self.refuse_before() {
            return stop;
        }
        match render(self.plan, self.state, self.step, self.now) {
            Ok(work) => match gate::denials(self.plan, &work) {
                denied if denied.is_empty() => self.perform_own(work),
                denied => self.refuse(denied),
            },
            Err(unrendered) => self.unknown("what exactly to perform", unrendered.why),
        }
    }

    fn by_hand(&self) -> Next {
        if let Some(stop) = self.refuse_before() {
            return stop;
        }
        if !is_derived(self.step) {
            return self.ask(Asked::ByHand {
                work_of: self.step.id.clone(),
            });
        }
        match derive(self.plan, self.state, self.step, self.now) {
            Ok(answer) => Next::Record(Event::Answered {
                step: self.step.id.clone(),
                answer,
            }),
            Err(why) => self.unknown("what follows from the facts", why),
        }
    }

    fn choose(&self, choose: &Choose) -> Next {
        if let Some(stop) = self.refuse_before() {
            return stop;
        }
        let scope = scope(self.plan, self.state, self.now);
        let owner = match choose.owner.principal(&scope) {
            Ok(owner) => owner,
            Err(why) => return self.unknown("whose decision it is", why),
        };
        let (offered, withheld) = super::accept::options(self.plan, choose, &scope);
        if offered.is_empty() {
            return self.refuse(vec![Ground::NoOption { withheld }]);
        }
        self.ask(Asked::Choose {
            owner,
            offered,
            withheld,
        })
    }

    fn wait(&self, wait: &Wait) -> Next {
        let Some(waiting) = &self.at.wait else {
            return self.refuse_before().unwrap_or_else(|| self.look(wait));
        };
        let scope = scope(self.plan, self.state, self.now);
        let sustain = wait.sustain.as_ref().map(|s| s.span(&scope)).transpose();
        let (sustain, every) = match (sustain, wait.every.span(&scope)) {
            (Ok(sustain), Ok(every)) => (sustain.unwrap_or(Span::from_secs(0)), every),
            (Err(why), _) | (_, Err(why)) => return self.unknown("how long to wait", why),
        };
        let breach = wait
            .fail_when
            .as_ref()
            .map(|breach| (breach, gate::measure(breach, &scope)));
        if let Some((breach, (Holds::Yes, observed))) = &breach {
            return self.verdict(StepVerdict::Failed {
                why: format!("{} ({observed})", breach.source()),
            });
        }
        let ruled_out = breach.is_none_or(|(_, (holds, _))| holds == Holds::No);
        let held = |since| waiting.looked.since(since) >= sustain;
        if ruled_out && waiting.held_since.is_some_and(held) {
            return self.judge();
        }
        if self.nobody_looked(waiting, every) {
            let observed = format!("nobody looked since {}", waiting.looked);
            return Next::Record(Event::WaitLooked {
                step: self.step.id.clone(),
                holds: Holds::Unknown,
                observed,
            });
        }
        if waiting.looked.since(waiting.began) >= self.step.timeout {
            let (_, observed) = gate::measure(&wait.until, &scope);
            let why = format!(
                "waited {} for {} ({observed})",
                self.step.timeout.rounded(),
                wait.until.source()
            );
            return self.verdict(StepVerdict::Failed { why });
        }
        let due = waiting.looked.plus(every);
        if self.now < due {
            Next::Sleep(due)
        } else {
            self.look(wait)
        }
    }

    /// Whether what held was left unwatched, as on a machine that slept: a minute and one look more than agreed.
    fn nobody_looked(&self, waiting: &Waiting, every: Span) -> bool {
        let looking = self.at.readings.values().any(|r| r.event > self.at.mark);
        let agreed = waiting.looked.plus(every).plus(every).plus(UNWATCHED);
        waiting.held_since.is_some() && !looking && self.now > agreed
    }

    fn look(&self, wait: &Wait) -> Next {
        let watching = gate::guard_readings(self.plan.guards_during(self.step));
        let read = distinct(wait.read.iter().chain(watching));
        if let Some(next) = self.readings(&read) {
            return next;
        }
        let (_, refused) =
            gate::judge_guards(self.plan, self.state, self.step, Demand::During, self.now);
        if !refused.is_empty() {
            return self.refuse(refused.into_iter().map(Ground::Guard).collect());
        }
        let (holds, observed) = self.measure_read(&wait.read, &wait.until);
        Next::Record(Event::WaitLooked {
            step: self.step.id.clone(),
            holds,
            observed,
        })
    }

    fn repeat(&self, ids: &'a [Slug]) -> Next {
        if let Some(stop) = self.refuse_before() {
            return stop;
        }
        if let Some(next) = self.readings(&ids.iter().collect::<Vec<_>>()) {
            return next;
        }
        match gate::unread(self.step, &self.at, ids) {
            Some(why) => self.verdict(StepVerdict::Failed { why }),
            None => self.judge(),
        }
    }

    /// Judges a set of checks; nothing when none of them stands in the way.
    fn check(&self, set: CheckSet) -> Option<Next> {
        if self.at.checked <= self.at.mark {
            return Some(self.check_again(set));
        }
        self.refuse_checks(set)
    }

    fn check_again(&self, set: CheckSet) -> Next {
        let readings = self.plan.check_readings(set);
        self.readings(&readings).unwrap_or_else(|| {
            let mut results = gate::judge_checks(self.plan, self.state, set, self.now);
            for (check, result) in self.plan.checks(set).iter().zip(&mut results) {
                if let Some(why) = gate::unread(self.step, &self.at, &check.read) {
                    result.holds = Holds::Unknown;
                    result.observed = why;
                }
            }
            Next::Record(Event::ChecksJudged {
                step: self.step.id.clone(),
                set: set.into(),
                results,
            })
        })
    }

    fn refuse_checks(&self, set: CheckSet) -> Option<Next> {
        let results: Vec<_> = self
            .plan
            .checks(set)
            .iter()
            .filter_map(|c| self.state.checks.get(&c.id).cloned())
            .collect();
        let in_the_way = gate::standing_in_the_way(self.state, &results);
        let (blocks, warnings): (Vec<_>, Vec<_>) = in_the_way
            .into_iter()
            .partition(|r| r.severity == super::event::SeverityName::Block);
        if !blocks.is_empty() {
            return Some(self.refuse(blocks.into_iter().map(Ground::Check).collect()));
        }
        let check = warnings.into_iter().next()?;
        Some(self.ask(Asked::Acknowledge { check }))
    }

    /// What stands before a step that changes nothing: guards that name it, what they read first.
    fn refuse_before(&self) -> Option<Next> {
        let readings = gate::guard_readings(self.plan.guards_before(self.step));
        if let Some(next) = self.readings(&readings) {
            return Some(next);
        }
        let grounds = gate::grounds_before(self.plan, self.state, self.step, None, self.now);
        (!grounds.is_empty()).then(|| self.refuse(grounds))
    }

    /// The first of these readings that is not fresh; none when all are.
    fn readings(&self, ids: &[&Slug]) -> Option<Next> {
        let fresh = |id: &Slug| {
            let read = self.at.readings.get(id);
            read.is_some_and(|r| r.event > self.at.mark)
                || (*id == self.step.id && self.at.performed)
        };
        let id = *ids.iter().find(|id| !fresh(id))?;
        let readable = |step: &&Step| step.id != self.step.id && !gate::needs_clearance(step);
        let Some(step) = self.plan.step(id).filter(readable) else {
            let why = "it is not a step that can be read again here".to_owned();
            return Some(self.unknown(&format!("how to read `{id}`"), why));
        };
        if !step.is_automated() {
            return Some(self.ask(Asked::ByHand {
                work_of: id.clone(),
            }));
        }
        let attempt = self.at.readings.get(id).map_or(0, |r| r.count) + 1;
        Some(match render(self.plan, self.state, step, self.now) {
            Err(unrendered) => self.unknown(&format!("how to read `{id}`"), unrendered.why),
            Ok(work) => match gate::denials(self.plan, &work) {
                denied if denied.is_empty() => {
                    let step = self.step.id.clone();
                    Next::Perform(Performance {
                        step,
                        work_of: id.clone(),
                        attempt,
                        work,
                        change: false,
                    })
                }
                denied => self.refuse(denied),
            },
        })
    }

    fn measure_read(&self, read: &[Slug], expression: &Expression) -> (Holds, String) {
        let scope = scope(self.plan, self.state, self.now);
        gate::measure_read(self.step, &self.at, read, expression, &scope)
    }

    fn perform_own(&self, work: Work) -> Next {
        let (step, work_of) = (self.step.id.clone(), self.step.id.clone());
        let change = gate::needs_clearance(self.step);
        Next::Perform(Performance {
            step,
            work_of,
            attempt: self.at.attempts + 1,
            work,
            change,
        })
    }

    fn judge(&self) -> Next {
        if self.at.read_back && super::found::is_anything_wanted(self.state, self.step) {
            return self.ask(Asked::ByHand {
                work_of: self.step.id.clone(),
            });
        }
        let mut reads = gate::guard_readings(self.plan.guards_after(self.step));
        if gate::needs_clearance(self.step) {
            reads.extend(self.step.verify.iter().flat_map(|v| &v.read));
        }
        self.readings(&distinct(reads.into_iter()))
            .unwrap_or_else(|| self.judged())
    }

    fn judged(&self) -> Next {
        let (guards, verdict) = self.afterwards();
        Next::Record(Event::StepJudged {
            step: self.step.id.clone(),
            verdict,
            guards,
        })
    }

    fn afterwards(&self) -> (Vec<super::event::GuardVerdict>, StepVerdict) {
        let (guards, broken) =
            gate::judge_guards(self.plan, self.state, self.step, Demand::After, self.now);
        if !broken.is_empty() {
            let ids = broken.into_iter().map(|v| v.id).collect();
            return (guards, StepVerdict::Violated { guards: ids });
        }
        let verify = self
            .step
            .verify
            .as_ref()
            .filter(|_| gate::needs_clearance(self.step))
            .map(|v| (&v.expect, &v.read[..]));
        let expect = self.step.expect.as_ref().map(|expect| (expect, &[][..]));
        for (expected, read) in verify.into_iter().chain(expect) {
            let (holds, observed) = self.measure_read(read, expected);
            if holds != Holds::Yes {
                let why = format!("expected {}; measured {observed}", expected.source());
                return (guards, StepVerdict::Failed { why });
            }
        }
        (guards, StepVerdict::Passed)
    }

    fn settle(&self, doubt: &Doubt) -> Next {
        let ask = || {
            self.ask(Asked::InDoubt {
                doubt: doubt.clone(),
            })
        };
        let Some(verify) = self
            .step
            .verify
            .as_ref()
            .filter(|_| doubt.unsettled.is_none())
        else {
            return ask();
        };
        self.readings(&verify.read.iter().collect::<Vec<_>>())
            .unwrap_or_else(|| {
                let (holds, observed) = self.measure_read(&verify.read, &verify.expect);
                let by_hand = self.step.action == Action::ByHand;
                self.verdict(match holds {
                    // Only the person who did it can say what was found.
                    Holds::Yes if by_hand => StepVerdict::StillInDoubt {
                        why: format!(
                            "it looks as if it took effect ({observed}), but what was found was not recorded"
                        ),
                    },
                    Holds::Yes => StepVerdict::TookEffect { observed },
                    Holds::No => StepVerdict::NoEffect { observed },
                    Holds::Unknown => StepVerdict::StillInDoubt { why: observed },
                })
            })
    }

    fn ask(&self, asked: Asked) -> Next {
        Next::Ask(Question {
            step: self.step.id.clone(),
            asked,
        })
    }

    fn verdict(&self, verdict: StepVerdict) -> Next {
        Next::Record(Event::StepJudged {
            step: self.step.id.clone(),
            verdict,
            guards: Vec::new(),
        })
    }

    fn refuse(&self, grounds: Vec<Ground>) -> Next {
        Next::Record(Event::Refused {
            step: self.step.id.clone(),
            grounds,
        })
    }

    fn unknown(&self, what: &str, why: String) -> Next {
        self.refuse(vec![Ground::Unknown {
            what: what.into(),
            why,
        }])
    }
}

impl Expression {
    /// The principal that the expression names.
    pub(super) fn principal(
        &self,
        scope: &crate::expr::Scope,
    ) -> Result<crate::ids::Principal, String> {
        let text = self.text(scope).map_err(|why| why.to_string())?;
        text.parse().map_err(|why| format!("`{text}` {why}"))
    }

    /// The span of time that the expression gives.
    pub(super) fn span(&self, scope: &crate::expr::Scope) -> Result<Span, String> {
        let text = self.value(scope).map_err(|why| why.to_string())?.to_json();
        let text = text
            .as_str()
            .ok_or_else(|| format!("`{}` is not a duration", self.source()))?;
        text.parse().map_err(|why| format!("`{text}` is {why}"))
    }
}

/// The same freeze, asked for by somebody who knows that it was lost.
fn again(work: Work) -> Work {
    match work {
        Work::History(HistoryWork::TakeFreeze {
            scope,
            reason,
            lease,
        }) => Work::History(HistoryWork::RetakeFreeze {
            scope,
            reason,
            lease,
        }),
        other => other,
    }
}
