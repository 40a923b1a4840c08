//! What is rehearsed: a run that went wrong, the world that it went wrong in, and answers that lead out of it.
//!
//! A scenario is a YAML document. Those that come with the tool are in `runbooks/drills/`, each with its answers beside it
//! (`NAME.yaml`, `NAME.answers.yaml`); to add one, put the files there and its name into the table in `shipped.rs`.
//!
//! ```yaml
//! format: drill/v1
//! id: host-upgrade-stuck                # what `runbook drill` takes
//! title: A host is to be rebuilt, and its sessions do not end
//! teaches: What one has learnt afterwards, in one sentence.
//! runbook: host-upgrade                 # one that comes with the tool, or a path beside this file
//! briefing: |
//!   What somebody who plays it must be told, because there is nobody to ask.
//! inputs: {settle: 1s}                  # of the runbook; spans short, so that nobody waits for a drill
//! recording: {run: {id: drill-1842, …}} # the run that went wrong, as the run history takes it
//! earlier: []                           # the runs before it, oldest first
//! plane: host-upgrade                   # one that comes with the tool, or a path beside this file; or a list of them
//! disturbances: []
//! state: {host: {id: h-1}, sessions: 40}
//! ```
//!
//! Text that is `now`, `now-45m` or `now+2h` as a whole stands for a point in time, in the state as well.
//!
//! # Disturbances
//!
//! ```yaml
//! disturbances:
//!   - title: somebody else drains the host as well
//!     before:
//!       - GET /hosts/{host}
//!       - POST /hosts/{host}/drain
//!     actor: drill-lee
//!     sends: {request: POST /hosts/h-1/drain, body: {deadline: 1h}}
//!     merge: {sessions: '${state.sessions + 5}'}
//!   - title: too many requests
//!     before: POST /hosts/{host}/drain
//!     times: 2
//!     answer: {status: 429, problem: ask again later, headers: {Retry-After: '1'}}
//!   - title: the answer is lost
//!     after: POST /hosts/{host}/drain
//!     answer: cut
//! ```
//!
//! - It happens once the requests of the operator were made in this order, others between them, `before` or `after` the
//!   plane has done what the last of them asks for; the n-th request of a kind is that kind n times. With `times`, it
//!   happens as often as that, at further requests like the last.
//! - `sends` is a request of the `actor`, which the plane answers and notes like any; a `merge` beside it follows from it,
//!   and is left out where it did not take effect. A `merge` by itself changes the state without a request, and the
//!   ledger has the title. Expressions read `state`, and the abbreviations of the plane.
//! - `answer` replaces the plane's: `before`, nothing was done; `after`, it was, and the answer is lost. `cut` closes the
//!   connection without any. Where several answer at one request, the first does.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::disturbance::Disturbance;
use super::document::{DocumentError, read, yaml};
use super::plane::{BETWEEN, Plane};
use super::shipped::{PLANES, SCENARIOS, Shipped};
use super::simulation::Simulation;
use super::world::World;
use crate::clock::{Span, Timestamp};
use crate::expr::Value;
use crate::history::{Recording, RecordingError};
use crate::ids::{Field, Slug};
use crate::runbook::shipped::is_path;

/// Largest plane that is read: the largest that comes with the tool has 20 KiB.
const LARGEST_PLANE: u64 = 1 << 20;

/// The format of scenarios that this version reads.
const FORMAT: &str = "drill/v1";

/// A scenario of a drill.
///
/// Its times are relative: text that is `now`, `now-45m` or `now+2h` as a whole stands for a point in time, so that the
/// run looks as recent as an incident is, whenever it is rehearsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    document: Document,
    plane: Arc<Plane>,
    disturbances: Arc<[Disturbance]>,
    texts: Texts,
    filled: Option<Json>,
}

/// The documents of a scenario as they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    /// The scenario itself.
    pub scenario: String,
    /// The plane that it plays on.
    pub plane: String,
    /// Its own answers, where it has any.
    pub answers: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    id: Slug,
    title: String,
    teaches: String,
    runbook: String,
    briefing: String,
    inputs: BTreeMap<Field, Json>,
    recording: Json,
    #[serde(default)]
    earlier: Vec<Json>,
    plane: Planes,
    state: Map<String, Json>,
    #[serde(default)]
    disturbances: Vec<Disturbance>,
}

/// The planes that a scenario plays on, by name or by path: one, or several that share its state.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
enum Planes {
    One(String),
    Several(Vec<String>),
}

