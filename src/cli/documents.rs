//! Finding the documents that were named: a shipped runbook by its name, any other by its path.

use std::collections::BTreeMap;
use std::path::Path;

use crate::digest::Digest;
use crate::effects::system::Endpoint;
use crate::execution::event::{FileRef, RunbookRef};
use crate::ids::Slug;
use crate::journal::Journal;
use crate::runbook::diagnostic::{Diagnostic, Paint, render};
use crate::runbook::model::{Runbook, Source};
use crate::runbook::profile::Profile;
use crate::runbook::shipped::{self, RUNBOOKS, is_path};

use super::error::{CliError, Exit};

/// A runbook and where it came from.
pub(crate) struct Found {
    /// The runbook.
    pub(crate) runbook: Runbook,
    /// Its path; absent for a shipped one.
    pub(crate) path: Option<String>,
}

impl Found {
    /// How a journal names it when it begins with it.
    pub(crate) fn reference(&self) -> RunbookRef {
        self.referred(|file, _, taken| {
            let path = format!("runbook/{}", plain(file));
            // A runbook may bear the name of the library that it uses.
            (!taken.contains(&path)).then_some(path)
        })
    }

    /// How a journal that went on with `before` so far names it: what was kept stays, so other bytes get another name.
    pub(crate) fn reference_after(&self, before: &RunbookRef) -> RunbookRef {
        self.referred(|_, digest, _| {
            let same = before.files.iter().find(|file| file.sha256 == digest);
            same.map(|file| file.path.clone())
        })
    }

    /// Each document under the name that is chosen for it, else under one that begins with its digest.
    fn referred(&self, name: impl Fn(&str, Digest, &[String]) -> Option<String>) -> RunbookRef {
        let mut files: Vec<FileRef> = Vec::new();
        for source in &self.runbook.sources {
            let sha256 = Digest::of(&source.text);
            let taken: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
            let path = name(&source.file, sha256, &taken)
                .unwrap_or_else(|| format!("runbook/{}-{}", sha256.short(), plain(&source.file)));
            files.push(FileRef { path, sha256 });
        }
        RunbookRef {
            id: self.runbook.id.clone(),
            path: self.path.clone(),
            digest: self.runbook.digest(),
            files,
        }
    }

    /// Keeps the documents beside the journal, under the names that `reference` gives them.
    pub(crate) fn keep(&self, journal: &Journal, reference: &RunbookRef) -> Result<(), CliError> {
        for (source, file) in self.runbook.sources.iter().zip(&reference.files) {
            journal.keep(&file.path, source.text.as_bytes())?;
        }
        Ok(())
    }
}

/// The name of a file as it can be kept under: people use spaces and accents.
fn plain(file: &str) -> String {
    const LONGEST: usize = 100;
    let kept = |c: char| {
        if c.is_ascii_alphanumeric() || "._@-".contains(c) {
            c
        } else {
            '_'
        }
    };
    let name: String = file.chars().take(LONGEST).map(kept).collect();
    match name.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None => name,
    }
}

/// Finds a runbook: what has a `/` or ends in `.yaml` or `.yml` is a path, everything else the name of a shipped one.
pub(crate) fn find_runbook(named: &str) -> Result<Found, CliError> {
    if is_path(named) {
        let text = read(Path::new(named))?;
        let file = Path::new(named)
            .file_name()
            .map_or(named.into(), |f| f.to_string_lossy().into_owned());
        let runbook = parse(&file, named, &text)?;
        return Ok(Found {
            runbook,
            path: Some(named.to_owned()),
        });
    }
    let Some(shipped) = RUNBOOKS.iter().find(|r| r.name() == named) else {
        return Err(unknown(named));
    };
    let runbook = parse(shipped.file, shipped.file, shipped.text.as_bytes())?;
    Ok(Found {
        runbook,
        path: None,
    })
}

/// Reads a runbook from text that was kept earlier.
pub(crate) fn parse(file: &str, shown: &str, text: &[u8]) -> Result<Runbook, CliError> {
    shipped::read(file, text).map_err(|mistakes| {
        let n = mistakes.len();
        let message = format!(
            "`{shown}` has {}",
            crate::report::text::plural(n, "mistake")
        );
        CliError::new(Exit::Usage, message).with_text(render(&mistakes, shown, text, Paint::Styled))
    })
}

