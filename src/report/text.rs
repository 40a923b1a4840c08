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

/// The text wrapped behind a label; further lines are indented by so many spaces.
#[must_use]
pub fn hanging(label: &str, indent: usize, text: &str) -> String {
    let rest = " ".repeat(indent);
    let mut lines = Vec::new();
    for (n, line) in harmless(text).trim_end().lines().enumerate() {
        let first = if n == 0 { label } else { &rest };
        let options = textwrap::Options::new(WIDTH)
            .initial_indent(first)
            .subsequent_indent(&rest);
        lines.extend(
            textwrap::wrap(line, options)
                .into_iter()
                .map(std::borrow::Cow::into_owned),
        );
    }
    lines.join("\n")
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
    let text = harmless(&text).replace('\n', " ");
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
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
        assert_eq!(wrapped(2, "one\ntwo\n"), "  one\n  two");
        assert_eq!(hanging("label  ", 7, "x"), "label  x");
    }
}
