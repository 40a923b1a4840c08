//! Readers over the tree: each takes a value, returns what it means, or reports why it means nothing.
//!
//! A reader that returns `None` for a value that is there has reported a mistake, so what it was read for is lost only
//! after the whole document was looked at.

use std::str::FromStr;

use super::super::diagnostic::Diagnostic;
use super::mistakes::{Mistakes, called, listed, quoted};
use super::outline::{Mention, Moment, Need, Subject};
use super::text::Spot;
use super::tree::{Node, Pair, Scalar, Shape};
use crate::clock::Span;
use crate::expr::{Expression, SyntaxError, Template};
use crate::ids::Slug;

/// Most entries of one list: more is nothing that a person can walk through.
const MOST_ITEMS: usize = 500;

/// What readers write to: mistakes, and what the current item says about other parts of the document.
#[derive(Default)]
pub(crate) struct Reading {
    /// The mistakes of the document.
    pub(crate) mistakes: Mistakes,
    /// What was mentioned since [`Reading::take_mentions`].
    mentions: Vec<Mention>,
}

impl Reading {
    /// Notes that the current item mentions something.
    pub(crate) fn mention(&mut self, mention: Mention) {
        self.mentions.push(mention);
    }

    /// Everything mentioned since the last call.
    pub(crate) fn take_mentions(&mut self) -> Vec<Mention> {
        std::mem::take(&mut self.mentions)
    }
}

/// A mapping whose keys are all known.
pub(crate) struct Fields<'n> {
    /// What the mapping is, for messages: ``step `boundary` ``.
    pub(crate) what: String,
    /// What a caret points at when something is missing.
    pub(crate) spot: Spot,
    pairs: &'n [Pair],
}

impl<'n> Fields<'n> {
    /// The fields of a mapping; keys that are not in `known` are mistakes, and are left out.
    pub(crate) fn open(
        node: &'n Node,
        what: impl Into<String>,
        known: &[&str],
        reading: &mut Reading,
    ) -> Option<Self> {
        let what = what.into();
        let Shape::Mapping(pairs) = &node.shape else {
            Value { name: &what, node }.wrong("a mapping", &mut reading.mistakes);
            return None;
        };
        for pair in pairs.iter().filter(|pair| !known.contains(&&*pair.key)) {
            reading.mistakes.unknown(
                pair.spot,
                &format!("{what} has an unknown key {}", quoted(&pair.key)),
                &pair.key,
                ("known keys are", known.iter().copied()),
            );
        }
        Some(Self {
            what,
            spot: node.spot,
            pairs,
        })
    }

    /// The value of a key that may be absent.
    pub(crate) fn get(&self, key: &'n str) -> Option<Value<'n>> {
        self.pairs
            .iter()
            .find(|pair| pair.key == key)
            .map(|pair| Value {
                name: key,
                node: &pair.value,
            })
    }

    /// The place of a key, or of the mapping when it is absent.
    pub(crate) fn spot_of(&self, key: &str) -> Spot {
        self.pairs
            .iter()
            .find(|pair| pair.key == key)
            .map_or(self.spot, |pair| pair.spot)
    }

    /// The value of a key that must be there.
    pub(crate) fn need(&self, key: &'n str, reading: &mut Reading) -> Option<Value<'n>> {
        let value = self.get(key);
        if value.is_none() {
            reading
                .mistakes
                .at(self.spot, &format!("{} has no `{key}`", self.what));
        }
        value
    }
}

/// A value with the name by which messages call it.
#[derive(Clone, Copy)]
pub(crate) struct Value<'n> {
    /// Its key, or what it is.
    pub(crate) name: &'n str,
    /// The value.
    pub(crate) node: &'n Node,
}

impl<'n> Value<'n> {
    /// The place of the value.
    pub(crate) fn spot(&self) -> Spot {
        self.node.spot
    }

