//! YAML as a tree in which every key and value knows its place. The only file that knows the YAML library.
//!
//! The tree is bounded whatever the text is: by the size of the text, by [`DEEPEST`] and by [`MOST_VALUES`]. Structure
//! that a runbook has no use for ends the reading with one error, since nothing after it can be trusted to mean what
//! it seems to mean.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_yaml::granit_parser::{self as yaml, Event, Parser, ScalarStyle};

use super::super::diagnostic::is_treacherous;
use super::mistakes::{Mistakes, quoted, unlocated};
use super::text::{Spot, Text};

/// Deepest nesting of lists and mappings; the format itself needs seven, request bodies a few more.
pub(crate) const DEEPEST: usize = 64;
/// Most values in a document; the largest shipped runbook has 1,500.
pub(crate) const MOST_VALUES: usize = 50_000;

/// A value with its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// What it is.
    pub(crate) shape: Shape,
    /// What a caret points at: a text, or the first line of anything larger.
    pub(crate) spot: Spot,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// Keys with their values, in the order written, each key once.
    Mapping(Vec<Pair>),
    /// Values in order.
    List(Vec<Node>),
    /// Text, a number or a boolean: what it means depends on its key.
    Scalar(Scalar),
    /// Nothing at all, `~` or `null`.
    Nothing,
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    /// The key's text.
    pub(crate) key: String,
    /// The key's place.
    pub(crate) spot: Spot,
    /// The value.
    pub(crate) value: Node,
}

/// Text as YAML understood it.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    /// The text, escapes resolved.
    pub(crate) text: String,
    /// Whether it was written without quotes on one line, so that it may be a boolean or a number.
    pub(crate) plain: bool,
    /// Where the text starts in the document when it stands there letter by letter; a part of it can then be pointed at.
    pub(crate) verbatim_at: Option<usize>,
}

impl Node {
    /// The same value as if it stood at another place of another document.
    pub(crate) fn moved_to(mut self, spot: Spot) -> Self {
        self.spot = spot;
        self.shape = match self.shape {
            Shape::Mapping(pairs) => Shape::Mapping(
                pairs
                    .into_iter()
                    .map(|pair| Pair {
                        key: pair.key,
                        spot,
                        value: pair.value.moved_to(spot),
                    })
                    .collect(),
            ),
            Shape::List(items) => {
                Shape::List(items.into_iter().map(|item| item.moved_to(spot)).collect())
            }
            Shape::Scalar(scalar) => Shape::Scalar(Scalar {
                verbatim_at: None,
                ..scalar
            }),
            Shape::Nothing => Shape::Nothing,
        };
        self
    }

    /// The value under a key, where this is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match &self.shape {
            Shape::Mapping(pairs) => pairs
                .iter()
                .find(|pair| pair.key == key)
                .map(|pair| &pair.value),
            _ => None,
        }
    }

    /// The text, where this is one.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.shape {
            Shape::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }
}

/// The one document that the text holds; `None` after a mistake that makes the rest meaningless.
pub(crate) fn grow(text: &Text<'_>, mistakes: &mut Mistakes) -> Option<Node> {
    let options = yaml::options! {
        strict_indentation: true,
        disallow_directives: true,
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        emit_comments: false,
        // One more than is accepted, so that the limit is reported in our words.
        flow_nesting_limit: DEEPEST + 1,
        block_nesting_limit: DEEPEST + 1,
    };
    let mut builder = Builder {
        text,
        open: Vec::new(),
        done: None,
        values: 0,
    };
    for event in Parser::new_from_str_with_options(text.as_str(), options) {
        let step = match event {
            Ok((event, span)) => builder.take(event, &span, mistakes),
            Err(error) => {
                refuse_syntax(&error, text, mistakes);
                Err(Stop)
            }
        };
        if step.is_err() {
            return None;
        }
    }
    if builder.done.is_none() {
        mistakes.at(Spot { start: 0, end: 0 }, "the document is empty");
    }
    builder.done
}

/// Reading cannot go on; the reason was reported.
struct Stop;

/// A collection that is being filled.
enum Open {
    Mapping {
        pairs: Vec<Pair>,
        /// The key that waits for its value.
        key: Option<(String, Spot)>,
        /// Every key with its first place.
        seen: BTreeMap<String, Spot>,
        start: Spot,
        flow: bool,
    },
    List {
        items: Vec<Node>,
        start: Spot,
    },
}

struct Builder<'t> {
    text: &'t Text<'t>,
    open: Vec<Open>,
    done: Option<Node>,
    values: usize,
}

