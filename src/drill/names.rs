//! What the names in the expressions of a plane mean.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json};

use super::form::Form;
use crate::clock::Timestamp;
use crate::expr::{Expression, Reference, Scope, Template, Truth, Value, Why};

/// The names that are there without a `let`.
pub(super) const GIVEN: [&str; 5] = ["state", "path", "query", "body", "actor"];

/// Abbreviations: a name, and the expression that it stands for.
pub(super) type Lets = BTreeMap<String, Cel>;

/// An expression in a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cel(pub(super) Expression);

impl<'de> Deserialize<'de> for Cel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let source = String::deserialize(deserializer)?;
        Expression::parse(&source).map(Self).map_err(|error| {
            serde::de::Error::custom(format_args!("`{source}` is no expression: {error}"))
        })
    }
}

/// What expressions read: the world and the request, and what the abbreviations say of them.
///
/// An abbreviation is worked out when something first asks for it. One that has no value is unknown to whoever asks, and
/// does not matter where it cannot: `size(found) > 0 && first.ready`.
pub(super) struct Names<'a> {
    lets: &'a Lets,
    scope: Scope,
    unknown: BTreeMap<&'a str, Why>,
}

impl<'a> Names<'a> {
    /// The names where only the state is known.
    pub(super) fn of(lets: &'a Lets, state: &Map<String, Json>) -> Result<Self, Why> {
        // There is no clock in a plane; `now` is not among the names that a document may use.
        let mut names = Self {
            lets,
            scope: Scope::new(Timestamp::from_micros(0)),
            unknown: BTreeMap::new(),
        };
        names.give("state", Json::Object(state.clone()))?;
        Ok(names)
    }

    /// The same abbreviations of another state.
    pub(super) fn after(&self, state: &Map<String, Json>) -> Result<Self, Why> {
        let mut names = Self::of(self.lets, state)?;
        for name in GIVEN.into_iter().filter(|name| *name != "state") {
            if let Some(value) = self.scope.get(name) {
                names.scope.set(name, value.clone());
            }
        }
        Ok(names)
    }

    /// Gives a name its value.
    pub(super) fn give(&mut self, name: &str, value: Json) -> Result<(), Why> {
        let value =
            Value::try_from(value).map_err(|error| Why::new(format!("`{name}`: {error}")))?;
        self.scope.set(name, value);
        Ok(())
    }

    /// The value of an expression.
    pub(super) fn value(&mut self, expression: &Expression) -> Result<Value, Why> {
        self.work_out(expression.references());
        let value = expression.value(&self.scope);
        value.map_err(|why| self.explained(why, expression.references()))
    }

    /// Whether a condition holds; unknown is an error.
    pub(super) fn holds(&mut self, condition: &Expression) -> Result<bool, Why> {
        self.work_out(condition.references());
        match condition.truth(&self.scope) {
            Truth::True => Ok(true),
            Truth::False => Ok(false),
            Truth::Unknown(why) => Err(self.explained(why, condition.references())),
        }
    }

    /// The value of a template: text, or the value itself where the template is one expression.
    pub(super) fn filled(&mut self, template: &Template) -> Result<Value, Why> {
        let references = template.references();
        self.work_out(&references);
        let value = template.value(&self.scope);
        value.map_err(|why| self.explained(why, &references))
    }

    /// A template as text.
    pub(super) fn text(&mut self, template: &Template) -> Result<String, Why> {
        let references = template.references();
        self.work_out(&references);
        let text = template.render(&self.scope);
        text.map_err(|why| self.explained(why, &references))
    }

    fn work_out(&mut self, references: &[Reference]) {
        for root in references.iter().map(Reference::root) {
            let Some((name, Cel(expression))) = self.lets.get_key_value(root) else {
                continue;
            };
            let name = name.as_str();
            if self.scope.get(name).is_some() || self.unknown.contains_key(name) {
                continue;
            }
            match self.value(expression) {
                Ok(value) => self.scope.set(name, value),
                Err(why) => {
                    self.unknown.insert(name, why);
                }
            }
        }
    }

    /// The reason, with that of an abbreviation that has no value.
    fn explained(&self, why: Why, references: &[Reference]) -> Why {
        let unknown = references.iter().find_map(|reference| {
            let root = reference.root();
            Some((root, self.unknown.get(root)?))
        });
        match unknown {
            Some((name, because)) => Why::new(format!("{why}; `{name}`: {because}")),
            None => why,
        }
    }
}

/// What a document may refer to at one place.
pub(super) struct Known<'a> {
    /// The abbreviations.
    pub(super) lets: &'a Lets,
    /// The names that are given there, each with its keys where they are known.
    pub(super) given: BTreeMap<&'static str, Option<BTreeSet<String>>>,
}

impl Known<'_> {
    /// What is wrong with these references; abbreviations are followed.
    pub(super) fn check(&self, expression: &Expression) -> Result<(), String> {
        self.follow(expression, &mut Vec::new())
    }

    /// The same for every text of a document.
    pub(super) fn check_form(&self, form: &Form) -> Result<(), String> {
        let mut templates = form.templates().into_iter();
        templates.try_for_each(|template| self.check_template(template))
    }

    /// The same for every expression of a template.
    pub(super) fn check_template(&self, template: &Template) -> Result<(), String> {
        template
            .expressions()
            .try_for_each(|expression| self.check(expression))
    }

    fn follow<'e>(
        &'e self,
        expression: &'e Expression,
        on: &mut Vec<&'e str>,
    ) -> Result<(), String> {
        if let Some(call) = expression.name_calls().first() {
            return Err(format!(
                "`{expression}`: `{}` asks about facts, and a plane has none",
                call.function
            ));
        }
        for reference in expression.references() {
            let root = reference.root();
            if on.contains(&root) {
                return Err(format!("`{root}` stands for itself"));
            }
            match (self.given.get(root), self.lets.get(root)) {
                (Some(keys), _) => self.key(expression, reference, keys.as_ref())?,
                (None, Some(Cel(meant))) => {
                    on.push(root);
                    self.follow(meant, on)?;
                    on.pop();
                }
                (None, None) => return Err(self.nothing(expression, root)),
            }
        }
        Ok(())
    }

    fn key(
        &self,
        expression: &Expression,
        reference: &Reference,
        keys: Option<&BTreeSet<String>>,
    ) -> Result<(), String> {
        match (keys, reference.key()) {
            (Some(keys), Some(key)) if !keys.contains(key) => Err(format!(
                "`{expression}`: there is no `{}.{key}` here",
                reference.root()
            )),
            _ => Ok(()),
        }
    }

    fn nothing(&self, expression: &Expression, root: &str) -> String {
        let given = self.given.keys().copied();
        let names: Vec<&str> = given.chain(self.lets.keys().map(String::as_str)).collect();
        format!(
            "`{expression}`: there is no `{root}` here; there is {}",
            names.join(", ")
        )
    }
}
