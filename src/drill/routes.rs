//! Which path answers what.

use serde_json::{Value as Json, json};

use super::request::{Answer, Request};
use super::world::World;

impl World {
    /// Answers a request that was read.
    pub(super) fn route(&mut self, request: &Request) -> Answer {
        let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
        let answered = match &segments[..] {
            ["ledger"] => reading(request)
                .map(|()| json!({"drill": true, "performed": self.performed}))
                .map(Answer::ok),
            ["environments", environment, rest @ ..] if *environment == self.environment => {
                self.within(request, rest)
            }
            _ => Err(nowhere(request)),
        };
        answered.unwrap_or_else(|refusal| refusal)
    }

    /// Answers what is below the environment.
    fn within(&mut self, request: &Request, rest: &[&str]) -> Result<Answer, Answer> {
        match (rest, request.method) {
            (["operations"], "POST") => request
                .no_query()
                .and_then(|()| self.post_operation(request)),
            (["operations"], "GET") => self.operations(request),
            (["quarantine"], "POST") => request
                .no_query()
                .and_then(|()| self.post_quarantine(request)),
            (["quarantine"], "GET") => self.quarantine(request),
            (["operations" | "quarantine"], _) => Err(not_allowed(&["GET", "POST"])),
            (["edges", edge, "routes"], "PUT") => self.put_routes(request, edge),
            (["edges", edge, "routes"], "DELETE") => Ok(self.delete_routes(request, edge)),
            (["edges", _, "routes"], _) => Err(not_allowed(&["PUT", "DELETE"])),
            (["operations", id], _) => {
                reading(request)?;
                let found = self.operations.iter().find(|operation| operation.id == *id);
                found
                    .map(|operation| Answer::ok(json!({"operation": operation})))
                    .ok_or_else(|| nowhere(request))
            }
            (["compatibility"], "GET") => self.fitting(request),
            (["compatibility"], _) => Err(not_allowed(&["GET"])),
            ([document @ ("state" | "deployments" | "errors" | "edges" | "data")], _) => {
                reading(request)?;
                Ok(Answer::ok(self.document(document)))
            }
            _ => Err(nowhere(request)),
        }
    }

    /// A document about the environment as it is now. To read the edges lets one of them catch up first.
    fn document(&mut self, name: &str) -> Json {
        let environment = self.environment.clone();
        match name {
            "state" => {
                let last = &self.route_owner.last_operation_id;
                json!({
                    "environment": environment,
                    "operation": self.operations.iter().find(|operation| operation.id == *last),
                    "route_owner": self.route_owner,
                    "in_progress": self.in_progress(),
                    "promotions": self.promotions,
                })
            }
            "deployments" => json!({"environment": environment, "deployments": self.deployments}),
            "errors" => self.errors_now(),
            "edges" => {
                self.settle();
                json!({"environment": environment, "edges": self.edges})
            }
            _ => json!({"environment": environment, "damaged": self.data_damaged}),
        }
    }

    fn errors_now(&self) -> Json {
        let serving = self
            .edges
            .iter()
            .filter_map(|e| self.errors.by_artifact.get(&e.artifact_digest));
        json!({
            "environment": self.environment,
            "query": "sum(rate(requests_failed[5m])) / sum(rate(requests[5m]))",
            "ratio": self.ratio(),
            "old_digest_fails": self.old_artifact_fails(),
            "schema_errors": serving.into_iter().any(|failing| failing.schema_errors),
        })
    }

    fn operations(&self, request: &Request) -> Result<Answer, Answer> {
        let key = request.only("idempotency_key")?;
        let all = self.operations.iter();
        let operations: Vec<_> = all
            .filter(|operation| key.is_none() || operation.idempotency_key.as_deref() == key)
            .collect();
        Ok(Answer::ok(json!({"operations": operations})))
    }

    fn quarantine(&self, request: &Request) -> Result<Answer, Answer> {
        Ok(Answer::ok(match request.only("artifact")? {
            Some(artifact) => {
                json!({"artifact_digest": artifact, "quarantined": self.is_quarantined(artifact)})
            }
            None => json!({"quarantine": self.quarantine}),
        }))
    }

    fn fitting(&self, request: &Request) -> Result<Answer, Answer> {
        let Some(artifact) = request.only("artifact")? else {
            let detail = "name the artifact: `?artifact=DIGEST`";
            return Err(Answer::problem(400, "Bad Request", detail));
        };
        let verdict = self.compatibility(artifact).map(Answer::ok);
        verdict.ok_or_else(|| {
            Answer::problem(404, "Not Found", "no such artifact was ever deployed here")
        })
    }
}

/// That a path which can only be read, without a query, is read so.
fn reading(request: &Request) -> Result<(), Answer> {
    if request.method == "GET" {
        request.no_query()
    } else {
        Err(not_allowed(&["GET"]))
    }
}

fn not_allowed(allowed: &[&str]) -> Answer {
    let detail = format!("this path takes {}", allowed.join(" or "));
    Answer::problem(405, "Method Not Allowed", detail).with("allowed", json!(allowed))
}

fn nowhere(request: &Request) -> Answer {
    Answer::problem(
        404,
        "Not Found",
        format!("there is nothing at `{}`", request.path),
    )
}
