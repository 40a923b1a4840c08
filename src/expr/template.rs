//! Strings with `${...}` in them.

use std::fmt;

use super::{Expression, NameCall, Reference, Scope, SyntaxError, Value, Why};

/// A string in which each `${...}` holds one expression. `$${` stands for `${` itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// With the byte of the source at which it begins.
    Expression(usize, Expression),
}

impl Template {
    /// Reads a string.
    ///
    /// # Errors
    ///
    /// When a `${` has no `}`, or what is between them is not an expression; the place is one of the whole string.
    pub fn parse(source: &str) -> Result<Self, SyntaxError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        while let Some(found) = source[at..].find("${").map(|offset| at + offset) {
            if source[at..found].ends_with('$') {
                literal.push_str(&source[at..found - 1]);
                literal.push_str("${");
                at = found + 2;
                continue;
            }
            literal.push_str(&source[at..found]);
            let start = found + 2;
            let end = closing(&source[start..])
                .map(|length| start + length)
                .ok_or_else(|| SyntaxError {
                    message: "this `${` has no `}`; write `$${` for the characters themselves"
                        .to_owned(),
                    at: found..start,
                })?;
            let expression =
                Expression::parse(&source[start..end]).map_err(|error| SyntaxError {
                    message: error.message,
                    at: start + error.at.start..start + error.at.end,
                })?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(Part::Expression(start, expression));
            at = end + 1;
        }
        literal.push_str(&source[at..]);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self {
            source: source.to_owned(),
            parts,
        })
    }

    /// The text it was read from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether there is no expression in it.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.expressions().next().is_none()
    }

    /// The expressions in it, in order.
    pub fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.placed().map(|(_, expression)| expression)
    }

    fn placed(&self) -> impl Iterator<Item = (usize, &Expression)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Expression(start, expression) => Some((*start, expression)),
            Part::Literal(_) => None,
        })
    }

    /// Every path that an expression in it reads; the places are those in the whole string.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        let all = self.placed().flat_map(|(start, expression)| {
            expression
                .references()
                .iter()
                .map(move |reference| Reference {
                    path: reference.path.clone(),
                    at: start + reference.at.start..start + reference.at.end,
                })
        });
        all.collect()
    }

    /// Every call of `fresh`, `measured` and `known` in it; the places are those in the whole string.
    #[must_use]
    pub fn name_calls(&self) -> Vec<NameCall> {
        let all = self.placed().flat_map(|(start, expression)| {
            expression.name_calls().iter().map(move |call| NameCall {
                at: start + call.at.start..start + call.at.end,
                ..call.clone()
            })
        });
        all.collect()
    }

    /// The string with every expression replaced by its value.
    ///
    /// # Errors
    ///
    /// When a value is unknown, is a list, a map or null, or holds a NUL, which would end an argument early.
    pub fn render(&self, scope: &Scope) -> Result<String, Why> {
        self.render_with(scope, str::to_owned)
    }

    /// The string with every expression replaced by its value, each value passed through `encode` first.
    ///
    /// # Errors
    ///
    /// As for [`Template::render`].
    pub fn render_with(&self, scope: &Scope, encode: fn(&str) -> String) -> Result<String, Why> {
        self.parts
            .iter()
            .try_fold(String::new(), |text, part| match part {
                Part::Literal(literal) => Ok(text + literal),
                Part::Expression(_, expression) => Ok(text + &encode(&expression.text(scope)?)),
            })
    }

    /// The value of the expression when the string is exactly one `${...}`, with its kind; else the string as rendered.
    ///
    /// # Errors
    ///
    /// When the value is unknown, and as for [`Template::render`].
    pub fn value(&self, scope: &Scope) -> Result<Value, Why> {
        match self.parts.as_slice() {
            [Part::Expression(_, expression)] => expression.value(scope),
            _ => self.render(scope).map(Value::Text),
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

pub(super) fn rendered(expression: &Expression, scope: &Scope) -> Result<String, Why> {
    let text = match expression.value(scope)? {
        Value::Text(text) => text,
        Value::Bool(b) => b.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Double(n) => n.to_string(),
        Value::Span(span) => span.to_string(),
        Value::Time(time) => time.to_string(),
        other @ (Value::Null | Value::List(_) | Value::Map(_)) => {
            return Err(Why::new(format!(
                "`{expression}` is {}, which has no one way to be written",
                other.kind()
            )));
        }
    };
    if text.contains('\0') {
        return Err(Why::new(format!("`{expression}` holds a NUL character")));
    }
    Ok(text)
}

/// Where the `}` is that ends the expression: not one within a string, nor one that closes a `{` of its own.
fn closing(source: &str) -> Option<usize> {
    let bytes = source.as_bytes();
    let (mut at, mut open) = (0, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' => open += 1,
            b'}' if open == 0 => return Some(at),
            b'}' => open -= 1,
            b'\'' | b'"' => at = string_end(bytes, at)?,
            _ => {}
        }
        at += 1;
    }
    None
}

/// The last byte of the string literal that begins with the quote at `start`: `'a'`, `"a"`, `'''a'''`, `r'a'`.
fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let quote = bytes[start];
    let tripled = bytes[start..].starts_with(&[quote; 3]);
    let length = if tripled { 3 } else { 1 };
    let word = bytes[..start]
        .iter()
        .rev()
        .take_while(|b| b.is_ascii_alphanumeric() || **b == b'_')
        .count();
    let raw = word == 1 && matches!(bytes[start - 1], b'r' | b'R');
    let mut at = start + length;
    while at < bytes.len() {
        if bytes[at] == b'\\' && !raw {
            at += 2;
        } else if bytes[at..].starts_with(&[quote; 3][..length]) {
            return Some(at + length - 1);
        } else {
            at += 1;
        }
    }
    None
}