    /// Reports that the value is not what was wanted.
    pub(crate) fn wrong<'m>(&self, wanted: &str, mistakes: &'m mut Mistakes) -> &'m mut Diagnostic {
        let message = self.not(wanted);
        mistakes.at(self.spot(), &message)
    }

    fn not(&self, wanted: &str) -> String {
        let name = called(self.name);
        match &self.node.shape {
            Shape::Nothing => format!("{name} has no value; it must be {wanted}"),
            Shape::Mapping(_) => format!("{name} must be {wanted}, not a mapping"),
            Shape::List(_) => format!("{name} must be {wanted}, not a list"),
            Shape::Scalar(scalar) => {
                format!("{name} must be {wanted}, not {}", quoted(&scalar.text))
            }
        }
    }

    /// The pairs of a mapping.
    pub(crate) fn pairs(&self, mistakes: &mut Mistakes) -> Option<&'n [Pair]> {
        let Shape::Mapping(pairs) = &self.node.shape else {
            self.wrong("a mapping", mistakes);
            return None;
        };
        Some(pairs)
    }

    /// The items of a list.
    pub(crate) fn items(&self, mistakes: &mut Mistakes) -> Option<&'n [Node]> {
        let Shape::List(items) = &self.node.shape else {
            self.wrong("a list", mistakes);
            return None;
        };
        Some(items)
    }

    /// The items of a list that has at least one, and no more than any runbook needs.
    pub(crate) fn some_items(&self, mistakes: &mut Mistakes) -> Option<&'n [Node]> {
        let items = self.items(mistakes)?;
        if items.is_empty() {
            mistakes.at(self.spot(), &format!("{} is empty", called(self.name)));
            return None;
        }
        if let Some(beyond) = items.get(MOST_ITEMS) {
            let message = format!("{} has more than {MOST_ITEMS} entries", called(self.name));
            mistakes.at(beyond.spot, &message);
            return None;
        }
        Some(items)
    }

    fn scalar(&self, wanted: &str, mistakes: &mut Mistakes) -> Option<&'n Scalar> {
        let Shape::Scalar(scalar) = &self.node.shape else {
            self.wrong(wanted, mistakes);
            return None;
        };
        if scalar.is_boolean() {
            let message = format!(
                "{} must be {wanted}, not the boolean `{}`",
                called(self.name),
                scalar.text
            );
            mistakes
                .at(self.spot(), &message)
                .help(&format!("quote it: `\"{}\"`", scalar.text));
            return None;
        }
        Some(scalar)
    }

    /// Text that is not blank.
    pub(crate) fn text(&self, mistakes: &mut Mistakes) -> Option<&'n str> {
        self.text_as("text", mistakes)
    }

    fn text_as(&self, wanted: &str, mistakes: &mut Mistakes) -> Option<&'n str> {
        let scalar = self.scalar(wanted, mistakes)?;
        if scalar.text.trim().is_empty() {
            mistakes.at(self.spot(), &format!("{} is empty", called(self.name)));
            return None;
        }
        Some(&scalar.text)
    }

    /// Text of several lines, without blanks around it.
    pub(crate) fn paragraph(&self, mistakes: &mut Mistakes) -> Option<String> {
        self.text(mistakes).map(|text| text.trim().to_owned())
    }

    /// Text on one line.
    pub(crate) fn line(&self, mistakes: &mut Mistakes) -> Option<String> {
        let text = self.text(mistakes)?.trim();
        if text.contains('\n') {
            mistakes.at(
                self.spot(),
                &format!("{} must be one line", called(self.name)),
            );
            return None;
        }
        Some(text.to_owned())
    }

    /// Text that is parsed by its type; the error's text follows the value in backticks.
    pub(crate) fn parsed<T>(&self, wanted: &str, mistakes: &mut Mistakes) -> Option<T>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let text = self.text_as(wanted, mistakes)?;
        text.parse()
            .map_err(|error: T::Err| {
                let error = error.to_string();
                let verb = if error.starts_with("not ") { "is " } else { "" };
                let message = format!("{}: {} {verb}{error}", called(self.name), quoted(text));
                mistakes.at(self.spot(), &message);
            })
            .ok()
    }

    /// A boolean.
    pub(crate) fn boolean(&self, mistakes: &mut Mistakes) -> Option<bool> {
        if let Shape::Scalar(scalar) = &self.node.shape
            && scalar.is_boolean()
        {
            return Some(scalar.text.eq_ignore_ascii_case("true"));
        }
        self.wrong("`true` or `false`", mistakes);
        None
    }

    /// A whole number within bounds.
    pub(crate) fn whole(
        &self,
        bounds: std::ops::RangeInclusive<u32>,
        mistakes: &mut Mistakes,
    ) -> Option<u32> {
        let number = self
            .node
            .as_text()
            .and_then(canonical)
            .filter(|number| bounds.contains(number));
        if number.is_none() {
            let wanted = format!("a whole number from {} to {}", bounds.start(), bounds.end());
            self.wrong(&wanted, mistakes);
        }
        number
    }

    /// A span of time that is not zero.
    pub(crate) fn span(&self, mistakes: &mut Mistakes) -> Option<Span> {
        let span: Span = self.parsed("a duration like `90s` or `1h30m`", mistakes)?;
        if span.millis() == 0 {
            mistakes.at(
                self.spot(),
                &format!("{} must be longer than nothing", called(self.name)),
            );
            return None;
        }
        Some(span)
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&self, words: &[(&str, T)], mistakes: &mut Mistakes) -> Option<T> {
        let wanted = format!("one of {}", listed(words.iter().map(|(word, _)| *word)));
        let text = self.text_as(&wanted, mistakes)?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let message = self.not(&wanted);
            let words = words.iter().map(|(word, _)| *word);
            mistakes.unknown(self.spot(), &message, text, ("write", words));
        }
        found.map(|(_, meaning)| *meaning)
    }

    /// An expression, whose names are judged with the whole document.
    pub(crate) fn expression(&self, moment: Moment, reading: &mut Reading) -> Option<Expression> {
        let scalar = self.scalar("an expression", &mut reading.mistakes)?;
        match Expression::parse(&scalar.text) {
            Ok(expression) => {
                reading.mention(Mention {
                    spot: self.spot(),
                    subject: Subject::names(moment, &expression, scalar),
                });
                Some(expression)
            }
            Err(error) => {
                self.refuse_syntax(scalar, &error, &mut reading.mistakes);
                None
            }
        }
    }

    /// Text with `${…}`, whose names are judged with the whole document.
    pub(crate) fn template(&self, moment: Moment, reading: &mut Reading) -> Option<Template> {
        let scalar = self.scalar("text", &mut reading.mistakes)?;
        match Template::parse(&scalar.text) {
            Ok(template) => {
                reading.mention(Mention {
                    spot: self.spot(),
                    subject: Subject::names_in(moment, &template, scalar),
                });
                Some(template)
            }
            Err(error) => {
                self.refuse_syntax(scalar, &error, &mut reading.mistakes);
                None
            }
        }
    }

    fn refuse_syntax(&self, scalar: &Scalar, error: &SyntaxError, mistakes: &mut Mistakes) {
        let spot = scalar
            .verbatim_at
            .map_or(self.spot(), |at| within(at, &scalar.text, error.at.clone()));
        let message = format!(
            "{} is not an expression: {}",
            called(self.name),
            error.message
        );
        mistakes.at(spot, &message);
    }

    /// The name of a step, which must exist and be what it is needed for.
    pub(crate) fn step(&self, need: Need, reading: &mut Reading) -> Option<Slug> {
        let id: Slug = self.parsed("the id of a step", &mut reading.mistakes)?;
        reading.mention(Mention {
            spot: self.spot(),
            subject: Subject::Step {
                id: id.clone(),
                need,
            },
        });
        Some(id)
    }

    /// Names of steps, each of which must exist and be what it is needed for.
    pub(crate) fn steps(&self, need: Need, reading: &mut Reading) -> Vec<Slug> {
        self.ids(reading, |value, reading| value.step(need, reading))
    }

    /// Names of guards, each of which must exist and require something.
    pub(crate) fn guards(&self, reading: &mut Reading) -> Vec<Slug> {
        self.ids(reading, |value, reading| {
            let id: Slug = value.parsed("the id of a guard", &mut reading.mistakes)?;
            reading.mention(Mention {
                spot: value.spot(),
                subject: Subject::Guard { id: id.clone() },
            });
            Some(id)
        })
    }

    /// Names, each of them once.
    fn ids(
        &self,
        reading: &mut Reading,
        read: impl Fn(Value<'_>, &mut Reading) -> Option<Slug>,
    ) -> Vec<Slug> {
        let items = self.some_items(&mut reading.mistakes).unwrap_or_default();
        let mut ids = Vec::new();
        for node in items {
            let value = Value {
                name: self.name,
                node,
            };
            let Some(id) = read(value, reading) else {
                continue;
            };
            if ids.contains(&id) {
                let message = format!("{} names `{id}` twice", called(self.name));
                reading.mistakes.at(node.spot, &message);
            }
            ids.push(id);
        }
        ids
    }
}

impl Scalar {
    /// Whether YAML says that this is a boolean.
    pub(crate) fn is_boolean(&self) -> bool {
        self.plain
            && matches!(
                self.text.as_str(),
                "true" | "True" | "TRUE" | "false" | "False" | "FALSE"
            )
    }
}

/// A part of a text that stands in the document letter by letter.
pub(crate) fn within(at: usize, text: &str, range: std::ops::Range<usize>) -> Spot {
    let start = range.start.min(text.len());
    let end = range.end.clamp(start, text.len());
    // An empty range, as at an unexpected end, still gets a caret.
    let end = if end == start { start + 1 } else { end };
    Spot {
        start: at + start,
        end: at + end.min(text.len().max(1)),
    }
}

/// A number written as people write it: no sign, no leading zero.
pub(crate) fn canonical(text: &str) -> Option<u32> {
    text.parse::<u32>()
        .ok()
        .filter(|number| number.to_string() == text)
}
