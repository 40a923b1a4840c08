//! The one expression language: CEL (Common Expression Language), with a third answer.
//!
//! Conditions, extractions and `${...}` in strings are all CEL. Three things are stricter here than in plain CEL, because an
//! answer decides whether production is touched:
//!
//! - What has no value makes the answer [`Truth::Unknown`], and so does every error. Unknown survives `!`; it is gone only
//!   where it cannot matter: `false && unknown` is false, `true || unknown` is true.
//! - Values of different kinds are not unequal, they are not comparable: `replicas == "3"` is unknown when `replicas` is
//!   an integer, and so are `!=` and `in`. Whole numbers and numbers with a fraction are one kind. A `null` is compared
//!   only with the word `null`; two values that are both `null` are not therefore the same.
//! - Evaluation ends: it has a budget of steps, of bytes and of time; past it the answer is unknown.
//!
//! | Function of ours | Says |
//! |---|---|
//! | `fresh('posture', duration('15m'))` | whether the evidence or fact was captured no longer ago than that |
//! | `measured('drift')` | whether a command or a request said so, rather than a person |
//! | `known('drift')` | whether the fact has a value; false rather than unknown when it has none |
//! | `[1, 2].sum()` | the numbers of a list, added up; 0 of an empty one |
//! | `[[1], [2]].flatten()` | the lists of a list as one list |
//!
//! `now` is the point in time of the [`Scope`].

mod eval;
mod rewrite;
mod scope;
mod strict;
mod syntax;
mod template;
mod truth;
mod value;
mod view;

use std::fmt;
use std::sync::Arc;

pub use scope::Scope;
pub use syntax::{MAX_SOURCE, NameCall, Reference, SyntaxError};
pub use template::Template;
pub use truth::{Truth, Why};
pub use value::{NotAValue, Value};

use syntax::Parsed;

/// How much of one value [`Expression::observed`] shows, in characters.
const OBSERVED: usize = 120;

/// An expression that was read and found to be well-formed. Cheap to clone; equal when the sources are.
#[derive(Clone)]
pub struct Expression(Arc<Parsed>);

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// When it is not CEL, is longer than [`MAX_SOURCE`] bytes, is nested too deep, or uses a function that is not there.
    pub fn parse(source: &str) -> Result<Self, SyntaxError> {
        syntax::parse(source).map(|parsed| Self(Arc::new(parsed)))
    }

    /// The text it was read from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Every path it reads, in order of appearance, each place of its own; the variables of `exists`, `all`, `map` and
    /// `filter` are not among them.
    #[must_use]
    pub fn references(&self) -> &[Reference] {
        &self.0.references
    }

    /// Every call of `fresh`, `measured` and `known`, with the name it asks about.
    #[must_use]
    pub fn name_calls(&self) -> &[NameCall] {
        &self.0.name_calls
    }

    /// Whether the condition holds in this scope.
    pub fn truth(&self, scope: &Scope) -> Truth {
        match self.value(scope) {
            Ok(Value::Bool(true)) => Truth::True,
            Ok(Value::Bool(false)) => Truth::False,
            Ok(other) => Truth::Unknown(Why::new(format!(
                "`{self}` is {}, not true or false",
                other.kind()
            ))),
            Err(why) => Truth::Unknown(why),
        }
    }

    /// The value of the expression in this scope.
    ///
    /// # Errors
    ///
    /// When it is unknown, with the reason.
    pub fn value(&self, scope: &Scope) -> Result<Value, Why> {
        eval::evaluate(&self.0, scope)
    }

    /// The value of the expression as text; a list, a map or null has no one way to be written.
    ///
    /// # Errors
    ///
    /// When it is unknown or cannot be written, with the reason.
    pub fn text(&self, scope: &Scope) -> Result<String, Why> {
        template::rendered(self, scope)
    }

    /// What the expression looks at, as it is now, on one line: `facts.drift = true; facts.degraded = ["a"]`. Values are
    /// cut after 120 characters; what has no value is shown as `unknown`.
    #[must_use]
    pub fn observed(&self, scope: &Scope) -> String {
        self.observed_within(OBSERVED, scope)
    }

    /// As [`Expression::observed`], with values cut after so many characters.
    #[must_use]
    pub fn observed_within(&self, longest: usize, scope: &Scope) -> String {
        let mut seen: Vec<String> = Vec::new();
        let values = self.references().iter().map(|reference| {
            let value = scope.get(&reference.path).map_or_else(
                || "unknown".to_owned(),
                |value| shortened(value.to_string(), longest),
            );
            format!("{} = {value}", reference.path)
        });
        let captured = self.name_calls().iter().map(|call| {
            let said = match call.function {
                "fresh" => scope
                    .captured(&call.name)
                    .map(|at| format!("{} ago", scope.now().since(at).rounded())),
                "measured" => scope.measured(&call.name).map(|yes| yes.to_string()),
                _ => Some(scope.known(&call.name).to_string()),
            };
            let label = if call.function == "fresh" {
                "captured"
            } else {
                call.function
            };
            format!(
                "{label}('{}') = {}",
                call.name,
                said.unwrap_or_else(|| "unknown".to_owned())
            )
        });
        for text in values.chain(captured) {
            if !seen.contains(&text) {
                seen.push(text);
            }
        }
        seen.join("; ")
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source() == other.source()
    }
}
impl Eq for Expression {}
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.source())
    }
}
impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.source())
    }
}

fn shortened(mut text: String, longest: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(longest) {
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests;
