//! Profiles: how one's own platform does the steps of runbooks, so that shipped runbooks stay as they are.
//!
//! A profile says where endpoints are and maps steps to commands and requests. It changes only *how* a step learns what
//! it must find out: phase, instruction, kinds of facts, guards, confirmation, approval and what must hold afterwards are
//! the runbook's, and a change stays a change.

mod document;
mod fit;
mod mapping;

use std::collections::BTreeMap;

use self::document::document;
use self::mapping::Mapping;
use super::diagnostic::Diagnostic;
use super::model::{Runbook, Secret, Source};
use super::parse::document::read;
use crate::digest::Digest;
use crate::ids::{RunbookId, Slug};

/// What is known of one's own platform.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Where the endpoints that requests name are.
    pub endpoints: BTreeMap<Slug, EndpointAddress>,
    /// Environment variables that its commands need, in the order written.
    pub secrets: Vec<Secret>,
    /// The document as it was read.
    pub source: Source,
    chapters: Vec<Chapter>,
}

/// Where an endpoint is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointAddress {
    /// `http` or `https`, host, port and what stands before every path, in its normal form; without user, query, fragment
    /// and a `/` at the end.
    pub url: String,
    /// The environment variable that holds the bearer token. Unless it is one of the secrets as well, it is no command's
    /// business.
    pub token: Option<String>,
}

/// What a profile says about one runbook.
#[derive(Debug, Clone)]
struct Chapter {
    runbook: RunbookId,
    steps: Vec<Mapping>,
}

impl Profile {
    /// Reads a profile.
    ///
    /// `file_name` is recorded as the name of the source, without being opened. What it says about the steps of a runbook
    /// is judged by [`Profile::apply`], since the rest is there.
    ///
    /// # Errors
    /// Every mistake of the document, in its order, at least one.
    pub fn parse(file_name: &str, text: &[u8]) -> Result<Self, Vec<Diagnostic>> {
        read(text, |root, text, reading| {
            let source = Source {
                file: file_name.to_owned(),
                text: text.to_owned(),
            };
            document(root, source, reading)
        })
    }

    /// The runbook with the steps that are mapped here done as mapped, and with the environment variables that they need.
    ///
    /// Steps of other runbooks are not looked at. The runbook's sources, and with them its digest, stay as they are: the
    /// profile is another document, with [`Profile::digest`].
    ///
    /// # Errors
    /// Every mapping that does not fit the runbook; places are in the profile.
    pub fn apply(&self, runbook: &Runbook) -> Result<Runbook, Vec<Diagnostic>> {
        fit::fit(self, runbook)
    }

    /// The digest of the document; any edit to it changes it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.source.text)
    }

    /// The runbooks of which steps are mapped, in the order written; they need not exist.
    pub fn runbooks(&self) -> impl Iterator<Item = &RunbookId> {
        self.chapters.iter().map(|chapter| &chapter.runbook)
    }

    /// The steps of a runbook that are mapped, in the order written.
    pub fn steps(&self, runbook: &RunbookId) -> impl Iterator<Item = &Slug> {
        self.mappings(runbook).map(|mapping| &mapping.step)
    }

    fn mappings(&self, runbook: &RunbookId) -> impl Iterator<Item = &Mapping> {
        let chapters = self
            .chapters
            .iter()
            .filter(move |chapter| chapter.runbook == *runbook);
        chapters.flat_map(|chapter| &chapter.steps)
    }
}
