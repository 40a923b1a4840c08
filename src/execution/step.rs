//! Where one step stands: what the events so far mean for it.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::digest::Digest;
use crate::ids::{Principal, Slug};

use super::event::{Ground, Holds, Work};

/// Where one step stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepState {
    /// How it ended, where an event said so.
    pub ended: Option<StepEnd>,
    /// Why it cannot go on by itself.
    pub failure: Option<Failure>,
    /// A change of which nobody knows whether it took effect.
    pub doubt: Option<Doubt>,
    /// The attempt under way.
    pub open: Option<OpenAttempt>,
    /// Whether its own work is done; what must hold afterwards may still be unjudged.
    pub performed: bool,
    /// Whether that is known only from reading back, because what its work answered was lost.
    pub read_back: bool,
    /// Whether a change of its own may have reached the target.
    pub changed: bool,
    /// Whether another execution was begun for it.
    pub handed_over: bool,
    /// Attempts at its own work, ever.
    pub attempts: u32,
    /// How often the execution went back over it, so that it is done anew.
    pub rounds: u32,
    /// The text of its comment, as it was first to be posted in this round.
    pub comment: Option<String>,
    /// Attempts at its own work since a person last decided about it.
    pub tries: u32,
    /// When its own work last ended.
    pub finished_at: Option<Timestamp>,
    /// What was about to be performed when the name of the thing was typed.
    pub confirmed: Option<Digest>,
    /// The approval it has.
    pub approval: Option<Approval>,
    /// Readings up to this event are too old to judge by.
    pub mark: u64,
    /// The event that judged a set of checks in its course last.
    pub checked: u64,
    /// What was read on its behalf, by the step that was read.
    pub readings: BTreeMap<Slug, Reading>,
    /// How its waiting stands.
    pub wait: Option<Waiting>,
    /// Whether the freeze, which was lost, is taken again before anything else.
    pub refreezing: bool,
}

impl StepState {
    /// Whether it waits for the end of another execution.
    #[must_use]
    pub fn hands_over(&self) -> bool {
        let open = self.open.as_ref();
        open.is_some_and(|open| matches!(open.work, Work::HandOver { .. }))
    }
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepEnd {
    /// Everything it had to bring about holds.
    Done,
    /// Its condition did not hold.
    NotApplicable,
    /// It was left out.
    Skipped {
        /// Why.
        reason: String,
    },
}

/// Why a step cannot go on by itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// Its work did not succeed.
    Attempt {
        /// Why.
        why: String,
    },
    /// The machine refused it.
    Refused {
        /// Every ground.
        grounds: Vec<Ground>,
    },
    /// What it was to bring about does not hold.
    Judged {
        /// What was expected, with what was measured.
        why: String,
    },
    /// A do-not happened.
    Violated {
        /// Which.
        guards: Vec<Slug>,
    },
    /// Its approval was rejected.
    Rejected {
        /// By whom.
        by: Principal,
        /// Why.
        reason: String,
    },
}

impl Failure {
    /// Whether the freeze is not ours any more, so that trying again is of no use before it is.
    #[must_use]
    pub fn is_freeze_lost(&self) -> bool {
        let lost = |ground: &Ground| matches!(ground, Ground::FreezeLost { .. });
        matches!(self, Self::Refused { grounds } if grounds.iter().any(lost))
    }

    /// The freeze was found lost, in these words.
    #[must_use]
    pub(super) fn freeze_lost(found: &str) -> Self {
        let found = found.to_owned();
        Self::Refused {
            grounds: vec![Ground::FreezeLost { found }],
        }
    }
}

/// A change of which nobody knows whether it took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// Why it is in doubt.
    pub why: String,
    /// Why reading back did not settle it; absent while that was not tried.
    pub unsettled: Option<String>,
}

/// An attempt under way.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenAttempt {
    /// Whose work.
    pub work_of: Slug,
    /// Which attempt.
    pub attempt: u32,
    /// What.
    pub work: Work,
    /// Whether it was cleared as a change.
    pub change: bool,
    /// Since when.
    pub since: Timestamp,
}

/// A reading on behalf of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The number of the event that recorded it.
    pub event: u64,
    /// How many there were in the course of the step.
    pub count: u32,
    /// Why it failed, where it did.
    pub failed: Option<String>,
}

/// How a wait stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The first look.
    pub began: Timestamp,
    /// The newest look.
    pub looked: Timestamp,
    /// What it showed.
    pub holds: Holds,
    /// Since when every look showed it.
    pub held_since: Option<Timestamp>,
}

/// An approval of exactly one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Whose.
    pub by: Principal,
    /// The digest of what.
    pub subject: Digest,
    /// Until when.
    pub expires_at: Timestamp,
}

impl StepState {
    pub(super) fn read(&mut self, step: &Slug, event: u64, failed: Option<String>) {
        let count = self.readings.get(step).map_or(0, |r| r.count) + 1;
        self.readings.insert(
            step.clone(),
            Reading {
                event,
                count,
                failed,
            },
        );
    }
}
