//! The search for everything that a command launches: each program behind another one, and what cannot be told.

use super::behind::sees_through;
use super::launch::{Feed, Launch};
use super::shell;
use super::word::Word;

/// How many programs may stand behind each other, each launching the next.
const DEEPEST: usize = 16;

/// How many programs one command may launch.
const MOST: usize = 1024;

/// Words of the shell's language. Where one is read as a program, the line was not understood.
const RESERVED: [&str; 20] = [
    "!", "{", "}", "[[", "]]", "((", "case", "coproc", "do", "done", "elif", "else", "esac", "fi",
    "for", "function", "if", "then", "until", "while",
];

/// Stack for reading a line. Only the part that is touched is ever allocated.
const STACK: usize = 256 << 20;

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// Every program that is launched.
    pub(super) launches: Vec<Launch>,
    /// Why something that is launched is not among them.
    pub(super) doubts: Vec<String>,
    depth: usize,
    looped: usize,
}

impl Search {
    /// Notes that something cannot be told.
    pub(super) fn doubt(&mut self, why: impl Into<String>) {
        self.doubts.push(why.into());
    }

    /// What is found within, is found in a loop.
    pub(super) fn in_loop(&mut self, within: impl FnOnce(&mut Self)) {
        self.looped += 1;
        within(self);
        self.looped -= 1;
    }

    /// Finds what the words launch.
    pub(super) fn words(&mut self, words: &[Word], feed: &Feed) {
        // No program is called `NAME=value`: it is set for the one that follows.
        let set = words.iter().take_while(|word| word.is_assignment()).count();
        let words = &words[set..];
        let Some((first, rest)) = words.split_first() else {
            return;
        };
        if self.depth >= DEEPEST || self.launches.len() >= MOST {
            let why = "too many programs launch each other";
            if !self.doubts.iter().any(|known| known == why) {
                self.doubt(why);
            }
            return;
        }
        let Some(name) = first.program().map(str::to_owned) else {
            let why = "the name of the program is not known until it runs";
            self.doubt(format!("{why}: `{}`", first.glob()));
            return;
        };
        if RESERVED.contains(&name.as_str()) {
            self.doubt(format!(
                "`{name}` is no program but a part of the shell's language"
            ));
        }
        words.iter().for_each(|word| self.look_alike(word));
        if !name.chars().all(|c| c.is_ascii_graphic()) {
            let why = "the name of the program has characters that are none of a command's";
            self.doubt(format!("{why}: `{}`", name.escape_debug()));
        }
        self.found(words, feed, sees_through(&name));
        self.depth += 1;
        self.behind(&name, rest, feed);
        self.depth -= 1;
    }

    /// Finds what a line launches that a shell reads.
    pub(super) fn line(&mut self, line: &str, feed: &Feed) {
        if self.depth >= DEEPEST {
            self.doubt("too many shells stand in each other");
            return;
        }
        self.depth += 1;
        // On a thread of its own: how deep a line is nested is not the caller's concern.
        let was_read = std::thread::scope(|threads| {
            let thread = std::thread::Builder::new().stack_size(STACK);
            let thread = thread.spawn_scoped(threads, || shell::read(line, feed, self));
            thread.is_ok_and(|thread| thread.join().is_ok())
        });
        self.depth -= 1;
        if !was_read {
            self.doubt("the line could not be read");
        }
    }

    fn found(&mut self, words: &[Word], feed: &Feed, seen_through: bool) {
        let words = words.to_vec();
        if self.looped > 0 {
            let words = [vec![Word::known("for")], words.clone()].concat();
            let feed = feed.clone();
            self.launches.push(Launch {
                words,
                feed,
                seen_through,
            });
        }
        let feed = feed.clone();
        self.launches.push(Launch {
            words,
            feed,
            seen_through,
        });
    }

    /// What is copied from a page or a chat: a space that is none, a dash that is none.
    fn look_alike(&mut self, word: &Word) {
        let text = word.glob();
        let hidden = |c: char| {
            matches!(c, '\u{a0}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{2060}'..='\u{2064}'
                | '\u{2066}'..='\u{2069}' | '\u{3000}' | '\u{feff}')
        };
        let dash = |c: char| matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ff0d}');
        if text.contains(hidden) || text.starts_with(dash) {
            let why = "a character looks like a space or a dash and is none";
            self.doubt(format!("{why}: `{}`", text.escape_debug()));
        }
    }
}
