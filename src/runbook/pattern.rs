//! The language of deny patterns. This is the one place that says what a pattern means.
//!
//! # Commands
//!
//! A pattern is words between spaces; it is compared with the words of a command after the shell's quoting is undone and
//! with every program that another one launches (`sudo`, `ssh`, `bash -c` and so on) taken for itself.
//!
//! | Word | Matches |
//! |---|---|
//! | the first | the program, by the last part of its path: `kubectl` is also `/usr/local/bin/kubectl` |
//! | `...` | any number of words, none included |
//! | `*` within a word | any characters, none included |
//! | `-x`, `--name`, `--name=value` | an option, wherever it stands and however it is spelled (below) |
//! | `!word` | saves the command: where any of its words matches the rest, it passes |
//! | `<`, last | something is fed to the program: a file, a here-document, another program's output |
//!
//! - Words match in order, and words after the last do not save a command: `git push` is also `git push origin`.
//! - The command's own options, each with the word after it, may stand anywhere between: `kubectl rollout restart` is
//!   also `kubectl -n shop rollout restart deploy/x`. Whether an option takes a value is not known here, so now and then
//!   something harmless is refused; the other way round would be worse.
//! - `--name` is also `--name=value` and `-name`; `--name=value` is also `--name value`; `-rf`, of one to three letters,
//!   is also `-fr`, `-r -f` and `-rfx`; `-X` is also `-XPUT`. Where a tool accepts abbreviations, write `--name*`.
//! - A saving `!--name=value` saves only where every `--name` of the command has that value.
//! - Upper and lower case as written.
//! - A command that a loop repeats is matched once more with `for` before it, so `for curl ...` denies `curl` in a loop
//!   and not `curl`.
//!
//! # Requests
//!
//! A pattern is a method in capitals or `*` for every method, a space, and a path in which `*` is any characters. A path
//! is compared without its query, as a server understands it: percent-encoding undone, `.` and `..` resolved, doubled
//! slashes taken as one, upper case as lower case.

use std::fmt;

use super::model::Method;

/// Characters that a shell would act on. A pattern is not shell text: a command has lost them when it is compared.
const SHELL: [char; 12] = ['|', ';', '&', '<', '>', '$', '`', '\'', '"', '\\', '(', ')'];

/// A pattern that can match a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandPattern {
    text: String,
    words: Vec<String>,
    options: Vec<String>,
    savers: Vec<String>,
    fed: bool,
}

/// Why a pattern can never match.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct PatternError {
    /// What is wrong, as a fragment that follows the pattern.
    pub what: String,
    /// What to write instead.
    pub help: &'static str,
}

impl CommandPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When it could never match a command.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let mut all: Vec<&str> = text.split_whitespace().collect();
        let fed = all.last() == Some(&"<");
        if fed {
            all.pop();
        }
        program(all.first().copied())?;
        for word in &all {
            if let Some(found) = word.chars().find(|c| SHELL.contains(c)) {
                let what =
                    format!("has the shell's `{found}`, which is gone when a command is compared");
                let help = "write the words that the program itself receives; `*` stands for any characters of one";
                return Err(PatternError { what, help });
            }
            if *word == "!" {
                let what = "has a `!` that saves nothing".to_owned();
                let help = "write `!word`, where `word` is what saves the command";
                return Err(PatternError { what, help });
            }
        }
        let (savers, rest): (Vec<&str>, Vec<&str>) =
            all.into_iter().partition(|word| word.starts_with('!'));
        let is_option = |word: &&str| word.starts_with('-') && word.len() > 1;
        let (options, words): (Vec<&str>, Vec<&str>) = rest.into_iter().partition(is_option);
        Ok(Self {
            text: text.to_owned(),
            words: words.into_iter().map(str::to_owned).collect(),
            options: options.into_iter().map(str::to_owned).collect(),
            savers: savers.iter().map(|word| word[1..].to_owned()).collect(),
            fed,
        })
    }

    /// The words that match in order, the program first.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The options, which match wherever they stand.
    #[must_use]
    pub fn options(&self) -> &[String] {
        &self.options
    }

    /// The words that save a command, without their `!`.
    #[must_use]
    pub fn savers(&self) -> &[String] {
        &self.savers
    }

    /// Whether only a program matches that something is fed to.
    #[must_use]
    pub fn wants_feed(&self) -> bool {
        self.fed
    }
}

