//! Stub, replaced by the branch `expr`.
#![allow(missing_docs)]
use std::ops::Range;
#[derive(Debug, Clone, PartialEq)]
pub struct Expression(String);
#[derive(Debug, Clone, PartialEq)]
pub struct Template(String);
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    pub message: String,
    pub range: Range<usize>,
}
impl Expression {
    pub fn parse(source: &str) -> Result<Self, SyntaxError> {
        if source.trim().is_empty() {
            return Err(SyntaxError {
                message: "empty".into(),
                range: 0..0,
            });
        }
        Ok(Self(source.to_owned()))
    }
    pub fn source(&self) -> &str {
        &self.0
    }
}
impl Template {
    pub fn parse(source: &str) -> Result<Self, SyntaxError> {
        Ok(Self(source.to_owned()))
    }
}
