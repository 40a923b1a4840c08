//! The options of a program that launches another: which there are, and which take a value.

use super::word::{Becomes, Sight, Word};

/// The options that a program is known to have, as they are typed, between spaces. What is not listed is not known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    /// Those without a value, or with one only after `=`. `-#` is any number.
    pub(super) flags: &'static str,
    /// Those with a value, in the same word or in the next one.
    pub(super) values: &'static str,
}

/// What a program was given.
#[derive(Debug)]
pub(super) struct Given<'a> {
    /// The options, in order, each with its value.
    pub(super) options: Vec<(&'static str, Option<Word>)>,
    /// What follows them.
    pub(super) rest: &'a [Word],
}

/// The words could not be told apart into options and what follows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotRead {
    /// An option that is not listed.
    NotKnown(String),
    /// A word that may be an option when it runs, or not.
    MayBeOption(String),
}

impl Options {
    /// Reads the options at the beginning of a program's words.
    pub(super) fn read<'a>(&self, words: &'a [Word]) -> Result<Given<'a>, NotRead> {
        self.read_until(words, "")
    }

    /// As [`Options::read`], but one of these is the last: what follows it belongs to what it names.
    pub(super) fn read_until<'a>(
        &self,
        words: &'a [Word],
        last: &'static str,
    ) -> Result<Given<'a>, NotRead> {
        let mut options: Vec<(&'static str, Option<Word>)> = Vec::new();
        let mut rest = words;
        while let Some((word, after)) = rest.split_first() {
            let Some(text) = word.text() else {
                if word.is_option(Sight::Possibly) {
                    return Err(NotRead::MayBeOption(word.glob()));
                }
                break;
            };
            if text == "--" {
                rest = after;
                break;
            }
            if !text.starts_with('-') || text == "-" {
                break;
            }
            rest = after;
            let found = self.one(text, &mut rest)?;
            options.extend(found);
            if options.iter().any(|(name, _)| find(last, name).is_some()) {
                break;
            }
        }
        Ok(Given { options, rest })
    }

    /// Reads options wherever they stand; what is none of them follows, in order.
    pub(super) fn read_anywhere(
        &self,
        words: &[Word],
    ) -> Result<(Given<'static>, Vec<Word>), NotRead> {
        let (mut options, mut others, mut rest) = (Vec::new(), Vec::new(), words);
        loop {
            let given = self.read(rest)?;
            options.extend(given.options);
            let Some((other, after)) = given.rest.split_first() else {
                return Ok((Given { options, rest: &[] }, others));
            };
            others.push(other.clone());
            rest = after;
        }
    }

    /// Reads one word of options; a value in the next word is taken from the rest.
    fn one(
        &self,
        text: &str,
        rest: &mut &[Word],
    ) -> Result<Vec<(&'static str, Option<Word>)>, NotRead> {
        let not_known = || NotRead::NotKnown(text.to_owned());
        let mut next = || {
            let (value, after) = rest.split_first().ok_or_else(not_known)?;
            // What becomes several words ends the options and begins what is launched.
            if value.becomes() != Becomes::One {
                return Err(NotRead::MayBeOption(value.glob()));
            }
            *rest = after;
            Ok(value.clone())
        };
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(Word::known(value))),
            None => (text, None),
        };
        if let Some(flag) = find(self.flags, name) {
            return Ok(vec![(flag, value)]);
        }
        if let Some(option) = find(self.values, name) {
            let value = value.map_or_else(&mut next, Ok)?;
            return Ok(vec![(option, Some(value))]);
        }
        let letters = text.strip_prefix('-').filter(|l| !l.starts_with('-'));
        let letters = letters.ok_or_else(not_known)?;
        if !letters.is_empty() && letters.bytes().all(|b| b.is_ascii_digit()) {
            let flag = find(self.flags, "-#").ok_or_else(not_known)?;
            return Ok(vec![(flag, None)]);
        }
        let mut found = Vec::new();
        for (at, letter) in letters.char_indices() {
            let option = format!("-{letter}");
            if let Some(flag) = find(self.flags, &option) {
                found.push((flag, None));
                continue;
            }
            let option = find(self.values, &option).ok_or_else(not_known)?;
            let attached = &letters[at + letter.len_utf8()..];
            let value = match attached {
                "" => next()?,
                attached => Word::known(attached),
            };
            found.push((option, Some(value)));
            break;
        }
        Ok(found)
    }
}

impl Given<'_> {
    /// Whether one of these options was given.
    pub(super) fn has(&self, names: &str) -> bool {
        self.options
            .iter()
            .any(|(name, _)| find(names, name).is_some())
    }

    /// The values of these options.
    pub(super) fn values(&self, names: &'static str) -> impl Iterator<Item = &Word> {
        let named = self
            .options
            .iter()
            .filter(move |(name, _)| find(names, name).is_some());
        named.filter_map(|(_, value)| value.as_ref())
    }
}

/// The option in a list of them.
fn find<'l>(list: &'l str, name: &str) -> Option<&'l str> {
    list.split_whitespace().find(|listed| *listed == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUDO: Options = Options {
        flags: "-A -b --askpass -#",
        values: "-u --user",
    };

    fn read(line: &str) -> Result<(Vec<String>, usize), NotRead> {
        let words: Vec<Word> = line.split(' ').map(Word::known).collect();
        let given = SUDO.read(&words)?;
        let shown = given.options.iter().map(|(name, value)| {
            let value = value.as_ref().and_then(Word::text).unwrap_or_default();
            format!("{name}{value}")
        });
        Ok((shown.collect(), given.rest.len()))
    }

    #[test]
    fn options_end_where_the_command_begins() {
        for (line, options, rest) in [
            ("-A -u root id -b", vec!["-A", "-uroot"], 2),
            ("-Abu root id", vec!["-A", "-b", "-uroot"], 1),
            ("-uroot id", vec!["-uroot"], 1),
            (
                "--user=root --askpass id",
                vec!["--userroot", "--askpass"],
                1,
            ),
            ("--user root -- -A", vec!["--userroot"], 1),
            ("-15 id", vec!["-#"], 1),
            ("- id", vec![], 2),
        ] {
            let options = options.into_iter().map(str::to_owned).collect();
            assert_eq!(read(line), Ok((options, rest)), "{line}");
        }
    }

    #[test]
    fn what_is_not_listed_is_not_known() {
        for line in ["-z id", "--nobody id", "-Az id", "-u", "--user", "--ask id"] {
            let error = read(line).expect_err(line);
            assert!(matches!(error, NotRead::NotKnown(_)), "{line}");
        }
        let words = [Word::anything(), Word::known("id")];
        let error = SUDO.read(&words).expect_err("may be an option");
        assert_eq!(error, NotRead::MayBeOption("*".to_owned()));
    }
}
