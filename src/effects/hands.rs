//! The seam to the world: what can be performed. The real hands are in `system`; tests have hands that fail.

use std::future::Future;

use crate::clock::Span;
use crate::execution::event::{Ending, Evidence, Learned, Work};
use crate::execution::found::CameBack;
use crate::execution::gate::FreezeReading;
use crate::journal::Artifacts;
use crate::runbook::model::Step;

use super::live::Live;
use super::stop::Stop;

/// What performs effects.
pub trait Hands {
    /// Reads the freezes on the target, now. An error is an answer: unreadable.
    fn read_freeze(&mut self) -> impl Future<Output = FreezeReading>;

    /// Performs one piece of work, whose intent is durable already. Never fails: how it ended is the answer.
    fn perform(&mut self, task: Task<'_>) -> impl Future<Output = Performed>;
}

/// One piece of work.
pub struct Task<'a> {
    /// Whose work it is.
    pub step: &'a Step,
    /// What exactly.
    pub work: &'a Work,
    /// Which attempt, for the names of artifacts.
    pub attempt: u32,
    /// The longest it may take.
    pub timeout: Span,
    /// The fence that a change goes out with; absent for a read.
    pub fence: Option<u64>,
    /// Where output is kept.
    pub artifacts: Artifacts,
    /// Where lines go while it is under way; lines are dropped rather than waited for.
    pub live: Live,
    /// The operator's stop.
    pub stop: Stop,
}

impl Performed {
    /// Nothing was done, for this reason.
    #[must_use]
    pub fn not_performed(why: &str) -> Self {
        Self {
            ending: Ending::NotPerformed { why: why.into() },
            came_back: CameBack::default(),
            evidence: Vec::new(),
            learned: None,
        }
    }
}

/// How a piece of work ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Performed {
    /// How.
    pub ending: Ending,
    /// What facts are extracted from.
    pub came_back: CameBack,
    /// What was kept; also of work that failed.
    pub evidence: Vec<Evidence>,
    /// What the run history answered.
    pub learned: Option<Learned>,
}
