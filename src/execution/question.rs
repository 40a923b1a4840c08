//! What the machine asks of a person, and what a person may answer before it is judged acceptable.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::digest::Digest;
use crate::ids::{Field, Principal, Slug};

use super::event::{CheckResult, Evidence, Work};
use super::step::{Doubt, Failure};

/// Something that only a person can answer. It always concerns the step that is under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The step.
    pub step: Slug,
    /// What is asked.
    pub asked: Asked,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// Follow the instruction, and say what was found.
    ByHand {
        /// Whose instruction: the step's own, or that of one read on its behalf.
        work_of: Slug,
    },
    /// Choose one option, with a reason.
    Choose {
        /// Whose decision it is.
        owner: Principal,
        /// What may be chosen.
        offered: Vec<Slug>,
        /// What may not, with what was measured.
        withheld: BTreeMap<Slug, String>,
    },
    /// Type the name of the thing that is about to be changed.
    Confirm {
        /// What must be typed.
        expected: String,
        /// What is about to be performed.
        work: Work,
    },
    /// Approve exactly this, or reject it.
    Approve {
        /// Who must.
        by: Principal,
        /// What is about to be performed.
        work: Work,
        /// The digest that the approval is bound to.
        subject: Digest,
    },
    /// Take a warning upon oneself, with a reason.
    Acknowledge {
        /// The warning.
        check: CheckResult,
    },
    /// Say how to go on after a failure.
    Failed {
        /// What failed.
        failure: Failure,
        /// The ways that are open.
        ways: Vec<Way>,
    },
    /// Say what came of an ad-hoc change that nobody knows the end of.
    Beside {
        /// Program and arguments.
        argv: Vec<String>,
    },
    /// Say whether a change took effect.
    InDoubt {
        /// Why nobody knows.
        doubt: Doubt,
    },
}

/// A way on from a failure. Pausing and aborting are always open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Perform the step again, all gates measured again.
    Retry,
    /// Take the freeze again, which was lost; then as a retry.
    FreezeAgain,
    /// Measure again what had to hold; perform nothing.
    LookAgain,
    /// It was done by hand: give its facts and evidence.
    DoneByHand,
    /// Leave the step out.
    Skip,
    /// Go back to an earlier step and decide again from there.
    BackTo(Slug),
}

/// An answer as given; `accept` makes an event of it or says what is wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum Draft {
    /// The step by hand is done.
    Facts(DraftFound),
    /// This option.
    Choose {
        /// Which.
        option: Slug,
        /// Why.
        reason: String,
    },
    /// This was typed.
    Confirm(String),
    /// Approved.
    Approve {
        /// By whom.
        by: Principal,
    },
    /// Rejected.
    Reject {
        /// By whom.
        by: Principal,
        /// Why.
        reason: String,
    },
    /// The warning is acceptable.
    Acknowledge {
        /// Why.
        reason: String,
    },
    /// Try again.
    Retry {
        /// What makes another try worth it.
        reason: String,
    },
    /// Take the freeze again.
    FreezeAgain {
        /// Why it is right to go on.
        reason: String,
    },
    /// Measure again.
    LookAgain,
    /// It took effect, or was done by hand.
    DoneByHand {
        /// What was found.
        found: DraftFound,
        /// How that is known.
        reason: String,
    },
    /// It did not take effect, or could not be done.
    NotDone {
        /// How that is known.
        reason: String,
    },
    /// This came of the ad-hoc change.
    Settled {
        /// What, and how that is known.
        reason: String,
    },
    /// Leave it out.
    Skip {
        /// Why.
        reason: String,
    },
    /// Go back.
    BackTo {
        /// Why.
        reason: String,
    },
}

/// What a person found, as given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DraftFound {
    /// The facts.
    pub facts: BTreeMap<Field, Json>,
    /// The evidence, already kept.
    pub evidence: Vec<Evidence>,
}
