//! From YAML to a runbook, with every mistake of a document pointed at in one go.
//!
//! Text becomes a small tree that knows its places ([`tree`]); readers walk it and collect mistakes ([`fields`] and the
//! files after it); what they note about names is judged at the end, over the whole document ([`super::references`],
//! [`super::order`]). A document with a single mistake yields no runbook.
//!
//! Of YAML 1.2 a runbook has no use for anchors, aliases, merge keys, tags and several documents: they are refused, which
//! also leaves nothing to multiply. Plain `true` and `false` are booleans; everything else is what its key demands, so
//! `no`, `0755` and `22:22` stay the text that they look like.

pub(super) mod mistakes;
pub(super) mod text;
pub(super) mod tree;

pub(super) mod fields;
pub(super) mod outline;

pub(super) mod actions;
pub(super) mod rules;
pub(super) mod steps;
pub(super) mod uses;
pub(super) mod values;

pub(super) mod document;

pub use document::parse;
