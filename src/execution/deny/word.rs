//! A word of a command, as far as it is known before the command runs.

use super::glob::{glob_matches, globs_meet};

/// A word, or what becomes any number of words when it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pieces: Vec<Piece>,
    becomes: Becomes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// Text that only running it tells.
    Any,
}

/// How many words it becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Becomes {
    /// Itself.
    One,
    /// None, one or several, each of which fits the pieces: a file pattern, `{a,b}`.
    Several,
    /// Any number of words, of which nothing is known: `$x`.
    Anything,
}

/// With how much certainty something is asked of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// Whatever it becomes when it runs.
    Surely,
    /// For something that it may become.
    Possibly,
}

impl Word {
    /// A word that is known.
    pub(super) fn known(text: impl Into<String>) -> Self {
        let pieces = vec![Piece::Text(text.into())];
        Self {
            pieces,
            becomes: Becomes::One,
        }
    }

    /// The empty beginning of a word.
    pub(super) fn new() -> Self {
        Self {
            pieces: Vec::new(),
            becomes: Becomes::One,
        }
    }

    /// Any number of words of which nothing is known.
    pub(super) fn anything() -> Self {
        let pieces = vec![Piece::Any];
        Self {
            pieces,
            becomes: Becomes::Anything,
        }
    }

    /// Adds known text.
    pub(super) fn push(&mut self, text: &str) {
        if text.is_empty() || self.becomes == Becomes::Anything {
            return;
        }
        match self.pieces.last_mut() {
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
    }

    /// Adds text that is not known.
    pub(super) fn push_any(&mut self) {
        if self.pieces.last() != Some(&Piece::Any) && self.becomes != Becomes::Anything {
            self.pieces.push(Piece::Any);
        }
    }

    /// It becomes any words, whatever else is known of it.
    pub(super) fn split(&mut self) {
        *self = Self::anything();
    }

    /// It may become several words.
    pub(super) fn spread(&mut self) {
        if self.becomes == Becomes::One {
            self.becomes = Becomes::Several;
        }
    }

    /// Its text, where all of it is known.
    pub(super) fn text(&self) -> Option<&str> {
        match (&self.pieces[..], self.becomes) {
            ([], Becomes::One) => Some(""),
            ([Piece::Text(text)], Becomes::One) => Some(text),
            _ => None,
        }
    }

    /// The program that it names: the last part of its path. None where that is not known.
    pub(super) fn program(&self) -> Option<&str> {
        let last = match (&self.pieces[..], self.becomes) {
            ([Piece::Text(text)], Becomes::One) => text,
            ([.., Piece::Text(text)], Becomes::One) if text.contains('/') => text,
            _ => return None,
        };
        let name = last.rsplit('/').next()?;
        Some(name.strip_suffix(".exe").unwrap_or(name))
    }

    pub(super) fn becomes(&self) -> Becomes {
        self.becomes
    }

    /// Whether it, or a word that it becomes, matches a glob.
    pub(super) fn fits(&self, glob: &str, sight: Sight) -> bool {
        match (self.text(), sight) {
            (Some(text), _) => glob_matches(text, glob),
            (None, Sight::Surely) => self.becomes == Becomes::One && glob == "*",
            (None, Sight::Possibly) => globs_meet(&self.glob(), glob),
        }
    }

    /// Whether it is an option of the program.
    pub(super) fn is_option(&self, sight: Sight) -> bool {
        match (self.pieces.first(), sight) {
            (Some(Piece::Text(text)), _) => {
                text.starts_with('-') && (text.len() > 1 || self.pieces.len() > 1)
            }
            (Some(Piece::Any), Sight::Possibly) => true,
            (Some(Piece::Any), Sight::Surely) | (None, _) => false,
        }
    }

    /// Whether it is `NAME=value`, which sets something in a program's environment.
    pub(super) fn is_assignment(&self) -> bool {
        let glob = self.glob();
        let Some((name, _)) = glob.split_once('=') else {
            return false;
        };
        let letter = |c: char| c == '_' || c.is_ascii_alphanumeric();
        let begins = name.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic());
        begins && name.chars().all(letter)
    }

    /// The word with every occurrence of a mark standing for something unknown.
    pub(super) fn with_unknown(&self, mark: &str) -> Self {
        let mut word = Self::new();
        word.becomes = self.becomes;
        for piece in &self.pieces {
            match piece {
                Piece::Any => word.push_any(),
                Piece::Text(text) => {
                    for (n, part) in text.split(mark).enumerate() {
                        if n > 0 {
                            word.push_any();
                        }
                        word.push(part);
                    }
                }
            }
        }
        word
    }

    /// What is known of it, with `*` for the rest.
    pub(super) fn glob(&self) -> String {
        let spelled = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Any => "*",
        });
        spelled.collect()
    }
}
