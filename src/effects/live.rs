//! What a command prints, as lines for the operator's screen while it runs.
//!
//! The lines are for looking at; the record is what goes to the sinks. So lines are cut, made harmless, and dropped (and
//! counted) when the screen is slower than the command: neither does a command wait for a screen, nor does memory grow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use crate::redact::Redactor;

/// Longest line shown, in characters. A longer one ends in `…`.
pub const LONGEST_LINE: usize = 2000;

/// Bytes of a line that are looked at to show it: four for each character, which is the most UTF-8 needs.
const LINE_BYTES: usize = 4 * LONGEST_LINE;

/// Which of its two streams a command printed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A line to show; it holds no control character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it came from.
    pub from: Source,
    /// The text, masked and harmless.
    pub text: String,
}

/// The end that lines are sent into; cheap to clone.
#[derive(Debug, Clone)]
pub struct Live {
    lines: mpsc::Sender<Line>,
    dropped: Arc<AtomicU64>,
}

/// A channel that holds at most `waiting` lines (at least one) and drops those that find it full.
#[must_use]
pub fn channel(waiting: usize) -> (Live, mpsc::Receiver<Line>) {
    let (lines, receiver) = mpsc::channel(waiting.max(1));
    let dropped = Arc::default();
    (Live { lines, dropped }, receiver)
}

impl Live {
    /// How many lines were not shown because the screen was slower than the command.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Cuts one stream into lines. A carriage return ends a line as well, as it does in a progress display.
pub(super) struct Splitter {
    live: Live,
    from: Source,
    redactor: Redactor,
    /// The start of the line that has not ended yet.
    line: Vec<u8>,
    cut: bool,
    /// The last end of a line was a carriage return.
    returned: bool,
}

impl Splitter {
    pub(super) fn new(live: Live, from: Source, redactor: Redactor) -> Self {
        Self {
            live,
            from,
            redactor,
            line: Vec::new(),
            cut: false,
            returned: false,
        }
    }

    pub(super) fn take(&mut self, masked: &[u8]) {
        for part in masked.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (text, end) = match part.split_last() {
                Some((end @ (b'\n' | b'\r'), text)) => (text, Some(*end)),
                _ => (part, None),
            };
            let room = LINE_BYTES - self.line.len();
            self.cut |= text.len() > room;
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            let Some(end) = end else { continue };
            // `\r\n` is one end of a line, and an empty line is worth showing only when a newline made it.
            let worth_it = !self.line.is_empty() || (end == b'\n' && !self.returned);
            self.returned = end == b'\r';
            if worth_it {
                self.show();
            }
        }
    }

    pub(super) fn end(&mut self) {
        if !self.line.is_empty() {
            self.show();
        }
    }

    fn show(&mut self) {
        // The place is taken first: a line that nobody will see is not worth decoding.
        match self.live.lines.try_reserve() {
            Ok(place) => {
                let mut text = harmless(&String::from_utf8_lossy(&self.line));
                // Without its colour codes a line may hold a secret that they had cut in two.
                text = self.redactor.text(&text);
                if let Some((end, _)) = text.char_indices().nth(LONGEST_LINE) {
                    text.truncate(end);
                    self.cut = true;
                }
                if self.cut {
                    text.push('…');
                }
                let from = self.from;
                place.send(Line { from, text });
            }
            Err(mpsc::error::TrySendError::Full(())) => {
                self.live.dropped.fetch_add(1, Ordering::Relaxed);
            }
            // Nobody looks.
            Err(mpsc::error::TrySendError::Closed(())) => {}
        }
        self.line.clear();
        self.cut = false;
    }
}

/// The text without anything that moves the cursor, colours, hides, retitles or reorders: colour and cursor sequences are
/// taken out, other control characters become visible ones, and what steers the direction of text becomes `\u{fffd}`.
///
/// Nothing else is taken out, so that a program cannot hide a line from the operator.
#[must_use]
pub fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\t' => out.push_str("    "),
            '\u{1b}' => match after_csi(rest.as_str()) {
                Some(after) => rest = after.chars(),
                None => out.push('\u{241b}'),
            },
            '\0'..='\u{1f}' => {
                out.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'));
            }
            '\u{7f}' => out.push('\u{2421}'),
            '\u{80}'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}

/// What follows a complete control sequence whose escape character was just read: `[`, parameters, one final letter.
fn after_csi(text: &str) -> Option<&str> {
    let sequence = text.strip_prefix('[')?;
    let end = sequence.find(|c| !matches!(c, '\u{20}'..='\u{3f}'))?;
    let (last, after) = sequence[end..].split_at_checked(1)?;
    matches!(last.as_bytes(), [0x40..=0x7e]).then_some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]], secrets: &[(&str, &str)]) -> Vec<String> {
        let (live, mut receiver) = channel(100);
        let (redactor, _) = Redactor::new(secrets.iter().copied());
        let mut splitter = Splitter::new(live, Source::Stdout, redactor);
        pieces.iter().for_each(|piece| splitter.take(piece));
        splitter.end();
        std::iter::from_fn(|| receiver.try_recv().ok().map(|line| line.text)).collect()
    }

    #[test]
    fn nothing_a_program_prints_can_drive_the_terminal() {
        let evil = "\u{1b}[2J\u{1b}[8mhidden\u{1b}[0m \u{1b}]0;title\u{7} \u{8}\u{9b}31m \u{202e}txt \u{1b}[1";
        let text = harmless(evil);
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(text.starts_with("hidden ␛]0;title␇ ␈"), "{text:?}");
        assert!(!text.contains('\u{202e}'));
        assert_eq!(harmless("grün 日本 🙂\tx"), "grün 日本 🙂    x");
    }

    #[test]
    fn lines_come_whole_however_they_were_cut() {
        assert_eq!(
            lines(&[b"a", b"b\r\nc", b"\n\nd"], &[]),
            ["ab", "c", "", "d"]
        );
        assert_eq!(
            lines(&[b"10%\r20%\r", b"done\n"], &[]),
            ["10%", "20%", "done"]
        );
        assert_eq!(lines(&[b"\xff\xfe\n"], &[]), ["\u{fffd}\u{fffd}"]);
    }

    #[test]
    fn a_secret_that_colour_codes_cut_in_two_is_masked() {
        let shown = lines(&[b"is hun\x1b[1mter2\x1b[0m!\n"], &[("T", "hunter2")]);
        assert_eq!(shown, ["is [REDACTED:T]!"]);
    }

    #[test]
    fn a_long_line_is_cut_for_the_screen_and_held_in_no_memory() {
        let (live, mut receiver) = channel(1);
        let mut splitter = Splitter::new(live, Source::Stderr, Redactor::default());
        for _ in 0..100 {
            splitter.take(&[b'x'; 10_000]);
            assert!(splitter.line.len() <= LINE_BYTES);
        }
        splitter.take(b"\n");
        let line = receiver.try_recv().expect("a line was shown");
        assert_eq!(line.text.chars().count(), LONGEST_LINE + 1);
        assert!(line.text.ends_with('…'));
    }

    #[test]
    fn lines_that_find_no_place_are_counted_and_nobody_waits() {
        let (live, receiver) = channel(2);
        let mut splitter = Splitter::new(live.clone(), Source::Stdout, Redactor::default());
        splitter.take(b"1\n2\n3\n4\n5\n");
        assert_eq!((live.dropped(), receiver.len()), (3, 2));
    }
}
