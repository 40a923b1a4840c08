//! What is true in the simulated environment, and what was done to it: plain data, kept in one file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::request::Answer;

/// The state of one simulated environment, which requests and disturbances move on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    /// The scenario that it was made for; a kept world is not taken for that of another.
    pub(super) scenario: String,
    /// What is true, as the plane reads and merges it.
    pub(super) state: Map<String, Json>,
    /// How far each disturbance of the scenario has come, in their order.
    pub(super) progress: Vec<Progress>,
    /// The answers to what took effect, by idempotency key.
    pub(super) answered: BTreeMap<String, Answered>,
    pub(super) performed: Vec<Performed>,
}

/// How far a disturbance has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Progress {
    /// How many of the requests that it waits for were made.
    pub(super) seen: usize,
    /// How often it has happened.
    pub(super) happened: u32,
}

/// The answer that is given again where the same is asked for with the same idempotency key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answered {
    pub(super) request: String,
    pub(super) body: Json,
    pub(super) answer: Answer,
}

/// One change that the control plane was asked for, or that happened by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Performed {
    /// Who asked.
    pub actor: String,
    /// What was asked for, as a method and a path; the title of a disturbance that happened without a request.
    pub request: String,
    /// The idempotency key that came with it.
    pub idempotency_key: Option<String>,
    /// The body that came with it; null where none did.
    pub body: Json,
    /// What came of it.
    pub effect: Effect,
    /// The status of the plane's answer, whatever of it arrived; none where there was nothing to answer.
    pub status: Option<u16>,
}

/// What came of a change that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// It took effect.
    Took,
    /// It had taken effect before; nothing was done again.
    Repeated,
    /// Nothing was done.
    Refused,
}

impl World {
    /// A world in which nothing was done yet.
    pub(super) fn new(scenario: &str, state: Map<String, Json>, disturbances: usize) -> Self {
        Self {
            scenario: scenario.to_owned(),
            state,
            progress: vec![Progress::default(); disturbances],
            answered: BTreeMap::new(),
            performed: Vec::new(),
        }
    }

    /// What is true.
    #[must_use]
    pub fn state(&self) -> &Map<String, Json> {
        &self.state
    }

    /// Every change that was asked for, in order, with whether it took effect.
    #[must_use]
    pub fn performed(&self) -> &[Performed] {
        &self.performed
    }

    /// The scenario that it was made for.
    #[must_use]
    pub fn scenario(&self) -> &str {
        &self.scenario
    }
}
