//! The text of a document: bounded, UTF-8, and able to say which line a byte is on.

use super::super::diagnostic::{Diagnostic, Place};

/// Largest document read, in bytes; the largest shipped runbook has 30 KiB.
pub(crate) const LARGEST: usize = 1 << 20;

/// A stretch of a document, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    /// The first byte.
    pub(crate) start: usize,
    /// The byte after the last.
    pub(crate) end: usize,
}

/// A document's text with its lines.
pub(crate) struct Text<'t> {
    text: &'t str,
    lines: Vec<usize>,
}

impl<'t> Text<'t> {
    /// The text of a document that is small enough and is text.
    ///
    /// # Errors
    /// One diagnostic: too large, not UTF-8, or holding NUL.
    pub(crate) fn of(bytes: &'t [u8]) -> Result<Self, Vec<Diagnostic>> {
        if bytes.len() > LARGEST {
            let message = format!(
                "the document has {} bytes; at most {LARGEST} are read",
                bytes.len()
            );
            return Err(vec![Diagnostic::new(byte_place(bytes, 0), &message)]);
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let place = byte_place(bytes, error.valid_up_to());
            let mut diagnostic = Diagnostic::new(
                place,
                &format!(
                    "the document is not UTF-8 text: byte {} is not part of a character",
                    place.start
                ),
            );
            diagnostic.help("save it as UTF-8");
            vec![diagnostic]
        })?;
        if let Some(at) = text.find('\0') {
            let place = byte_place(bytes, at);
            let message = "the document holds a NUL byte";
            return Err(vec![Diagnostic::new(place, message)]);
        }
        let lines = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Ok(Self { text, lines })
    }

    /// The text itself.
    pub(crate) fn as_str(&self) -> &'t str {
        self.text
    }

    /// The line and column of a spot, cut to its first line.
    pub(crate) fn place(&self, spot: Spot) -> Place {
        let start = boundary(self.text, spot.start);
        let line = self.lines.partition_point(|at| *at <= start);
        let line_start = self.lines[line - 1];
        Place {
            line,
            column: self.text[line_start..start].chars().count() + 1,
            start,
            end: self.first_line(spot).end,
        }
    }

    /// The part of a spot that is on its first line, without trailing blanks.
    pub(crate) fn first_line(&self, spot: Spot) -> Spot {
        let start = boundary(self.text, spot.start);
        let end = boundary(self.text, spot.end).max(start);
        let stretch = self.text[start..end].lines().next().unwrap_or("");
        Spot {
            start,
            end: start + stretch.trim_end().len(),
        }
    }
}

/// The last character boundary at or before a byte.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

/// The place of one byte of a document that may not be text.
fn byte_place(bytes: &[u8], at: usize) -> Place {
    let before = &bytes[..at];
    let line_start = before
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |n| n + 1);
    Place {
        line: before.iter().filter(|b| **b == b'\n').count() + 1,
        column: String::from_utf8_lossy(&before[line_start..])
            .chars()
            .count()
            + 1,
        start: at,
        end: (at + 1).min(bytes.len()),
    }
}
