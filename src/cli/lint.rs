//! `runbook lint`: every mistake of every file, each with its place.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::runbook::diagnostic::{Paint, render};
use crate::runbook::shipped;

use super::context::Here;
use super::documents;
use super::error::{CliError, Exit};

#[derive(Debug, Args)]
pub(crate) struct LintArgs {
    /// Runbooks.
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
        let mistakes = shipped::read(&file, &text).err().unwrap_or_default();
        if !mistakes.is_empty() {
            exit = Exit::Usage;
        }
        let shown = path.display().to_string();
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