impl Builder<'_> {
    fn take(
        &mut self,
        event: Event<'_>,
        span: &yaml::Span,
        mistakes: &mut Mistakes,
    ) -> Result<(), Stop> {
        let spot = spot_of(span);
        match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::Comment(..) => {
                Ok(())
            }
            Event::Anchor(..) => refuse(
                mistakes,
                spot,
                "an anchor (`&name`) is not part of the format",
                "write the value out, or quote the text if it is meant to begin with `&`",
            ),
            Event::DocumentStart(..) => {
                if self.done.is_some() {
                    return refuse(
                        mistakes,
                        spot,
                        "a second document begins here",
                        "a file holds one document: remove the `---` or split the file",
                    );
                }
                Ok(())
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => refuse(
                mistakes,
                spot,
                "an alias (`*name`) is not part of the format",
                "write the value out, or quote the text if it is meant to begin with `*`",
            ),
            Event::Scalar(text, style, _, tag) => {
                refuse_tag(mistakes, span, tag.is_some())?;
                self.count(spot, mistakes)?;
                let node = self.scalar(text.into_owned(), style, spot);
                self.refuse_treacherous(&node, mistakes)?;
                self.place(node, mistakes)
            }
            Event::SequenceStart(_, _, tag) => {
                refuse_tag(mistakes, span, tag.is_some())?;
                self.enter(spot, mistakes)?;
                self.open.push(Open::List {
                    items: Vec::new(),
                    start: spot,
                });
                Ok(())
            }
            Event::MappingStart(style, _, tag) => {
                refuse_tag(mistakes, span, tag.is_some())?;
                self.enter(spot, mistakes)?;
                self.open.push(Open::Mapping {
                    pairs: Vec::new(),
                    key: None,
                    seen: BTreeMap::new(),
                    start: spot,
                    flow: style == yaml::StructureStyle::Flow,
                });
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(spot, mistakes),
            _ => refuse(mistakes, spot, "YAML that this tool does not know", ""),
        }
    }

    /// Refuses a collection that is too deep, too much, or a key.
    fn enter(&mut self, spot: Spot, mistakes: &mut Mistakes) -> Result<(), Stop> {
        self.count(spot, mistakes)?;
        if self.open.len() >= DEEPEST {
            let message = format!("nested deeper than {DEEPEST} levels");
            return refuse(mistakes, spot, &message, "");
        }
        if matches!(self.open.last(), Some(Open::Mapping { key: None, .. })) {
            return refuse(
                mistakes,
                spot,
                "a key must be text, not a list or a mapping",
                "quote text that begins with `[`, `{` or `?`",
            );
        }
        Ok(())
    }

    fn count(&mut self, spot: Spot, mistakes: &mut Mistakes) -> Result<(), Stop> {
        self.values += 1;
        if self.values > MOST_VALUES {
            let message = format!("the document holds more than {MOST_VALUES} values");
            return refuse(mistakes, spot, &message, "");
        }
        Ok(())
    }

    fn close(&mut self, end: Spot, mistakes: &mut Mistakes) -> Result<(), Stop> {
        let node = match self.open.pop() {
            Some(Open::Mapping {
                pairs, start, flow, ..
            }) => {
                let spot = match pairs.first() {
                    Some(first) if !flow => first.spot,
                    _ => self.text.first_line(Spot {
                        start: start.start,
                        end: end.end,
                    }),
                };
                Node {
                    shape: Shape::Mapping(pairs),
                    spot,
                }
            }
            Some(Open::List { items, start }) => Node {
                shape: Shape::List(items),
                spot: self.text.first_line(Spot {
                    start: start.start,
                    end: end.end,
                }),
            },
            None => return Ok(()),
        };
        self.place(node, mistakes)
    }

    /// Puts a finished value where it belongs: a key, a value, an item, or the document itself.
    fn place(&mut self, mut node: Node, mistakes: &mut Mistakes) -> Result<(), Stop> {
        match self.open.last_mut() {
            None => self.done = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Mapping {
                pairs, key, seen, ..
            }) => match key.take() {
                Some((name, spot)) => match seen.entry(name) {
                    Entry::Vacant(place) => {
                        // Where nothing is written, there is only the key to point at.
                        if node.spot.start == node.spot.end {
                            node.spot = spot;
                        }
                        pairs.push(Pair {
                            key: place.key().clone(),
                            spot,
                            value: node,
                        });
                        place.insert(spot);
                    }
                    Entry::Occupied(first) => {
                        let message = format!("the key {} is written twice", quoted(first.key()));
                        mistakes
                            .at(spot, &message)
                            .relate(unlocated(*first.get()), "the first one is here");
                    }
                },
                None => {
                    let (name, plain) = match node.shape {
                        Shape::Scalar(scalar) => (scalar.text, scalar.plain),
                        _ => (String::new(), false),
                    };
                    if name == "<<" && plain {
                        return refuse(
                            mistakes,
                            node.spot,
                            "a merge key (`<<`) is not part of the format",
                            "write the keys out",
                        );
                    }
                    *key = Some((name, node.spot));
                }
            },
        }
        Ok(())
    }

    fn scalar(&self, text: String, style: ScalarStyle, spot: Spot) -> Node {
        let plain = style == ScalarStyle::Plain;
        let nothing = plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL");
        let written = self.text.as_str().get(spot.start..spot.end).unwrap_or("");
        let verbatim_at = match style {
            ScalarStyle::Plain if written == text => Some(spot.start),
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted
                if written.get(1..written.len().saturating_sub(1)) == Some(&text) =>
            {
                Some(spot.start + 1)
            }
            _ => None,
        };
        let spot = self.text.first_line(spot);
        let shape = if nothing {
            Shape::Nothing
        } else {
            Shape::Scalar(Scalar {
                text,
                plain: plain && verbatim_at.is_some(),
                verbatim_at,
            })
        };
        Node { shape, spot }
    }

    fn refuse_treacherous(&self, node: &Node, mistakes: &mut Mistakes) -> Result<(), Stop> {
        let found = node.as_text().and_then(|text| {
            text.chars()
                .find(|c| is_treacherous(*c) && !matches!(c, '\n' | '\t'))
        });
        match found {
            Some(c) => {
                let message = format!(
                    "the text holds the invisible character U+{:04X}",
                    u32::from(c)
                );
                refuse(
                    mistakes,
                    node.spot,
                    &message,
                    "remove it: a terminal would show something else than what is written",
                )
            }
            None => Ok(()),
        }
    }
}

