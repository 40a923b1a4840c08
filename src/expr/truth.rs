//! The three answers of a condition.

use std::fmt;

/// What a condition says. Unknown is neither true nor false.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It cannot be said whether it holds.
    Unknown(Why),
}

impl Truth {
    /// Whether it is known to hold.
    #[must_use]
    pub fn is_true(&self) -> bool {
        matches!(self, Self::True)
    }
}

/// Why there is no answer, in words for people: `` `facts.drift` has no value yet ``.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Why(String);

impl Why {
    /// A reason, as a lowercase fragment.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for Truth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::True => f.write_str("true"),
            Self::False => f.write_str("false"),
            Self::Unknown(why) => write!(f, "unknown: {why}"),
        }
    }
}
