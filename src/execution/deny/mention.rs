//! What a program that is not known names in its words or is fed: there are more programs that launch others than any
//! list has, and whoever writes all of a denied command out means it.

use super::launch::{Feed, Launch};
use super::word::Word;
use crate::runbook::pattern::CommandPattern;

/// Programs that only show or find what they are given.
const QUIET: [&str; 24] = [
    "[", "alias", "cat", "command", "diff", "echo", "false", "grep", "head", "history", "jq",
    "less", "logger", "ls", "man", "more", "printf", "rg", "tail", "test", "true", "type", "wc",
    "which",
];

/// Whether the launch writes out what the pattern denies without being it.
pub(super) fn is_made(launch: &Launch, pattern: &CommandPattern) -> bool {
    let named: Vec<&str> = pattern.words().iter().map(String::as_str).collect();
    let named: Vec<&str> = named.into_iter().filter(|word| *word != "...").collect();
    let [denied, rest @ ..] = &named[..] else {
        return false;
    };
    // One word, or one that stands for many, is named by chance.
    if rest.is_empty() || named.iter().any(|word| word.contains('*')) {
        return false;
    }
    let words = launch.words.iter();
    let name = words.clone().next().and_then(|word| word.program());
    let quiet = |name| name == *denied || name == "for" || QUIET.contains(&name);
    if launch.seen_through || name.is_none_or(quiet) {
        return false;
    }
    let mut said: Vec<String> = words.skip(1).map(Word::glob).collect();
    if let Feed::Text(text) = &launch.feed {
        said.push(text.clone());
    }
    let said = said.join(" ");
    let apart = |c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_'));
    let mut tokens = said.split(apart);
    named
        .iter()
        .all(|wanted| tokens.any(|token| token == *wanted))
}