impl Planes {
    fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

/// Why a scenario cannot be rehearsed.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// It does not parse, holds something that does not belong there, or does not fit its plane.
    #[error("the scenario cannot be read")]
    Document(#[source] DocumentError),
    /// It names a plane that is not there.
    #[error(
        "there is no plane `{0}`: name one that comes with the tool, or the path of one of your own, like `./plane.yaml`"
    )]
    NoPlane(String),
    /// Its plane is at a path, and cannot be read there.
    #[error("the plane `{}` cannot be read", path.display())]
    PlaneFile {
        /// Where it should be.
        path: PathBuf,
        /// Why it cannot be read.
        #[source]
        source: io::Error,
    },
    /// Its plane is no plane.
    #[error("the plane `{name}` cannot be read")]
    Plane {
        /// The plane.
        name: String,
        /// What is wrong.
        #[source]
        source: DocumentError,
    },
    /// Its run is not one that the run history takes.
    #[error("the recording of scenario `{id}` cannot be read")]
    Recording {
        /// The scenario.
        id: Slug,
        /// What is wrong.
        #[source]
        source: RecordingError,
    },
    /// Its answers do not parse.
    #[error("the answers of scenario `{id}` cannot be read")]
    Answers {
        /// The scenario.
        id: Slug,
        /// What is wrong.
        #[source]
        source: DocumentError,
    },
}

/// The scenarios that come with the tool, those of one runbook together, the one to begin with first.
#[must_use]
pub fn scenarios() -> Vec<Scenario> {
    SCENARIOS.iter().map(shipped).collect()
}

/// The shipped scenario of this name.
#[must_use]
pub fn scenario(id: &str) -> Option<Scenario> {
    SCENARIOS
        .iter()
        .find(|shipped| shipped.name == id)
        .map(shipped)
}

fn shipped(shipped: &Shipped) -> Scenario {
    Scenario::parse(shipped.scenario, Some(shipped.answers), Path::new(""))
        .expect("the shipped scenarios are embedded, and a test reads each")
}

/// The path of a file that a document in this folder names.
#[must_use]
pub fn beside(folder: &Path, name: &str) -> PathBuf {
    // Without the `.` of `./plane.yaml`.
    folder.join(name).components().collect()
}

impl Scenario {
    /// Reads a scenario, the answers that belong to it, and its plane: one that comes with the tool, or the one at a path
    /// that is relative to `folder`.
    ///
    /// # Errors
    /// When one of them cannot be read, they do not fit, or the run is not one that the run history takes.
    pub fn parse(text: &str, answers: Option<&str>, folder: &Path) -> Result<Self, ScenarioError> {
        let document: Document = read(text, FORMAT).map_err(ScenarioError::Document)?;
        let planes = document.plane.names().iter();
        let planes: Result<Vec<String>, _> = planes.map(|name| plane_text(name, folder)).collect();
        let plane = planes?.join(BETWEEN);
        let texts = Texts {
            scenario: text.to_owned(),
            plane,
            answers: answers.map(str::to_owned),
        };
        Self::new(document, texts)
    }

    /// Reads a scenario from the documents of an earlier one.
    ///
    /// # Errors
    /// As for [`Scenario::parse`].
    pub fn of(texts: Texts) -> Result<Self, ScenarioError> {
        let document: Document = read(&texts.scenario, FORMAT).map_err(ScenarioError::Document)?;
        Self::new(document, texts)
    }

    fn new(mut document: Document, texts: Texts) -> Result<Self, ScenarioError> {
        let plane = Plane::parse(&texts.plane).map_err(|source| ScenarioError::Plane {
            name: document.plane.names().join(", "),
            source,
        })?;
        let disturbances = std::mem::take(&mut document.disturbances);
        for disturbance in &disturbances {
            disturbance.check(&plane).map_err(ScenarioError::Document)?;
        }
        if let Err(error) = Value::try_from(Json::Object(document.state.clone())) {
            let error = DocumentError::wrong("`state`", error.to_string());
            return Err(ScenarioError::Document(error));
        }
        let filled = texts.answers.as_deref().map(yaml).transpose();
        let filled = filled.map_err(|source| ScenarioError::Answers {
            id: document.id.clone(),
            source,
        })?;
        let scenario = Self {
            document,
            plane: Arc::new(plane),
            disturbances: disturbances.into(),
            texts,
            filled,
        };
        for recording in scenario.recordings() {
            // Whatever time it is: only the form of the times depends on it.
            scenario.recorded(recording, Timestamp::from_micros(0))?;
        }
        Ok(scenario)
    }

