//! What stands behind one program: the program that it launches, or the text that it runs.

use super::interpreter::{INTERPRETERS, Interpreter, SHELL_OPTIONS, SHELLS, without_version};
use super::launch::Feed;
use super::options::{Given, NotRead};
use super::search::Search;
use super::word::Word;
use super::wrapper::{Alone, HIDDEN, Then, USER, USER_LINES, WRAPPERS, Wrapper};

/// Programs that launch something only where one of their words has one of these in it.
const TELLTALES: &[(&str, &[&str])] = &[
    (
        "git",
        &[
            "alias.",
            "--exec",
            "core.sshcommand",
            "core.pager",
            "bisect",
            "foreach",
            "filter-branch",
        ],
    ),
    ("ansible", &["shell", "command", "raw", "script"]),
    ("gcloud", &["--command"]),
    ("socat", &["exec:", "system:", "shell:"]),
    (
        "tar gtar bsdtar",
        &[
            "--to-command",
            "--checkpoint-action",
            "--use-compress-program",
            "--rsh-command",
        ],
    ),
    ("rsync", &["--rsh", "--rsync-path"]),
    ("hash", &["-p"]),
    ("vi vim nvim ex", &[":!", "+!", "system("]),
    ("psql mysql sqlite3", &["\\!", ".shell", ".system"]),
    ("make gmake", &["--eval", "SHELL="]),
];

/// Whether an option of a shell takes more than itself back, or has a value that is not the next word's alone.
fn is_odd(text: &str) -> bool {
    let value = |c: char| matches!(c, 'o' | 'O');
    match text.strip_prefix('+') {
        Some(letters) => letters.chars().count() != 1 || letters.starts_with(value),
        None if text.starts_with("--") => false,
        None => text.find(value).is_some_and(|at| at + 1 < text.len()),
    }
}

/// Whether everything that a program of this name launches is found, because its words are understood.
pub(super) fn sees_through(name: &str) -> bool {
    let understood = matches!(
        name,
        "eval" | "trap" | "su" | "runuser" | "find" | "gfind" | "fd" | "fdfind" | "kubectl" | "oc"
    );
    understood || lists(SHELLS, name) || WRAPPERS.iter().any(|w| lists(w.names, name))
}

impl Search {
    /// Finds what stands behind a program.
    pub(super) fn behind(&mut self, name: &str, rest: &[Word], feed: &Feed) {
        if lists(SHELLS, name) {
            return self.shell(name, rest, feed);
        }
        let bare = without_version(name);
        if let Some(interpreter) = INTERPRETERS.iter().find(|i| lists(i.names, bare)) {
            return self.interpreter(name, interpreter, rest, feed);
        }
        if lists(HIDDEN, name) {
            return self.doubt(format!("`{name}` launches what cannot be seen here"));
        }
        match name {
            "eval" => self.joined(name, rest, feed),
            "source" | "." => self.script(name, rest, feed),
            "trap" => self.trap(rest),
            "su" | "runuser" => self.user(name, rest, feed),
            "find" | "gfind" => self.find(name, rest, feed),
            "fd" | "fdfind" => self.fd(name, rest, feed),
            "kubectl" | "oc" => self.pod(name, rest, feed),
            "sed" | "gsed" | "ssed" => self.sed(name, rest),
            "awk" | "gawk" | "mawk" | "nawk" | "goawk" | "original-awk" => self.awk(name, rest),
            _ => self.wrapped(name, rest, feed),
        }
        let telltales = TELLTALES.iter().filter(|(names, _)| lists(names, name));
        for mark in telltales.flat_map(|(_, marks)| *marks) {
            let has = |w: &&Word| w.glob().to_lowercase().contains(&mark.to_lowercase());
            if let Some(word) = rest.iter().find(has) {
                self.doubt(format!("`{name}` may launch what `{}` says", word.glob()));
            }
        }
    }

    /// Words that a shell joins to a line and reads again.
    fn joined(&mut self, name: &str, words: &[Word], feed: &Feed) {
        let texts: Option<Vec<&str>> = words.iter().map(Word::text).collect();
        match texts {
            Some(texts) => self.line(&texts.join(" "), feed),
            None => self.doubt(format!(
                "the line that `{name}` is given is not known until it runs"
            )),
        }
    }

    pub(super) fn not_read(&mut self, name: &str, why: &NotRead) {
        match why {
            NotRead::NotKnown(option) => self.doubt(format!(
                "`{name}` is given `{option}`, an option that is not known here"
            )),
            NotRead::MayBeOption(word) => self.doubt(format!(
                "whether `{word}` is an option of `{name}` is not known until it runs"
            )),
        }
    }

