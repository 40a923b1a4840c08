//! Shell text: which programs a line launches, wherever in its structure they stand.

use rable::{Node, NodeKind};

use super::launch::Feed;
use super::quoting::{self, Decoded};
use super::search::Search;
use super::word::Word;

/// The longest line that is read, in bytes.
pub(super) const LONGEST: usize = 64 << 10;

/// How many brackets and backquotes a line may open. The parser goes down into each, and reads some more than once.
const MOST_OPENED: usize = 128;

/// What stands for a program within a text that is not parsed.
const PROGRAMS: [&str; 4] = ["$(", "`", "<(", ">("];

/// Finds what a line launches.
pub(super) fn read(line: &str, feed: &Feed, search: &mut Search) {
    if line.len() > LONGEST {
        return search.doubt(format!("the line is longer than {LONGEST} bytes"));
    }
    let opened = line.matches(['(', '{', '[', '`']).count();
    if opened > MOST_OPENED {
        return search.doubt(format!("the line opens more than {MOST_OPENED} brackets"));
    }
    if line.contains('\0') {
        return search.doubt("the line has a byte that no command can have");
    }
    match rable::parse(line, true) {
        Ok(nodes) => nodes.iter().for_each(|node| visit(node, feed, search)),
        Err(error) => {
            let error = error.to_string();
            let error = error.lines().next().unwrap_or_default();
            search.doubt(format!("the line is not shell: {error}"));
        }
    }
}

fn all(nodes: &[Node], feed: &Feed, search: &mut Search) {
    nodes.iter().for_each(|node| visit(node, feed, search));
}

fn visit(node: &Node, feed: &Feed, search: &mut Search) {
    match &node.kind {
        NodeKind::Command {
            assignments,
            words,
            redirects,
        } => {
            for assignment in assignments {
                let _ = word(assignment, search);
            }
            let words: Vec<Word> = words.iter().map(|node| word(node, search)).collect();
            let feed = redirected(redirects, feed, search);
            search.words(&words, &feed);
        }
        NodeKind::Pipeline { commands, .. } => {
            for (n, command) in commands.iter().enumerate() {
                let piped = Feed::Stream;
                visit(command, if n == 0 { feed } else { &piped }, search);
            }
        }
        NodeKind::List { items } => {
            for item in items {
                visit(&item.command, feed, search);
            }
        }
        NodeKind::Negation { pipeline } | NodeKind::Time { pipeline, .. } => {
            visit(pipeline, feed, search);
        }
        NodeKind::Function { body, .. } => visit(body, feed, search),
        NodeKind::Coproc { command, .. } => visit(command, &Feed::Stream, search),
        NodeKind::Comment { .. } | NodeKind::Empty => {}
        NodeKind::Word { .. } => drop(word(node, search)),
        _ => compound(node, feed, search),
    }
}

/// What has other commands within.
fn compound(node: &Node, feed: &Feed, search: &mut Search) {
    match &node.kind {
        NodeKind::Subshell { body, redirects } | NodeKind::BraceGroup { body, redirects } => {
            let feed = redirected(redirects, feed, search);
            visit(body, &feed, search);
        }
        NodeKind::If {
            condition,
            then_body,
            else_body,
            redirects,
        } => {
            let feed = redirected(redirects, feed, search);
            visit(condition, &feed, search);
            visit(then_body, &feed, search);
            if let Some(body) = else_body {
                visit(body, &feed, search);
            }
        }
        NodeKind::While {
            condition,
            body,
            redirects,
        }
        | NodeKind::Until {
            condition,
            body,
            redirects,
        } => {
            let feed = redirected(redirects, feed, search);
            search.in_loop(|search| {
                visit(condition, &feed, search);
                visit(body, &feed, search);
            });
        }
        NodeKind::For {
            words,
            body,
            redirects,
            ..
        }
        | NodeKind::Select {
            words,
            body,
            redirects,
            ..
        } => {
            let feed = redirected(redirects, feed, search);
            all(words.as_deref().unwrap_or_default(), &feed, search);
            search.in_loop(|search| visit(body, &feed, search));
        }
        NodeKind::ForArith {
            init,
            cond,
            incr,
            body,
            redirects,
        } => {
            [init, cond, incr]
                .into_iter()
                .for_each(|text| unparsed(text, search));
            let feed = redirected(redirects, feed, search);
            search.in_loop(|search| visit(body, &feed, search));
        }
        NodeKind::Case {
            word: subject,
            patterns,
            redirects,
        } => {
            let feed = redirected(redirects, feed, search);
            visit(subject, &feed, search);
            for pattern in patterns {
                all(&pattern.patterns, &feed, search);
                if let Some(body) = &pattern.body {
                    visit(body, &feed, search);
                }
            }
        }
        NodeKind::ConditionalExpr { body, redirects } => {
            let _ = redirected(redirects, feed, search);
            condition(body, search);
        }
        NodeKind::ArithmeticCommand {
            redirects,
            raw_content,
            expression,
        } => {
            unparsed(raw_content, search);
            if expression.is_none() {
                search.doubt(format!(
                    "whether `(({raw_content}))` is arithmetic is not known here"
                ));
            }
            let _ = redirected(redirects, feed, search);
        }
        _ => search.doubt("the line has a part that is not understood here"),
    }
}

/// `[[ ... ]]`, which launches nothing but what stands in `$(...)`.
fn condition(node: &Node, search: &mut Search) {
    match &node.kind {
        NodeKind::CondTerm { value, .. } => unparsed(value, search),
        NodeKind::UnaryTest { operand, .. } | NodeKind::CondNot { operand } => {
            condition(operand, search);
        }
        NodeKind::BinaryTest { left, right, .. }
        | NodeKind::CondAnd { left, right }
        | NodeKind::CondOr { left, right } => {
            condition(left, search);
            condition(right, search);
        }
        NodeKind::CondParen { inner } => condition(inner, search),
        _ => search.doubt("the line has a condition that is not understood here"),
    }
}

/// Text that is read only when it runs.
fn unparsed(text: &str, search: &mut Search) {
    if PROGRAMS.iter().any(|mark| text.contains(mark)) {
        search.doubt(format!("a program is launched within `{text}`"));
    }
}

/// What a command reads, by its redirections.
fn redirected(redirects: &[Node], feed: &Feed, search: &mut Search) -> Feed {
    let mut feed = feed.clone();
    for redirect in redirects {
        match &redirect.kind {
            NodeKind::HereDoc {
                content, quoted, ..
            } => {
                let plain = *quoted || !content.contains(['$', '`', '\\']);
                if !*quoted {
                    unparsed(content, search);
                }
                feed = if plain {
                    Feed::Text(content.clone())
                } else {
                    Feed::Stream
                };
            }
            NodeKind::Redirect { op, target, .. } => {
                let target = word(target, search);
                match op.as_str() {
                    "<<<" => {
                        feed = target
                            .text()
                            .map_or(Feed::Stream, |text| Feed::Text(text.to_owned()));
                    }
                    "<" | "<>" | "<&" => feed = Feed::Stream,
                    _ => {}
                }
            }
            _ => search.doubt("the line has a redirection that is not understood here"),
        }
    }
    feed
}

/// A word, with the programs in it searched.
fn word(node: &Node, search: &mut Search) -> Word {
    let Decoded {
        word,
        launched,
        doubts,
    } = quoting::decode(node);
    for command in launched {
        visit(command, &Feed::Inherited, search);
    }
    doubts.into_iter().for_each(|doubt| search.doubt(doubt));
    word
}