    /// The name that `runbook drill` takes.
    #[must_use]
    pub fn id(&self) -> &Slug {
        &self.document.id
    }

    /// What happens, in one line.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.document.title
    }

    /// What one has learnt afterwards, in one sentence.
    #[must_use]
    pub fn teaches(&self) -> &str {
        &self.document.teaches
    }

    /// The runbook that is rehearsed: one that comes with the tool, or a path that is relative to the scenario's.
    #[must_use]
    pub fn runbook(&self) -> &str {
        &self.document.runbook
    }

    /// What somebody who plays it must be told, because there is nobody to ask: what the by-hand steps would show.
    #[must_use]
    pub fn briefing(&self) -> &str {
        &self.document.briefing
    }

    /// The inputs of the runbook. Spans of time are short, so that nobody waits for a drill.
    #[must_use]
    pub fn inputs(&self) -> &BTreeMap<Field, Json> {
        &self.document.inputs
    }

    /// The plane and the world as they are when the drill begins, which is `now`.
    #[must_use]
    pub fn simulation_at(&self, now: Timestamp) -> Simulation {
        let state = self.document.state.iter();
        let state = state.map(|(key, value)| (key.clone(), at(value, now)));
        let world = World::new(self.id().as_str(), state.collect(), self.disturbances.len());
        Simulation::new(
            Arc::clone(&self.plane),
            Arc::clone(&self.disturbances),
            world,
        )
    }

    /// The run that went wrong, with its workspace and its logs, as if it had just happened.
    #[must_use]
    pub fn recording_at(&self, now: Timestamp) -> Recording {
        self.sound(&self.document.recording, now)
    }

    /// The runs before it, oldest first, so that the run history knows what was deployed.
    #[must_use]
    pub fn earlier_at(&self, now: Timestamp) -> Vec<Recording> {
        let earlier = self.document.earlier.iter();
        earlier
            .map(|recording| self.sound(recording, now))
            .collect()
    }

    /// The documents that it was read from.
    #[must_use]
    pub fn texts(&self) -> &Texts {
        &self.texts
    }

    /// The scenario's own answers, with the times that the relative ones stand for; none where it has none.
    #[must_use]
    pub fn answers_at(&self, now: Timestamp) -> Option<Json> {
        self.filled.as_ref().map(|filled| at(filled, now))
    }

    fn recordings(&self) -> impl Iterator<Item = &Json> {
        self.document
            .earlier
            .iter()
            .chain([&self.document.recording])
    }

    fn sound(&self, recording: &Json, now: Timestamp) -> Recording {
        self.recorded(recording, now)
            .expect("every recording was read when the scenario was")
    }

    fn recorded(&self, recording: &Json, now: Timestamp) -> Result<Recording, ScenarioError> {
        let file = format!("{}.json", self.id());
        let json = at(recording, now).to_string();
        Recording::parse(json.as_bytes(), Path::new(&file)).map_err(|source| {
            ScenarioError::Recording {
                id: self.id().clone(),
                source,
            }
        })
    }
}

/// The text of a plane, by its name or its path.
fn plane_text(name: &str, folder: &Path) -> Result<String, ScenarioError> {
    if is_path(name) {
        let path = beside(folder, name);
        return read_limited(&path).map_err(|source| ScenarioError::PlaneFile { path, source });
    }
    let shipped = PLANES.iter().find(|(shipped, _)| *shipped == name);
    let (_, text) = shipped.ok_or_else(|| ScenarioError::NoPlane(name.to_owned()))?;
    Ok((*text).to_owned())
}

fn read_limited(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = fs::File::open(path)?.take(LARGEST_PLANE + 1);
    let mut read = io::BufReader::new(read);
    read.read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST_PLANE {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
}

/// The value with its relative times replaced.
fn at(value: &Json, now: Timestamp) -> Json {
    match value {
        Json::String(text) => {
            moment(text, now).map_or_else(|| value.clone(), |time| time.to_string().into())
        }
        Json::Array(list) => list.iter().map(|item| at(item, now)).collect(),
        Json::Object(map) => map
            .iter()
            .map(|(key, item)| (key.clone(), at(item, now)))
            .collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) => value.clone(),
    }
}

