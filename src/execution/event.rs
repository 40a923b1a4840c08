//! What happened: the payloads of journal entries. What that makes true is in `state`.
//!
//! Every variant says when it can occur. The order of a whole execution:
//!
//! ```text
//! opened  ( attempt started  attempt finished | answered | judged | … )*  ( aborted | closed )
//! ```

mod attempt;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::clock::Span;
use crate::ids::{ExecutionId, Field, Principal, RunId, RunbookId, Slug, Target};

use crate::digest::Digest;

pub use attempt::{AttemptFinished, AttemptStarted, Clearance, Ending, HistoryWork, Learned, Work};

pub use super::answer::{Answer, Chosen, Found};

/// One thing that happened in an execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// The execution began. Always the first, never again.
    #[serde(rename = "execution.opened")]
    Opened(Box<Opened>),
    /// Somebody took the execution up again, in a new process. Every attempt that was under way is in doubt from here.
    #[serde(rename = "execution.resumed")]
    Resumed(Resumed),
    /// The operator left, or input ended; the execution can be resumed.
    #[serde(rename = "execution.paused")]
    Paused {
        /// Why, for people.
        reason: String,
    },
    /// The last line of the journal was incomplete; its bytes were kept and it was cut off.
    #[serde(rename = "journal.recovered")]
    Recovered {
        /// Where the journal was cut, in bytes.
        offset: u64,
        /// The bytes that were cut off, and whatever else a crash left unfinished.
        kept: Vec<Artifact>,
    },
    /// Somebody remarked something; at any time before the end.
    #[serde(rename = "note.added")]
    NoteAdded {
        /// The remark.
        text: String,
    },
    /// The intent: this is about to be performed. For a change it carries what the gate measured.
    #[serde(rename = "attempt.started")]
    AttemptStarted(Box<AttemptStarted>),
    /// The outcome of the attempt that was started last.
    #[serde(rename = "attempt.finished")]
    AttemptFinished(Box<AttemptFinished>),
    /// The operator answered a question of the step.
    #[serde(rename = "answered")]
    Answered {
        /// The step that is under way.
        step: Slug,
        /// What was answered.
        answer: Answer,
    },
    /// The step's condition does not hold, so it is passed over.
    #[serde(rename = "step.not_applicable")]
    NotApplicable {
        /// The step.
        step: Slug,
        /// The condition, with what was measured.
        because: String,
    },
    /// The machine refused to go on with the step; nothing was performed.
    #[serde(rename = "gate.refused")]
    Refused {
        /// The step.
        step: Slug,
        /// Every ground for it.
        grounds: Vec<Ground>,
    },
    /// A set of checks was judged, all of it.
    #[serde(rename = "checks.judged")]
    ChecksJudged {
        /// The step in whose course it was judged.
        step: Slug,
        /// Which set.
        set: CheckSetName,
        /// Every result.
        results: Vec<CheckResult>,
    },
    /// What had to hold after the step was judged.
    #[serde(rename = "step.judged")]
    StepJudged {
        /// The step.
        step: Slug,
        /// The result; anything but `passed` fails the step.
        verdict: StepVerdict,
        /// Every invariant that was measured.
        guards: Vec<GuardVerdict>,
    },
    /// A waiting step looked once.
    #[serde(rename = "wait.looked")]
    WaitLooked {
        /// The step.
        step: Slug,
        /// Whether what it waits for held.
        holds: Holds,
        /// What was measured.
        observed: String,
    },
    /// An ad-hoc command is about to be run.
    #[serde(rename = "ad_hoc.started")]
    AdHocStarted {
        /// Program and arguments.
        argv: Vec<String>,
        /// What the gate measured; present unless it is known that the command only looks.
        clearance: Option<Clearance>,
    },
    /// An ad-hoc command was refused; nothing was run.
    #[serde(rename = "ad_hoc.refused")]
    AdHocRefused {
        /// Program and arguments.
        argv: Vec<String>,
        /// Every ground for it.
        grounds: Vec<Ground>,
    },
    /// The ad-hoc command that was started ended.
    #[serde(rename = "ad_hoc.finished")]
    AdHocFinished {
        /// How.
        ending: Ending,
        /// What it printed.
        evidence: Vec<Evidence>,
        /// How long it took.
        took: Span,
    },
    /// Ended without completing; the last entry. The freeze stays.
    #[serde(rename = "execution.aborted")]
    Aborted {
        /// Why.
        reason: String,
    },
    /// Ended with every step settled; the last entry.
    #[serde(rename = "execution.closed")]
    Closed {
        /// The derived name of how it ended.
        outcome: Slug,
        /// Whether that is a success.
        success: bool,
    },
}

