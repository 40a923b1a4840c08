//! An attempt at the work of a step: what exactly, on whose clearance, and how it ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::clock::{Span, Timestamp};
use crate::ids::{ExecutionId, Field, RunbookId, Slug};

use super::{Evidence, GuardVerdict};

/// An intent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptStarted {
    /// The step that is under way.
    pub step: Slug,
    /// The step whose work is performed: itself, or one that is read on its behalf.
    pub work_of: Slug,
    /// Counts the attempts at this work within the step, from 1.
    pub attempt: u32,
    /// What exactly.
    pub work: Work,
    /// What the gate measured; present for every change, absent for every read.
    pub clearance: Option<Clearance>,
}

/// What exactly is performed, as it goes out; secrets by name only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Work {
    /// A person does it.
    ByHand,
    /// A program is run.
    Command {
        /// Program and arguments.
        argv: Vec<String>,
        /// Values that it gets as environment variables.
        environment: BTreeMap<String, String>,
        /// Names of secret environment variables that it gets.
        secrets: Vec<String>,
    },
    /// A request is sent.
    Request {
        /// To which endpoint.
        endpoint: Slug,
        /// The method.
        method: String,
        /// Path and query, as sent.
        path: String,
        /// The JSON body.
        body: Option<Json>,
    },
    /// The run history is asked or told something.
    History(HistoryWork),
    /// Another runbook is stepped through, in an execution of its own.
    HandOver {
        /// Which runbook.
        runbook: RunbookId,
        /// The execution of it.
        execution: ExecutionId,
    },
}

/// What is asked of the run history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "kebab-case", deny_unknown_fields)]
pub enum HistoryWork {
    /// Take the freeze.
    TakeFreeze {
        /// What it covers, as written for people: `shop/production`.
        scope: String,
        /// Why.
        reason: String,
        /// The lease.
        lease: Span,
    },
    /// Take again the freeze that was lost.
    RetakeFreeze {
        /// What it covers, as written for people.
        scope: String,
        /// Why.
        reason: String,
        /// The lease.
        lease: Span,
    },
    /// Read the run, its workspace, its target's mark and a summary of its logs.
    ReadRun,
    /// Read the run's logs.
    ReadLogs,
    /// Post a comment.
    PostComment {
        /// Its text.
        body: String,
        /// Sent twice with the same key it is one comment.
        key: String,
    },
    /// Tell the run that a do-not happened.
    PostViolation {
        /// Which, and what was measured.
        body: String,
        /// Sent twice with the same key it is one comment.
        key: String,
    },
    /// Mark the target.
    MarkTarget {
        /// Whether it can be trusted.
        trusted: bool,
        /// Why.
        reason: String,
    },
    /// Release the freeze.
    ReleaseFreeze {
        /// The fence that must still be current.
        fence: u64,
        /// Why.
        reason: String,
    },
}

/// What the gate measured immediately before a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clearance {
    /// The freeze that is ours.
    pub freeze: String,
    /// Its fence, read back.
    pub fence: u64,
    /// When it was read back.
    pub read_at: Timestamp,
    /// Every guard that stands before the step, all clear.
    pub guards: Vec<GuardVerdict>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptFinished {
    /// The step that is under way.
    pub step: Slug,
    /// The step whose work was performed.
    pub work_of: Slug,
    /// Which attempt.
    pub attempt: u32,
    /// How.
    pub ending: Ending,
    /// What it found out; empty unless it is done.
    pub facts: BTreeMap<Field, Json>,
    /// What it left, kept even when it failed.
    pub evidence: Vec<Evidence>,
    /// What the run history answered.
    pub learned: Option<Learned>,
    /// How long it took.
    pub took: Span,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ending {
    /// As declared.
    Done {
        /// The declared name of the exit code or status.
        outcome: String,
        /// The code or status; absent for a person and the run history.
        code: Option<i64>,
    },
    /// It is known that it did not succeed.
    Failed {
        /// Why, for people.
        why: String,
        /// The code or status where there was one.
        code: Option<i64>,
    },
    /// It is known that nothing was performed.
    NotPerformed {
        /// Why, for people.
        why: String,
    },
    /// It may or may not have taken effect: timed out, stopped, cut off, or ended by a crash.
    Doubtful {
        /// Why, for people.
        why: String,
    },
}

/// What the run history answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "what",
    content = "value",
    rename_all = "kebab-case",
    deny_unknown_fields
)]
pub enum Learned {
    /// The freeze is ours, from now on.
    Frozen {
        /// Its id.
        id: String,
        /// Its fence.
        fence: u64,
        /// What it covers.
        scope: String,
    },
    /// The freeze is released, and the gate says so.
    Released,
    /// The freeze was not ours any more when it was to be released.
    FreezeLost {
        /// What was found instead: who ended it, when, why.
        found: String,
    },
    /// The run as the run history knows it now. It may be larger than an entry may be, so the entry does not hold it:
    /// it is the evidence of the attempt, and whoever reads the journal puts it in from there.
    Run {
        /// The document; null where nobody put it in, and then nothing follows from it.
        #[serde(skip)]
        document: Json,
    },
    /// The comment's id.
    Commented(String),
    /// The id of a comment that says that a do-not happened. It is not the record of the decision.
    Told(String),
    /// The target's mark was set.
    Marked,
}