/// The point in time that the text stands for; `None` when it is any other text.
fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    let offset = text.strip_prefix("now")?;
    if offset.is_empty() {
        return Some(now);
    }
    if let Some(later) = offset.strip_prefix('+') {
        return Some(now.plus(later.parse().ok()?));
    }
    let earlier: Span = offset.strip_prefix('-')?.parse().ok()?;
    let micros = i64::try_from(earlier.millis()).ok()?.checked_mul(1000)?;
    Some(Timestamp::from_micros(now.micros().saturating_sub(micros)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> Timestamp {
        "2026-11-20T12:00:00Z".parse().expect("a time")
    }

    #[test]
    fn relative_times_follow_the_clock_and_other_text_stays() {
        for (text, expected) in [
            ("now", "2026-11-20T12:00:00Z"),
            ("now-45m", "2026-11-20T11:15:00Z"),
            ("now+2h", "2026-11-20T14:00:00Z"),
            ("now-", "now-"),
            ("now-soon", "now-soon"),
            ("nowhere", "nowhere"),
            ("not now-45m", "not now-45m"),
        ] {
            assert_eq!(at(&text.into(), noon()), Json::from(expected));
        }
    }

    #[test]
    fn every_shipped_scenario_reads_and_is_about_one_target() {
        for (scenario, shipped) in scenarios().into_iter().zip(SCENARIOS) {
            let id = scenario.id().as_str();
            assert_eq!(id, shipped.name);
            let head = super::super::shipped::heads()
                .into_iter()
                .find(|h| h.id.as_str() == id);
            let head = head.expect("it is listed");
            assert_eq!(
                (head.title.as_str(), head.teaches.as_str()),
                (scenario.title(), scenario.teaches())
            );
            assert_eq!(head.runbook, scenario.runbook());
            assert_eq!(super::scenario(id).as_ref(), Some(&scenario));
            assert!(
                scenario
                    .document
                    .plane
                    .names()
                    .iter()
                    .all(|name| !is_path(name)),
                "{id} has a plane of its own"
            );
            let recording = scenario.recording_at(noon());
            let workspace = recording.workspace.as_ref().expect("a workspace");
            assert!(workspace.operators.contains(&recording.run.launched_by));
            // What is only planned has not failed; what has, did so lately, with logs from before and after.
            assert_eq!(
                recording.run.failed_at.is_some(),
                scenario.runbook() != "guided-operation",
                "{id}"
            );
            if let Some(failed) = recording.run.failed_at {
                assert!(failed < noon() && noon().since(failed) < Span::from_secs(7200));
                let mut logs = recording.logs.iter();
                assert!(logs.clone().any(|line| line.at < failed) || id.ends_with("-blind"));
                assert!(
                    logs.any(|line| line.at > failed && line.at < noon()) || id.ends_with("-blind")
                );
            }
            for earlier in scenario.earlier_at(noon()) {
                assert_eq!(earlier.run.target(), recording.run.target());
                assert!(earlier.run.launched_at < recording.run.launched_at);
            }
        }
        assert!(scenario("no-such-drill").is_none());
    }

    #[test]
    fn those_of_one_runbook_stand_together() {
        let mut seen: Vec<String> = Vec::new();
        for scenario in scenarios() {
            if seen.last().is_some_and(|last| last == scenario.runbook()) {
                continue;
            }
            let runbook = scenario.runbook().to_owned();
            assert!(!seen.contains(&runbook), "{runbook} is in two places");
            seen.push(runbook);
        }
    }

    #[test]
    fn every_shipped_plane_reads_and_is_played_on() {
        for (name, text) in PLANES {
            Plane::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            let played = scenarios()
                .iter()
                .any(|s| s.document.plane.names().iter().any(|n| n == name));
            assert!(played, "nothing plays on `{name}`");
        }
    }

    #[test]
    fn a_run_that_the_history_does_not_take_makes_no_scenario() {
        let Shipped {
            scenario, answers, ..
        } = &SCENARIOS[0];
        let parse = |text: &str| Scenario::parse(text, Some(answers), Path::new(""));
        for (from, to) in [
            ("now-45m", "yesterday"),
            ("state: failed", "state: broken"),
            ("drill/v1", "drill/v2"),
            ("teaches:", "teachs:"),
            ("plane: bad-deploy", "plane: none-such"),
            ("plane: bad-deploy", "plane: ./none-such.yaml"),
            ("epoch: 42", "epoch: 18446744073709551615"),
        ] {
            assert!(scenario.contains(from), "{from}");
            assert!(parse(&scenario.replace(from, to)).is_err(), "{to}");
        }
        assert!(matches!(
            Scenario::parse(scenario, Some("a: [1"), Path::new("")),
            Err(ScenarioError::Answers { .. })
        ));
    }
}
