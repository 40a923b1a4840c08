//! What people answered, and what that makes true.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::clock::Timestamp;
use crate::digest::Digest;
use crate::ids::{Field, Principal, Slug};

use super::event::{Evidence, GuardVerdict, Origin};
use super::state::{Acknowledged, Illegal, State};
use super::step::{Approval, Failure, StepEnd, StepState};

/// What an operator answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Answer {
    /// A step by hand is done, with what it found out. Also how facts that follow from others are recorded.
    Facts(Found),
    /// An option was chosen.
    Chosen(Chosen),
    /// The name of the thing was typed.
    Confirmed {
        /// As typed; equal to what was asked for.
        typed: String,
        /// The digest of exactly what was about to be performed; void as soon as it is anything else.
        subject: Digest,
    },
    /// What is about to be performed was approved.
    Approved {
        /// By whom.
        by: Principal,
        /// The digest of exactly what.
        subject: Digest,
        /// Until when it holds.
        expires_at: Timestamp,
    },
    /// What was about to be performed was rejected.
    Rejected {
        /// By whom.
        by: Principal,
        /// Why.
        reason: String,
    },
    /// A warning was acknowledged; void as soon as anything else is observed.
    Acknowledged {
        /// Which check.
        check: Slug,
        /// The digest of what was observed.
        observed: Digest,
        /// Why it is acceptable.
        reason: String,
    },
    /// The step is to be performed again; every gate is measured again.
    Retry {
        /// What makes another try worth it.
        reason: String,
    },
    /// The freeze was lost and is to be taken again; after that every gate is measured again.
    FreezeAgain {
        /// Why it is right to go on.
        reason: String,
    },
    /// What had to hold after the step is to be measured again; nothing is performed.
    LookAgain,
    /// The work was done, though not by the machine, or not as far as it could tell.
    DoneByHand {
        /// What it found out.
        found: Found,
        /// How, and how that is known.
        reason: String,
    },
    /// An attempt in doubt did not take effect, or what is by hand could not be done.
    NotDone {
        /// The step that could not be read on behalf of the one under way; absent for its own work.
        work_of: Option<Slug>,
        /// How that is known.
        reason: String,
    },
    /// What came of an ad-hoc change that nobody knew the end of.
    Settled {
        /// What, and how that is known.
        reason: String,
    },
    /// The step is left out.
    Skipped {
        /// Why.
        reason: String,
    },
    /// The execution goes back to an earlier step; that step and all after it are open again.
    BackTo {
        /// The steps that are open again, in order.
        reopened: Vec<Slug>,
        /// Why.
        reason: String,
    },
}

/// What a person found out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// The step whose facts these are: the one under way, or one that is read on its behalf.
    pub work_of: Option<Slug>,
    /// Facts typed.
    pub facts: BTreeMap<Field, Json>,
    /// Facts that follow from others by the runbook's rule, with where they come from.
    pub derived: BTreeMap<Field, (Json, Origin)>,
    /// Evidence given.
    pub evidence: Vec<Evidence>,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chosen {
    /// Which option.
    pub option: Slug,
    /// Whose decision it is.
    pub owner: Principal,
    /// Why.
    pub reason: String,
    /// What could have been chosen.
    pub offered: Vec<Slug>,
    /// What could not, with what was measured.
    pub withheld: BTreeMap<Slug, String>,
    /// Every guard that stands before the decision, all clear.
    pub guards: Vec<GuardVerdict>,
}

impl State {
    fn find(&mut self, at: Timestamp, step: &Slug, found: &Found) {
        let work_of = found.work_of.as_ref().unwrap_or(step).clone();
        for (id, value) in &found.facts {
            self.know(at, id, value, Origin::Attested, &work_of);
        }
        for (id, (value, origin)) in &found.derived {
            self.know(at, id, value, *origin, &work_of);
        }
        for item in &found.evidence {
            self.capture(at, item, &work_of);
        }
    }