fn spot_of(span: &yaml::Span) -> Spot {
    let start = span.start.byte_offset().unwrap_or(0);
    Spot {
        start,
        end: span.end.byte_offset().unwrap_or(start).max(start),
    }
}

fn refuse(mistakes: &mut Mistakes, spot: Spot, message: &str, help: &str) -> Result<(), Stop> {
    let mistake = mistakes.at(spot, message);
    if !help.is_empty() {
        mistake.help(help);
    }
    Err(Stop)
}

fn refuse_tag(mistakes: &mut Mistakes, span: &yaml::Span, tagged: bool) -> Result<(), Stop> {
    if !tagged {
        return Ok(());
    }
    let spot = span.tag_span().map_or(spot_of(span), |tag| spot_of(&tag));
    refuse(
        mistakes,
        spot,
        "a tag (`!name`) is not part of the format",
        "quote an expression or a text that begins with `!`",
    )
}

fn refuse_syntax(error: &yaml::ScanError, text: &Text<'_>, mistakes: &mut Mistakes) {
    use yaml::ErrorKind as Kind;
    let mut start = error.marker().byte_offset().unwrap_or(0);
    if *error.kind() == Kind::TabInPlainScalar {
        // The parser names the start of the text before the tab.
        let after = text.as_str().get(start..).unwrap_or("");
        start += after.find('\t').unwrap_or(0);
    }
    let spot = Spot {
        start,
        end: start + 1,
    };
    let (message, help) = match error.kind() {
        Kind::RecursionLimitExceeded => (format!("nested deeper than {DEEPEST} levels"), ""),
        Kind::DirectiveDisallowed => (
            "a directive (`%…`) is not part of the format".to_owned(),
            "remove the line",
        ),
        kind => (format!("not YAML: {kind}"), help_for(kind)),
    };
    let mistake = mistakes.at(text.first_line(spot), &message);
    if !help.is_empty() {
        mistake.help(help);
    }
}

/// What usually lies behind a syntax error.
fn help_for(kind: &yaml::ErrorKind) -> &'static str {
    use yaml::ErrorKind as Kind;
    match kind {
        Kind::MappingValueNotAllowed | Kind::InvalidColonPlacement => {
            "quote a text that holds `: `, and check that keys of one mapping are indented alike"
        }
        Kind::TabNotAllowed
        | Kind::TabInBlockIndentation
        | Kind::TabInIndentation
        | Kind::TabInPlainScalar
        | Kind::TabAtBlockScalarStart => "indent with spaces, not with tabs",
        Kind::UnclosedQuotedScalar
        | Kind::InvalidQuotedScalarIndent
        | Kind::InvalidTrailingSingleQuotedScalar
        | Kind::InvalidTrailingDoubleQuotedScalar => {
            "close each quote; an apostrophe inside single quotes is written twice"
        }
        Kind::InvalidIndentation
        | Kind::InvalidFlowScalarIndent
        | Kind::ExpectedBlockMappingKey => {
            "check the indentation here, and that each bracket and quote above is closed"
        }
        Kind::UnexpectedCharacter { .. } => {
            "quote a text that begins with `@`, a backtick, `%`, `|`, `>` or a bracket"
        }
        Kind::UnknownQuotedScalarEscape => {
            "write `\\\\` for a backslash in double quotes, or use single quotes"
        }
        _ => "",
    }
}
