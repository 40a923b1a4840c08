//! What a pipeline hands over to be recorded: a run, its workspace, its logs; read from a file that somebody wrote.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::model::{LogLine, Run, Workspace};

/// The largest recording accepted, in bytes.
pub const RECORDING_LIMIT: usize = 4 * 1024 * 1024;

/// The largest file of log lines accepted, in bytes; more is added in several files.
pub const LOGS_LIMIT: usize = 64 * 1024 * 1024;

/// A run as handed over, with its workspace and its logs where they are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// The run.
    pub run: Run,
    /// The workspace; replaces what was known of it.
    #[serde(default)]
    pub workspace: Option<Workspace>,
    /// Log lines; added to those already there.
    #[serde(default)]
    pub logs: Vec<LogLine>,
}

/// Why a file is not what it should be, and where.
#[derive(Debug, thiserror::Error)]
#[error("{}{problem}", self.place())]
pub struct RecordingError {
    path: PathBuf,
    line_and_column: Option<(u64, u64)>,
    #[source]
    problem: RecordingProblem,
}

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum RecordingProblem {
    /// It is larger than the limit.
    #[error("larger than {0} MiB")]
    TooLarge(usize),
    /// It is not UTF-8.
    #[error("not UTF-8 text")]
    NotText,
    /// It does not parse, or holds something that does not belong there.
    #[error("{0}")]
    Document(String),
    /// The workspace is not the one the run names.
    #[error("the run belongs to workspace `{run}`, but the workspace given is `{workspace}`")]
    OtherWorkspace {
        /// What the run names.
        run: String,
        /// What is given.
        workspace: String,
    },
    /// Two stages have the same index.
    #[error("two stages have the index {0}")]
    StageTwice(u32),
    /// The line does not begin with a time.
    #[error(
        "the line does not begin with a time: write `2026-11-20T23:15:06Z TEXT`, or a JSON object with `at` and `text`"
    )]
    NoTime,
}

impl RecordingError {
    /// Where: `file:line:column: `, as far as it is known.
    fn place(&self) -> String {
        let path = self.path.display();
        match self.line_and_column {
            Some((line, column)) => format!("{path}:{line}:{column}: "),
            None => format!("{path}: "),
        }
    }
}

impl Recording {
    /// Reads a recording from YAML, or from JSON when the path ends in `.json`.
    ///
    /// Unknown and duplicate keys are errors.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self, RecordingError> {
        let fail = |problem, line_and_column| RecordingError {
            path: path.to_owned(),
            line_and_column,
            problem,
        };
        let text = text_of(bytes, RECORDING_LIMIT).map_err(|problem| fail(problem, None))?;
        let recording: Self = if path.extension().is_some_and(|e| e == "json") {
            serde_json::from_str(text).map_err(|error| {
                let place = (error.line() as u64, error.column() as u64);
                fail(
                    RecordingProblem::Document(json_message(&error)),
                    Some(place),
                )
            })?
        } else {
            serde_yaml::from_str_with_options(text, yaml_options()).map_err(|error| {
                let place = error.location().map(|at| (at.line(), at.column()));
                fail(RecordingProblem::Document(yaml_message(&error)), place)
            })?
        };
        recording.check().map_err(|problem| fail(problem, None))?;
        Ok(recording)
    }

    /// What no single field can say.
    fn check(&self) -> Result<(), RecordingProblem> {
        if let Some(workspace) = &self.workspace
            && workspace.id != self.run.workspace
        {
            return Err(RecordingProblem::OtherWorkspace {
                run: self.run.workspace.to_string(),
                workspace: workspace.id.to_string(),
            });
        }
        let mut seen = std::collections::HashSet::new();
        match self
            .run
            .stages
            .iter()
            .find(|stage| !seen.insert(stage.index))
        {
            Some(stage) => Err(RecordingProblem::StageTwice(stage.index)),
            None => Ok(()),
        }
    }
}

/// Reads log lines: each begins with a time (as `kubectl logs --timestamps` writes it) or is a JSON object.
///
/// Empty lines are left out. A line without a time is an error: guessing one would move it across the failure.
pub fn parse_logs(bytes: &[u8], path: &Path) -> Result<Vec<LogLine>, RecordingError> {
    let fail = |problem, line: Option<u64>| RecordingError {
        path: path.to_owned(),
        line_and_column: line.map(|line| (line, 1)),
        problem,
    };
    let text = text_of(bytes, LOGS_LIMIT).map_err(|problem| fail(problem, None))?;
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        lines.push(log_line(line).map_err(|problem| fail(problem, Some(number)))?);
    }
    Ok(lines)
}

fn log_line(line: &str) -> Result<LogLine, RecordingProblem> {
    if line.starts_with('{') {
        return serde_json::from_str(line)
            .map_err(|error| RecordingProblem::Document(json_message(&error)));
    }
    let (time, text) = line.split_once(' ').unwrap_or((line, ""));
    Ok(LogLine {
        at: time.parse().map_err(|_| RecordingProblem::NoTime)?,
        stream: None,
        text: text.to_owned(),
    })
}

fn text_of(bytes: &[u8], limit: usize) -> Result<&str, RecordingProblem> {
    if bytes.len() > limit {
        return Err(RecordingProblem::TooLarge(limit / (1024 * 1024)));
    }
    std::str::from_utf8(bytes).map_err(|_| RecordingProblem::NotText)
}

