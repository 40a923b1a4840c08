//! The changes that the simulated control plane performs, each at most once.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::request::{Answer, Request};
use super::world::{
    CALLER, Deployment, Effect, Operation, OperationKind, OperationState, Override, Performed,
    Quarantined, World,
};

/// A change of the route owner that somebody orders.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    kind: OperationKind,
    artifact_digest: String,
    /// Absent only where a scenario's actor takes whatever epoch there is.
    #[serde(default)]
    expected_epoch: Option<u64>,
    #[serde(default)]
    idempotency_key: Option<String>,
    #[serde(default)]
    build_id: Option<String>,
    #[serde(default)]
    reason: Option<String>,
    /// Given by scenarios only.
    #[serde(default)]
    actor: Option<String>,
    #[serde(default)]
    edges: Following,
}

/// How the edges take up an operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Following {
    /// One with each read of the edges.
    #[default]
    OneByOne,
    /// All before anybody looks.
    AtOnce,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToQuarantine {
    artifact_digest: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToOverride {
    artifact_digest: String,
}

impl World {
    /// `POST /environments/{env}/operations`.
    pub(super) fn post_operation(&mut self, request: &Request) -> Result<Answer, Answer> {
        let order: Order = read(request)?;
        let wanting = if order.expected_epoch.is_none() {
            Some("`expected_epoch` is missing: name the epoch that was decided on")
        } else if order.idempotency_key.as_deref().unwrap_or("").is_empty() {
            Some(
                "`idempotency_key` is missing: without it, a repetition cannot be told from a second change",
            )
        } else if order.actor.is_some() || order.edges != Following::default() {
            Some("`actor` and `edges` cannot be ordered")
        } else {
            None
        };
        match wanting {
            Some(wanting) => Err(unprocessable(wanting)),
            None => Ok(self.ordered(order)),
        }
    }

    /// Performs or refuses an order, and notes it on the ledger.
    pub(super) fn ordered(&mut self, order: Order) -> Answer {
        let known = order.idempotency_key.as_ref().and_then(|key| {
            self.operations
                .iter()
                .find(|o| o.idempotency_key.as_ref() == Some(key))
                .cloned()
        });
        let admitted = match known {
            Some(operation) if is_repetition(&operation, &order) => {
                Ok((operation, Effect::Repeated))
            }
            Some(_) => Err(unprocessable(
                "this idempotency key belongs to another operation",
            )),
            None => match self.refusal(&order) {
                Some(refusal) => Err(refusal),
                None => Ok((self.commit(&order), Effect::Took)),
            },
        };
        let (answer, effect, operation) = match admitted {
            Ok((operation, effect)) => {
                let body = json!({"operation": operation, "route_owner": self.route_owner});
                (Answer { status: 202, body }, effect, Some(operation.id))
            }
            Err(refusal) => (refusal, Effect::Refused, None),
        };
        self.performed.push(Performed {
            actor: order.actor.unwrap_or_else(|| CALLER.to_owned()),
            request: format!(
                "POST /environments/{}/operations {}",
                self.environment,
                order.kind.as_str()
            ),
            idempotency_key: order.idempotency_key,
            effect,
            status: answer.status,
            operation,
        });
        answer
    }

    /// Why the order is not performed; `None` when nothing stands against it.
    fn refusal(&self, order: &Order) -> Option<Answer> {
        let owner = &self.route_owner;
        if order.kind == OperationKind::Promote
            && self.promotions.frozen
            && self.promotions.except.as_ref() != Some(&order.artifact_digest)
        {
            let detail = "promotions to this environment are frozen";
            return Some(Answer::problem(423, "Locked", detail));
        }
        if order
            .expected_epoch
            .is_some_and(|epoch| epoch != owner.epoch)
        {
            let detail = "the epoch has moved: read the state again, and decide again";
            return Some(Answer::problem(409, "Conflict", detail).with("current", json!(owner)));
        }
        if let [running, ..] = self.in_progress()[..] {
            let detail = format!("operation `{running}` is still in progress");
            return Some(Answer::problem(409, "Conflict", detail).with("current", json!(owner)));
        }
        if self.is_quarantined(&order.artifact_digest) {
            return Some(unprocessable("the artifact is quarantined"));
        }
        match self.first_deployment(&order.artifact_digest) {
            None if order.kind == OperationKind::Rollback || order.build_id.is_none() => {
                let detail = "no such artifact was ever deployed here";
                Some(Answer::problem(404, "Not Found", detail))
            }
            Some((_, deployment)) if !deployment.pullable => {
                Some(unprocessable("the artifact can no longer be pulled"))
            }
            Some(_)
                if order.kind == OperationKind::Rollback
                    && order.artifact_digest == owner.artifact_digest =>
            {
                Some(unprocessable("the artifact already owns the routes"))
            }
            _ => None,
        }
    }

    /// Swaps the route owner; the edges follow later.
    fn commit(&mut self, order: &Order) -> Operation {
        for earlier in &mut self.operations {
            if earlier.state == OperationState::Running {
                earlier.state = OperationState::Superseded;
            }
        }
        // The old code now writes to data that it does not understand, whatever the error ratio says.
        self.data_damaged |= !self.database_blockers(&order.artifact_digest).is_empty();

        let id = format!("op-drill-{}", self.next_operation);
        self.next_operation += 1;
        self.route_owner.epoch += 1;
        self.route_owner
            .artifact_digest
            .clone_from(&order.artifact_digest);
        self.route_owner.last_operation_id.clone_from(&id);
        self.operations.push(Operation {
            id: id.clone(),
            kind: order.kind,
            state: OperationState::Running,
            artifact_digest: order.artifact_digest.clone(),
            expected_epoch: order.expected_epoch,
            resulting_epoch: self.route_owner.epoch,
            build_id: order.build_id.clone(),
            idempotency_key: order.idempotency_key.clone(),
            actor: order.actor.clone().unwrap_or_else(|| CALLER.to_owned()),
            reason: order.reason.clone(),
        });
        self.deployments.insert(0, self.redeployed(order, id));
        if order.edges == Following::AtOnce {
            for _ in 0..self.edges.len() {
                self.settle();
            }
        }
        self.operations[self.operations.len() - 1].clone()
    }

    fn redeployed(&self, order: &Order, operation_id: String) -> Deployment {
        let first = self
            .first_deployment(&order.artifact_digest)
            .map(|(_, first)| first);
        Deployment {
            artifact_digest: order.artifact_digest.clone(),
            operation_id,
            build_id: order.build_id.clone(),
            healthy: false,
            pullable: true,
            migrations: Vec::new(),
            missing_config: first.map(|d| d.missing_config.clone()).unwrap_or_default(),
            missing_bindings: first
                .map(|d| d.missing_bindings.clone())
                .unwrap_or_default(),
        }
    }

    /// `POST /environments/{env}/quarantine`.
    pub(super) fn post_quarantine(&mut self, request: &Request) -> Result<Answer, Answer> {
        let wanted: ToQuarantine = read(request)?;
        let (answer, effect) = if self.first_deployment(&wanted.artifact_digest).is_none() {
            let detail = "no such artifact was ever deployed here";
            (Answer::problem(404, "Not Found", detail), Effect::Refused)
        } else {
            let body = json!({"artifact_digest": wanted.artifact_digest, "quarantined": true});
            if self.is_quarantined(&wanted.artifact_digest) {
                (Answer::ok(body), Effect::Repeated)
            } else {
                self.quarantine.push(Quarantined {
                    artifact_digest: wanted.artifact_digest,
                    reason: wanted.reason,
                });
                (Answer::ok(body), Effect::Took)
            }
        };
        self.note(CALLER, request.method, request.path, effect, answer.status);
        Ok(answer)
    }

    /// Whether the artifact may no longer be promoted.
    pub(super) fn is_quarantined(&self, artifact: &str) -> bool {
        self.quarantine
            .iter()
            .any(|q| q.artifact_digest == artifact)
    }

    /// `PUT /environments/{env}/edges/{id}/routes`.
    pub(super) fn put_routes(&mut self, request: &Request, edge: &str) -> Result<Answer, Answer> {
        let wanted: ToOverride = read(request)?;
        Ok(self.override_edge(edge, &wanted.artifact_digest, CALLER))
    }

    /// Changes what one edge serves behind the back of the route owner.
    pub(super) fn override_edge(&mut self, id: &str, artifact: &str, actor: &str) -> Answer {
        let path = format!("/environments/{}/edges/{id}/routes", self.environment);
        let Some(edge) = self.edges.iter_mut().find(|edge| edge.id == id) else {
            return self.no_such_edge(actor, "PUT", &path);
        };
        edge.local_overrides.push(Override {
            artifact_digest: artifact.to_owned(),
            instead_of: std::mem::replace(&mut edge.artifact_digest, artifact.to_owned()),
        });
        let answer = Answer::ok(json!(edge));
        self.note(actor, "PUT", &path, Effect::Took, 200);
        answer
    }

    /// `DELETE /environments/{env}/edges/{id}/routes`: what was changed at the edge is taken back.
    pub(super) fn delete_routes(&mut self, request: &Request, id: &str) -> Answer {
        let Some(edge) = self.edges.iter_mut().find(|edge| edge.id == id) else {
            return self.no_such_edge(CALLER, request.method, request.path);
        };
        let effect = match edge.local_overrides.drain(..).next() {
            Some(first) => {
                edge.artifact_digest = first.instead_of;
                Effect::Took
            }
            None => Effect::Repeated,
        };
        let answer = Answer::ok(json!(edge));
        self.note(CALLER, request.method, request.path, effect, 200);
        answer
    }

    fn no_such_edge(&mut self, actor: &str, method: &str, path: &str) -> Answer {
        self.note(actor, method, path, Effect::Refused, 404);
        Answer::problem(404, "Not Found", "there is no such edge")
    }
}

fn is_repetition(operation: &Operation, order: &Order) -> bool {
    operation.kind == order.kind
        && operation.artifact_digest == order.artifact_digest
        && operation.expected_epoch == order.expected_epoch
        && operation.build_id == order.build_id
}

/// The body as what this path takes: 400 when it is not JSON, 422 when it is something else.
fn read<T: serde::de::DeserializeOwned>(request: &Request) -> Result<T, Answer> {
    serde_json::from_value(request.json()?).map_err(|error| unprocessable(&error.to_string()))
}

fn unprocessable(detail: &str) -> Answer {
    Answer::problem(422, "Unprocessable Content", detail)
}
