//! Reading expressions: what is refused, and what an expression refers to.

use std::ops::Range;

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators};
use cel::parser::{ParseError, Parser};

use super::rewrite;
use crate::clock::Span;

/// The longest expression, in bytes.
pub const MAX_SOURCE: usize = 1024;

/// How deep an expression may be nested; deeper ones could overflow the stack of whoever walks them.
const MAX_DEPTH: usize = 64;

/// Stack for reading and evaluating. Only the part that is touched is ever allocated.
pub(super) const STACK: usize = 64 << 20;

/// How the messages of the parser begin; those about macros do not.
const SYNTAX_ERROR: &str = "Syntax error: ";

/// The functions of an expression, besides the operators and `has`, `all`, `exists`, `exists_one`, `map` and `filter`.
const FUNCTIONS: [&str; 26] = [
    "size",
    "sum",
    "flatten",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "string",
    "int",
    "double",
    "bool",
    "duration",
    "timestamp",
    "fresh",
    "measured",
    "known",
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
];

/// The functions that ask about a fact or an evidence by its name.
const BY_NAME: [(&str, usize); 3] = [("fresh", 2), ("measured", 1), ("known", 1)];

/// The text is not an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// What is wrong, as a lowercase fragment.
    pub message: String,
    /// Where, in bytes of the source; empty at the end of it.
    pub at: Range<usize>,
}

/// A path that an expression reads, like `facts.drift` or `run.stages`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The names of the path, joined by dots. It ends before the first thing that only evaluation knows, like `[0]`.
    pub path: String,
    /// Where it begins, in bytes of the source, and its length when it is written there in one piece.
    pub at: Range<usize>,
}

impl Reference {
    /// The first name: `facts` of `facts.drift`.
    #[must_use]
    pub fn root(&self) -> &str {
        self.path.split('.').next().unwrap_or(&self.path)
    }

    /// The second name, if there is one: `drift` of `facts.drift`.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.path.split('.').nth(1)
    }
}

/// A call that asks about a fact or an evidence by its name, like `fresh('posture', duration('15m'))`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameCall {
    /// `fresh`, `measured` or `known`.
    pub function: &'static str,
    /// The name as it is written.
    pub name: String,
    /// Where the name is, in bytes of the source.
    pub at: Range<usize>,
}

/// What reading an expression gives. The tree is the one that is evaluated, rewritten from the one that was read.
pub(super) struct Parsed {
    pub(super) source: String,
    pub(super) tree: IdedExpr,
    pub(super) references: Vec<Reference>,
    pub(super) name_calls: Vec<NameCall>,
}

/// Reads an expression, on a thread of its own: the stack that it needs is not the caller's concern.
pub(super) fn parse(source: &str) -> Result<Parsed, SyntaxError> {
    let whole = || 0..source.len();
    if source.len() > MAX_SOURCE {
        let message = format!("the expression is longer than {MAX_SOURCE} bytes");
        return Err(SyntaxError {
            message,
            at: whole(),
        });
    }
    if source.trim().is_empty() {
        let message = "the expression is empty".to_owned();
        return Err(SyntaxError {
            message,
            at: whole(),
        });
    }
    let failed = |why: &str| SyntaxError {
        message: why.to_owned(),
        at: whole(),
    };
    std::thread::scope(|threads| {
        std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(threads, || read(source))
            .map_err(|_| failed("the expression cannot be read: the system gives no thread"))?
            .join()
            .unwrap_or_else(|_| Err(failed("the expression cannot be read")))
    })
}

fn read(source: &str) -> Result<Parsed, SyntaxError> {
    let (mut tree, places) = Parser::new()
        .parse_with_source_info(source)
        .map_err(|errors| {
            // The parser's own errors before those of macros, which only follow from them.
            let is_syntax = |error: &&ParseError| error.msg.starts_with(SYNTAX_ERROR);
            let first = errors
                .errors
                .iter()
                .find(is_syntax)
                .or(errors.errors.first());
            let Some(first) = first else {
                return SyntaxError {
                    message: "this is not an expression".to_owned(),
                    at: 0..source.len(),
                };
            };
            let at = word_at(source, offset_of(source, first.pos));
            SyntaxError {
                message: plain(&first.msg),
                at,
            }
        })?;
    let mut reading = Reading {
        source,
        places: &places,
        bound: Vec::new(),
        references: Vec::new(),
        name_calls: Vec::new(),
    };
    reading.expr(&tree, 0)?;
    let Reading {
        references,
        name_calls,
        ..
    } = reading;
    rewrite::rewrite(&mut tree);
    Ok(Parsed {
        source: source.to_owned(),
        tree,
        references,
        name_calls,
    })
}

