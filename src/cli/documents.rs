//! Finding the documents that were named: a shipped runbook by its name, any other by its path.

use std::collections::BTreeMap;
use std::path::Path;

use crate::digest::Digest;
use crate::effects::system::Endpoint;
use crate::execution::event::{FileRef, RunbookRef};
use crate::ids::Slug;
use crate::runbook::diagnostic::{Paint, render};
use crate::runbook::model::Runbook;
use crate::runbook::shipped::{self, RUNBOOKS};

use super::error::{CliError, Exit};

/// A runbook and where it came from.
pub(crate) struct Found {
    /// The runbook.
    pub(crate) runbook: Runbook,
    /// Its path; absent for a shipped one.
    pub(crate) path: Option<String>,
}

impl Found {
    /// How a journal names it.
    pub(crate) fn reference(&self) -> RunbookRef {
        let files = self.runbook.sources.iter();
        RunbookRef {
            id: self.runbook.id.clone(),
            path: self.path.clone(),
            digest: self.runbook.digest(),
            files: files
                .map(|s| FileRef {
                    path: format!("runbook/{}", s.file),
                    sha256: Digest::of(&s.text),
                })
                .collect(),
        }
    }
}

/// Finds a runbook: what has a `/` or ends in `.yaml` or `.yml` is a path, everything else the name of a shipped one.
pub(crate) fn find_runbook(named: &str) -> Result<Found, CliError> {
    let is_path = named.contains('/') || named.ends_with(".yaml") || named.ends_with(".yml");
    if is_path {
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
        format!("there is no runbook `{}`", super::context::shown(named)),
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
#[derive(Default)]
pub(crate) struct Applied {
    /// Addresses, with their tokens.
    pub(crate) endpoints: BTreeMap<Slug, Endpoint>,
    /// How a journal names the profile.
    pub(crate) file: Option<FileRef>,
}

/// Applies the profile, where one is given.
pub(crate) fn profile(path: Option<&Path>, _runbook: &mut Runbook) -> Result<Applied, CliError> {
    let _ = path;
    Ok(Applied::default())
}
