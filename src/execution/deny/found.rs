//! What `find` and `fd` launch for each file that they find.

use super::behind::lists;
use super::launch::Feed;
use super::search::Search;
use super::word::{Becomes, Sight, Word};

/// What begins a program among the words of `find`.
const FIND: &str = "-exec -execdir -ok -okdir";

/// What begins a program among the words of `fd`, as a word of its own.
const FD: &str = "-x -X --exec --exec-batch";

impl Search {
    /// `find -exec PROGRAM ... ;`. A word that is not known may be `-exec`, and within a program it may be `;`.
    pub(super) fn find(&mut self, name: &str, words: &[Word], feed: &Feed) {
        if words.iter().any(|w| w.becomes() == Becomes::Anything) {
            self.doubt(format!(
                "whether `{name}` launches something is not known until it runs"
            ));
        }
        self.each_found(name, FIND, words, feed);
    }

    /// `fd -x PROGRAM ...`. The program may stand in the same word, so every word that may be an option is in doubt.
    pub(super) fn fd(&mut self, name: &str, words: &[Word], feed: &Feed) {
        let ends = |w: &&Word| w.text() == Some("--") || is_one_of(FD, w);
        let options = words.iter().take_while(|w| !ends(w));
        for word in options.filter(|w| w.is_option(Sight::Possibly) && may_hold_program(w)) {
            self.doubt(format!("`{name}` may launch what `{}` says", word.glob()));
        }
        self.each_found(name, FD, words, feed);
    }

    fn each_found(&mut self, name: &str, begins: &str, words: &[Word], feed: &Feed) {
        let mut rest = words;
        while let Some((word, after)) = rest.split_first() {
            rest = after;
            if is_one_of(begins, word) {
                let end = after.iter().position(|w| is_one_of("; +", w));
                self.for_each(&after[..end.unwrap_or(after.len())], feed);
                let end = after.iter().position(|w| may_be_one_of("; +", w));
                rest = &after[end.map_or(after.len(), |end| end + 1)..];
            } else if word.text().is_none()
                && may_be_one_of(begins, word)
                && (word.becomes() != Becomes::One || after.first().is_some_and(may_be_program))
            {
                self.doubt(format!(
                    "`{name}` may launch what follows `{}`",
                    word.glob()
                ));
            }
        }
    }

    fn for_each(&mut self, program: &[Word], feed: &Feed) {
        let mut words: Vec<Word> = program.iter().map(|w| w.with_unknown("{}")).collect();
        words.push(Word::anything());
        self.words(&words, feed);
    }
}

fn is_one_of(list: &str, word: &Word) -> bool {
    word.text().is_some_and(|text| lists(list, text))
}

fn may_be_one_of(list: &str, word: &Word) -> bool {
    let mut listed = list.split_whitespace();
    listed.any(|listed| word.fits(listed, Sight::Possibly))
}

/// Whether it may be the name of a program, and is not the next word of the language of `find`.
fn may_be_program(word: &Word) -> bool {
    let marks = ['-', ';', '+', '(', ')', '!', ','];
    word.text().is_none_or(|text| !text.starts_with(marks))
}

/// Whether an option of `fd` has, or may have, a program in the same word: `-xrm`, `-Hx`, `--exec=rm`.
fn may_hold_program(word: &Word) -> bool {
    match word.text() {
        None => true,
        Some(text) if text.starts_with("--") => text.starts_with("--exec"),
        Some(text) => text.contains(['x', 'X']),
    }
}
