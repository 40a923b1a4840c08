//! The wire model of the run history: pure data, shared by whoever serves it, asks for it or stores it.
//!
//! Absent values are written as `null`, never left out, so that an expression can ask `run.approval != null`.

mod freeze;
mod run;

pub use freeze::{
    Freeze, FreezeId, FreezeState, GateDecision, GateVerdict, Holder, Lease, NotAReason, NotAScope,
    Reason, Release, Scope,
};
pub use run::{
    Approval, CheckResult, CheckSeverity, Comment, CommentId, LogLine, LogSummary, PreflightResult,
    RollbackCandidate, Run, RunState, Stage, StageState, Trust, TrustMark, Window, WindowKind,
    Workspace,
};

/// A word that is not one of those allowed there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not {what}: write one of {allowed}")]
pub struct UnknownWord {
    /// What was written.
    pub found: String,
    /// What was wanted: `the state of a run`.
    pub what: &'static str,
    /// The words allowed there.
    pub allowed: String,
}

/// Defines an enum whose variants are written as one word each, the same in JSON, in columns and on the command line.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal, { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+
        }
        impl $name {
            /// The word it is written as.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
        impl std::str::FromStr for $name {
            type Err = $crate::history::model::UnknownWord;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::history::model::UnknownWord {
                        found: text.escape_debug().to_string(),
                        what: $what,
                        allowed: [$(concat!("`", $word, "`")),+].join(", "),
                    }),
                }
            }
        }
    };
}

/// Defines an id that is a UUIDv7, so that ids sort by the time they were made.
macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// Makes a new id from the clock and randomness.
            #[must_use]
            pub fn generate() -> Self {
                Self(uuid::Uuid::now_v7())
            }
        }
        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                uuid::Uuid::parse_str(text).map(Self)
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
    };
}
use {uuid_id, words};