/// One spelling for each thing, so that no two readers disagree on what a file says.
fn yaml_options() -> serde_yaml::Options {
    serde_yaml::options! {
        duplicate_keys: serde_yaml::DuplicateKeyPolicy::Error,
        merge_keys: serde_yaml::MergeKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: 10_000,
            max_replay_stack_depth: 8,
        },
        budget: serde_yaml::budget! {
            max_documents: 1,
            max_depth: 32,
            max_aliases: 100,
            max_anchors: 100,
        },
    }
}

/// The message without the place, which is said before it.
fn yaml_message(error: &serde_yaml::Error) -> String {
    let options = serde_yaml::render_options! { snippets: serde_yaml::SnippetMode::Off };
    let message = error.without_snippet().render_with_options(options);
    without_place(&message, error.location().is_some())
}

fn json_message(error: &serde_json::Error) -> String {
    without_place(&error.to_string(), error.line() > 0)
}

/// Cuts ` at line 3, column 4` or ` at line 3 column 4` off the end, when the place is known otherwise.
fn without_place(message: &str, placed: bool) -> String {
    match message.rfind(" at line ") {
        Some(at) if placed => message[..at].to_owned(),
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::model::RunState;
    use proptest::prelude::*;

    const RUN: &str = "run:
  id: 1842
  workspace: shop
  environment: production
  state: failed
  launched_by: alice
  launched_at: 2026-11-20T23:00:00Z
";

    fn problem(text: &str) -> String {
        let parsed = Recording::parse(text.as_bytes(), Path::new("run.yaml"));
        parsed.expect_err(text).to_string()
    }

    #[test]
    fn a_recording_needs_little() {
        let recording = Recording::parse(RUN.as_bytes(), Path::new("run.yaml")).expect("parses");
        assert_eq!(recording.run.id.as_str(), "1842");
        assert_eq!(recording.run.state, RunState::Failed);
        assert_eq!(recording.run.approval, None);
        let json = serde_json::to_vec(&recording).expect("serializes");
        for path in ["run.json", "run.yaml"] {
            let again = Recording::parse(&json, Path::new(path)).expect(path);
            assert_eq!(again, recording);
        }
    }

    #[test]
    fn a_problem_is_shown_with_its_place() {
        for (text, expected) in [
            (RUN.replace("failed", "broken"), "run.yaml:5:10: "),
            (format!("{RUN}  lunched_by: bob\n"), "run.yaml:8:3: "),
            (format!("{RUN}  state: failed\n"), "run.yaml:8:3: "),
            (RUN.replace("  launched_by: alice\n", ""), "run.yaml:"),
            (RUN.replace("23:00:00Z", "23:00"), "run.yaml:7:16: "),
            (format!("{RUN}---\nrun: {{}}\n"), "run.yaml:"),
            (
                format!("{RUN}workspace: {{id: bank}}\n"),
                "run.yaml: the run belongs to",
            ),
            (
                format!(
                    "{RUN}  stages: [{{index: 0, name: a, state: failed}}, {{index: 0, name: b, state: failed}}]\n"
                ),
                "run.yaml: two stages have the index 0",
            ),
            (
                " ".repeat(RECORDING_LIMIT + 1),
                "run.yaml: larger than 4 MiB",
            ),
        ] {
            let problem = problem(&text);
            assert!(
                problem.starts_with(expected),
                "{problem}\n{}",
                &text[..text.len().min(300)]
            );
        }
        let json = Recording::parse(b"{\"run\": 3}", Path::new("run.json")).expect_err("not a run");
        assert!(json.to_string().starts_with("run.json:1:9: "), "{json}");
    }

    #[test]
    fn documents_that_unfold_or_read_two_ways_are_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for i in 1..9 {
            let inner = format!("*a{}, ", i - 1).repeat(9);
            bomb.push_str(&format!("a{i}: &a{i} [{inner}]\n"));
        }
        for text in [
            format!("{bomb}{RUN}"),
            format!("base: &b {{id: x}}\n{RUN}  <<: *b\n"),
            RUN.replace("1842", "!!binary MTg0Mg==x"),
            format!("run: {}{}", "[".repeat(5000), "]".repeat(5000)),
        ] {
            problem(&text);
        }
    }

    #[test]
    fn a_log_line_without_a_time_is_refused_with_its_place() {
        let text = "2026-11-20T23:15:06Z one two\n\n{\"at\":\"2026-11-20T23:15:07Z\",\"text\":\"three\"}\n";
        let lines = parse_logs(text.as_bytes(), Path::new("a.log")).expect("parses");
        assert_eq!(lines[0].text, "one two");
        assert_eq!(lines[1].text, "three");
        let error = parse_logs(
            b"2026-11-20T23:15:06Z one\n  at frame\n",
            Path::new("a.log"),
        );
        let message = error.expect_err("no time").to_string();
        assert!(
            message.starts_with("a.log:2:1: the line does not begin with a time"),
            "{message}"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in ".*") {
            let _ = Recording::parse(text.as_bytes(), Path::new("x.yaml"));
            let _ = Recording::parse(text.as_bytes(), Path::new("x.json"));
            let _ = parse_logs(text.as_bytes(), Path::new("x.log"));
        }
    }
}
