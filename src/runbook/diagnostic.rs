//! What is wrong with a document, where exactly, and what to do about it.
//!
//! A [`Diagnostic`] is a value: [`render`] shows it to people, its serialized form is for machines. Neither lets a control
//! character of the document reach a terminal.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

/// One mistake in a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// What is wrong, with names in backticks.
    pub message: String,
    /// What is said beside the caret; absent where the message says it all.
    pub label: Option<String>,
    /// Where.
    pub place: Place,
    /// One thing to do about it.
    pub help: Option<String>,
    /// Other places that have to do with it.
    pub related: Vec<Related>,
}

/// A stretch of one line of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The character within the line, from 1.
    pub column: usize,
    /// The first byte, from 0.
    pub start: usize,
    /// The byte after the last; never beyond the line.
    pub end: usize,
}

/// Another place that has to do with a mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Related {
    /// What is there.
    pub label: String,
    /// Where.
    pub place: Place,
}

/// Whether rendered text carries colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Bare text.
    Plain,
    /// ANSI colours; to be written through `anstream`, which removes them where they are not wanted.
    Styled,
}

impl Diagnostic {
    /// A mistake at a place; control characters in the message are made visible.
    #[must_use]
    pub fn new(place: Place, message: &str) -> Self {
        Self {
            message: visible(message),
            label: None,
            place,
            help: None,
            related: Vec::new(),
        }
    }

    /// Says something beside the caret.
    pub fn label(&mut self, label: &str) -> &mut Self {
        self.label = Some(visible(label));
        self
    }

    /// Says what to do.
    pub fn help(&mut self, help: &str) -> &mut Self {
        self.help = Some(visible(help));
        self
    }

    /// Points at another place as well.
    pub fn relate(&mut self, place: Place, label: &str) -> &mut Self {
        self.related.push(Related {
            label: visible(label),
            place,
        });
        self
    }
}

/// The mistakes as text for people: message, `file:line:column`, the line with a caret, help.
///
/// `text` is the document that the places were found in; lines are cut to a window around the caret.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], file: &str, text: &[u8], paint: Paint) -> String {
    let renderer = match paint {
        Paint::Plain => Renderer::plain(),
        Paint::Styled => Renderer::styled(),
    };
    let file = visible(file);
    let mut out = String::new();
    for diagnostic in diagnostics {
        let title = Level::ERROR.primary_title(diagnostic.message.as_str());
        let label = diagnostic.label.as_deref();
        let mut groups = vec![excerpt(
            Group::with_title(title),
            text,
            diagnostic.place,
            label,
            &file,
        )];
        for related in &diagnostic.related {
            let title = Level::NOTE.secondary_title(related.label.as_str());
            groups.push(excerpt(
                Group::with_title(title),
                text,
                related.place,
                None,
                &file,
            ));
        }
        if let Some(help) = &diagnostic.help {
            groups.push(Group::with_title(
                Level::HELP.secondary_title(help.as_str()),
            ));
        }
        out.push_str(&renderer.render(&groups));
        out.push_str("\n\n");
    }
    out
}

fn excerpt<'a>(
    group: Group<'a>,
    text: &[u8],
    place: Place,
    label: Option<&'a str>,
    file: &'a str,
) -> Group<'a> {
    let window = Window::around(text, place);
    let mut annotation = AnnotationKind::Primary.span(window.mark);
    if let Some(label) = label {
        annotation = annotation.label(label);
    }
    let snippet = Snippet::source(window.line)
        .line_start(place.line)
        .annotation(annotation);
    if !window.cut {
        return group.element(snippet.path(file));
    }
    // The renderer counts columns from the start of what it is shown.
    let origin = Origin::path(file)
        .line(place.line)
        .char_column(place.column);
    group.element(origin).element(snippet)
}

/// The part of a line that is shown: fits a terminal however long the line is.
struct Window {
    line: String,
    mark: std::ops::Range<usize>,
    /// Whether the start of the line is left out.
    cut: bool,
}

/// Characters shown before and after the start of the mark. Together they fit 100 columns, which leaves room for the
/// line number in most terminals.
const BEFORE: usize = 40;
const FROM: usize = 60;

