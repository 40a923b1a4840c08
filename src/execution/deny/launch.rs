//! A program that a command launches, with its words, and whether a pattern matches it.

use super::word::{Becomes, Sight, Word};
use crate::runbook::pattern::CommandPattern;

/// How many letters after one dash are taken for options that are joined; a value, or one long name, may follow.
const JOINED: usize = 4;

/// One program with its words; `sudo kubectl get` is two launches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Launch {
    /// The program first. Never empty.
    pub(super) words: Vec<Word>,
    /// What is fed to it.
    pub(super) feed: Feed,
    /// Whether what it launches itself is found, where it launches anything.
    pub(super) seen_through: bool,
}

/// What a program reads from its standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Feed {
    /// Whatever was there before: a terminal, or nothing.
    Inherited,
    /// This text.
    Text(String),
    /// What another program or a file says.
    Stream,
}

impl Launch {
    /// Whether the pattern matches the launch, with this certainty.
    pub(super) fn matches(&self, pattern: &CommandPattern, sight: Sight) -> bool {
        // What is surely denied must not possibly be saved, and the other way round.
        let other = match sight {
            Sight::Surely => Sight::Possibly,
            Sight::Possibly => Sight::Surely,
        };
        (!pattern.wants_feed() || self.feed != Feed::Inherited)
            && self.words_match(pattern.words(), sight)
            && pattern.options().iter().all(|o| self.has(o, sight))
            && !pattern.savers().iter().any(|s| self.is_saved(s, other))
    }

    /// Whether the words of a pattern match a prefix, the options between them skipped.
    fn words_match(&self, pattern: &[String], sight: Sight) -> bool {
        let (count, wanted) = (self.words.len(), pattern.len());
        // `from[i][j]`: the words from `i` on match the pattern from `j` on.
        let mut from = vec![vec![false; wanted + 1]; count + 3];
        for i in (0..=count).rev() {
            from[i][wanted] = true;
            for j in (0..wanted).rev() {
                from[i][j] = match (self.words.get(i), pattern[j].as_str()) {
                    (word, "...") => from[i][j + 1] || word.is_some() && from[i + 1][j],
                    (None, _) => false,
                    (Some(word), glob) if i == 0 => {
                        let name = word.program().map_or_else(|| word.clone(), Word::known);
                        name.fits(glob, sight) && from[1][j + 1]
                    }
                    (Some(word), glob) => {
                        let several = word.becomes() != Becomes::One && sight == Sight::Possibly;
                        let fits = word.fits(glob, sight);
                        let option = word.is_option(sight);
                        let alone = word.text().is_some_and(|text| text.contains('='));
                        fits && (from[i + 1][j + 1] || several && from[i][j + 1])
                            || several && from[i + 1][j]
                            || option && (from[i + 1][j] || !alone && from[i + 2][j])
                    }
                };
            }
        }
        from[0][0]
    }

    /// Whether it has an option, wherever it stands and however it is spelled.
    fn has(&self, option: &str, sight: Sight) -> bool {
        if let Some(letters) = letters(option) {
            return letters.chars().all(|letter| self.has_letter(letter, sight))
                || self.spells(option, sight);
        }
        self.spells(option, sight)
    }

    fn has_letter(&self, letter: char, sight: Sight) -> bool {
        let attached = format!("-{letter}*");
        self.words[1..].iter().any(|word| {
            let joined = word
                .text()
                .and_then(|text| text.strip_prefix('-'))
                .is_some_and(|text| {
                    let joined = text.chars().take_while(|c| c.is_alphanumeric());
                    joined.take(JOINED).any(|c| c == letter)
                });
            joined || word.fits(&attached, sight)
        })
    }

    fn spells(&self, option: &str, sight: Sight) -> bool {
        let wanted = one_dash(option);
        let (name, value) = match wanted.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (wanted, None),
        };
        let words = &self.words[1..];
        words.iter().enumerate().any(|(i, word)| {
            let Some(text) = word.text() else {
                return word.fits(option, sight) || word.fits(wanted, sight);
            };
            let spelled = Word::known(one_dash(text));
            let has_name = spelled.fits(name, sight);
            let next = words.get(i + 1);
            match value {
                None => has_name || spelled.fits(&format!("{name}=*"), sight),
                Some(value) => {
                    spelled.fits(wanted, sight)
                        || has_name && next.is_some_and(|next| next.fits(value, sight))
                }
            }
        })
    }

    /// Whether a saving word of a pattern lets it pass.
    fn is_saved(&self, saver: &str, sight: Sight) -> bool {
        let Some((name, _)) = saver.split_once('=').filter(|_| saver.starts_with('-')) else {
            return self.words.iter().any(|word| word.fits(saver, sight))
                || saver.starts_with('-') && self.has(saver, sight);
        };
        // One right value beside a wrong one saves nothing.
        let named = |word: &&Word| {
            let text = word.text().unwrap_or_default();
            one_dash(text.split('=').next().unwrap_or_default()) == one_dash(name)
        };
        let alone = |i: usize| Self {
            seen_through: self.seen_through,
            words: [
                &self.words[..1],
                &self.words[i..self.words.len().min(i + 2)],
            ]
            .concat(),
            feed: self.feed.clone(),
        };
        let mut places = (1..self.words.len()).filter(|&i| named(&&self.words[i]));
        self.has(saver, sight) && places.all(|i| alone(i).spells(saver, sight))
    }

    /// The launch for people, `*` standing for what is not known.
    pub(super) fn shown(&self) -> String {
        let words: Vec<String> = self.words.iter().map(Word::glob).collect();
        words.join(" ")
    }
}

/// The letters of an option that is short: `rf` of `-rf`.
fn letters(option: &str) -> Option<&str> {
    let letters = option.strip_prefix('-')?;
    let short = (1..=3).contains(&letters.len());
    (short && letters.chars().all(|c| c.is_ascii_alphanumeric())).then_some(letters)
}

/// The option with one dash: many tools take `-force` and `--force` alike.
fn one_dash(option: &str) -> &str {
    match option.strip_prefix('-') {
        Some(rest) if rest.starts_with('-') && rest.len() > 1 => rest,
        _ => option,
    }
}
