//! The mistakes of a document as they are collected, and the words that they are told in.
//!
//! A hostile document can hold tens of thousands of mistakes and of names: every one costs the same small amount, and
//! what is costlier (lines, suggestions) is done for the first ones only.

use super::super::diagnostic::{Diagnostic, Place};
use super::text::{Spot, Text};

/// Most mistakes reported of one document; who has more fixes these first.
pub(crate) const MOST_MISTAKES: usize = 50;

/// Mistakes that get a suggestion; comparing names is the costliest part of reporting one.
const MOST_SUGGESTIONS: usize = 200;
/// Names that are compared and shown.
const MOST_COMPARED: usize = 500;
const MOST_LISTED: usize = 24;

/// The mistakes found so far.
#[derive(Default)]
pub(crate) struct Mistakes {
    found: Vec<Diagnostic>,
}

impl Mistakes {
    /// Reports a mistake; more can be said about it on what is returned.
    pub(crate) fn at(&mut self, spot: Spot, message: &str) -> &mut Diagnostic {
        // Lines are counted at the end, for those mistakes that are shown.
        self.found.push(Diagnostic::new(unlocated(spot), message));
        let last = self.found.len() - 1;
        &mut self.found[last]
    }

    /// Reports a name that means nothing, and the name that was probably meant, or else those that there are.
    pub(crate) fn unknown<'k>(
        &mut self,
        spot: Spot,
        message: &str,
        name: &str,
        (known_are, known): (&str, impl Iterator<Item = &'k str> + Clone),
    ) -> &mut Diagnostic {
        let near = if self.found.len() < MOST_SUGGESTIONS {
            nearest(name, known.clone())
        } else {
            None
        };
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.clone().next().is_none() => "there are none here".to_owned(),
            None => format!("{known_are} {}", listed(known)),
        };
        self.at(spot, message).help(&help)
    }

    /// Whether nothing was reported.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All mistakes in the order of the document, at most [`MOST_MISTAKES`] and one that says how many more there are.
    pub(crate) fn located(self, text: &Text<'_>) -> Vec<Diagnostic> {
        let mut found = self.found;
        found.sort_by_key(|mistake| mistake.place.start);
        found.dedup();
        if found.len() > MOST_MISTAKES {
            let more = found.len() - MOST_MISTAKES;
            found.truncate(MOST_MISTAKES + 1);
            if let Some(last) = found.last_mut() {
                let message =
                    format!("{more} more mistakes follow from here; fix the ones above first");
                *last = Diagnostic::new(last.place, &message);
            }
        }
        for mistake in &mut found {
            mistake.place = text.place(spot_of(mistake.place));
            for related in &mut mistake.related {
                related.place = text.place(spot_of(related.place));
            }
        }
        found
    }
}

/// A place whose line is not counted yet.
pub(crate) fn unlocated(spot: Spot) -> Place {
    Place {
        line: 0,
        column: 0,
        start: spot.start,
        end: spot.end,
    }
}

fn spot_of(place: Place) -> Spot {
    Spot {
        start: place.start,
        end: place.end,
    }
}

/// Longest piece of a document that a message repeats, in characters.
const LONGEST_QUOTE: usize = 60;

/// A piece of the document in backticks, cut where it is long.
pub(crate) fn quoted(text: &str) -> String {
    let text = text.trim();
    if text.chars().nth(LONGEST_QUOTE).is_some() {
        let cut: String = text.chars().take(LONGEST_QUOTE).collect();
        format!("`{cut}…`")
    } else {
        format!("`{text}`")
    }
}

/// A key gets backticks; what already has some, or is several words, does not.
pub(crate) fn called(name: &str) -> String {
    if name.contains(['`', ' ']) {
        name.to_owned()
    } else {
        format!("`{name}`")
    }
}

/// Names in backticks, the first ones where they are many.
pub(crate) fn listed<'k>(mut names: impl Iterator<Item = &'k str>) -> String {
    let mut shown: Vec<String> = names
        .by_ref()
        .take(MOST_LISTED)
        .map(|name| format!("`{name}`"))
        .collect();
    if names.next().is_some() {
        shown.push("…".into());
    }
    shown.join(", ")
}

/// The name that was probably meant.
fn nearest<'k>(word: &str, names: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    // Nobody means a name this long, and the comparison is quadratic.
    const LONGEST: usize = 80;
    if word.len() > LONGEST {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let word = plain(word);
    names
        .take(MOST_COMPARED)
        .filter(|name| name.len() <= LONGEST)
        .map(|name| (strsim::damerau_levenshtein(&word, &plain(name)), name))
        .filter(|(distance, name)| *distance <= (name.len().min(word.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}
