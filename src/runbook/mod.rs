//! The document (pure): what a runbook says, read from YAML with every mistake pointed at.

pub mod kind;
pub mod model;
pub mod pattern;

pub mod diagnostic;

pub mod library;
mod parse;
pub mod profile;
pub mod shipped;

mod order;
mod references;

pub use parse::parse;
