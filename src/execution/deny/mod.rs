//! Deny patterns: what a guard refuses to launch.
//!
//! A command is taken apart into every program that it launches, through `sudo`, `env`, `ssh`, `kubectl exec`,
//! `bash -c`, pipes, loops, substitutions and the like, and each of them is compared with every pattern. What a pattern
//! means is said in [`crate::runbook::pattern`]. The answer has three values: what cannot be taken apart is not clear,
//! and a guarded execution refuses it.
//!
//! # What cannot be told
//!
//! A program whose name is a variable, a file pattern or a substitution; a shell that reads its program from a pipe or a
//! terminal; `eval` of what is not known; a program as text (`python -c`, `perl -e`); a program of `awk` or `sed` that may
//! launch something or is not understood; an option that this tool does not know of a program that launches another;
//! a word that is not known where it may be the verb of `kubectl`, the `-exec` of `find` or an option; `ssh HOST` without
//! a command; text that is not shell.
//!
//! # What a pattern does not see
//!
//! - Another terminal, a button in a web page, another person.
//! - The inside of a file. An interpreter given a file (`bash ./scripts/redeploy.sh`, `python3 check.py`, `make deploy`)
//!   runs a program that the runbook names, which is legitimate; the file is compared as a program of its own, what is in
//!   it is not.
//! - What a program launches because of its configuration or environment: `GIT_SSH_COMMAND`, `EDITOR`, a hook, a plugin,
//!   a changed `PATH`, a shell inside an editor or a pager.
//! - What a program does of its own accord under another name: `curl` to the interface behind `kubectl`.
//! - Abbreviated long options, where a pattern does not end in `*`.
//!
//! That is what the `ensure` of a guard is for: it measures whether the thing happened, however it was done.

mod awk;
mod behind;
mod found;
mod glob;
mod interpreter;
mod launch;
mod mention;
mod options;
mod pod;
mod quoting;
mod request;
mod search;
mod sed;
mod shell;
mod word;
mod wrapper;

pub use request::request_is_denied;

use crate::runbook::pattern::CommandPattern;
use launch::Feed;
use search::Search;
use word::{Sight, Word};

/// What patterns say about a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It launches what this pattern denies.
    Matches(CommandPattern),
    /// It launches nothing that any of the patterns denies.
    Clear,
    /// It cannot be told before it runs; why.
    CannotTell(String),
}

/// Judges the words of a command, which no shell reads. Without patterns everything is clear.
#[must_use]
pub fn judge_words<'p>(
    argv: &[String],
    patterns: impl IntoIterator<Item = &'p CommandPattern>,
) -> Verdict {
    let words: Vec<Word> = argv.iter().map(Word::known).collect();
    judge(patterns, |search| {
        if argv.iter().map(String::len).sum::<usize>() > shell::LONGEST {
            search.doubt(format!(
                "the command is longer than {} bytes",
                shell::LONGEST
            ));
        } else {
            search.words(&words, &Feed::Inherited);
        }
    })
}

/// Judges a line that a shell reads, as an operator types it. Without patterns everything is clear.
#[must_use]
pub fn judge_line<'p>(
    line: &str,
    patterns: impl IntoIterator<Item = &'p CommandPattern>,
) -> Verdict {
    judge(patterns, |search| search.line(line, &Feed::Inherited))
}

fn judge<'p>(
    patterns: impl IntoIterator<Item = &'p CommandPattern>,
    look: impl FnOnce(&mut Search),
) -> Verdict {
    let patterns: Vec<&CommandPattern> = patterns.into_iter().collect();
    if patterns.is_empty() {
        return Verdict::Clear;
    }
    let mut search = Search::default();
    look(&mut search);
    verdict(&search, &patterns)
}

fn verdict(search: &Search, patterns: &[&CommandPattern]) -> Verdict {
    let find = |sight: Sight| {
        let launches = search.launches.iter();
        let mut pairs = launches.flat_map(|l| patterns.iter().map(move |p| (l, *p)));
        pairs.find(|(launch, pattern)| launch.matches(pattern, sight))
    };
    if let Some((_, pattern)) = find(Sight::Surely) {
        return Verdict::Matches(pattern.clone());
    }
    if let Some(why) = search.doubts.first() {
        return Verdict::CannotTell(why.clone());
    }
    if let Some((launch, pattern)) = find(Sight::Possibly) {
        let why = format!("`{}` may be `{pattern}` when it runs", launch.shown());
        return Verdict::CannotTell(why);
    }
    let launches = search.launches.iter();
    let mut pairs = launches.flat_map(|l| patterns.iter().map(move |p| (l, *p)));
    match pairs.find(|(launch, pattern)| mention::is_made(launch, pattern)) {
        Some((launch, pattern)) => Verdict::CannotTell(format!(
            "`{}` names `{pattern}` and may launch it",
            launch.shown()
        )),
        None => Verdict::Clear,
    }
}
