//! `use: standard/freeze`: items taken from a library, with a few keys written anew.
//!
//! An item is taken as a tree and read like one that stands in the runbook itself, so both obey the same rules. What is
//! wrong with it is reported at the `use`, where the reader can do something about it.

use std::borrow::Cow;

use super::super::library::Library;
use super::fields::{Reading, Value};
use super::mistakes::{listed, quoted};
use super::tree::{Node, Pair, Shape};

/// A list that may hold `use` entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shelf {
    /// `steps`.
    Steps,
    /// `preflight` and `closing`.
    Checks,
    /// `guards`.
    Guards,
}

impl Shelf {
    /// What one item is called.
    pub(crate) fn item(self) -> &'static str {
        match self {
            Self::Steps => "step",
            Self::Checks => "check",
            Self::Guards => "guard",
        }
    }

    /// The keys that may stand beside `use`.
    fn overridable(self) -> &'static [&'static str] {
        match self {
            Self::Steps => &["id", "title", "when", "instruction", "on_failure", "phase"],
            Self::Checks => &["id", "title", "severity"],
            Self::Guards => &["id", "title", "before", "during", "after", "read"],
        }
    }
}

/// Finds the items that `use` entries name, and remembers which libraries were used.
pub(super) struct Finder<'l> {
    libraries: &'l [Library],
    used: Vec<bool>,
}

impl<'l> Finder<'l> {
    pub(super) fn new(libraries: &'l [Library]) -> Self {
        Self {
            libraries,
            used: vec![false; libraries.len()],
        }
    }

    /// The libraries that at least one entry was taken from, in the order given.
    pub(super) fn used(&self) -> impl Iterator<Item = &'l Library> {
        self.libraries
            .iter()
            .zip(&self.used)
            .filter_map(|(library, used)| used.then_some(library))
    }

    /// The item that a list entry stands for: itself, unless it is a `use`. `None` when that cannot be found.
    pub(super) fn resolve<'n>(
        &mut self,
        node: &'n Node,
        shelf: Shelf,
        reading: &mut Reading,
    ) -> Option<Cow<'n, Node>> {
        let Shape::Mapping(pairs) = &node.shape else {
            return Some(Cow::Borrowed(node));
        };
        let Some(target) = pairs.iter().find(|pair| pair.key == "use") else {
            return Some(Cow::Borrowed(node));
        };
        let item = self.find(&target.value, shelf, reading)?;
        let mut item = item.clone().moved_to(target.value.spot);
        let Shape::Mapping(own) = &mut item.shape else {
            return Some(Cow::Owned(item));
        };
        for pair in pairs.iter().filter(|pair| pair.key != "use") {
            self.replace(own, pair, shelf, reading);
        }
        Some(Cow::Owned(item))
    }

    fn find(&mut self, target: &Node, shelf: Shelf, reading: &mut Reading) -> Option<&'l Node> {
        let value = Value {
            name: "use",
            node: target,
        };
        let text = value.text(&mut reading.mistakes)?;
        let Some((library, item)) = text.split_once('/') else {
            value.wrong(
                "a library and an item, like `standard/freeze`",
                &mut reading.mistakes,
            );
            return None;
        };
        let Some(index) = self.libraries.iter().position(|l| l.id() == library) else {
            let message = format!("there is no library {}", quoted(library));
            let known = self.libraries.iter().map(Library::id);
            let known = ("libraries are", known);
            reading
                .mistakes
                .unknown(target.spot, &message, library, known);
            return None;
        };
        self.used[index] = true;
        let library = &self.libraries[index];
        let found = library.item(shelf, item);
        if found.is_none() {
            let message = format!(
                "library `{}` has no {} {}",
                library.id(),
                shelf.item(),
                quoted(item)
            );
            let known = ("it has", library.items(shelf));
            reading.mistakes.unknown(target.spot, &message, item, known);
        }
        found
    }

    fn replace(&self, own: &mut Vec<Pair>, pair: &Pair, shelf: Shelf, reading: &mut Reading) {
        let allowed = shelf.overridable();
        if !allowed.contains(&&*pair.key) {
            let message = format!(
                "a `use` of a {} may not set {}",
                shelf.item(),
                quoted(&pair.key)
            );
            let mistake = reading.mistakes.at(pair.spot, &message);
            mistake.help(&format!("it may set {}", listed(allowed.iter().copied())));
            return;
        }
        // A guard's title is what must not be done.
        let key = match (shelf, pair.key.as_str()) {
            (Shelf::Guards, "title") => "do_not",
            (_, key) => key,
        };
        let replacement = Pair {
            key: key.to_owned(),
            spot: pair.spot,
            value: pair.value.clone(),
        };
        match own.iter_mut().find(|pair| pair.key == key) {
            Some(old) => *old = replacement,
            None => own.push(replacement),
        }
    }
}