/// One walk over the tree as it was read: refuses what is not allowed, collects what is referred to.
struct Reading<'a> {
    source: &'a str,
    places: &'a SourceInfo,
    /// The variables of the comprehensions around.
    bound: Vec<&'a str>,
    references: Vec<Reference>,
    name_calls: Vec<NameCall>,
}

impl<'a> Reading<'a> {
    fn expr(&mut self, expr: &'a IdedExpr, depth: usize) -> Result<(), SyntaxError> {
        if depth > MAX_DEPTH {
            return Err(self.refuse(
                expr,
                format!("the expression is nested deeper than {MAX_DEPTH} levels"),
            ));
        }
        if let Some(path) = path_of(expr) {
            return self.path(expr, &path);
        }
        match &expr.expr {
            Expr::Literal(LiteralValue::UInt(_)) => {
                Err(self.refuse(expr, "write whole numbers without `u`"))
            }
            Expr::Literal(LiteralValue::Bytes(_)) => {
                Err(self.refuse(expr, "there are no byte strings here"))
            }
            Expr::Literal(_) => Ok(()),
            Expr::Select(select) => self.expr(&select.operand, depth + 1),
            Expr::List(list) => list
                .elements
                .iter()
                .try_for_each(|e| self.expr(e, depth + 1)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.expr(&entry.key, depth + 1)?;
                    self.expr(&entry.value, depth + 1)
                }
                EntryExpr::StructField(_) => {
                    Err(self.refuse(expr, "there are no named types here"))
                }
            }),
            Expr::Call(call) => self.call(expr, call, depth),
            Expr::Comprehension(all) => {
                self.expr(&all.iter_range, depth + 1)?;
                self.expr(&all.accu_init, depth + 1)?;
                self.bound.push(&all.iter_var);
                self.expr(&all.loop_cond, depth + 1)?;
                self.expr(&all.loop_step, depth + 1)?;
                self.expr(&all.result, depth + 1)?;
                self.bound.pop();
                Ok(())
            }
            Expr::Ident(_) | Expr::Struct(_) | Expr::Unspecified => {
                Err(self.refuse(expr, "there are no named types here"))
            }
        }
    }

    fn call(
        &mut self,
        expr: &'a IdedExpr,
        call: &'a CallExpr,
        depth: usize,
    ) -> Result<(), SyntaxError> {
        let name = call.func_name.as_str();
        let is_operator = name.starts_with(|c: char| !c.is_ascii_alphabetic());
        if !is_operator && !FUNCTIONS.contains(&name) {
            return Err(self.refuse(
                expr,
                format!("there is no function `{name}`{}", as_called(call)),
            ));
        }
        if let Some((function, arguments)) = BY_NAME.into_iter().find(|(f, _)| *f == name) {
            let literal = call.args.first().and_then(text_of);
            let (Some(named), None, true) = (literal, &call.target, call.args.len() == arguments)
            else {
                let example = if arguments == 2 {
                    "('name', duration('15m'))"
                } else {
                    "('name')"
                };
                return Err(
                    self.refuse(expr, format!("write `{function}` as `{function}{example}`"))
                );
            };
            let at = self.place(&call.args[0]);
            self.name_calls.push(NameCall {
                function,
                name: named.to_owned(),
                at,
            });
        }
        if let ("duration", [argument]) = (name, call.args.as_slice())
            && let Some(text) = text_of(argument)
            && let Err(bad) = text.parse::<Span>()
        {
            return Err(self.refuse(argument, bad.to_string()));
        }
        call.target
            .iter()
            .try_for_each(|target| self.expr(target, depth + 1))?;
        call.args
            .iter()
            .try_for_each(|argument| self.expr(argument, depth + 1))
    }

    fn path(&mut self, expr: &'a IdedExpr, path: &[&str]) -> Result<(), SyntaxError> {
        let first = path[0];
        if first.starts_with('.') {
            return Err(self.refuse(expr, "a name does not begin with a dot"));
        }
        if first.starts_with('@') || self.bound.contains(&first) {
            return Ok(());
        }
        let path = path.join(".");
        let start = self.place(ident_of(expr)).start;
        let length = if self.source[start..].starts_with(&path) {
            path.len()
        } else {
            first.len()
        };
        self.references.push(Reference {
            path,
            at: start..start + length,
        });
        Ok(())
    }

    /// Where the node is, in bytes.
    fn place(&self, expr: &IdedExpr) -> Range<usize> {
        // Bytes, the last one included.
        let (start, stop) = self.places.offset_for(expr.id).unwrap_or((0, 0));
        let start = boundary(self.source, start as usize);
        let end = boundary(self.source, stop as usize + 1).max(start);
        // A call is placed at its bracket; its name says more.
        match &expr.expr {
            Expr::Call(call) if self.source[..start].ends_with(&call.func_name) => {
                start - call.func_name.len()..start
            }
            _ => start..end,
        }
    }

    fn refuse(&self, expr: &IdedExpr, message: impl Into<String>) -> SyntaxError {
        SyntaxError {
            message: message.into(),
            at: self.place(expr),
        }
    }
}

