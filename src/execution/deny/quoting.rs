//! Quoting: what a word is once the shell has undone it, as far as that is known before it runs.

use rable::{Node, NodeKind};

use super::word::Word;

/// A word without its quoting.
#[derive(Debug)]
pub(super) struct Decoded<'a> {
    /// What the program receives.
    pub(super) word: Word,
    /// The programs that are launched to find out.
    pub(super) launched: Vec<&'a Node>,
    /// Programs that are launched too, but could not be read.
    pub(super) doubts: Vec<String>,
}

/// Where in a word's quoting one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Outside,
    Single,
    Double,
}

/// Undoes the quoting of a word.
pub(super) fn decode(node: &Node) -> Decoded<'_> {
    let mut decoded = Decoded {
        word: Word::new(),
        launched: Vec::new(),
        doubts: Vec::new(),
    };
    let NodeKind::Word { value, parts, .. } = &node.kind else {
        decoded.word = Word::anything();
        decoded.doubts.push("a word could not be read".to_owned());
        return decoded;
    };
    let mut quotes = Quotes::Outside;
    for part in parts {
        decoded.part(part, value, &mut quotes);
    }
    if quotes != Quotes::Outside {
        decoded
            .doubts
            .push(format!("the quoting of `{value}` could not be read"));
    }
    decoded
}

impl<'a> Decoded<'a> {
    fn part(&mut self, part: &'a Node, whole: &str, quotes: &mut Quotes) {
        match &part.kind {
            NodeKind::WordLiteral { value } => self.literal(value, quotes),
            // What shells do not agree on is not known.
            NodeKind::AnsiCQuote { content, decoded } => {
                let plain = !["\\x{", "\\c"].iter().any(|mark| content.contains(mark));
                if plain && decoded.is_ascii() && !decoded.contains('\0') {
                    self.word.push(decoded);
                } else {
                    self.word.push_any();
                }
            }
            NodeKind::LocaleString { inner, .. } => {
                let mut within = Quotes::Double;
                self.literal(inner, &mut within);
            }
            NodeKind::CommandSubstitution { command, .. } => {
                if whole.contains('`') && whole.contains('\\') {
                    // Backquotes take a backslash away before what is in them is read.
                    self.not_read(whole);
                }
                self.launched.push(command);
                self.expanded(*quotes);
            }
            NodeKind::ProcessSubstitution { command, .. } => {
                self.launched.push(command);
                self.word.push_any();
            }
            NodeKind::ParamExpansion { param, op, arg }
            | NodeKind::ParamIndirect { param, op, arg } => {
                let texts = || {
                    [Some(param), op.as_ref(), arg.as_ref()]
                        .into_iter()
                        .flatten()
                };
                self.inside(texts(), whole);
                // `"$@"` and `"${x[@]}"` are several words in quotes too.
                let each = texts().any(|text| text.contains('@'));
                self.expanded(if each { Quotes::Outside } else { *quotes });
            }
            NodeKind::ParamLength { .. } => self.word.push_any(),
            // `$(((1)) && x)` begins like arithmetic and launches `x`.
            NodeKind::ArithmeticExpansion { expression: None } => self.not_read(whole),
            NodeKind::ArithmeticExpansion { .. } => {
                self.inside([&whole.replace("$((", "")], whole);
                self.word.push_any();
            }
            NodeKind::BraceExpansion { .. } => {
                self.inside([&whole.to_owned()], whole);
                self.word.push_any();
                self.word.spread();
            }
            _ => self.not_read(whole),
        }
    }

    /// What `$...` becomes: outside of quotes, any words.
    fn expanded(&mut self, quotes: Quotes) {
        if quotes == Quotes::Double {
            self.word.push_any();
        } else {
            self.word.split();
        }
    }

    fn not_read(&mut self, whole: &str) {
        self.word = Word::anything();
        self.doubts
            .push(format!("what `{whole}` launches could not be read"));
    }

    /// Text within an expansion, which may launch programs.
    fn inside<'t>(&mut self, texts: impl IntoIterator<Item = &'t String>, whole: &str) {
        let launches = |text: &&String| {
            ["$(", "`", "<(", ">("]
                .iter()
                .any(|mark| text.contains(mark))
                || text.as_str() == "P"
        };
        if texts.into_iter().any(|text| launches(&text)) {
            self.not_read(whole);
        }
    }

    fn literal(&mut self, text: &str, quotes: &mut Quotes) {
        let first = self.word.text() == Some("");
        let mut chars = text.chars().peekable();
        if first && *quotes == Quotes::Outside && chars.next_if_eq(&'~').is_some() {
            self.word.push_any();
        }
        while let Some(c) = chars.next() {
            let next = chars.peek().copied();
            match (*quotes, c) {
                (Quotes::Outside, '\'') => *quotes = Quotes::Single,
                (Quotes::Single, '\'') => *quotes = Quotes::Outside,
                (Quotes::Outside, '"') => *quotes = Quotes::Double,
                (Quotes::Double, '"') => *quotes = Quotes::Outside,
                (Quotes::Outside, '\\') => match chars.next() {
                    Some('\n') | None => {}
                    Some(c) => self.word.push(c.encode_utf8(&mut [0; 4])),
                },
                (Quotes::Double, '\\') => match chars.next() {
                    Some('\n') => {}
                    Some(c @ ('$' | '`' | '"' | '\\')) => {
                        self.word.push(c.encode_utf8(&mut [0; 4]));
                    }
                    Some(c) => {
                        self.word.push("\\");
                        self.word.push(c.encode_utf8(&mut [0; 4]));
                    }
                    None => self.word.push("\\"),
                },
                // The parser takes every `$...` out; what is left was not read.
                (Quotes::Outside | Quotes::Double, '`') => return self.not_read(text),
                (Quotes::Outside | Quotes::Double, '$') if next.is_some_and(begins_expansion) => {
                    return self.not_read(text);
                }
                (Quotes::Outside, '<' | '>' | '(' | ')') => return self.not_read(text),
                (Quotes::Outside, '*' | '?' | '[') => {
                    self.word.push_any();
                    self.word.spread();
                }
                (Quotes::Outside, '{') if text.contains(',') || text.contains("..") => {
                    self.word.push_any();
                    self.word.spread();
                }
                (_, c) => self.word.push(c.encode_utf8(&mut [0; 4])),
            }
        }
    }
}

/// Whether a `$` before this is one of the shell's.
fn begins_expansion(c: char) -> bool {
    c.is_alphanumeric() || "({[_@*#?-$!'\"".contains(c)
}