/// The pattern as it was written.
impl fmt::Display for CommandPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A pattern that can match a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestPattern {
    text: String,
    method: Option<Method>,
    path: String,
}

impl RequestPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When it could never match a request.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let error = || PatternError {
            what: "is not a method and a path".to_owned(),
            help: "write `POST /api/v1/deployments/*`, or `* /path` for every method",
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let [method, path] = words[..] else {
            return Err(error());
        };
        // A path is compared without its query, so one with a query would never match.
        if !path.starts_with(['/', '*']) || path.contains(['?', '#']) {
            return Err(error());
        }
        let method = match method {
            "*" => None,
            name => Some(method_named(name).ok_or_else(error)?),
        };
        Ok(Self {
            text: text.to_owned(),
            method,
            path: path.to_owned(),
        })
    }

    /// The method that it is about; none where it is about every one.
    #[must_use]
    pub fn method(&self) -> Option<Method> {
        self.method
    }

    /// The path, with `*` for any characters.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// The pattern as it was written.
impl fmt::Display for RequestPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn method_named(name: &str) -> Option<Method> {
    let all = [
        Method::Get,
        Method::Head,
        Method::Post,
        Method::Put,
        Method::Patch,
        Method::Delete,
    ];
    all.into_iter().find(|method| method.as_str() == name)
}

/// Whether the first word of a pattern can be a program.
fn program(word: Option<&str>) -> Result<(), PatternError> {
    let help = "begin with the name of a program, like `git push ... *main`";
    let what = match word {
        None => "is empty",
        Some("...") => "begins with `...`, but a command begins with its program",
        Some(word) if word.starts_with('!') => "begins with what saves a command",
        Some(word) if word.starts_with('-') => "begins with an option, not with a program",
        Some(word) if word.contains('/') => {
            "begins with a path, but a program is compared by the last part of its path"
        }
        Some(_) => return Ok(()),
    };
    let what = what.to_owned();
    Err(PatternError { what, help })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_never_match_is_refused() {
        for (text, expected) in [
            ("", "is empty"),
            ("  ", "is empty"),
            ("<", "is empty"),
            ("... rollout restart", "begins with `...`"),
            ("!x git", "begins with what saves"),
            ("--force", "begins with an option"),
            ("./scripts/x.sh", "begins with a path"),
            ("curl ... | sh", "the shell's `|`"),
            ("bash -c \"kubectl\"", "the shell's `\"`"),
            ("psql < dump.sql", "the shell's `<`"),
            ("git push $x", "the shell's `$`"),
            ("git push !", "saves nothing"),
        ] {
            let error = CommandPattern::parse(text).expect_err(text);
            assert!(error.what.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_request_pattern_that_can_never_match_is_refused() {
        for text in [
            "",
            "PUT",
            "/edges/*",
            "PUT/edges/*",
            "PUT edges",
            "put /edges/*",
            "FETCH /edges/*",
            "PUT POST /edges/*",
            "PUT /edges/* /routes",
            "PUT /edges?force=1",
            "PUT /edges#web",
        ] {
            let error = RequestPattern::parse(text).expect_err(text);
            assert_eq!(error.what, "is not a method and a path", "{text}");
        }
    }

    #[test]
    fn a_request_pattern_is_its_parts() {
        let read = RequestPattern::parse("PUT\t/edges/*").expect("right");
        assert_eq!(read.method(), Some(Method::Put));
        assert_eq!(read.path(), "/edges/*");
        let read = RequestPattern::parse("* */edges").expect("right");
        assert_eq!(read.method(), None);
        assert_eq!(read.path(), "*/edges");
        assert_eq!(read.to_string(), "* */edges");
    }

    #[test]
    fn a_pattern_is_its_parts() {
        let read = CommandPattern::parse("docker compose down ... -v !--dry-run <").expect("right");
        assert_eq!(read.words(), ["docker", "compose", "down", "..."]);
        assert_eq!(read.options(), ["-v"]);
        assert_eq!(read.savers(), ["--dry-run"]);
        assert!(read.wants_feed());
        assert_eq!(read.to_string(), "docker compose down ... -v !--dry-run <");
    }
}
