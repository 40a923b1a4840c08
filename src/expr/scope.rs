//! What the names in an expression mean.

use std::collections::{BTreeMap, BTreeSet};

use super::Value;
use crate::clock::Timestamp;

/// What the names in an expression mean, as plain data.
///
/// What is not in here has no value, and an expression that needs it is unknown. Ids may be given with `-` or `_`; in
/// expressions they are written with `_`.
#[derive(Debug, Clone, PartialEq)]
pub struct Scope {
    now: Timestamp,
    names: BTreeMap<String, Value>,
    captured: BTreeMap<String, Timestamp>,
    measured: BTreeSet<String>,
}

impl Scope {
    /// A scope in which it is `now`, and in which there are no inputs, facts or decisions yet.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let groups = ["inputs", "facts", "decisions"];
        let mut names: BTreeMap<_, _> = groups
            .into_iter()
            .map(|name| (name.to_owned(), Value::empty_map()))
            .collect();
        names.insert("now".to_owned(), Value::Time(now));
        Self {
            now,
            names,
            captured: BTreeMap::new(),
            measured: BTreeSet::new(),
        }
    }

    /// The point in time that this scope is of.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Gives a top-level name its value: `run`, `target`, `execution`, `body`, `exit_code`.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.names.insert(spelled(name), value.into());
    }

    /// Gives `group.key` its value: a fact, an input, a decision. A group that is no map becomes one.
    pub fn set_in(&mut self, group: &str, key: &str, value: impl Into<Value>) {
        let group = self
            .names
            .entry(spelled(group))
            .or_insert_with(Value::empty_map);
        if !matches!(group, Value::Map(_)) {
            *group = Value::empty_map();
        }
        if let Value::Map(map) = group {
            map.insert(spelled(key), value.into());
        }
    }

    /// Says when the evidence or fact `name` was captured, for `fresh`.
    pub fn set_captured(&mut self, name: &str, at: Timestamp) {
        self.captured.insert(spelled(name), at);
    }

    /// Says that the fact or evidence `name` came from a command or a request, not from a person, for `measured`.
    pub fn set_measured(&mut self, name: &str) {
        self.measured.insert(spelled(name));
    }

    /// The value at a path like `facts.drift`; `None` when there is none.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Value> {
        let mut segments = path.split('.');
        let first = self.names.get(segments.next()?)?;
        segments.try_fold(first, |value, key| value.get(key))
    }

    /// When the evidence or fact was captured; `None` when it was not yet.
    #[must_use]
    pub fn captured(&self, name: &str) -> Option<Timestamp> {
        self.captured.get(&spelled(name)).copied()
    }

    /// Whether the fact or evidence was measured; `None` when there is no such fact or evidence yet.
    #[must_use]
    pub fn measured(&self, name: &str) -> Option<bool> {
        if !self.known(name) && self.captured(name).is_none() {
            return None;
        }
        Some(self.measured.contains(&spelled(name)))
    }

    /// Whether the fact has a value.
    #[must_use]
    pub fn known(&self, name: &str) -> bool {
        self.names
            .get("facts")
            .is_some_and(|facts| facts.get(&spelled(name)).is_some())
    }

    pub(super) fn names(&self) -> &BTreeMap<String, Value> {
        &self.names
    }
}

/// The way an id is written in an expression.
fn spelled(id: &str) -> String {
    id.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_same_with_either_sign() {
        let mut scope = Scope::new(Timestamp::from_micros(0));
        scope.set_in("facts", "safe-in-place", true);
        scope.set_measured("safe_in_place");
        assert_eq!(scope.get("facts.safe_in_place"), Some(&Value::Bool(true)));
        assert_eq!(scope.measured("safe-in-place"), Some(true));
    }

    #[test]
    fn nothing_is_said_about_what_is_not_there() {
        let mut scope = Scope::new(Timestamp::from_micros(0));
        scope.set_measured("drift");
        assert_eq!(scope.get("facts.drift"), None);
        assert_eq!(scope.get("now.year"), None);
        assert_eq!(scope.measured("drift"), None);
        assert!(!scope.known("drift"));
    }
}
