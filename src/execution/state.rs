//! What is now true: the fold of the events. Live and on resume it is the same function.
//!
//! Which events are legal when (everything else is [`Illegal`]):
//!
//! | Where the execution is | Legal next |
//! |---|---|
//! | nothing yet | opened |
//! | open | everything but opened |
//! | paused | resumed, note, recovered, ad hoc, aborted |
//! | aborted, closed | nothing |
//!
//! Within an open execution, `attempt finished` needs the attempt that it names to be under way, an attempt needs none to
//! be under way and no doubt, and answers that leave a failure need a failure or a doubt.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::clock::Timestamp;
use crate::digest::Digest;
use crate::ids::{Field, Slug};
use crate::runbook::model::Effect;

use super::ad_hoc::AdHoc;
use super::event::{
    Artifact, AttemptFinished, AttemptStarted, CheckResult, CheckSetName, Chosen, Clearance,
    Ending, Event, FileRef, HistoryWork, Holds, Learned, Opened, Operator, Origin, Resumed,
    RunbookRef, StepVerdict, Work,
};
use super::step::{Doubt, Failure, OpenAttempt, StepEnd, StepState, Waiting};
use super::work::successor;

/// An event that cannot follow what came before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} cannot follow here: {why}")]
pub struct Illegal {
    /// Which event.
    pub what: &'static str,
    /// What stands against it.
    pub why: String,
}

/// What is true of one execution after its first events.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// How it began.
    pub opened: Opened,
    /// Events so far.
    pub events: u64,
    /// When it began.
    pub began: Timestamp,
    /// When the last event happened.
    pub at: Timestamp,
    /// Who steps through it now.
    pub operator: Operator,
    /// Which text is stepped through now.
    pub runbook: RunbookRef,
    /// By which profile its steps are done now.
    pub profile: Option<FileRef>,
    /// Steps that are by hand, with what is missing.
    pub by_hand: BTreeMap<Slug, String>,
    /// Whether it goes on.
    pub standing: Standing,
    /// The freeze that is ours, as far as the journal knows.
    pub freeze: Option<HeldFreeze>,
    /// The run as last read.
    pub run: Option<Json>,
    /// What is known.
    pub facts: BTreeMap<Field, Fact>,
    /// The newest evidence of each name.
    pub evidence: BTreeMap<Field, Captured>,
    /// Every name of which a step left evidence, with the step; a later reading that fails does not undo that.
    pub left: BTreeMap<Field, Slug>,
    /// What was decided, by step.
    pub decisions: BTreeMap<Slug, Chosen>,
    /// How each check came out last.
    pub checks: BTreeMap<Slug, CheckResult>,
    /// Warnings that were acknowledged.
    pub acknowledged: BTreeMap<Slug, Acknowledged>,
    /// When the preflight was last judged in this process.
    pub preflight_at: Option<Timestamp>,
    /// When the closing checks were last judged in this process.
    pub closing_at: Option<Timestamp>,
    /// Comments that the run history has.
    pub comments: u64,
    /// Each step that was touched.
    pub steps: BTreeMap<Slug, StepState>,
    /// The ad-hoc commands so far, oldest first; those that were refused are not among them.
    pub ad_hoc: Vec<AdHoc>,
}

/// Whether an execution goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Somebody steps through it.
    Open,
    /// It can be resumed.
    Paused {
        /// Why it was left.
        reason: String,
    },
    /// It ended without completing.
    Aborted {
        /// Why.
        reason: String,
    },
    /// It ended with every step settled.
    Closed {
        /// The derived name of how.
        outcome: Slug,
        /// Whether that is a success.
        success: bool,
    },
}

/// A freeze that is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldFreeze {
    /// Its id.
    pub id: String,
    /// Its fence.
    pub fence: u64,
    /// What it covers.
    pub scope: String,
}

/// Something known.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// The value.
    pub value: Json,
    /// Where it comes from.
    pub origin: Origin,
    /// When.
    pub at: Timestamp,
    /// Which step found it out.
    pub step: Slug,
}

