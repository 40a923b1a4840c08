//! What must work, as data: `tests/rows/RUNBOOK.yaml` says for each line of `coverage.tsv` how the shipped runbook is
//! stepped through in a drill, on the right path and on the wrong one, and what must come of it.
//!
//! | Key | Meaning |
//! |---|---|
//! | `row` | the id in `coverage.tsv`, or several |
//! | `path` | `right` or `wrong` |
//! | `scenario` | a shipped drill |
//! | `change` | a JSON merge patch (RFC 7396) onto the scenario |
//! | `answers` | other answers, by step, in place of the scenario's own; null takes one away |
//! | `exit` | the exit code |
//! | `refused` | words in the last refusal; on a wrong path the row's id must be among what it says |
//! | `says` | words anywhere, in this order |
//! | `took` | exactly the changes of ours that took effect, as `METHOD /path`, in order; a wrong path must say it |

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use runbook::drill::{Effect, World};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::scene::Scene;

/// Under whose name a drill's requests are made.
const OPERATOR: &str = "drill-operator";

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn ids(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(more) => more,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Path {
    Right,
    Wrong,
}

/// One way through a drill, and what must come of it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Try {
    row: OneOrMore,
    path: Path,
    scenario: String,
    #[serde(default)]
    change: Json,
    #[serde(default)]
    answers: BTreeMap<String, Json>,
    exit: i32,
    #[serde(default)]
    refused: Vec<String>,
    #[serde(default)]
    says: Vec<String>,
    took: Option<Vec<String>>,
}

fn folder(below: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(below)
}

fn tries(runbook: &str) -> Vec<Try> {
    let path = folder("tests/rows").join(format!("{runbook}.yaml"));
    let text = fs::read_to_string(&path).expect("a file of rows");
    serde_yaml::from_str(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

fn yaml(below: &str, name: &str) -> Json {
    let path = folder(below).join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    serde_yaml::from_str(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// RFC 7396.
fn merge(into: &mut Json, patch: &Json) {
    let Json::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = Json::Object(serde_json::Map::new());
    }
    for (key, value) in patch {
        if value.is_null() {
            into.as_object_mut().expect("an object").remove(key);
        } else {
            merge(&mut into[key], value);
        }
    }
}

/// What was said, with one space between words: lines are broken to fit a terminal.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Try {
    /// Plays it; what is not as it must be, in words.
    fn play(&self) -> Result<(), String> {
        let mut scenario = yaml("runbooks/drills", &format!("{}.yaml", self.scenario));
        if !self.change.is_null() {
            merge(&mut scenario, &self.change);
        }
        let mut answers = yaml(
            "runbooks/drills",
            &format!("{}.answers.yaml", self.scenario),
        );
        for (step, answer) in &self.answers {
            if answer.is_null() {
                answers.as_object_mut().expect("answers").remove(step);
            } else {
                answers[step] = answer.clone();
            }
        }
        let scene = Scene::new()
            .file("played.yaml", &scenario.to_string())
            .file("played.answers.yaml", &answers.to_string());
        let mut command = scene.command();
        let done = command.args(["drill", "./played.yaml", "--auto"]).output();
        let done = done.expect("the program runs");
        let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
        self.judge(done.status.code(), &stderr, &took(&scene))
            .map_err(|why| format!("{why}\n--- said\n{}", tail(&stderr)))
    }

    fn judge(&self, code: Option<i32>, stderr: &str, took: &[String]) -> Result<(), String> {
        if code != Some(self.exit) {
            return Err(format!("exit {code:?}, not {}", self.exit));
        }
        let refusal = stderr.rfind("error: ").map_or("", |at| &stderr[at..]);
        let refusal = plain(refusal);
        if let Some(words) = self.refused.iter().find(|w| !refusal.contains(&plain(w))) {
            return Err(format!("the refusal does not say `{words}`"));
        }
        if self.path == Path::Wrong
            && let Some(id) = self.row.ids().iter().find(|id| !refusal.contains(*id))
        {
            return Err(format!("the refusal does not name `{id}`"));
        }
        let said = plain(stderr);
        let mut rest = said.as_str();
        for words in &self.says {
            let words = plain(words);
            let at = rest
                .find(&words)
                .ok_or_else(|| format!("it does not say `{words}`, or not in this order"))?;
            rest = &rest[at + words.len()..];
        }
        match &self.took {
            Some(expected) if expected != took => {
                Err(format!("took effect: {took:?}, not {expected:?}"))
            }
            None if self.path == Path::Wrong => {
                Err("a wrong path says what took effect before it was refused: `took`".into())
            }
            _ => Ok(()),
        }
    }
}

/// The changes of ours that took effect, in order. A drill that was refused before it began has no world.
fn took(scene: &Scene) -> Vec<String> {
    let Ok(drills) = fs::read_dir(scene.home().join("drills")) else {
        return Vec::new();
    };
    let mut took = Vec::new();
    for drill in drills {
        let path = drill.expect("a drill").path().join("world.json");
        let bytes = fs::read(path).expect("what was begun has a world");
        let world: World = serde_json::from_slice(&bytes).expect("a world");
        let ours = world.performed().iter().filter(|p| {
            p.actor == OPERATOR && p.effect == Effect::Took && !p.request.starts_with("GET ")
        });
        took.extend(ours.map(|p| p.request.clone()));
    }
    took
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}

/// Plays every try of a runbook; all that fail are told.
fn play(runbook: &str) {
    let mut failures = String::new();
    let tries = tries(runbook);
    for (n, one) in tries.iter().enumerate() {
        if let Err(why) = one.play() {
            let ids = one.row.ids().join(", ");
            let way = match one.path {
                Path::Right => "right",
                Path::Wrong => "wrong",
            };
            let _ = writeln!(
                failures,
                "== try {} of {runbook}: {ids}, {way}, {}: {why}\n",
                n + 1,
                one.scenario
            );
        }
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(!tries.is_empty());
}

/// The rows that files of `tests/rows` play, with their paths.
pub(crate) fn played() -> BTreeSet<(String, &'static str)> {
    let mut played = BTreeSet::new();
    for runbook in RUNBOOKS {
        for one in tries(runbook) {
            let way = match one.path {
                Path::Right => "right",
                Path::Wrong => "wrong",
            };
            played.extend(one.row.ids().iter().map(|id| (id.clone(), way)));
        }
    }
    played
}

macro_rules! rows {
    ($($name:ident $file:literal),* $(,)?) => {
        const RUNBOOKS: &[&str] = &[$($file),*];
        $(#[test]
        fn $name() {
            play($file);
        })*
    };
}

rows! {
    bad_deploy "bad-deploy",
    failed_run "failed-run",
    guided_operation "guided-operation",
    provider_outage "provider-outage",
    db_restore "db-restore",
    route_replay_gap "route-replay-gap",
    host_upgrade "host-upgrade",
    stuck_wake "stuck-wake",
}

#[test]
fn every_file_of_rows_is_played() {
    let files = fs::read_dir(folder("tests/rows")).expect("a folder");
    let files: BTreeSet<String> = files
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    let played: BTreeSet<String> = RUNBOOKS.iter().map(|name| format!("{name}.yaml")).collect();
    assert_eq!(files, played);
}
