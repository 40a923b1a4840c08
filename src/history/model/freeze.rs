//! Freezes and the verdict of the gate: the data. The rules are in [`crate::history::freeze`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::clock::{Span, Timestamp};
use crate::ids::{ExecutionId, NameError, Place, Principal, RunId, Target};

use super::{uuid_id, words};

uuid_id!(
    /// Identifies one freeze.
    FreezeId
);

words! {
    /// Where a freeze stands.
    FreezeState, "the state of a freeze", {
        /// It holds.
        Active = "active",
        /// Somebody released it, with a reason.
        Released = "released",
    }
}

words! {
    /// What the gate says about a change to a target.
    GateDecision, "a decision of the gate", {
        /// Every freeze was read and none is in the way.
        Clear = "clear",
        /// At least one freeze is in the way.
        Frozen = "frozen",
        /// It could not be found out; to be treated as frozen.
        Unknown = "unknown",
    }
}

/// What a freeze covers: `workspace`, `workspace/environment` or `workspace/environment/service`, with all below it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(Vec<Place>);

/// Why a text is not a scope. `Display` is a fragment that follows the text in backticks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAScope {
    /// It does not have one to three parts.
    #[error(
        "is not a scope: write `workspace`, `workspace/environment` or `workspace/environment/service`"
    )]
    Parts,
    /// One of its parts is not a name.
    #[error("has the part `{part}`, which {problem}")]
    Part {
        /// The part, escaped.
        part: String,
        /// What is wrong with it.
        problem: NameError,
    },
}

impl Scope {
    /// Its parts, from the workspace downwards: one to three.
    #[must_use]
    pub fn parts(&self) -> &[Place] {
        &self.0
    }
}
impl From<&Target> for Scope {
    fn from(target: &Target) -> Self {
        let service = target.service.iter().cloned();
        Self(
            [target.workspace.clone(), target.environment.clone()]
                .into_iter()
                .chain(service)
                .collect(),
        )
    }
}
impl FromStr for Scope {
    type Err = NotAScope;
    fn from_str(text: &str) -> Result<Self, NotAScope> {
        let parts: Vec<&str> = text.split('/').collect();
        if text.is_empty() || parts.len() > 3 {
            return Err(NotAScope::Parts);
        }
        let place = |part: &str| {
            part.parse().map_err(|problem| NotAScope::Part {
                part: part.escape_debug().to_string(),
                problem,
            })
        };
        parts
            .into_iter()
            .map(place)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}
impl TryFrom<String> for Scope {
    type Error = NotAScope;
    fn try_from(text: String) -> Result<Self, NotAScope> {
        text.parse()
    }
}
impl From<Scope> for String {
    fn from(scope: Scope) -> String {
        scope.to_string()
    }
}
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<&str> = self.0.iter().map(Place::as_str).collect();
        f.pad(&parts.join("/"))
    }
}

/// Why something was done: one line of text, not blank, without control characters, at most 2000 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reason(String);

/// The text is not a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a reason: write one line that says why, of at most 2000 characters")]
pub struct NotAReason;

impl Reason {
    /// The reason as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl FromStr for Reason {
    type Err = NotAReason;
    fn from_str(text: &str) -> Result<Self, NotAReason> {
        // Others read it on their terminals: no escape sequence may get there.
        let text = text.trim();
        if text.is_empty() || text.chars().count() > 2000 || text.chars().any(char::is_control) {
            return Err(NotAReason);
        }
        Ok(Self(text.to_owned()))
    }
}
impl TryFrom<String> for Reason {
    type Error = NotAReason;
    fn try_from(text: String) -> Result<Self, NotAReason> {
        text.parse()
    }
}
impl From<Reason> for String {
    fn from(reason: Reason) -> String {
        reason.0
    }
}
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Who holds a freeze.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// The person or service.
    pub principal: Principal,
    /// The execution it was taken for; only its steps pass the gate.
    pub execution: Option<ExecutionId>,
    /// The machine it was taken from.
    pub host: String,
}

/// How long the holder meant to need. Nothing ends when it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// The span asked for.
    pub ttl: Span,
    /// When it is over.
    pub expires_at: Timestamp,
}

/// Who released a freeze, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Who.
    pub by: Principal,
    /// Why.
    pub reason: Reason,
    /// When.
    pub at: Timestamp,
    /// The execution that did it in its course; absent where a person did it beside one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution: Option<ExecutionId>,
}

/// A halt to changes on a scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// Its id.
    pub id: FreezeId,
    /// What it covers.
    pub scope: Scope,
    /// Why it was taken.
    pub reason: Reason,
    /// Who holds it.
    pub holder: Holder,
    /// The run it is about.
    pub run: Option<RunId>,
    /// When it was taken.
    pub created_at: Timestamp,
    /// Rises with every freeze of the same scope; whoever acts under the freeze shows it.
    pub fence: u64,
    /// How long the holder meant to need.
    pub lease: Option<Lease>,
    /// Where it stands.
    pub state: FreezeState,
    /// Who released it; present exactly when it is released.
    pub release: Option<Release>,
}

/// What the gate says about a change to a target, and what it saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateVerdict {
    /// The decision.
    pub decision: GateDecision,
    /// What was to be changed.
    pub target: Target,
    /// When the gate was asked.
    pub evaluated_at: Timestamp,
    /// The freezes in the way.
    pub freezes: Vec<Freeze>,
    /// What could not be read, in words; not empty means that `clear` is impossible.
    pub unreadable: Vec<String>,
}
