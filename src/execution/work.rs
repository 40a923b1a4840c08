//! Rendering: from a step and what is known to exactly what would be performed.

use serde_json::Value as Json;

use crate::clock::Timestamp;
use crate::digest::Digest;
use crate::expr::{Scope, Template};
use crate::ids::{ExecutionId, Slug};
use crate::runbook::model::{Action, Body, Command, FreezeScope, HistoryCall, Request, Step};

use super::event::{HistoryWork, Work};
use super::plan::Plan;
use super::scope::scope;
use super::state::State;

/// Why the work of a step cannot be said exactly: a value that it needs is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Unrendered {
    /// The unknown value.
    pub why: String,
}

/// What exactly performing the step would be, now.
///
/// # Errors
/// [`Unrendered`] where a value that it needs is unknown.
pub fn render(plan: &Plan, state: &State, step: &Step, now: Timestamp) -> Result<Work, Unrendered> {
    let scope = scope(plan, state, now);
    match &step.action {
        Action::Command(command) => render_command(plan, command, &scope),
        Action::Request(request) => render_request(request, &scope),
        Action::History(call) => render_history(plan, state, step, call, &scope).map(Work::History),
        Action::HandOver(runbook) => Ok(Work::HandOver {
            runbook: runbook.clone(),
            execution: successor(state, &step.id),
        }),
        Action::ByHand
        | Action::Choose(_)
        | Action::Wait(_)
        | Action::Repeat(_)
        | Action::Checks(_) => Ok(Work::ByHand),
    }
}

/// The execution that this one hands over to at the step: another one after each that did not close, and the same
/// whoever asks, so that none is begun twice.
pub(super) fn successor(state: &State, step: &Slug) -> ExecutionId {
    let attempt = state.step(step).attempts + 1;
    let digest = Digest::of(format!("{} {step} {attempt}", state.opened.id));
    let mut bits = [0; 10];
    bits.copy_from_slice(&digest.bytes()[..10]);
    state.opened.id.with_bits(bits)
}

/// The digest of exactly what is about to be performed, where, and by which text. An approval is bound to it.
#[must_use]
pub fn subject(state: &State, step: &Step, work: &Work) -> Digest {
    let fence = state.freeze.as_ref().map(|f| (f.id.as_str(), f.fence));
    let whole = (
        state.runbook.digest,
        step.id.as_str(),
        work,
        &state.opened.target,
        fence,
    );
    // Serializing plain data with text keys cannot fail.
    Digest::of(serde_json::to_vec(&whole).unwrap_or_default())
}

fn fill(template: &Template, scope: &Scope) -> Result<String, Unrendered> {
    template.render(scope).map_err(|why| Unrendered {
        why: why.to_string(),
    })
}

fn render_command(plan: &Plan, command: &Command, scope: &Scope) -> Result<Work, Unrendered> {
    let mut argv = vec![command.program.clone()];
    for argument in &command.arguments {
        argv.push(fill(argument, scope)?);
    }
    let environment = command.environment.iter();
    Ok(Work::Command {
        argv,
        environment: environment
            .map(|(k, v)| Ok((k.clone(), fill(v, scope)?)))
            .collect::<Result<_, Unrendered>>()?,
        secrets: plan
            .runbook()
            .secrets
            .iter()
            .map(|s| s.variable.clone())
            .collect(),
    })
}

fn render_request(request: &Request, scope: &Scope) -> Result<Work, Unrendered> {
    let path = request.path.render_with(scope, percent_encoded);
    Ok(Work::Request {
        endpoint: request.endpoint.clone(),
        method: request.method.as_str().to_owned(),
        path: path.map_err(|why| Unrendered {
            why: why.to_string(),
        })?,
        body: request
            .body
            .as_ref()
            .map(|body| render_body(body, scope))
            .transpose()?,
    })
}

/// Everything but the unreserved characters of RFC 3986, so that a value stays within its place in the path.
fn percent_encoded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn render_body(body: &Body, scope: &Scope) -> Result<Json, Unrendered> {
    Ok(match body {
        Body::Literal(value) => value.clone(),
        Body::Text(template) => template
            .value(scope)
            .map_err(|why| Unrendered {
                why: why.to_string(),
            })?
            .to_json(),
        Body::List(items) => items
            .iter()
            .map(|item| render_body(item, scope))
            .collect::<Result<_, _>>()?,
        Body::Object(members) => {
            let members = members
                .iter()
                .map(|(k, v)| Ok((k.clone(), render_body(v, scope)?)));
            Json::Object(members.collect::<Result<_, Unrendered>>()?)
        }
    })
}

fn render_history(
    plan: &Plan,
    state: &State,
    step: &Step,
    call: &HistoryCall,
    scope: &Scope,
) -> Result<HistoryWork, Unrendered> {
    let runbook = plan.runbook();
    let because = format!("{} ({})", runbook.title, state.opened.run_id);
    Ok(match call {
        HistoryCall::TakeFreeze => HistoryWork::TakeFreeze {
            scope: freeze_scope(runbook.freeze.scope, state),
            reason: because,
            lease: runbook.freeze.lease,
        },
        HistoryCall::ReadRun => HistoryWork::ReadRun,
        HistoryCall::ReadLogs => HistoryWork::ReadLogs,
        HistoryCall::PostComment(template) => HistoryWork::PostComment {
            body: match state.step(&step.id).comment {
                // It may be posted already, and nobody says the same thing twice in other words.
                Some(begun) => begun,
                None => fill(template, scope)?,
            },
            key: comment_key(state, step),
        },
        HistoryCall::MarkTrusted => HistoryWork::MarkTarget {
            trusted: true,
            reason: because,
        },
        HistoryCall::MarkUntrusted => HistoryWork::MarkTarget {
            trusted: false,
            reason: because,
        },
        HistoryCall::ReleaseFreeze => {
            let held = state.freeze.as_ref();
            let held = held.ok_or_else(|| Unrendered {
                why: "no freeze is held".into(),
            })?;
            HistoryWork::ReleaseFreeze {
                fence: held.fence,
                reason: because,
            }
        }
    })
}

/// What a comment is known by: the same after a crash, and another one where the execution went back and decided anew.
fn comment_key(state: &State, step: &Step) -> String {
    let key = format!("{}/{}", state.opened.id, step.id);
    match state.step(&step.id).rounds {
        0 => key,
        rounds => format!("{key}/{rounds}"),
    }
}

/// The part of the target that is frozen, as written for people.
#[must_use]
pub fn freeze_scope(scope: FreezeScope, state: &State) -> String {
    let target = &state.opened.target;
    match scope {
        FreezeScope::Workspace => target.workspace.to_string(),
        FreezeScope::Environment => format!("{}/{}", target.workspace, target.environment),
        FreezeScope::Service => target.to_string(),
    }
}
