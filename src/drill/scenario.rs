//! What is rehearsed: a run that went wrong, the world that it went wrong in, and answers that lead out of it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value as Json;

use super::world::World;
use crate::clock::{Span, Timestamp};
use crate::history::{Recording, RecordingError};
use crate::ids::{Field, RunbookId, Slug};

/// The format of scenarios that this version reads.
const FORMAT: &str = "drill/v1";

/// The scenarios that come with the tool, each with its answers, the one to begin with first.
const SHIPPED: [(&str, &str); 3] = [
    (
        include_str!("../../runbooks/drills/bad-deploy.yaml"),
        include_str!("../../runbooks/drills/bad-deploy.answers.yaml"),
    ),
    (
        include_str!("../../runbooks/drills/bad-deploy-incompatible.yaml"),
        include_str!("../../runbooks/drills/bad-deploy-incompatible.answers.yaml"),
    ),
    (
        include_str!("../../runbooks/drills/bad-deploy-moved-epoch.yaml"),
        include_str!("../../runbooks/drills/bad-deploy-moved-epoch.answers.yaml"),
    ),
];

/// A scenario of a drill.
///
/// Its times are relative: text that is `now`, `now-45m` or `now+2h` as a whole stands for a point in time, so that the
/// run looks as recent as an incident is, whenever it is rehearsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    document: Document,
    answers: String,
    filled: Json,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    id: Slug,
    title: String,
    teaches: String,
    runbook: RunbookId,
    briefing: String,
    inputs: BTreeMap<Field, Json>,
    recording: Json,
    #[serde(default)]
    earlier: Vec<Json>,
    world: World,
}

/// Why a scenario cannot be rehearsed.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// It does not parse, or holds something that does not belong there.
    #[error("the scenario cannot be read")]
    Document(#[source] Box<serde_yaml::Error>),
    /// It is of another format.
    #[error("the format `{0}` is not read here; this tool reads `{FORMAT}`")]
    Format(String),
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
        source: Box<serde_yaml::Error>,
    },
}

/// The scenarios that come with the tool, the one to begin with first.
#[must_use]
pub fn scenarios() -> Vec<Scenario> {
    let parsed = SHIPPED
        .into_iter()
        .map(|(scenario, answers)| Scenario::parse(scenario, answers));
    parsed
        .collect::<Result<_, _>>()
        .expect("the shipped scenarios are embedded, and a test reads each")
}

/// The shipped scenario of this name.
#[must_use]
pub fn scenario(id: &str) -> Option<Scenario> {
    scenarios()
        .into_iter()
        .find(|scenario| scenario.id().as_str() == id)
}

impl Scenario {
    /// Reads a scenario and the answers that belong to it.
    ///
    /// # Errors
    /// When either cannot be read, or its run is not one that the run history takes.
    pub fn parse(text: &str, answers: &str) -> Result<Self, ScenarioError> {
        let document: Document =
            serde_yaml::from_str(text).map_err(|error| ScenarioError::Document(error.into()))?;
        if document.format != FORMAT {
            return Err(ScenarioError::Format(document.format));
        }
        let filled = serde_yaml::from_str(answers).map_err(|error| ScenarioError::Answers {
            id: document.id.clone(),
            source: error.into(),
        })?;
        let scenario = Self {
            document,
            answers: answers.to_owned(),
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

    /// The runbook that is rehearsed.
    #[must_use]
    pub fn runbook(&self) -> &RunbookId {
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

    /// The world as it is when the drill begins.
    #[must_use]
    pub fn world(&self) -> World {
        let mut world = self.document.world.clone();
        world.scenario = self.id().to_string();
        world
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

    /// The scenario's own answers as they are written, with relative times.
    #[must_use]
    pub fn answers_yaml(&self) -> &str {
        &self.answers
    }

    /// The scenario's own answers, with the times that the relative ones stand for.
    #[must_use]
    pub fn answers_at(&self, now: Timestamp) -> Json {
        at(&self.filled, now)
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
        let ids: Vec<String> = scenarios().iter().map(|s| s.id().to_string()).collect();
        assert_eq!(
            ids,
            [
                "bad-deploy",
                "bad-deploy-incompatible",
                "bad-deploy-moved-epoch"
            ]
        );
        for scenario in scenarios() {
            let recording = scenario.recording_at(noon());
            let workspace = recording.workspace.as_ref().expect("a workspace");
            assert_eq!(
                recording.run.environment.as_str(),
                scenario.world().environment
            );
            assert!(workspace.operators.contains(&recording.run.launched_by));
            let failed = recording.run.failed_at.expect("the time of the failure");
            assert!(failed < noon() && noon().since(failed) < Span::from_secs(7200));
            assert!(recording.logs.iter().any(|line| line.at < failed));
            assert!(
                recording
                    .logs
                    .iter()
                    .any(|line| line.at > failed && line.at < noon())
            );
            for earlier in scenario.earlier_at(noon()) {
                assert_eq!(earlier.run.target(), recording.run.target());
                assert!(earlier.run.launched_at < recording.run.launched_at);
            }
        }
        assert!(scenario("no-such-drill").is_none());
    }

    #[test]
    fn a_run_that_the_history_does_not_take_makes_no_scenario() {
        let (text, answers) = SHIPPED[0];
        for (from, to) in [
            ("now-45m", "yesterday"),
            ("state: failed", "state: broken"),
            ("drill/v1", "drill/v2"),
            ("teaches:", "teachs:"),
            ("epoch: 42", "epoch: -1"),
        ] {
            assert!(text.contains(from), "{from}");
            assert!(
                Scenario::parse(&text.replace(from, to), answers).is_err(),
                "{to}"
            );
        }
        assert!(matches!(
            Scenario::parse(text, "a: [1"),
            Err(ScenarioError::Answers { .. })
        ));
    }
}