impl Window {
    fn around(text: &[u8], place: Place) -> Self {
        let start = place.start.min(text.len());
        let line_start = text[..start]
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        let line_end = text[start..]
            .iter()
            .position(|b| *b == b'\n')
            .map_or(text.len(), |at| start + at);
        let end = place.end.clamp(start, line_end);
        // Four bytes a character at most: what lies further away is not looked at.
        let far_left = line_start.max(start.saturating_sub(4 * (BEFORE + 1)));
        let far_right = line_end.min(start.saturating_add(4 * (FROM + 1)));
        let before = shown(&text[far_left..start]);
        let mut rest = shown(&text[start..far_right.max(start)]);
        let mut mark = shown(&text[start..end.min(far_right)]).chars().count();

        let skip = before.chars().count().saturating_sub(BEFORE);
        let cut = skip > 0 || far_left > line_start;
        let mut line = String::from(if cut { "…" } else { "" });
        line.extend(before.chars().skip(skip));
        let mark_start = line.len();
        if rest.chars().count() > FROM {
            rest = rest.chars().take(FROM).collect();
            mark = mark.min(FROM);
            line.push_str(&rest);
            line.push('…');
        } else {
            line.push_str(rest.trim_end());
        }
        let mark_end = line[mark_start..]
            .char_indices()
            .nth(mark)
            .map_or(line.len(), |(at, _)| mark_start + at);
        Self {
            line,
            mark: mark_start..mark_end,
            cut,
        }
    }
}

/// Bytes of a document as one character each for people: nothing in it moves a cursor or turns text around.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars()
        .map(|c| match c {
            '\t' | '\r' => ' ',
            c if is_treacherous(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// Text with every control character and every character that turns text around written as an escape.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_treacherous(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether a character makes a terminal, or a reader, see something else than what is written.
pub(super) fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, mark: &str) -> Place {
        let start = text.find(mark).expect("the mark is in the text");
        let line_start = text[..start].rfind('\n').map_or(0, |n| n + 1);
        Place {
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            start,
            end: start + mark.len(),
        }
    }

    fn rendered(text: &str, mark: &str) -> String {
        let mut diagnostic = Diagnostic::new(at(text, mark), "bad thing");
        diagnostic.label("here").help("do better");
        render(&[diagnostic], "a.yaml", text.as_bytes(), Paint::Plain)
    }

    #[test]
    fn a_mistake_is_shown_with_its_line_and_a_caret() {
        let text = rendered("one: 1\ntwo: x\n", "x");
        assert_eq!(
            text,
            "error: bad thing\n --> a.yaml:2:6\n  |\n2 | two: x\n  |      ^ here\n  |\nhelp: do better\n\n"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let line = format!("{}MARK{}", "a".repeat(200_000), "b".repeat(200_000));
        let text = rendered(&line, "MARK");
        assert!(text.len() < 1000, "{}", text.len());
        assert!(text.contains("a.yaml:1:200001"), "{text}");
        assert!(text.contains("^^^^ here"), "{text}");
    }

    #[test]
    fn nothing_in_a_document_reaches_the_terminal_raw() {
        let text = rendered("k: \u{1b}[31mred\u{9b}2J\u{202e}x\r\n", "red");
        assert!(
            !text.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\r']),
            "{text:?}"
        );
        let mut diagnostic = Diagnostic::new(at("k", "k"), "a\u{1b}[2Jb");
        diagnostic.help("\u{7}").relate(at("k", "k"), "\u{8}");
        let text = render(&[diagnostic], "f\u{1b}.yaml", b"k", Paint::Plain);
        assert!(!text.contains(['\u{1b}', '\u{7}', '\u{8}']), "{text:?}");
    }

    #[test]
    fn bytes_that_are_no_text_and_places_beyond_the_end_are_shown_somehow() {
        for (start, end) in [(0, 0), (2, 3), (3, 9), (90, 100), (3, 1)] {
            let place = Place {
                line: 1,
                column: 1,
                start,
                end,
            };
            let text = render(
                &[Diagnostic::new(place, "x")],
                "f",
                b"a\xff\xfeb",
                Paint::Plain,
            );
            assert!(text.starts_with("error: x"), "{text}");
        }
    }
}