/// How an execution began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// Its id.
    pub id: ExecutionId,
    /// The tool and its version.
    pub tool: String,
    /// The machine it ran on.
    pub host: String,
    /// Who steps through it, and how that is known.
    pub operator: Operator,
    /// What is stepped through.
    pub runbook: RunbookRef,
    /// The file that maps steps to commands and requests of one's own.
    pub profile: Option<FileRef>,
    /// The run that is responded to.
    pub run_id: RunId,
    /// What is frozen and changed.
    pub target: Target,
    /// The inputs, defaults filled in.
    pub inputs: BTreeMap<Field, Json>,
    /// Steps that are by hand because a tool or an endpoint is missing, with what is missing.
    pub by_hand: BTreeMap<Slug, String>,
    /// The scenario, where this is a drill.
    pub drill: Option<String>,
    /// Which execution handed over to this one; absent where somebody started it.
    pub handed_over: Option<HandedOver>,
}

/// Which execution handed over to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandedOver {
    /// It.
    pub by: ExecutionId,
    /// Its step that waits for the end.
    pub step: Slug,
    /// The execution that holds the freeze under which both work.
    pub freeze_of: ExecutionId,
}

/// A person at the keyboard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// The name.
    pub name: Principal,
    /// How the name was established. A typed name is a claim.
    pub established: Established,
}

/// How an operator's name was established.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Established {
    /// The account that the operating system knows.
    OsUser,
    /// Given on the command line or in the environment.
    Claimed,
}

/// Which text of a runbook is stepped through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunbookRef {
    /// Its name.
    pub id: RunbookId,
    /// The path it was given as; absent for a shipped one.
    pub path: Option<String>,
    /// One digest over all its documents.
    pub digest: Digest,
    /// Its documents, kept beside the journal.
    pub files: Vec<FileRef>,
}

/// A document that is kept beside the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRef {
    /// Where, below the execution's data.
    pub path: String,
    /// The digest of its bytes.
    pub sha256: Digest,
}

/// Taking an execution up again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resumed {
    /// Who.
    pub operator: Operator,
    /// Where.
    pub host: String,
    /// Steps that are by hand from here on.
    pub by_hand: BTreeMap<Slug, String>,
    /// The other text that is stepped through from here on, and why.
    pub adopted: Option<Adopted>,
}

/// Going on with a text that is not the one the execution began with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adopted {
    /// The text from here on.
    pub runbook: RunbookRef,
    /// The profile from here on.
    pub profile: Option<FileRef>,
    /// Why.
    pub reason: String,
}

/// Bytes that were kept, by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// Where, below the execution's data.
    pub path: String,
    /// The digest of its bytes.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Its media type.
    pub media_type: String,
}

/// A named item of evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Its declared name; absent for output that no one declared, which is kept all the same.
    pub id: Option<Field>,
    /// The bytes.
    pub artifact: Artifact,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a fact or an item of evidence comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// A command or a request.
    Measured,
    /// A person's word; it stays that for ever.
    Attested,
}

/// A set of checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckSetName {
    /// Before anything is changed.
    Preflight,
    /// Before the freeze is released.
    Closing,
}

/// How one check came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckResult {
    /// Which check.
    pub id: Slug,
    /// What it costs.
    pub severity: SeverityName,
    /// Whether it held.
    pub holds: Holds,
    /// What was measured.
    pub observed: String,
}

/// What a failed check does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeverityName {
    /// Nothing goes on.
    Block,
    /// Needs an acknowledgement.
    Warn,
    /// Is shown.
    Info,
}

/// Whether something held. Unknown is neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holds {
    /// It held.
    Yes,
    /// It did not.
    No,
    /// It could not be told.
    Unknown,
}

/// How one guard came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardVerdict {
    /// Which guard.
    pub id: Slug,
    /// Whether what it demands held.
    pub holds: Holds,
    /// What was measured.
    pub observed: String,
}