    fn shell(&mut self, name: &str, words: &[Word], feed: &Feed) {
        let options = words.iter().map_while(Word::text);
        let mut options = options.take_while(|t| t.starts_with(['-', '+']));
        if let Some(odd) = options.find(|text| is_odd(text)) {
            return self.doubt(format!(
                "`{name}` is given `{odd}`, an option that is not known here"
            ));
        }
        // `+x` takes an option back and stands among the others.
        let words: Vec<Word> = words
            .iter()
            .filter(|w| !w.text().is_some_and(|t| t.starts_with('+') && t.len() == 2))
            .cloned()
            .collect();
        let given = match SHELL_OPTIONS.read(&words) {
            Ok(given) => given,
            Err(why) => return self.not_read(name, &why),
        };
        if given.has("--version --help") {
            return;
        }
        for file in given.values("--rcfile --init-file") {
            self.script(name, std::slice::from_ref(file), &Feed::Inherited);
        }
        // A `-` ends the options.
        let line = match given.rest {
            [dash, line, ..] if dash.text() == Some("-") => Some(line),
            rest => rest.first(),
        };
        match line {
            Some(line) if given.has("-c") => self.joined(name, std::slice::from_ref(line), feed),
            Some(_) if !given.has("-s") => self.script(name, given.rest, feed),
            Some(_) | None => self.standard_input(name, feed),
        }
    }

    /// A shell that reads its program from its standard input.
    fn standard_input(&mut self, name: &str, feed: &Feed) {
        match feed {
            Feed::Text(text) => self.line(text, &Feed::Inherited),
            Feed::Inherited | Feed::Stream => {
                self.doubt(format!(
                    "`{name}` reads its program from its standard input"
                ));
            }
        }
    }

    /// A file that is run. It is a program like any other; what is in it, a pattern does not see.
    fn script(&mut self, name: &str, words: &[Word], feed: &Feed) {
        let Some(file) = words.first() else {
            return self.doubt(format!("`{name}` is given nothing to run"));
        };
        match file.text() {
            Some("-" | "/dev/stdin" | "/dev/fd/0" | "/proc/self/fd/0") => {
                self.standard_input(name, feed);
            }
            Some(text) if text.starts_with("/dev/") || text.starts_with("/proc/") => {
                self.doubt(format!("`{name}` reads its program from `{text}`"));
            }
            Some(_) => self.words(words, feed),
            None => self.doubt(format!(
                "the file that `{name}` runs is not known until it runs"
            )),
        }
    }

    fn interpreter(&mut self, name: &str, kind: &Interpreter, words: &[Word], feed: &Feed) {
        let given = match kind.options.read_until(words, kind.named) {
            Ok(given) => given,
            Err(why) => return self.not_read(name, &why),
        };
        if given.has(kind.inline) {
            return self.doubt(format!(
                "`{name}` is given its program as text or line by line"
            ));
        }
        if given.has(kind.named) {
            return;
        }
        match given.rest.first().map(Word::text) {
            Some(Some("-")) | None => {
                self.doubt(format!(
                    "`{name}` reads its program from its standard input"
                ));
            }
            Some(_) => self.script(name, given.rest, feed),
        }
    }

    fn trap(&mut self, words: &[Word]) {
        if let Some(first) = words.iter().find(|w| w.text() != Some("--"))
            && !matches!(first.text(), Some("-" | "-l" | "-p" | ""))
        {
            self.joined("trap", std::slice::from_ref(first), &Feed::Inherited);
        }
    }

    fn user(&mut self, name: &str, words: &[Word], feed: &Feed) {
        if name == "runuser"
            && let Ok(given) = USER.read(words)
            && given.has("-u --user")
        {
            return self.words(given.rest, feed);
        }
        match USER.read_anywhere(words) {
            Err(why) => self.not_read(name, &why),
            Ok((given, _)) => {
                let mut lines = given.values(USER_LINES).peekable();
                if lines.peek().is_none() {
                    self.doubt(format!("`{name}` opens a shell, or reads what to launch"));
                }
                for line in lines {
                    self.joined(name, std::slice::from_ref(line), feed);
                }
            }
        }
    }

    /// A program of the table of wrappers, or one that launches nothing.
    fn wrapped(&mut self, name: &str, rest: &[Word], feed: &Feed) {
        for wrapper in WRAPPERS.iter().filter(|w| lists(w.names, name)) {
            if let Some(own) = self.subcommand(wrapper, rest) {
                return self.wrapper(name, wrapper, own, feed);
            }
        }
    }

