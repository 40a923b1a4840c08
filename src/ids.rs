//! Names of things: what each may look like, checked once, where it enters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not a name of the wanted kind. `Display` is a fragment that follows the text in backticks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("is empty")]
    Empty,
    /// The text is longer than any name needs to be.
    #[error("is longer than {0} characters")]
    TooLong(usize),
    /// The text holds a character that this kind of name may not hold.
    #[error("may hold only {allowed}, starting with {first}; `{found}` is not allowed there")]
    Character {
        /// The first offending character, escaped.
        found: String,
        /// What the rest may hold.
        allowed: &'static str,
        /// What it must start with.
        first: &'static str,
    },
    /// The text is not a UUID.
    #[error("is not an execution id (a UUID)")]
    NotUuid,
    /// The text is not `workspace/environment` or `workspace/environment/service`.
    #[error("is not a target: write `workspace/environment` or `workspace/environment/service`")]
    NotTarget,
}

/// Longest name accepted, in characters; file names are built from them.
const LONGEST: usize = 80;

fn check(
    text: &str,
    first: (fn(char) -> bool, &'static str),
    rest: (fn(char) -> bool, &'static str),
) -> Result<(), NameError> {
    let Some(start) = text.chars().next() else {
        return Err(NameError::Empty);
    };
    if text.chars().count() > LONGEST {
        return Err(NameError::TooLong(LONGEST));
    }
    let bad = if (first.0)(start) {
        text.chars().find(|c| !(rest.0)(*c))
    } else {
        Some(start)
    };
    match bad {
        None => Ok(()),
        Some(c) => Err(NameError::Character {
            found: c.escape_debug().to_string(),
            allowed: rest.1,
            first: first.1,
        }),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $first:expr, $rest:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                check(text, $first, $rest)?;
                Ok(Self(text.to_owned()))
            }
        }
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

const LETTER: (fn(char) -> bool, &str) = (|c| c.is_ascii_lowercase(), "a lowercase letter");
const DASHED: (fn(char) -> bool, &str) = (
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
    "lowercase letters, digits and `-`",
);
const SCORED: (fn(char) -> bool, &str) = (
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_',
    "lowercase letters, digits and `_`",
);
const OUTER_FIRST: (fn(char) -> bool, &str) =
    (|c| c.is_ascii_alphanumeric(), "a letter or a digit");
const OUTER: (fn(char) -> bool, &str) = (
    |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':' | '@'),
    "letters, digits and `.`, `_`, `-`, `:`, `@`",
);

name!(/// Names a runbook: `bad-deploy`.
    RunbookId, LETTER, DASHED);
name!(/// Names a step, a check, a guard, an option or an endpoint within a runbook: `read-operation`.
    Slug, LETTER, DASHED);
name!(/// Names a value that expressions read: an input, a fact or an evidence item: `owner_epoch`.
    Field, LETTER, SCORED);
name!(/// Names a run of the run history; chosen by whoever registers it.
    RunId, OUTER_FIRST, OUTER);
name!(/// Names one part of a target: a workspace, an environment or a service.
    Place, OUTER_FIRST, OUTER);
name!(/// Names a person or a service that acts: `alice`, `alice@example.com`.
    Principal, OUTER_FIRST, OUTER);

impl Slug {
    /// The name as expressions write it: `-` becomes `_`.
    #[must_use]
    pub fn in_expressions(&self) -> String {
        self.0.replace('-', "_")
    }
}

/// Identifies one execution; ids sort by the time they were made (UUIDv7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExecutionId(uuid::Uuid);

impl ExecutionId {
    /// Makes a new id from the clock and randomness.
    #[must_use]
    pub fn generate() -> Self {
        Self(uuid::Uuid::now_v7())
    }

    /// The id with the same time and these bits instead of its randomness: the same for the same bits.
    #[must_use]
    pub fn with_bits(self, bits: [u8; 10]) -> Self {
        let (seconds, nanos) = self.0.get_timestamp().map_or((0, 0), |at| at.to_unix());
        let millis = seconds * 1000 + u64::from(nanos) / 1_000_000;
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &bits).into_uuid())
    }
}
impl FromStr for ExecutionId {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        uuid::Uuid::parse_str(text)
            .map(Self)
            .map_err(|_| NameError::NotUuid)
    }
}
impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// What a freeze covers and what changes are made to: `shop/production` or `shop/production/checkout`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Target {
    /// The workspace that the run history keeps runs in.
    pub workspace: Place,
    /// The environment within the workspace.
    pub environment: Place,
    /// The service within the environment; absent means the whole environment.
    pub service: Option<Place>,
}

impl FromStr for Target {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let parts: Vec<&str> = text.split('/').collect();
        let (workspace, environment, service) = match parts[..] {
            [w, e] => (w, e, None),
            [w, e, s] => (w, e, Some(s)),
            _ => return Err(NameError::NotTarget),
        };
        Ok(Self {
            workspace: workspace.parse()?,
            environment: environment.parse()?,
            service: service.map(str::parse).transpose()?,
        })
    }
}
impl TryFrom<String> for Target {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}
impl From<Target> for String {
    fn from(target: Target) -> String {
        target.to_string()
    }
}
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.workspace, self.environment)?;
        match &self.service {
            Some(service) => write!(f, "/{service}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_like_paths_or_flags_are_refused() {
        for bad in ["", "..", "-x", "a/b", "A", "a_b", "é", "a b", "a\n"] {
            assert!(bad.parse::<Slug>().is_err(), "{bad:?}");
        }
        for bad in ["", "..", ".hidden", "-x", "a/b", "a b", "\u{202e}x"] {
            assert!(bad.parse::<RunId>().is_err(), "{bad:?}");
        }
        assert!("r-1842".parse::<RunId>().is_ok());
    }

    #[test]
    fn a_target_has_two_or_three_parts() {
        for good in ["shop/production", "shop/production/checkout"] {
            assert_eq!(good.parse::<Target>().expect(good).to_string(), good);
        }
        for bad in [
            "",
            "shop",
            "shop/",
            "/production",
            "a/b/c/d",
            "shop//checkout",
        ] {
            assert!(bad.parse::<Target>().is_err(), "{bad:?}");
        }
    }
}