/// An item of evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The bytes.
    pub artifact: Artifact,
    /// Where they come from.
    pub origin: Origin,
    /// When.
    pub at: Timestamp,
    /// Which step left it.
    pub step: Slug,
}

/// A warning that somebody took upon themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// The digest of what was observed then.
    pub observed: Digest,
    /// Why.
    pub reason: String,
}

impl State {
    /// The state after the first event.
    ///
    /// # Errors
    /// [`Illegal`] where it is not `opened`.
    pub fn open(at: Timestamp, event: &Event) -> Result<Self, Illegal> {
        let Event::Opened(opened) = event else {
            return Err(Illegal {
                what: "the first event",
                why: "an execution begins with `execution.opened`".into(),
            });
        };
        Ok(Self {
            operator: opened.operator.clone(),
            runbook: opened.runbook.clone(),
            profile: opened.profile.clone(),
            by_hand: opened.by_hand.clone(),
            opened: (**opened).clone(),
            events: 1,
            began: at,
            at,
            standing: Standing::Open,
            freeze: None,
            run: None,
            facts: BTreeMap::new(),
            evidence: BTreeMap::new(),
            left: BTreeMap::new(),
            decisions: BTreeMap::new(),
            checks: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            preflight_at: None,
            closing_at: None,
            comments: 0,
            steps: BTreeMap::new(),
            ad_hoc: Vec::new(),
        })
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// [`Illegal`] where it cannot follow; the state is then unchanged.
    pub fn apply(&mut self, at: Timestamp, event: &Event) -> Result<(), Illegal> {
        self.check_standing(event)?;
        let mut next = self.clone();
        next.events += 1;
        next.at = at;
        next.take(at, event)?;
        *self = next;
        Ok(())
    }

    /// Where the step stands; an untouched step stands at the beginning.
    #[must_use]
    pub fn step(&self, id: &Slug) -> StepState {
        self.steps.get(id).cloned().unwrap_or_default()
    }

    /// Whether the execution ended for good.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(
            self.standing,
            Standing::Aborted { .. } | Standing::Closed { .. }
        )
    }

    fn check_standing(&self, event: &Event) -> Result<(), Illegal> {
        let what = event.name();
        match (&self.standing, event) {
            (_, Event::Opened(_)) => Err(Illegal {
                what,
                why: "the execution is open already".into(),
            }),
            (Standing::Aborted { .. } | Standing::Closed { .. }, _) => Err(Illegal {
                what,
                why: "the execution has ended".into(),
            }),
            (
                Standing::Paused { .. },
                Event::Resumed(_)
                | Event::NoteAdded { .. }
                | Event::Recovered { .. }
                | Event::AdHocStarted { .. }
                | Event::AdHocRefused { .. }
                | Event::AdHocFinished { .. }
                | Event::Aborted { .. },
            )
            | (Standing::Open, _) => Ok(()),
            (Standing::Paused { .. }, _) => Err(Illegal {
                what,
                why: "the execution is paused".into(),
            }),
        }
    }

    fn take(&mut self, at: Timestamp, event: &Event) -> Result<(), Illegal> {
        match event {
            Event::Opened(_)
            | Event::NoteAdded { .. }
            | Event::Recovered { .. }
            | Event::AdHocRefused { .. } => {}
            Event::AdHocStarted { argv, clearance } => self.start_ad_hoc(at, argv, clearance)?,
            Event::AdHocFinished { ending, .. } => {
                let last = self.ad_hoc.last_mut().filter(|last| last.ending.is_none());
                let last = last.ok_or_else(|| Illegal {
                    what: event.name(),
                    why: "no ad-hoc command is under way".into(),
                })?;
                last.ending = Some(ending.clone());
                if last.effect == Effect::Change {
                    self.measure_anew();
                }
            }
            Event::Paused { reason } => {
                self.standing = Standing::Paused {
                    reason: reason.clone(),
                }
            }
            Event::Resumed(resumed) => self.resume(resumed),
            Event::AttemptStarted(started) => self.start(at, started)?,
            Event::AttemptFinished(finished) => self.finish(at, finished)?,
            Event::Answered { step, answer } => self.answer(at, step, answer)?,
            Event::NotApplicable { step, .. } => {
                self.idle(step, event.name())?;
                self.steps(step).ended = Some(StepEnd::NotApplicable);
            }
            Event::Refused { step, grounds } => {
                self.idle(step, event.name())?;
                self.steps(step).failure = Some(Failure::Refused {
                    grounds: grounds.clone(),
                });
            }
            Event::ChecksJudged { set, results, step } => {
                self.idle(step, event.name())?;
                self.steps(step).checked = self.events;
                self.checks
                    .extend(results.iter().map(|r| (r.id.clone(), r.clone())));
                match set {
                    CheckSetName::Preflight => self.preflight_at = Some(at),
                    CheckSetName::Closing => self.closing_at = Some(at),
                }
            }
            Event::StepJudged { step, verdict, .. } => {
                self.idle(step, event.name())?;
                self.judge(step, verdict);
            }
            Event::WaitLooked { step, holds, .. } => {
                self.idle(step, event.name())?;
                self.look(at, step, *holds);
            }
            Event::Aborted { reason } => {
                self.standing = Standing::Aborted {
                    reason: reason.clone(),
                }
            }
            Event::Closed {
                outcome, success, ..
            } => {
                self.settled(event.name())?;
                self.standing = Standing::Closed {
                    outcome: outcome.clone(),
                    success: *success,
                };
            }
        }
        Ok(())
    }

    pub(super) fn steps(&mut self, id: &Slug) -> &mut StepState {
        self.steps.entry(id.clone()).or_default()
    }

    /// Nothing is under way in the step, and it has not ended: what has ended is never overwritten.
    fn idle(&self, id: &Slug, what: &'static str) -> Result<(), Illegal> {
        let Some(step) = self.steps.get(id) else {
            return Ok(());
        };
        let why = match &step.open {
            Some(open) => format!("`{}` is under way", open.work_of),
            None if step.ended.is_some() => format!("`{id}` has ended"),
            None => return Ok(()),
        };
        Err(Illegal { what, why })
    }

    /// Nothing is under way, in doubt or failed anywhere.
    fn settled(&self, what: &'static str) -> Result<(), Illegal> {
        if self.ad_hoc.iter().any(AdHoc::is_in_doubt) {
            let why = "what came of an ad-hoc change is not known".into();
            return Err(Illegal { what, why });
        }
        let mut steps = self.steps.iter();
        let unsettled = steps.find(|(_, step)| {
            let stuck = step.doubt.is_some() || step.failure.is_some();
            step.open.is_some() || (stuck && step.ended.is_none())
        });
        match unsettled {
            Some((id, _)) => Err(Illegal {
                what,
                why: format!("`{id}` is not settled"),
            }),
            None => Ok(()),
        }
    }

    fn resume(&mut self, resumed: &Resumed) {
        self.standing = Standing::Open;
        self.operator = resumed.operator.clone();
        self.by_hand = resumed.by_hand.clone();
        if let Some(adopted) = &resumed.adopted {
            self.runbook = adopted.runbook.clone();
            self.profile = adopted.profile.clone();
        }
        self.measure_anew();
        for step in self.steps.values_mut() {
            if let Some(doubt) = &mut step.doubt {
                doubt.unsettled = None;
            }
            if let Some(open) = step.open.as_ref()
                && matches!(open.work, Work::HandOver { .. })
            {
                // What it waits for goes on without this process.
                continue;
            }
            if let Some(open) = step.open.take().filter(|open| open.change) {
                let why = format!(
                    "attempt {} began at {} and its outcome was not recorded",
                    open.attempt, open.since
                );
                step.doubt = Some(Doubt {
                    why,
                    unsettled: None,
                });
            }
        }
    }

    /// Whatever was measured or agreed so far is measured and agreed again before the next change: for a while nobody
    /// watched, or others could change the target.
    fn measure_anew(&mut self) {
        self.preflight_at = None;
        self.closing_at = None;
        let mark = self.events;
        for step in self.steps.values_mut() {
            step.mark = mark;
            step.confirmed = None;
            step.approval = None;
            step.wait = None;
        }
    }

    fn start_ad_hoc(
        &mut self,
        at: Timestamp,
        argv: &[String],
        clearance: &Option<Clearance>,
    ) -> Result<(), Illegal> {
        let effect = match clearance {
            Some(clearance) => {
                self.is_cleared(clearance, "ad_hoc.started")?;
                Effect::Change
            }
            None => Effect::Read,
        };
        self.ad_hoc.push(AdHoc {
            argv: argv.to_vec(),
            effect,
            at,
            ending: None,
            settled: None,
        });
        Ok(())
    }

    /// The clearance names the freeze that is held, and guards that were clear.
    fn is_cleared(&self, clearance: &Clearance, what: &'static str) -> Result<(), Illegal> {
        let why = if self.freeze.as_ref().map(|f| (&f.id, f.fence))
            != Some((&clearance.freeze, clearance.fence))
        {
            "the clearance names a freeze that is not held"
        } else if clearance.guards.iter().any(|g| g.holds != Holds::Yes) {
            "a guard was not clear"
        } else {
            return Ok(());
        };
        Err(Illegal {
            what,
            why: why.into(),
        })
    }

    fn start(&mut self, at: Timestamp, started: &AttemptStarted) -> Result<(), Illegal> {
        let illegal = |why: &str| {
            Err(Illegal {
                what: "attempt.started",
                why: why.into(),
            })
        };
        self.idle(&started.step, "attempt.started")?;
        let own = started.step == started.work_of;
        let change = started.clearance.is_some();
        if change && !own {
            return illegal("a change is performed only in the course of its own step");
        }
        if let Some(clearance) = &started.clearance {
            self.is_cleared(clearance, "attempt.started")?;
        }
        if let Work::HandOver { execution, .. } = &started.work {
            let next = successor(self, &started.step);
            if !own || change || *execution != next {
                return illegal("that is not the execution that the step hands over to");
            }
        }
        let step = self.steps(&started.step);
        if own && step.doubt.is_some() {
            return illegal("the step is in doubt");
        }
        if own && step.performed {
            return illegal("the step was performed already");
        }
        if own {
            step.attempts += 1;
            step.tries += 1;
            step.failure = None;
            step.changed |= change;
            step.handed_over |= matches!(started.work, Work::HandOver { .. });
            if let Work::History(HistoryWork::PostComment { body, .. }) = &started.work {
                step.comment.get_or_insert_with(|| body.clone());
            }
        }
        step.open = Some(OpenAttempt {
            work_of: started.work_of.clone(),
            attempt: started.attempt,
            work: started.work.clone(),
            change,
            since: at,
        });
        Ok(())
    }

    fn finish(&mut self, at: Timestamp, finished: &AttemptFinished) -> Result<(), Illegal> {
        let events = self.events;
        let mut handed_over = false;
        let step = self.steps(&finished.step);
        let open = match step.open.take() {
            Some(open) if open.work_of == finished.work_of && open.attempt == finished.attempt => {
                open
            }
            _ => {
                return Err(Illegal {
                    what: "attempt.finished",
                    why: "that attempt is not under way".into(),
                });
            }
        };
        let failed = match &finished.ending {
            Ending::Done { .. } => None,
            Ending::Failed { why, .. }
            | Ending::NotPerformed { why }
            | Ending::Doubtful { why } => Some(why.clone()),
        };
        if finished.step == finished.work_of {
            step.finished_at = Some(at);
            step.mark = events;
            handed_over = matches!(open.work, Work::HandOver { .. });
            match (&finished.ending, &failed) {
                (Ending::Doubtful { why }, _) if open.change => {
                    step.doubt = Some(Doubt {
                        why: why.clone(),
                        unsettled: None,
                    });
                }
                (_, Some(why)) => step.failure = Some(Failure::Attempt { why: why.clone() }),
                (_, None) => step.performed = true,
            }
        } else {
            step.read(&finished.work_of, events, failed.clone());
            if matches!(open.work, Work::History(HistoryWork::PostViolation { .. })) {
                // It leaves nothing of what the step that posts is to leave.
                return Ok(());
            }
            if matches!(open.work, Work::History(HistoryWork::RetakeFreeze { .. })) {
                step.refreezing = false;
                step.failure = failed.as_deref().map(Failure::freeze_lost);
            }
        }
        if let Some(Learned::FreezeLost { found }) = &finished.learned {
            step.failure = Some(Failure::freeze_lost(found));
        }
        if failed.is_some() && open.work == Work::History(HistoryWork::ReadRun) {
            self.run = None;
        }
        if let Some(learned) = &finished.learned {
            self.learn(learned);
        }
        if handed_over {
            // However it ended, another runbook may have changed what was measured here.
            self.measure_anew();
        }
        if failed.is_some() {
            self.forget(&finished.work_of);
            return Ok(());
        }
        for (id, value) in &finished.facts {
            self.know(at, id, value, Origin::Measured, &finished.work_of);
        }
        for item in &finished.evidence {
            self.capture(at, item, &finished.work_of);
        }
        Ok(())
    }

    /// What could not be read is not known any more: an old value must not pass for a new one.
    pub(super) fn forget(&mut self, work_of: &Slug) {
        self.facts.retain(|_, fact| fact.step != *work_of);
        self.evidence.retain(|_, item| item.step != *work_of);
    }

    fn learn(&mut self, learned: &Learned) {
        match learned {
            Learned::Frozen { id, fence, scope } => {
                if self.freeze.is_some() {
                    self.measure_anew();
                }
                self.freeze = Some(HeldFreeze {
                    id: id.clone(),
                    fence: *fence,
                    scope: scope.clone(),
                });
            }
            Learned::Released => self.freeze = None,
            // Until it is taken again it stays what we know of it: the fence that is not current any more.
            Learned::FreezeLost { .. } => {}
            Learned::Run { document } => self.run = Some(document.clone()),
            Learned::Commented(_) => self.comments += 1,
            Learned::Told(_) => {}
            Learned::Marked => {}
        }
    }

    pub(super) fn know(
        &mut self,
        at: Timestamp,
        id: &Field,
        value: &Json,
        origin: Origin,
        step: &Slug,
    ) {
        let fact = Fact {
            value: value.clone(),
            origin,
            at,
            step: step.clone(),
        };
        self.facts.insert(id.clone(), fact);
    }

    pub(super) fn capture(&mut self, at: Timestamp, item: &super::event::Evidence, step: &Slug) {
        if let Some(id) = &item.id {
            let captured = Captured {
                artifact: item.artifact.clone(),
                origin: item.origin,
                at,
                step: step.clone(),
            };
            self.evidence.insert(id.clone(), captured);
            self.left.insert(id.clone(), step.clone());
        }
    }

    fn judge(&mut self, id: &Slug, verdict: &StepVerdict) {
        let events = self.events;
        let step = self.steps(id);
        match verdict {
            StepVerdict::Passed => step.ended = Some(StepEnd::Done),
            StepVerdict::Failed { why } => {
                step.failure = Some(Failure::Judged { why: why.clone() });
            }
            StepVerdict::Violated { guards } => {
                step.failure = Some(Failure::Violated {
                    guards: guards.clone(),
                });
            }
            StepVerdict::TookEffect { .. } => {
                step.doubt = None;
                step.performed = true;
                step.read_back = true;
                step.mark = events;
            }
            StepVerdict::NoEffect { observed } => {
                step.doubt = None;
                let why = format!("it did not take effect: {observed}");
                step.failure = Some(Failure::Attempt { why });
            }
            StepVerdict::StillInDoubt { why } => {
                if let Some(doubt) = &mut step.doubt {
                    doubt.unsettled = Some(why.clone());
                }
            }
        }
    }

    fn look(&mut self, at: Timestamp, id: &Slug, holds: Holds) {
        let events = self.events;
        let step = self.steps(id);
        let before = step.wait.take();
        step.wait = Some(Waiting {
            began: before.as_ref().map_or(at, |w| w.began),
            looked: at,
            holds,
            held_since: match holds {
                Holds::Yes => Some(before.and_then(|w| w.held_since).unwrap_or(at)),
                Holds::No | Holds::Unknown => None,
            },
        });
        step.mark = events;
    }
}