    /// Takes an answer to a question of the step.
    pub(super) fn answer(
        &mut self,
        at: Timestamp,
        id: &Slug,
        answer: &Answer,
    ) -> Result<(), Illegal> {
        let events = self.events;
        let illegal = |why: &str| {
            Err(Illegal {
                what: "answered",
                why: why.into(),
            })
        };
        let step = self.steps(id);
        if step.ended.is_some() {
            return illegal("the step has ended");
        }
        let stuck = step.failure.is_some() || step.doubt.is_some();
        match answer {
            Answer::Settled { reason } => {
                let Some(beside) = self.ad_hoc.iter_mut().find(|c| c.is_in_doubt()) else {
                    return illegal("nothing beside the steps is in doubt");
                };
                beside.settled = Some(reason.clone());
            }
            Answer::Facts(found) => match &found.work_of {
                Some(other) if other != id => {
                    step.read(other, events, None);
                    self.find(at, id, found);
                }
                _ if stuck => return illegal("the step failed or is in doubt"),
                _ if step.hands_over() => return illegal("it waits for another execution"),
                _ if step.performed && !step.read_back => {
                    return illegal("the step was performed already");
                }
                _ => {
                    step.open = None;
                    step.performed = true;
                    step.mark = events;
                    self.find(at, id, found);
                }
            },
            Answer::Chosen(_) if stuck || step.performed => {
                return illegal("nothing is to be decided");
            }
            Answer::Chosen(chosen) => {
                step.performed = true;
                step.mark = events;
                self.decisions.insert(id.clone(), chosen.clone());
            }
            Answer::Confirmed { subject, .. } => {
                step.confirmed = Some(*subject);
                step.mark = events;
            }
            Answer::Approved {
                by,
                subject,
                expires_at,
            } => {
                step.approval = Some(Approval {
                    by: by.clone(),
                    subject: *subject,
                    expires_at: *expires_at,
                });
                step.mark = events;
            }
            Answer::Rejected { by, reason } => {
                step.failure = Some(Failure::Rejected {
                    by: by.clone(),
                    reason: reason.clone(),
                });
            }
            Answer::Acknowledged {
                check,
                observed,
                reason,
            } => {
                let acknowledged = Acknowledged {
                    observed: *observed,
                    reason: reason.clone(),
                };
                self.acknowledged.insert(check.clone(), acknowledged);
            }
            Answer::Retry { .. } if step.doubt.is_some() => return illegal("the step is in doubt"),
            Answer::Retry { .. } | Answer::LookAgain if !stuck => return illegal("nothing failed"),
            Answer::Retry { .. } => self.begin_again(id),
            Answer::FreezeAgain { .. }
                if !step.failure.as_ref().is_some_and(Failure::is_freeze_lost) =>
            {
                return illegal("the freeze was not found lost");
            }
            Answer::FreezeAgain { .. } => {
                self.begin_again(id);
                self.steps(id).refreezing = true;
            }
            Answer::LookAgain => {
                step.failure = None;
                step.mark = events;
                step.wait = None;
                if let Some(doubt) = &mut step.doubt {
                    doubt.unsettled = None;
                }
            }
            Answer::NotDone {
                work_of: Some(other),
                reason,
            } if other != id => {
                step.read(other, events, Some(reason.clone()));
                self.forget(other);
            }
            Answer::NotDone { .. } if step.performed && !stuck => {
                return illegal("the step was performed already");
            }
            Answer::DoneByHand { .. } if !stuck && step.open.is_none() => {
                return illegal("nothing failed and nothing is under way");
            }
            Answer::DoneByHand { found, .. } => {
                step.open = None;
                step.failure = None;
                step.doubt = None;
                step.performed = true;
                step.mark = events;
                self.find(at, id, found);
            }
            Answer::NotDone { reason, .. } => {
                let begun = step.open.take().is_some() | step.doubt.take().is_some();
                let why = if begun {
                    format!("it did not take effect: {reason}")
                } else {
                    format!("it could not be done: {reason}")
                };
                step.failure = Some(Failure::Attempt { why });
            }
            Answer::Skipped { .. } if step.doubt.is_some() || step.failure.is_none() => {
                return illegal("only a step that failed and is not in doubt is skipped");
            }
            Answer::Skipped { reason } => {
                step.ended = Some(StepEnd::Skipped {
                    reason: reason.clone(),
                });
            }
            Answer::BackTo { .. } if step.doubt.is_some() || step.failure.is_none() => {
                return illegal("one goes back only from a step that failed and is not in doubt");
            }
            Answer::BackTo { reopened, .. } => self.reopen(id, reopened)?,
        }
        Ok(())
    }

    /// Every gate is measured again; that takes the preflight in.
    fn begin_again(&mut self, id: &Slug) {
        self.preflight_at = None;
        self.closing_at = None;
        let mark = self.events;
        let step = self.steps(id);
        *step = StepState {
            attempts: step.attempts,
            changed: step.changed,
            rounds: step.rounds,
            comment: step.comment.take(),
            mark,
            ..Default::default()
        };
    }

    fn reopen(&mut self, current: &Slug, reopened: &[Slug]) -> Result<(), Illegal> {
        let changed = |id: &&Slug| *id != current && self.steps.get(*id).is_some_and(|s| s.changed);
        if let Some(step) = reopened.iter().find(changed) {
            let why = format!("`{step}` changed the target already and would be performed again");
            return Err(Illegal {
                what: "answered",
                why,
            });
        }
        let mark = self.events;
        for id in reopened {
            if let Some(step) = self.steps.get_mut(id) {
                let again = StepState {
                    attempts: step.attempts,
                    changed: step.changed,
                    rounds: step.rounds + 1,
                    mark,
                    ..Default::default()
                };
                *step = again;
            }
            self.decisions.remove(id);
        }
        self.facts.retain(|_, fact| !reopened.contains(&fact.step));
        self.evidence
            .retain(|_, item| !reopened.contains(&item.step));
        self.left.retain(|_, step| !reopened.contains(step));
        Ok(())
    }
}