/// One ground for refusing to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ground {
    /// The freeze is not ours any more, or its fence moved.
    FreezeLost {
        /// What was found instead.
        found: String,
    },
    /// The freeze is ours, and others froze the target as well.
    FrozenByOthers {
        /// Their freezes, for people.
        by: Vec<String>,
    },
    /// The freeze could not be read; treated as lost.
    FreezeUnknown {
        /// Why.
        why: String,
    },
    /// A check blocks, or a warning is not acknowledged.
    Check(CheckResult),
    /// The preflight is too old.
    PreflightStale,
    /// A guard's demand does not hold.
    Guard(GuardVerdict),
    /// What would be launched is denied.
    Denied {
        /// By which guard.
        guard: Slug,
        /// By which pattern.
        pattern: String,
        /// What would have been launched.
        what: String,
    },
    /// What would be launched cannot be told, so it may be what a guard denies.
    CannotTell {
        /// The guard that denies commands.
        guard: Slug,
        /// What would have been launched.
        what: String,
        /// Why it cannot be told.
        why: String,
    },
    /// The approval is missing, expired, or for something else.
    NotApproved {
        /// Which of these.
        why: String,
    },
    /// A value that the step needs is unknown.
    Unknown {
        /// What for.
        what: String,
        /// Why.
        why: String,
    },
    /// No option of the decision may be chosen.
    NoOption {
        /// Every option, with what was measured.
        withheld: BTreeMap<Slug, String>,
    },
}

/// What was found when a step was judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
pub enum StepVerdict {
    /// All that had to hold held.
    Passed,
    /// What the step was to bring about does not hold, or cannot be told.
    Failed {
        /// What was expected, with what was measured.
        why: String,
    },
    /// A do-not happened, or cannot be ruled out.
    Violated {
        /// The guards concerned.
        guards: Vec<Slug>,
    },
    /// The attempt in doubt did take effect.
    TookEffect {
        /// What was measured.
        observed: String,
    },
    /// The attempt in doubt did not take effect.
    NoEffect {
        /// What was measured.
        observed: String,
    },
    /// Whether the attempt in doubt took effect could not be read back.
    StillInDoubt {
        /// Why.
        why: String,
    },
}

impl Event {
    /// The event's name in the journal.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Opened(_) => "execution.opened",
            Self::Resumed(_) => "execution.resumed",
            Self::Paused { .. } => "execution.paused",
            Self::Recovered { .. } => "journal.recovered",
            Self::NoteAdded { .. } => "note.added",
            Self::AttemptStarted(_) => "attempt.started",
            Self::AttemptFinished(_) => "attempt.finished",
            Self::Answered { .. } => "answered",
            Self::NotApplicable { .. } => "step.not_applicable",
            Self::Refused { .. } => "gate.refused",
            Self::ChecksJudged { .. } => "checks.judged",
            Self::StepJudged { .. } => "step.judged",
            Self::WaitLooked { .. } => "wait.looked",
            Self::AdHocStarted { .. } => "ad_hoc.started",
            Self::AdHocRefused { .. } => "ad_hoc.refused",
            Self::AdHocFinished { .. } => "ad_hoc.finished",
            Self::Aborted { .. } => "execution.aborted",
            Self::Closed { .. } => "execution.closed",
        }
    }

    /// The step that it belongs to; none where it is about the execution.
    #[must_use]
    pub fn step(&self) -> Option<&Slug> {
        match self {
            Self::AttemptStarted(started) => Some(&started.step),
            Self::AttemptFinished(finished) => Some(&finished.step),
            Self::Answered { step, .. }
            | Self::NotApplicable { step, .. }
            | Self::Refused { step, .. }
            | Self::ChecksJudged { step, .. }
            | Self::StepJudged { step, .. }
            | Self::WaitLooked { step, .. } => Some(step),
            Self::Opened(_)
            | Self::Resumed(_)
            | Self::Paused { .. }
            | Self::Recovered { .. }
            | Self::NoteAdded { .. }
            | Self::AdHocStarted { .. }
            | Self::AdHocRefused { .. }
            | Self::AdHocFinished { .. }
            | Self::Aborted { .. }
            | Self::Closed { .. } => None,
        }
    }
}
