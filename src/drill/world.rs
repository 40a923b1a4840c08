//! What is true in the simulated environment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::compatibility::Axis;
use super::disturbance::Disturbance;
use super::request::{Answer, Request};

/// The ratio of errors up to which an artifact counts as healthy.
const HEALTHY: f64 = 0.01;

/// Who the ledger names for what came as a request.
pub(super) const CALLER: &str = "drill-operator";

/// The state of one simulated environment: plain data, which reads and changes move on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    /// The scenario that it was made for; a kept world is not taken for that of another.
    #[serde(default)]
    pub(super) scenario: String,
    pub(super) environment: String,
    pub(super) route_owner: RouteOwner,
    pub(super) operations: Vec<Operation>,
    /// The number of the next operation.
    pub(super) next_operation: u64,
    /// Newest first.
    pub(super) deployments: Vec<Deployment>,
    pub(super) edges: Vec<Edge>,
    pub(super) errors: Errors,
    #[serde(default)]
    pub(super) data_damaged: bool,
    pub(super) promotions: Promotions,
    #[serde(default)]
    pub(super) quarantine: Vec<Quarantined>,
    /// What the plane cannot read, and so cannot answer for.
    #[serde(default)]
    pub(super) unreadable: Vec<Axis>,
    #[serde(default)]
    pub(super) disturbances: Vec<Disturbance>,
    #[serde(default)]
    pub(super) performed: Vec<Performed>,
}

/// Which artifact the routes lead to. The epoch grows by one with every change, whoever makes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteOwner {
    pub(super) artifact_digest: String,
    pub(super) epoch: u64,
    pub(super) last_operation_id: String,
}

/// A change of the route owner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) kind: OperationKind,
    pub(super) state: OperationState,
    pub(super) artifact_digest: String,
    #[serde(default)]
    pub(super) expected_epoch: Option<u64>,
    pub(super) resulting_epoch: u64,
    /// The build that it made; none when it used an artifact that was there.
    #[serde(default)]
    pub(super) build_id: Option<String>,
    #[serde(default)]
    pub(super) idempotency_key: Option<String>,
    pub(super) actor: String,
    #[serde(default)]
    pub(super) reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OperationKind {
    /// To an artifact that serves from now on for the first time, or again.
    Promote,
    /// To an artifact that served before.
    Rollback,
}

impl OperationKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Rollback => "rollback",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OperationState {
    /// Committed; not every edge follows yet.
    Running,
    /// Every edge follows.
    Succeeded,
    /// Another operation took over before every edge followed.
    Superseded,
}