/// The names of a plain path: `a.b.c`, `a['b'].c`; also what `has(a.b)` looks at. Long chains do not recurse.
fn path_of(expr: &IdedExpr) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    let mut expr = expr;
    loop {
        match &expr.expr {
            Expr::Ident(name) => {
                names.push(name.as_str());
                names.reverse();
                // So that what follows may recurse over it.
                return (names.len() <= MAX_DEPTH).then_some(names);
            }
            Expr::Select(select) => {
                names.push(select.field.as_str());
                expr = &select.operand;
            }
            Expr::Call(call) if call.func_name == operators::INDEX && call.args.len() == 2 => {
                names.push(text_of(&call.args[1]).filter(|key| !key.contains('.'))?);
                expr = &call.args[0];
            }
            _ => return None,
        }
    }
}

/// The first name of a path.
fn ident_of(expr: &IdedExpr) -> &IdedExpr {
    match &expr.expr {
        Expr::Select(select) => ident_of(&select.operand),
        Expr::Call(call) if call.func_name == operators::INDEX => ident_of(&call.args[0]),
        _ => expr,
    }
}

/// The text of a string literal.
fn text_of(expr: &IdedExpr) -> Option<&str> {
    match &expr.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

/// A hint for macros that were called with the wrong number of arguments: these arrive as functions.
fn as_called(call: &CallExpr) -> &'static str {
    match call.func_name.as_str() {
        "all" | "exists" | "exists_one" | "map" | "filter" => {
            " that is called so; write `list.all(x, x > 0)`"
        }
        "has" => " that is called so; write `has(facts.drift)`",
        _ => "",
    }
}

/// The parser's message, without its boilerplate.
fn plain(message: &str) -> String {
    let message = message.strip_prefix(SYNTAX_ERROR).unwrap_or(message);
    let message = message.split(" expecting ").next().unwrap_or(message);
    message.replace("<EOF>", "end of the expression")
}

/// The byte at which a line and a column (both from 1, in characters) begin.
fn offset_of(source: &str, (line, column): (isize, isize)) -> usize {
    let line = usize::try_from(line).unwrap_or(1).max(1) - 1;
    let column = usize::try_from(column).unwrap_or(1).max(1) - 1;
    let start: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
    start + byte_of(&source[start..], column)
}

/// The byte at which the character with this index begins; the end when there are not so many.
fn byte_of(source: &str, index: usize) -> usize {
    source
        .char_indices()
        .nth(index)
        .map_or(source.len(), |(byte, _)| byte)
}

/// The first character boundary at or after this byte.
fn boundary(source: &str, byte: usize) -> usize {
    let boundary = (byte..source.len()).find(|byte| source.is_char_boundary(*byte));
    boundary.unwrap_or(source.len())
}

/// The word that begins at this byte, or the one character that is there.
fn word_at(source: &str, start: usize) -> Range<usize> {
    let rest = &source[start..];
    let word = rest
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    let length = if word == 0 {
        rest.chars().next().map_or(0, char::len_utf8)
    } else {
        word
    };
    start..start + length
}