/// Largest document that is read at all; the parser has a smaller limit of its own and says so.
const LARGEST: u64 = 16 << 20;

/// The bytes of a document that was named on the command line; `-` is standard input.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    use std::io::Read as _;
    let failed = |error: std::io::Error| {
        CliError::new(Exit::Usage, format!("failed to read `{}`", path.display())).caused_by(&error)
    };
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(LARGEST + 1)
            .read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
    };
    read.map_err(failed)?;
    Ok(bytes)
}

fn unknown(named: &str) -> CliError {
    let names: Vec<&str> = RUNBOOKS.iter().map(|r| r.name()).collect();
    let near = names
        .iter()
        .copied()
        .map(|name| (strsim::jaro_winkler(name, named), name));
    let near = near
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let error = CliError::new(
        Exit::Usage,
        format!(
            "there is no runbook `{}`",
            crate::report::text::harmless(named)
        ),
    );
    match near {
        Some((_, name)) => error.hint(format!("did you mean `{name}`?")),
        None => error.hint(format!(
            "shipped are {}; any other is given by its path",
            names.join(", ")
        )),
    }
}

/// What a profile gives to an execution.
#[derive(Clone, Default)]
pub(crate) struct Applied {
    /// Addresses, with their tokens.
    pub(crate) endpoints: BTreeMap<Slug, Endpoint>,
    /// The profile's own document; absent where there is none.
    pub(crate) source: Option<Source>,
}

impl Applied {
    /// How a journal names the profile.
    pub(crate) fn reference(&self) -> Option<FileRef> {
        let source = self.source.as_ref()?;
        Some(FileRef {
            path: kept_as(source),
            sha256: Digest::of(&source.text),
        })
    }

    /// The tokens, by the name of their endpoint: secrets like any other.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = (String, &str)> {
        let tokens = self.endpoints.iter();
        tokens.filter_map(|(name, at)| Some((format!("token of {name}"), at.token.as_deref()?)))
    }
}

/// Where a profile is kept beside the journal; two profiles of one execution are two files.
fn kept_as(source: &Source) -> String {
    format!("runbook/profile-{}.yaml", Digest::of(&source.text).short())
}

/// Keeps the profile beside the journal.
pub(crate) fn keep_profile(journal: &Journal, applied: &Applied) -> Result<(), CliError> {
    if let Some(source) = &applied.source {
        journal.keep(&kept_as(source), source.text.as_bytes())?;
    }
    Ok(())
}

/// Applies the profile, where one is given: the runbook's steps become those of one's own platform.
pub(crate) fn apply_profile(
    path: Option<&Path>,
    runbook: &mut Runbook,
) -> Result<Applied, CliError> {
    match path {
        Some(path) => apply_profile_text(&path.display().to_string(), &read(path)?, runbook),
        None => Ok(Applied::default()),
    }
}

/// Applies a profile of this text.
pub(crate) fn apply_profile_text(
    shown: &str,
    text: &[u8],
    runbook: &mut Runbook,
) -> Result<Applied, CliError> {
    let file = shown.rsplit('/').next().unwrap_or(shown);
    let wrong = |mistakes: Vec<Diagnostic>| {
        let message = format!(
            "profile `{shown}` has {}",
            crate::report::text::plural(mistakes.len(), "mistake")
        );
        CliError::new(Exit::Usage, message).with_text(render(&mistakes, shown, text, Paint::Styled))
    };
    let profile = Profile::parse(file, text).map_err(wrong)?;
    *runbook = profile.apply(runbook).map_err(wrong)?;
    let mut endpoints = BTreeMap::new();
    for (name, at) in &profile.endpoints {
        let token = at
            .token
            .as_ref()
            .map(|variable| secret(name, variable))
            .transpose()?;
        endpoints.insert(
            name.clone(),
            Endpoint {
                url: at.url.clone(),
                token,
            },
        );
    }
    Ok(Applied {
        endpoints,
        source: Some(profile.source),
    })
}

fn secret(endpoint: &Slug, variable: &str) -> Result<String, CliError> {
    std::env::var(variable)
        .ok()
        .filter(|value| !value.is_empty())
        .ok_or_else(|| {
            let message = format!(
                "secrets-ready: `{variable}` is not set; it is the token of endpoint `{endpoint}`"
            );
            CliError::new(Exit::PreflightBlocks, message)
                .hint("set it in the environment; its value is never recorded")
        })
}
