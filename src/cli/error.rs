//! How the program ends, and what it says when something could not be done.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use crate::history::{HistoryError, HistoryErrorKind};
use crate::report::text::harmless;

/// How the program ends. Every number means one thing, whatever the verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done; clear.
    Done,
    /// Failed: findings, failed checks, an execution that ended failed or aborted.
    Failed,
    /// Wrong usage, or a document that does not parse.
    Usage,
    /// Frozen.
    Frozen,
    /// Frozen, and the holder is silent.
    FrozenStale,
    /// The override was rejected.
    OverrideRejected,
    /// Preflight blocks.
    PreflightBlocks,
    /// A guard refuses.
    GuardRefuses,
    /// A person is needed and none is there.
    PersonNeeded,
    /// A step is in doubt.
    InDoubt,
    /// A bundle or journal does not verify.
    NotVerified,
    /// Unknown: the history cannot be read; to be treated as frozen.
    Unknown,
    /// A bug in this program.
    Bug,
    /// Interrupted; the execution can be resumed.
    Interrupted,
}

impl Exit {
    /// The number the process ends with.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Frozen => 10,
            Self::FrozenStale => 11,
            Self::OverrideRejected => 12,
            Self::PreflightBlocks => 13,
            Self::GuardRefuses => 14,
            Self::PersonNeeded => 15,
            Self::InDoubt => 16,
            Self::NotVerified => 17,
            Self::Unknown => 20,
            Self::Bug => 70,
            Self::Interrupted => 130,
        }
    }
}
impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Something that could not be done: what, why, and what to do about it.
#[derive(Debug)]
pub struct CliError {
    /// How the program ends.
    pub exit: Exit,
    /// What could not be done: a lowercase fragment.
    pub message: String,
    /// Why, from the nearest cause to the deepest.
    pub causes: Vec<String>,
    /// What can be done about it, one thing each.
    pub hints: Vec<String>,
    /// What is shown before it: diagnostics with their places.
    pub text: String,
}

impl CliError {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            causes: Vec::new(),
            hints: Vec::new(),
            text: String::new(),
        }
    }

    /// The error itself as the message, with all that lies behind it.
    pub(crate) fn from_error(exit: Exit, error: &(dyn Error + 'static)) -> Self {
        let shown = Self::new(exit, error.to_string());
        match error.source() {
            Some(cause) => shown.caused_by(cause),
            None => shown,
        }
    }

    /// Shows this before the error itself.
    pub(crate) fn with_text(mut self, text: String) -> Self {
        self.text = text;
        self
    }

    /// Adds an error and all that lies behind it.
    pub(crate) fn caused_by(mut self, error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let cause = error.to_string();
            // Some libraries repeat their source in their own message: once is enough.
            if !self
                .causes
                .last()
                .is_some_and(|last| last.ends_with(&cause))
            {
                self.causes.push(cause);
            }
            next = error.source();
        }
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What was typed or read is quoted in these, and must not drive the terminal.
        f.write_str(&self.text)?;
        writeln!(f, "error: {}", harmless(&self.message))?;
        self.causes
            .iter()
            .try_for_each(|cause| writeln!(f, "caused by: {}", harmless(cause)))?;
        self.hints
            .iter()
            .try_for_each(|hint| writeln!(f, "hint: {}", harmless(hint)))
    }
}

impl From<HistoryError> for CliError {
    fn from(error: HistoryError) -> Self {
        let exit = match error.kind() {
            HistoryErrorKind::NotFound | HistoryErrorKind::Conflict => Exit::Failed,
            HistoryErrorKind::Unreadable | HistoryErrorKind::Newer => Exit::Unknown,
        };
        let hint = match &error {
            HistoryError::Missing(_) => {
                Some("record a run with `runbook run record FILE`, or set `RUNBOOK_HOME`")
            }
            HistoryError::NoRun(_) => Some("`runbook run list` shows the runs that were recorded"),
            HistoryError::NoFreeze(_) | HistoryError::NotFrozen(_) => {
                Some("`runbook freeze list` shows the freezes that hold")
            }
            HistoryError::Unfit { .. }
            | HistoryError::Database { .. }
            | HistoryError::Corrupt { .. } => Some(
                "until it can be read again, treat every target as frozen; keep the file as it is",
            ),
            _ => None,
        };
        let shown = Self::from_error(exit, &error);
        match hint {
            Some(hint) => shown.hint(hint),
            None => shown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_what_why_and_what_to_do() {
        let cause = std::io::Error::other("disk on fire");
        let error = CliError::new(Exit::Failed, "failed to write")
            .caused_by(&cause)
            .hint("run");
        assert_eq!(
            error.to_string(),
            "error: failed to write\ncaused by: disk on fire\nhint: run\n"
        );
    }
}