    /// The words after the subcommands that a wrapper has to be given; none where it is given others.
    fn subcommand<'a>(&mut self, wrapper: &Wrapper, words: &'a [Word]) -> Option<&'a [Word]> {
        let mut words = words;
        for wanted in wrapper.path {
            words = match wrapper.before.read(words) {
                Ok(given) => given.rest,
                // Options that are not known stand before a subcommand that may be this one.
                Err(_) => &words[words.iter().position(|w| w.text() == Some(*wanted))?..],
            };
            let (first, after) = words.split_first()?;
            match first.text() {
                Some(text) if text == *wanted => words = after,
                Some(_) => return None,
                None => {
                    let why = "what it is told to do is not known until it runs";
                    self.doubt(format!("{why}: `{}`", first.glob()));
                    return None;
                }
            }
        }
        Some(words)
    }

    fn wrapper(&mut self, name: &str, wrapper: &Wrapper, words: &[Word], feed: &Feed) {
        let given = match wrapper.options.read(words) {
            Ok(given) => given,
            Err(why) => return self.not_read(name, &why),
        };
        if let Some(launched) = given.values("-o").find(|w| launches_by_option(w)) {
            return self.doubt(format!(
                "`{name}` may launch what `{}` says",
                launched.glob()
            ));
        }
        if given.has("-S --split-string") && name == "env" {
            return self.split(&given, feed);
        }
        let skipped = given.rest.len().min(wrapper.operands);
        let (operands, mut inner) = given.rest.split_at(skipped);
        if let Some(operand) = operands.iter().find(|w| w.text().is_none()) {
            return self.not_read(name, &NotRead::MayBeOption(operand.glob()));
        }
        let mut lines: Vec<Word> = given.values(wrapper.lines).cloned().collect();
        // `flock FILE -c LINE`.
        if !wrapper.lines.is_empty()
            && let Ok(late) = wrapper.options.read(inner)
        {
            lines.extend(late.values(wrapper.lines).cloned());
            inner = late.rest;
        }
        for line in &lines {
            self.joined(name, std::slice::from_ref(line), feed);
        }
        let inner = launched(name, wrapper, &given, inner);
        let opens =
            wrapper.alone == Alone::Shell || name == "sudo" && given.has("-i -s --login --shell");
        match wrapper.then {
            _ if inner.is_empty() && (!opens || !lines.is_empty() || is_still(name, &given)) => {}
            _ if inner.is_empty() => {
                self.doubt(format!("`{name}` opens a shell, or reads what to launch"));
            }
            // `watch -x` launches the words themselves.
            Then::Line if !given.has("-x --exec") => self.joined(name, &inner, feed),
            _ => self.words(&inner, feed),
        }
    }

    /// `env -S 'PROGRAM WORD' WORD`: one value that is taken apart into words.
    fn split(&mut self, given: &Given<'_>, feed: &Feed) {
        let texts: Option<Vec<&str>> = given.values("-S --split-string").map(Word::text).collect();
        let text = texts.unwrap_or_default().join(" ");
        if text.is_empty() || text.contains(['\\', '$', '\'', '"', '#']) {
            return self.doubt("what `env -S` makes of its text is not known here");
        }
        let words = text.split_ascii_whitespace().map(Word::known);
        let words: Vec<Word> = words.chain(given.rest.iter().cloned()).collect();
        let env = [vec![Word::known("env")], words].concat();
        self.words(&env, feed);
    }
}

/// The words that a wrapper launches, without what is its own and with what it adds.
fn launched(name: &str, wrapper: &Wrapper, given: &Given<'_>, inner: &[Word]) -> Vec<Word> {
    let own = inner
        .iter()
        .take_while(|w| w.text() == Some("--") || w.is_assignment())
        .count();
    let mut words = inner[own..].to_vec();
    if name == "parallel" {
        let data = |w: &Word| w.text().is_some_and(|text| text.starts_with(":::"));
        words.truncate(words.iter().position(data).unwrap_or(words.len()));
    }
    if wrapper.then == Then::WordsAndMore && !words.is_empty() {
        let mark = given.values("-I -i -J --replace").find_map(Word::text);
        let mark = mark.filter(|mark| !mark.is_empty()).unwrap_or("{}");
        words = words.iter().map(|w| w.with_unknown(mark)).collect();
        words.push(Word::anything());
    }
    if lists("npx bunx uvx pnpm yarn bun pipx", name)
        && let Some((package, _)) = words
            .first()
            .and_then(Word::text)
            .and_then(|t| t.rsplit_once('@'))
        && !package.is_empty()
    {
        words[0] = Word::known(package);
    }
    words
}

/// Whether the value of an option of `ssh` launches a program here.
fn launches_by_option(value: &Word) -> bool {
    let value = value.glob().to_lowercase();
    ["proxycommand", "localcommand", "knownhostscommand"]
        .iter()
        .any(|name| value.contains(name) && !value.ends_with("=none"))
}

/// Whether a program that would open a shell was told not to.
fn is_still(name: &str, given: &Given<'_>) -> bool {
    match name {
        "ssh" | "autossh" => given.has("-N -V -Q -G -O"),
        "sudo" => given.has("-l -v -k -K --list --validate"),
        _ => false,
    }
}

/// Whether a list of names has this one.
pub(super) fn lists(names: &str, name: &str) -> bool {
    names.split_whitespace().any(|listed| listed == name)
}
