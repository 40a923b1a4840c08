//! Runs, their logs and comments, workspaces, and whether a target is to be trusted.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::digest::Digest;
use crate::ids::{ExecutionId, Place, Principal, RunId, Target};

use super::{uuid_id, words};

words! {
    /// Where a run stands.
    RunState, "the state of a run", {
        /// Accepted, not started.
        Pending = "pending",
        /// Under way.
        Running = "running",
        /// Ended well.
        Succeeded = "succeeded",
        /// Ended with an error.
        Failed = "failed",
        /// Ended between two stages, without an error of its own.
        Stopped = "stopped",
        /// Called off by a person.
        Cancelled = "cancelled",
    }
}

words! {
    /// Where one stage of a run stands.
    StageState, "the state of a stage", {
        /// Not started.
        Pending = "pending",
        /// Under way.
        Running = "running",
        /// Ended well.
        Succeeded = "succeeded",
        /// Ended with an error.
        Failed = "failed",
        /// Ended early, without an error of its own.
        Stopped = "stopped",
        /// Left out on purpose.
        Skipped = "skipped",
    }
}

words! {
    /// What a window was opened for.
    WindowKind, "a kind of window", {
        /// A planned change.
        Change = "change",
        /// An emergency.
        Emergency = "emergency",
    }
}

words! {
    /// What a preflight result does when it is not `pass`.
    CheckSeverity, "a severity", {
        /// The run may not start.
        Blocking = "blocking",
        /// The run may start once somebody has answered for it.
        Warning = "warning",
    }
}

words! {
    /// What a check found.
    CheckResult, "the result of a check", {
        /// As it should be.
        Pass = "pass",
        /// Doubtful.
        Warn = "warn",
        /// Not as it should be.
        Fail = "fail",
        /// Could not be found out; never counts as `pass`.
        Unknown = "unknown",
    }
}

words! {
    /// Whether a target is in a state that may be built upon.
    Trust, "a state of trust", {
        /// Verified since it was last in doubt.
        Trusted = "trusted",
        /// In doubt until it is verified again.
        Untrusted = "untrusted",
    }
}

/// Where runs belong, and who may do what there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workspace {
    /// Its name.
    pub id: Place,
    /// Who decides about it.
    #[serde(default)]
    pub owners: Vec<Principal>,
    /// Who may launch runs in it.
    #[serde(default)]
    pub operators: Vec<Principal>,
    /// Who may look.
    #[serde(default)]
    pub viewers: Vec<Principal>,
}

/// A deployment or operation, as whoever launched it registered it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Its name.
    pub id: RunId,
    /// The workspace it was launched from.
    pub workspace: Place,
    /// The environment it changes.
    pub environment: Place,
    /// The service it changes; absent means the whole environment.
    #[serde(default)]
    pub service: Option<Place>,
    /// The template stack it was made from.
    #[serde(default)]
    pub template_stack: Option<String>,
    /// Free labels.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Where it stands.
    pub state: RunState,
    /// Who launched it.
    pub launched_by: Principal,
    /// When it was launched.
    pub launched_at: Timestamp,
    /// When it ended, whichever way.
    #[serde(default)]
    pub finished_at: Option<Timestamp>,
    /// When it failed or stopped; logs are told apart by this as before and after.
    #[serde(default)]
    pub failed_at: Option<Timestamp>,
    /// What it deploys: a digest or a reference.
    #[serde(default)]
    pub artifact: Option<String>,
    /// The digest of the values it was launched with; the same digest twice is the same attempt twice.
    #[serde(default)]
    pub inputs_digest: Option<Digest>,
    /// Its stages, in order.
    #[serde(default)]
    pub stages: Vec<Stage>,
    /// Who allowed it.
    #[serde(default)]
    pub approval: Option<Approval>,
    /// The window it was launched for.
    #[serde(default)]
    pub window: Option<Window>,
    /// What its own preflight found.
    #[serde(default)]
    pub preflight: Vec<PreflightResult>,
    /// What could be rolled back to.
    #[serde(default)]
    pub rollback_candidate: Option<RollbackCandidate>,
}

impl Run {
    /// What the run changes.
    #[must_use]
    pub fn target(&self) -> Target {
        Target {
            workspace: self.workspace.clone(),
            environment: self.environment.clone(),
            service: self.service.clone(),
        }
    }
}

/// One stage of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Its place in the order; unique within the run.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: StageState,
    /// When it started.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// What went wrong, in its own words.
    #[serde(default)]
    pub error: Option<String>,
}

/// Who allowed a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Who.
    pub by: Principal,
    /// When.
    pub at: Timestamp,
    /// What was allowed, where it is less than everything.
    #[serde(default)]
    pub scope: Option<String>,
}

/// The time in which a run may change things: from `start`, until before `end`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Its first moment.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
    /// Who approved it.
    #[serde(default)]
    pub approved_by: Option<Principal>,
    /// What it was opened for.
    pub kind: WindowKind,
}

/// What one check of the run's own preflight found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreflightResult {
    /// The check's name.
    pub id: String,
    /// What it does when it is not `pass`.
    pub severity: CheckSeverity,
    /// What it found.
    pub result: CheckResult,
    /// More, for people.
    #[serde(default)]
    pub detail: Option<String>,
}

/// Something that could be rolled back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackCandidate {
    /// What would be deployed: a digest or a reference.
    pub artifact: String,
    /// The deployment that deployed it last.
    #[serde(default)]
    pub deployment: Option<String>,
    /// When it was last seen healthy.
    #[serde(default)]
    pub last_healthy_at: Option<Timestamp>,
    /// When rolling back to it was last tried.
    #[serde(default)]
    pub tested_at: Option<Timestamp>,
}

/// One line of a run's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogLine {
    /// When it was written.
    pub at: Timestamp,
    /// Where it came from: a stage, a host, `stderr`.
    #[serde(default)]
    pub stream: Option<String>,
    /// The line, without its end.
    pub text: String,
}

/// How many log lines there are, and on which side of the failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSummary {
    /// All lines.
    pub total: u64,
    /// Lines strictly before the failure; absent when the time of the failure is not known.
    pub before: Option<u64>,
    /// Lines strictly after the failure; absent when the time of the failure is not known.
    pub after: Option<u64>,
    /// When the first line was written.
    pub first_at: Option<Timestamp>,
    /// When the last line was written.
    pub last_at: Option<Timestamp>,
}

uuid_id!(
    /// Identifies one comment.
    CommentId
);

/// What somebody said about a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// Its id.
    pub id: CommentId,
    /// The run it is about.
    pub run: RunId,
    /// When it was said.
    pub at: Timestamp,
    /// Who said it.
    pub author: Principal,
    /// What was said.
    pub body: String,
    /// Given by the author so that sending it again does not say it again.
    pub key: Option<String>,
}

/// Somebody's word, with a reason, on whether a target may be built upon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustMark {
    /// The target it is about.
    pub target: Target,
    /// The word.
    pub state: Trust,
    /// Why.
    pub reason: super::Reason,
    /// Who set it.
    pub by: Principal,
    /// When.
    pub at: Timestamp,
    /// The execution it was set in.
    pub execution: Option<ExecutionId>,
}
