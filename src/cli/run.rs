//! `runbook run`: record and read runs, their logs and their comments.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use crate::clock::Timestamp;
use crate::history::model::{LogSummary, Run, RunState};
use crate::history::{
    LOGS_LIMIT, LogQuery, RECORDING_LIMIT, Recording, RecordingError, RunFilter, parse_logs,
};
use crate::ids::{RunId, Target};

use crate::report::text::harmless;

use super::context::Here;
use super::error::{CliError, Exit};

#[derive(Debug, Subcommand)]
pub(crate) enum RunVerb {
    /// Record a run, its workspace and its logs; again to bring it up to date.
    Record {
        /// YAML, or JSON when it ends in `.json`; `-` reads YAML from standard input.
        file: PathBuf,
    },
    /// List runs, the latest first.
    List {
        /// Only runs that touch this target.
        #[arg(long)]
        target: Option<Target>,
        /// Only runs in this state.
        #[arg(long)]
        state: Option<RunState>,
        /// How many at most.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show one run.
    Show {
        /// The run.
        id: RunId,
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show the logs of a run, or add to them.
    Logs {
        /// The run.
        id: RunId,
        /// Only lines not before this time.
        #[arg(long)]
        from: Option<Timestamp>,
        /// Only lines strictly before this time.
        #[arg(long)]
        to: Option<Timestamp>,
        /// Add the lines of this file, each `TIME TEXT` or a JSON object; `-` reads standard input.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "to", "json"])]
        add: Option<PathBuf>,
        /// Print one JSON object per line.
        #[arg(long)]
        json: bool,
    },
    /// Comment on a run; without a text, show its comments.
    Comment {
        /// The run.
        id: RunId,
        /// What to say.
        text: Option<String>,
        /// Sent again with the same key, the comment is not made again.
        #[arg(long, requires = "text")]
        key: Option<String>,
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) async fn run(here: &mut Here, verb: &RunVerb) -> Result<Exit, CliError> {
    match verb {
        RunVerb::Record { file } => record(here, file).await,
        RunVerb::List {
            target,
            state,
            limit,
            json,
        } => {
            let filter = RunFilter {
                workspace: None,
                target: target.clone(),
                state: *state,
            };
            list(here, &filter, *limit, *json).await
        }
        RunVerb::Show { id, json } => show(here, id, *json).await,
        RunVerb::Logs {
            id,
            add: Some(file),
            ..
        } => add_logs(here, id, file).await,
        RunVerb::Logs {
            id, from, to, json, ..
        } => logs(here, id, (*from, *to), *json).await,
        RunVerb::Comment {
            id,
            text: Some(text),
            key,
            json,
        } => comment(here, id, text, key.as_deref(), *json).await,
        RunVerb::Comment { id, json, .. } => comments(here, id, *json).await,
    }
}

async fn record(here: &mut Here, file: &Path) -> Result<Exit, CliError> {
    let bytes = read(file, RECORDING_LIMIT)?;
    let recording = Recording::parse(&bytes, name_of(file)).map_err(|error| not_parsed(&error))?;
    let history = here.history().await?;
    let recorded = history.record(&recording).await?;
    history.close().await;
    let run = &recording.run;
    let verb = if recorded.new { "recorded" } else { "updated" };
    let lines = recorded.new_lines;
    here.out.talk(format_args!(
        "{verb}: run `{}` on `{}`, new log lines: {lines}",
        run.id,
        run.target()
    ));
    Ok(Exit::Done)
}

async fn list(
    here: &mut Here,
    filter: &RunFilter,
    limit: u32,
    json: bool,
) -> Result<Exit, CliError> {
    let history = here.existing_history().await?;
    let runs = history.runs(filter, limit).await?;
    history.close().await;
    if json {
        here.out.json(&json!({"runs": runs}))?;
        return Ok(Exit::Done);
    }
    if runs.is_empty() {
        here.out.talk("no runs");
        return Ok(Exit::Done);
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["RUN", "STATE", "TARGET", "LAUNCHED", "BY"]);
    for run in &runs {
        table.add_row([
            run.id.to_string(),
            run.state.to_string(),
            run.target().to_string(),
            run.launched_at.to_string(),
            run.launched_by.to_string(),
        ]);
    }
    for line in table.lines() {
        here.out.data(line.trim_end())?;
    }
    Ok(Exit::Done)
}

async fn show(here: &mut Here, id: &RunId, json: bool) -> Result<Exit, CliError> {
    let history = here.existing_history().await?;
    let run = history.run(id).await?;
    let summary = history.log_summary(id).await?;
    let trust = history.trust(&run.target()).await?;
    history.close().await;
    if json {
        here.out
            .json(&json!({"run": run, "logs": summary, "trust": trust}))?;
        return Ok(Exit::Done);
    }
    let mut lines = run_in_words(&run);
    lines.push(field("logs", logs_in_words(&summary)));
    for mark in &trust {
        lines.push(field(
            "trust",
            format!(
                "`{}` is {}: {} ({})",
                mark.target, mark.state, mark.reason, mark.by
            ),
        ));
    }
    lines
        .iter()
        .try_for_each(|line| here.out.data(harmless(line)))?;
    Ok(Exit::Done)
}

fn field(name: &str, value: impl std::fmt::Display) -> String {
    format!("{name:<12}{value}")
}

fn run_in_words(run: &Run) -> Vec<String> {
    let mut lines = vec![
        field("run", &run.id),
        field("target", run.target()),
        field("state", run.state),
        field(
            "launched",
            format_args!("{} by {}", run.launched_at, run.launched_by),
        ),
    ];
    let optional = [
        ("failed", run.failed_at.map(|at| at.to_string())),
        ("finished", run.finished_at.map(|at| at.to_string())),
        ("template", run.template_stack.clone()),
        ("artifact", run.artifact.clone()),
        ("inputs", run.inputs_digest.map(|digest| digest.to_string())),
        ("tags", (!run.tags.is_empty()).then(|| run.tags.join(", "))),
    ];
    lines.extend(
        optional
            .into_iter()
            .filter_map(|(name, value)| Some(field(name, value?))),
    );
    // That one of these is missing is itself something to know.
    lines.push(match &run.approval {
        Some(approval) => field(
            "approval",
            format_args!("by {} at {}", approval.by, approval.at),
        ),
        None => field("approval", "none"),
    });
    lines.push(match &run.window {
        Some(window) => field(
            "window",
            format_args!("{}, {} to {}", window.kind, window.start, window.end),
        ),
        None => field("window", "none"),
    });
    lines.push(match &run.rollback_candidate {
        None => field("rollback", "none"),
        Some(candidate) => {
            let tested = candidate.tested_at.map(|at| format!("tested at {at}"));
            field(
                "rollback",
                format_args!(
                    "{}, {}",
                    candidate.artifact,
                    tested.as_deref().unwrap_or("never tested")
                ),
            )
        }
    });
    for stage in &run.stages {
        let error = stage
            .error
            .as_ref()
            .map(|error| format!(": {error}"))
            .unwrap_or_default();
        lines.push(field(
            "stage",
            format_args!("{} {} {}{error}", stage.index, stage.name, stage.state),
        ));
    }
    for check in &run.preflight {
        let detail = check
            .detail
            .as_ref()
            .map(|detail| format!(": {detail}"))
            .unwrap_or_default();
        lines.push(field(
            "preflight",
            format_args!("{} {} ({}){detail}", check.id, check.result, check.severity),
        ));
    }
    lines
}

fn logs_in_words(summary: &LogSummary) -> String {
    let sides = match (summary.before, summary.after) {
        (Some(before), Some(after)) => format!("{before} before and {after} after the failure"),
        _ => "the time of the failure is not known".to_owned(),
    };
    format!("{} lines, {sides}", summary.total)
}

async fn logs(
    here: &mut Here,
    id: &RunId,
    (from, to): (Option<Timestamp>, Option<Timestamp>),
    json: bool,
) -> Result<Exit, CliError> {
    let history = here.existing_history().await?;
    let mut query = LogQuery {
        from,
        to,
        after: None,
        limit: 1000,
    };
    loop {
        let page = history.logs(id, &query).await?;
        for line in &page.lines {
            if json {
                here.out.json_line(line)?;
            } else {
                let stream = line.stream.as_ref().map(|stream| format!("{stream}: "));
                let text = format!("{} {}{}", line.at, stream.unwrap_or_default(), line.text);
                here.out.data(harmless(&text))?;
            }
        }
        query.after = page.next;
        if page.next.is_none() {
            break;
        }
    }
    history.close().await;
    Ok(Exit::Done)
}

async fn add_logs(here: &mut Here, id: &RunId, file: &Path) -> Result<Exit, CliError> {
    let bytes = read(file, LOGS_LIMIT)?;
    let lines = parse_logs(&bytes, name_of(file)).map_err(|error| not_parsed(&error))?;
    let history = here.existing_history().await?;
    let new = history.add_logs(id, &lines).await?;
    history.close().await;
    here.out.talk(format_args!(
        "added: {new} of {} lines were new",
        lines.len()
    ));
    Ok(Exit::Done)
}

async fn comment(
    here: &mut Here,
    id: &RunId,
    text: &str,
    key: Option<&str>,
    json: bool,
) -> Result<Exit, CliError> {
    let history = here.existing_history().await?;
    let comment = history
        .comment(id, &here.operator, text, key, here.now())
        .await?;
    history.close().await;
    if json {
        here.out.json(&comment)?;
    } else {
        here.out.data(comment.id)?;
    }
    Ok(Exit::Done)
}

async fn comments(here: &mut Here, id: &RunId, json: bool) -> Result<Exit, CliError> {
    let history = here.existing_history().await?;
    let comments = history.comments(id).await?;
    history.close().await;
    if json {
        here.out.json(&json!({"comments": comments}))?;
        return Ok(Exit::Done);
    }
    if comments.is_empty() {
        here.out.talk("no comments");
    }
    for comment in &comments {
        here.out
            .data(format_args!("{} {}", comment.at, comment.author))?;
        for line in harmless(&comment.body).lines() {
            here.out.data(format_args!("  {line}"))?;
        }
    }
    Ok(Exit::Done)
}

/// Reads a file, or standard input for `-`, a little beyond the limit at most: the parser says that it is too large.
fn read(file: &Path, limit: usize) -> Result<Vec<u8>, CliError> {
    let fail = |error: io::Error| {
        CliError::new(Exit::Usage, format!("failed to read `{}`", file.display())).caused_by(&error)
    };
    let mut bytes = Vec::new();
    let source: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(file).map_err(fail)?)
    };
    source
        .take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(fail)?;
    Ok(bytes)
}

fn name_of(file: &Path) -> &Path {
    if file == Path::new("-") {
        Path::new("<stdin>")
    } else {
        file
    }
}

fn not_parsed(error: &RecordingError) -> CliError {
    CliError::new(Exit::Usage, error.to_string())
}