/// An artifact that was deployed to the environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deployment {
    pub(super) artifact_digest: String,
    pub(super) operation_id: String,
    #[serde(default)]
    pub(super) build_id: Option<String>,
    pub(super) healthy: bool,
    pub(super) pullable: bool,
    /// What came with it to the database.
    #[serde(default)]
    pub(super) migrations: Vec<Migration>,
    /// Keys of configuration or secrets that it needs and that are gone.
    #[serde(default)]
    pub(super) missing_config: Vec<String>,
    /// Bound services that it needs and that are gone.
    #[serde(default)]
    pub(super) missing_bindings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Migration {
    pub(super) id: String,
    pub(super) kind: MigrationKind,
    pub(super) reversible: bool,
    pub(super) state: MigrationState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum MigrationKind {
    /// Adds; what was there before goes on working.
    Expand,
    /// Removes or renames.
    Contract,
    /// Rewrites rows.
    Data,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum MigrationState {
    Pending,
    Executed,
}

/// One place that serves the routes, and the owner that it believes in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Edge {
    pub(super) id: String,
    pub(super) region: String,
    pub(super) artifact_digest: String,
    pub(super) epoch: u64,
    /// Routes that somebody changed here by hand. While there are any, the edge follows no operation.
    #[serde(default)]
    pub(super) local_overrides: Vec<Override>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Override {
    pub(super) artifact_digest: String,
    /// What the edge served before.
    pub(super) instead_of: String,
}

/// What fails, as far as it depends on what serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Errors {
    /// The ratio of an artifact that is not listed.
    pub(super) baseline: f64,
    #[serde(default)]
    pub(super) by_artifact: BTreeMap<String, Failing>,
    /// The ratio below which nothing falls once data is damaged.
    pub(super) damage: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Failing {
    pub(super) ratio: f64,
    /// Whether its errors name tables, columns or locks.
    #[serde(default)]
    pub(super) schema_errors: bool,
}

/// Whether anything may be promoted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Promotions {
    pub(super) frozen: bool,
    /// The one artifact that may go out although promotions are frozen.
    #[serde(default)]
    pub(super) except: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Quarantined {
    pub(super) artifact_digest: String,
    pub(super) reason: String,
}

/// One change that the control plane was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Performed {
    /// Who asked.
    pub actor: String,
    /// What was asked for, as a method and a path.
    pub request: String,
    /// The idempotency key that came with it.
    pub idempotency_key: Option<String>,
    /// What came of it.
    pub effect: Effect,
    /// The status that was answered.
    pub status: u16,
    /// The operation that it made or found.
    pub operation: Option<String>,
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
    /// Answers one request, and moves the world on.
    ///
    /// `path` is without its query, `query` without its `?`; both as they are sent, percent-encoded.
    pub fn handle(&mut self, method: &str, path: &str, query: &str, body: &[u8]) -> Answer {
        match Request::new(method, path, query, body) {
            Ok(request) => {
                self.disturb(&request);
                let noted = self.performed.len();
                let answer = self.route(&request);
                if request.method != "GET" && self.performed.len() == noted {
                    self.note(CALLER, method, path, Effect::Refused, answer.status);
                }
                answer
            }
            Err(answer) => answer,
        }
    }

    /// Puts a change that made no operation on the ledger.
    pub(super) fn note(
        &mut self,
        actor: &str,
        method: &str,
        path: &str,
        effect: Effect,
        status: u16,
    ) {
        self.performed.push(Performed {
            actor: actor.to_owned(),
            request: format!("{method} {path}"),
            idempotency_key: None,
            effect,
            status,
            operation: None,
        });
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

    /// Lets the first edge that is behind catch up; with the last one the operation has succeeded.
    pub(super) fn settle(&mut self) {
        let owner = &self.route_owner;
        let behind = |edge: &&mut Edge| edge.local_overrides.is_empty() && !edge.follows(owner);
        if let Some(edge) = self.edges.iter_mut().find(behind) {
            edge.artifact_digest.clone_from(&owner.artifact_digest);
            edge.epoch = owner.epoch;
        }
        if self.edges.iter().all(|edge| edge.follows(owner)) {
            self.succeed();
        }
    }

    fn succeed(&mut self) {
        let last = self.route_owner.last_operation_id.clone();
        let running = self
            .operations
            .iter_mut()
            .find(|o| o.id == last && o.state == OperationState::Running);
        if let Some(operation) = running {
            operation.state = OperationState::Succeeded;
            let healthy = self.ratio_of(&self.route_owner.artifact_digest) <= HEALTHY;
            if let Some(deployment) = self.deployments.iter_mut().find(|d| d.operation_id == last) {
                deployment.healthy = healthy;
            }
        }
    }

    /// The ids of the operations that not every edge follows yet.
    pub(super) fn in_progress(&self) -> Vec<&str> {
        let running = self
            .operations
            .iter()
            .filter(|o| o.state == OperationState::Running);
        running.map(|o| o.id.as_str()).collect()
    }

    /// The deployment that brought the artifact here first, with how many came after it; `None` when none did.
    pub(super) fn first_deployment(&self, artifact: &str) -> Option<(usize, &Deployment)> {
        let mut all = self.deployments.iter().enumerate();
        all.rfind(|(_, deployment)| deployment.artifact_digest == artifact)
    }

    /// The ratio of errors of one artifact by itself.
    pub(super) fn ratio_of(&self, artifact: &str) -> f64 {
        let failing = self.errors.by_artifact.get(artifact);
        failing.map_or(self.errors.baseline, |failing| failing.ratio)
    }

    /// The ratio of errors of the environment: each edge has the same share of the requests.
    pub(super) fn ratio(&self) -> f64 {
        let ratios = self
            .edges
            .iter()
            .map(|edge| self.ratio_of(&edge.artifact_digest));
        let count = u32::try_from(self.edges.len().max(1)).unwrap_or(u32::MAX);
        let mean = ratios.sum::<f64>() / f64::from(count);
        let floor = if self.data_damaged {
            self.errors.damage
        } else {
            0.0
        };
        // To a millionth: the sum over edges that agree is to be the ratio of the artifact.
        (mean.max(floor) * 1e6).round() / 1e6
    }

    /// Whether the newest artifact that was healthy before the owner fails as well.
    pub(super) fn old_artifact_fails(&self) -> bool {
        let owner = &self.route_owner.artifact_digest;
        let mut others = self
            .deployments
            .iter()
            .filter(|d| d.healthy && d.artifact_digest != *owner);
        others
            .next()
            .is_some_and(|old| self.ratio_of(&old.artifact_digest) > HEALTHY)
    }
}

impl Edge {
    fn follows(&self, owner: &RouteOwner) -> bool {
        self.local_overrides.is_empty()
            && self.epoch == owner.epoch
            && self.artifact_digest == owner.artifact_digest
    }
}
