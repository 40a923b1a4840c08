//! Laying out text for a terminal, line by line, so that scrollback, a pipe and a serial line show the same.

use anstyle::{AnsiColor, Style};

/// Widest line; longer ones are hard to read at three in the morning.
pub const WIDTH: usize = 96;

/// For what matters most.
pub const STRONG: Style = Style::new().bold();
/// For what is secondary.
pub const FAINT: Style = Style::new().dimmed();
/// For what held.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// For what did not.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// For what needs attention.
pub const WARN: Style = AnsiColor::Yellow.on_default();

/// The text in a style.
#[must_use]
pub fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// The text wrapped and indented by so many spaces; paragraphs and lines that begin with `-` keep their place. Control
/// characters become visible.
#[must_use]
pub fn wrapped(indent: usize, text: &str) -> String {
    hanging(&" ".repeat(indent), indent, text)
}

/// The text wrapped behind a label; further lines are indented by so many spaces. Lines of one paragraph are joined
/// first: a document breaks them where its author's editor did. Names are never broken at their hyphens.
#[must_use]
pub fn hanging(label: &str, indent: usize, text: &str) -> String {
    let rest = " ".repeat(indent);
    let mut lines = Vec::new();
    for (n, paragraph) in paragraphs(&harmless(text)).iter().enumerate() {
        let first = if n == 0 { label } else { &rest };
        let options = textwrap::Options::new(WIDTH)
            .initial_indent(first)
            .subsequent_indent(&rest)
            .word_separator(textwrap::WordSeparator::AsciiSpace)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        let wrapped = textwrap::wrap(paragraph, options);
        lines.extend(wrapped.iter().map(|line| line.trim_end().to_owned()));
    }
    lines.join("\n")
}

/// The paragraphs of a text, each on one line. An empty line ends one; a line that begins with `- ` or a space stands
/// by itself.
fn paragraphs(text: &str) -> Vec<String> {
    let mut paragraphs: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.trim_end().lines() {
        let alone = line.starts_with("- ") || line.starts_with(' ');
        match paragraphs.last_mut() {
            Some(last) if open && !alone && !line.is_empty() => {
                last.push(' ');
                last.push_str(line);
            }
            _ => paragraphs.push(line.to_owned()),
        }
        open = !alone && !line.is_empty();
    }
    paragraphs
}

/// The text with every control character but the line feed made visible, so that no data can drive a terminal.
#[must_use]
pub fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push('\n'),
            '\t' => out.push(' '),
            // Bidirectional controls reorder what is read; they are shown, not obeyed.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.extend(c.escape_unicode()),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// A JSON value on one line, cut after so many characters.
#[must_use]
pub fn value(json: &serde_json::Value, longest: usize) -> String {
    let text = match json {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    cut(&harmless(&text).replace('\n', " "), longest)
}

/// The text cut after so many characters, with a mark where it was.
#[must_use]
pub fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest.saturating_sub(1)) {
        Some((end, c)) if end + c.len_utf8() < text.len() => format!("{}…", &text[..end]),
        _ => text.to_owned(),
    }
}

/// The word with an `s` where there is not exactly one.
#[must_use]
pub fn plural(n: usize, word: &str) -> String {
    if n == 1 {
        format!("{n} {word}")
    } else {
        format!("{n} {word}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_data_drives_the_terminal() {
        let shown = harmless("a\u{1b}[2J\u{7}b\u{202e}c\r\n");
        assert_eq!(shown, "a\\u{1b}[2J\\u{7}b\\u{202e}c\\r\n");
    }

    #[test]
    fn wrapped_text_keeps_its_paragraphs() {
        assert_eq!(
            wrapped(2, "one\ntwo\n\nthree\n- a\n- b\n"),
            "  one two\n\n  three\n  - a\n  - b"
        );
        assert_eq!(hanging("label  ", 7, "x"), "label  x");
    }
}
