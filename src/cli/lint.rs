//! `runbook lint`: every mistake of every file, each with its place. What a file is, its `format` says.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::runbook::diagnostic::{Diagnostic, Paint, render};
use crate::runbook::library::Library;
use crate::runbook::profile::Profile;
use crate::runbook::shipped;

use super::context::Here;
use super::documents;
use super::error::{CliError, Exit};

#[derive(Debug, Args)]
pub(crate) struct LintArgs {
    /// Runbooks, libraries and profiles.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print the mistakes as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn lint(here: &mut Here, args: &LintArgs) -> Result<Exit, CliError> {
    let mut exit = Exit::Done;
    let mut documents = Vec::new();
    for path in &args.files {
        let text = documents::read(path)?;
        let file = path
            .file_name()
            .map_or_else(|| "-".into(), |f| f.to_string_lossy().into_owned());
        let mistakes = mistakes(&file, &text);
        if !mistakes.is_empty() {
            exit = Exit::Usage;
        }
        let shown = crate::report::text::harmless(&path.display().to_string());
        if args.json {
            documents.push(json!({"file": shown, "mistakes": mistakes}));
        } else if mistakes.is_empty() {
            here.out.talk(format_args!("{shown}: no mistakes"));
        } else {
            here.out
                .data(render(&mistakes, &shown, &text, Paint::Styled))?;
        }
    }
    if args.json {
        here.out.json(&documents)?;
    }
    Ok(exit)
}

/// What is wrong with a document. One that does not say what it is, is judged as a runbook.
fn mistakes(file: &str, text: &[u8]) -> Vec<Diagnostic> {
    let format = String::from_utf8_lossy(text)
        .lines()
        .find_map(|line| Some(line.strip_prefix("format:")?.trim().to_owned()));
    let read = match format.as_deref().and_then(|format| format.split_once('/')) {
        Some(("runbook-library", _)) => Library::parse(file, text).map(drop),
        Some(("runbook-profile", _)) => Profile::parse(file, text).map(drop),
        _ => shipped::read(file, text).map(drop),
    };
    read.err().unwrap_or_default()
}
