//! The language of `sed`, as far as it tells whether a script launches something: the command `e`, the flag `e` of `s`.

use std::iter::Peekable;
use std::str::Chars;

use super::options::Options;
use super::search::Search;
use super::word::Word;

const SED: Options = Options {
    flags: "-n -r -E -s -u -z -b -i -a -S --quiet --silent --debug --posix --regexp-extended --null-data --separate \
            --unbuffered --sandbox --follow-symlinks --in-place --zero-terminated --binary --help --version",
    values: "-e --expression -f --file -l --line-length",
};

impl Search {
    /// `sed SCRIPT FILE ...`. Options may stand behind the files too, so a word that may be one is in doubt.
    pub(super) fn sed(&mut self, name: &str, words: &[Word]) {
        let words: Vec<Word> = words.iter().map(without_suffix).collect();
        let (given, operands) = match SED.read_anywhere(&words) {
            Ok(read) => read,
            Err(why) => return self.not_read(name, &why),
        };
        let files: Vec<&Word> = given.values("-f --file").collect();
        let mut scripts: Vec<&Word> = given.values("-e --expression").collect();
        if files.is_empty() && scripts.is_empty() {
            scripts.extend(operands.first());
        }
        self.program_files(name, &files);
        self.program_text(name, &scripts, launches_nothing);
    }

    /// Files with the program in them, which is not seen; but what is fed or made for the moment is no such file.
    pub(super) fn program_files(&mut self, name: &str, files: &[&Word]) {
        let passing =
            |text: &str| text == "-" || text.starts_with("/dev/") || text.starts_with("/proc/");
        if files.iter().any(|file| file.text().is_none_or(passing)) {
            self.doubt(format!(
                "where `{name}` reads its program is not known here"
            ));
        }
    }

    /// The parts of a program that is given as text.
    pub(super) fn program_text(&mut self, name: &str, parts: &[&Word], harmless: fn(&str) -> bool) {
        let texts: Option<Vec<&str>> = parts.iter().map(|part| part.text()).collect();
        let Some(texts) = texts else {
            return self.doubt(format!(
                "the program of `{name}` is not known until it runs"
            ));
        };
        let program = texts.join("\n");
        if !harmless(&program) {
            self.doubt(format!("`{name}` may launch what `{program}` says"));
        }
    }
}

/// `-ni` for `-ni.bak`: what follows `-i` in the same word ends the name of a copy.
fn without_suffix(word: &Word) -> Word {
    let letters = word.text().and_then(|text| text.strip_prefix('-'));
    match letters.and_then(|letters| letters.split_once('i')) {
        Some((before, _)) if before.chars().all(|c| "nrEsuzb".contains(c)) => {
            Word::known(format!("-{before}i"))
        }
        _ => word.clone(),
    }
}

/// Whether a script was understood to its end, and launches nothing.
fn launches_nothing(script: &str) -> bool {
    let rest = script.chars().peekable();
    Script { rest }.read().is_some()
}

/// What remains to be read. Reading yields none where something is launched, or not understood.
struct Script<'s> {
    rest: Peekable<Chars<'s>>,
}

/// What stands between delimiters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// In it a delimiter within `[...]` ends nothing, or it does: that depends on the `sed`.
    Regex,
    /// A backslash may go before a line break.
    Replacement,
}

impl Script<'_> {
    fn read(&mut self) -> Option<()> {
        loop {
            self.skip(|c| c.is_whitespace() || c == ';');
            if self.rest.peek().is_none() {
                return Some(());
            }
            self.addresses()?;
            self.command()?;
        }
    }

    fn addresses(&mut self) -> Option<()> {
        loop {
            self.skip(|c| c.is_ascii_digit() || c.is_whitespace() || "$,+~!IM".contains(c));
            let delimiter = match self.rest.peek() {
                Some('/') => self.rest.next()?,
                Some('\\') => self.rest.nth(1)?,
                _ => return Some(()),
            };
            self.part(delimiter, Part::Regex)?;
        }
    }

    fn command(&mut self) -> Option<()> {
        match self.rest.next()? {
            '{' | '}' | '=' | 'd' | 'D' | 'g' | 'G' | 'h' | 'H' | 'l' | 'L' | 'n' | 'N' | 'p'
            | 'P' | 'q' | 'Q' | 'x' | 'z' | 'F' => {}
            'a' | 'i' | 'c' => self.text(),
            '#' | 'r' | 'R' | 'w' | 'W' => self.skip(|c| c != '\n'),
            ':' | 'b' | 't' | 'T' | 'v' => {
                self.skip(|c| c == ' ' || c == '\t');
                self.skip(|c| !c.is_whitespace() && c != ';' && c != '}');
            }
            's' => {
                let delimiter = self.delimiter()?;
                self.part(delimiter, Part::Regex)?;
                self.part(delimiter, Part::Replacement)?;
                self.flags()?;
            }
            'y' => {
                let delimiter = self.delimiter()?;
                self.part(delimiter, Part::Replacement)?;
                self.part(delimiter, Part::Replacement)?;
            }
            _ => return None,
        }
        Some(())
    }

    /// The flags of `s`. Whether blanks may stand between them is left open here.
    fn flags(&mut self) -> Option<()> {
        loop {
            self.skip(|c| c == ' ' || c == '\t' || c.is_ascii_digit() || "gpiImM".contains(c));
            match self.rest.peek() {
                None | Some(';' | '\n' | '}' | '#') => return Some(()),
                Some('w') => self.skip(|c| c != '\n'),
                Some(_) => return None,
            }
        }
    }

    /// Text to the end of the line; a backslash takes the next character in, a line break as well.
    fn text(&mut self) {
        while let Some(c) = self.rest.next() {
            match c {
                '\\' => drop(self.rest.next()),
                '\n' => return,
                _ => {}
            }
        }
    }

    fn delimiter(&mut self) -> Option<char> {
        self.rest.next().filter(|c| *c != '\n' && *c != '\\')
    }

    fn part(&mut self, delimiter: char, part: Part) -> Option<()> {
        loop {
            match self.rest.next()? {
                c if c == delimiter => return Some(()),
                '\n' => return None,
                '\\' if self.rest.next()? == '\n' && part == Part::Regex => return None,
                '[' if part == Part::Regex => self.bracket(delimiter)?,
                _ => {}
            }
        }
    }

    /// `[...]` within a regular expression, after its `[`.
    fn bracket(&mut self, delimiter: char) -> Option<()> {
        self.rest.next_if_eq(&'^');
        self.rest.next_if_eq(&']');
        loop {
            match self.rest.next()? {
                ']' => return Some(()),
                c if c == delimiter || c == '\n' => return None,
                '\\' => drop(self.rest.next_if_eq(&delimiter)),
                '[' => {
                    if let Some(kind) = self.rest.next_if(|c| ":.=".contains(*c)) {
                        self.class(kind, delimiter)?;
                    }
                }
                _ => {}
            }
        }
    }

    /// `[:space:]`, after its `[:`.
    fn class(&mut self, kind: char, delimiter: char) -> Option<()> {
        loop {
            match self.rest.next()? {
                c if c == delimiter || c == '\n' => return None,
                c if c == kind && self.rest.next_if_eq(&']').is_some() => return Some(()),
                _ => {}
            }
        }
    }

    fn skip(&mut self, wanted: impl Fn(char) -> bool) {
        while self.rest.next_if(|c| wanted(*c)).is_some() {}
    }
}
