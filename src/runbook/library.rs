//! Libraries: documents of steps, checks and guards that runbooks take with `use:`.

use super::diagnostic::Diagnostic;
use super::model::{CheckSet, Source};
use super::parse::document::{header, read};
use super::parse::fields::{Fields, Reading};
use super::parse::rules::{check, guard};
use super::parse::steps::step;
use super::parse::tree::{Node, Shape};
use super::parse::uses::Shelf;
use crate::ids::Slug;

/// The format of libraries that this version reads.
const FORMAT: &str = "runbook-library/v1";

const LIBRARY: [&str; 6] = ["format", "id", "title", "steps", "checks", "guards"];

/// A document of items that runbooks take with `use: <id>/<item>`; each item is well-formed by itself.
#[derive(Debug, Clone)]
pub struct Library {
    id: Slug,
    source: Source,
    items: Vec<Item>,
}

#[derive(Debug, Clone)]
struct Item {
    shelf: Shelf,
    id: Slug,
    node: Node,
}

impl Library {
    /// Reads a library.
    ///
    /// What its items say about steps and facts is judged in each runbook that takes them, since the rest is there.
    ///
    /// # Errors
    /// Every mistake of the document, in its order, at least one.
    pub fn parse(file_name: &str, text: &[u8]) -> Result<Self, Vec<Diagnostic>> {
        read(text, |root, text, reading| {
            let fields = header(root, FORMAT, &LIBRARY, reading)?;
            let id = fields
                .need("id", reading)
                .and_then(|value| value.parsed("an id", &mut reading.mistakes));
            if let Some(value) = fields.need("title", reading) {
                value.line(&mut reading.mistakes);
            }
            let mut items = Vec::new();
            for (key, shelf) in [
                ("steps", Shelf::Steps),
                ("checks", Shelf::Checks),
                ("guards", Shelf::Guards),
            ] {
                collect(&fields, key, shelf, &mut items, reading);
            }
            Some(Self {
                id: id?,
                source: Source {
                    file: file_name.to_owned(),
                    text: text.to_owned(),
                },
                items,
            })
        })
    }

    /// The name before the slash in `use:`.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// The document as it was read.
    pub(super) fn source(&self) -> Source {
        self.source.clone()
    }

    /// The item of this name.
    pub(super) fn item(&self, shelf: Shelf, id: &str) -> Option<&Node> {
        self.items
            .iter()
            .find(|item| item.shelf == shelf && item.id.as_str() == id)
            .map(|item| &item.node)
    }

    /// The names of the items of a kind.
    pub(super) fn items(&self, shelf: Shelf) -> impl Iterator<Item = &str> + Clone {
        self.items
            .iter()
            .filter(move |item| item.shelf == shelf)
            .map(|item| item.id.as_str())
    }
}

/// Reads one list, so that its mistakes are reported here and not in every runbook, and keeps the trees.
fn collect(
    fields: &Fields<'_>,
    key: &'static str,
    shelf: Shelf,
    items: &mut Vec<Item>,
    reading: &mut Reading,
) {
    let Some(value) = fields.get(key) else {
        return;
    };
    for node in value.items(&mut reading.mistakes).unwrap_or_default() {
        if let Shape::Mapping(pairs) = &node.shape
            && let Some(pair) = pairs.iter().find(|pair| pair.key == "use")
        {
            reading
                .mistakes
                .at(pair.spot, "a library cannot take items from a library");
            continue;
        }
        let (id, spot) = match shelf {
            Shelf::Steps => {
                let (_, outline) = step(node, reading);
                (outline.id, outline.spot)
            }
            Shelf::Checks => {
                let (_, outline) = check(node, CheckSet::Preflight, reading);
                (outline.id, outline.spot)
            }
            Shelf::Guards => {
                let (_, outline) = guard(node, reading);
                (outline.id, outline.spot)
            }
        };
        let Some(id) = id else { continue };
        let same = |item: &&Item| item.shelf == shelf && item.id == id;
        if items.iter().any(|item| same(&item)) {
            let message = format!("two {}s are called `{id}`", shelf.item());
            reading.mistakes.at(spot, &message);
        }
        items.push(Item {
            shelf,
            id,
            node: node.clone(),
        });
    }
}
