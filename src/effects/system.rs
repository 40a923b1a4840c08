//! The real hands: programs, endpoints and the run history, with what they say kept as evidence.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::clock::{Span, Timestamp};
use crate::digest::Digest;
use crate::execution::event::{Artifact, Ending, Evidence, Origin, Work};
use crate::execution::found::CameBack;
use crate::execution::gate::FreezeReading;
use crate::ids::Slug;
use crate::journal::{ArtifactWriter, Artifacts};
use crate::redact::Redactor;
use crate::runbook::model::{Action, EvidenceSource, Step};

use super::command::{self, CommandEnding, CommandSpec, Sinks};
use super::hands::{Hands, Performed, Task};
use super::request::{self, Body, Client, MAX_BODY, RequestEnding, RequestSpec};
use super::run_history::RunHistory;

/// Between asking a program to end and making it.
const GRACE: Span = Span::from_secs(5);

/// The hands of one execution.
pub struct System {
    /// The run history.
    pub history: RunHistory,
    /// Where requests go; nowhere else.
    pub endpoints: BTreeMap<Slug, Endpoint>,
    /// Masks secrets in everything that comes back.
    pub redactor: Redactor,
    /// Where programs run.
    pub folder: PathBuf,
    /// Sends requests.
    pub client: Client,
}

/// An address that requests may go to.
#[derive(Clone)]
pub struct Endpoint {
    /// Scheme, host and what stands before every path.
    pub url: String,
    /// Sent as a bearer token.
    pub token: Option<String>,
}

impl Hands for System {
    async fn read_freeze(&mut self) -> FreezeReading {
        self.history.read_freeze(Timestamp::now()).await
    }

    async fn perform(&mut self, task: Task<'_>) -> Performed {
        match task.work {
            Work::Command {
                argv,
                environment,
                secrets,
            } => {
                let spec = self.command_spec(&task, argv, environment, secrets);
                self.command(task, &spec).await
            }
            Work::Request { .. } => match self.request_spec(&task) {
                Ok(spec) => self.request(task, &spec).await,
                Err(why) => Performed::not_performed(&why),
            },
            Work::History(work) => {
                let answered = self.history.perform(work, Timestamp::now()).await;
                let document = answered
                    .document
                    .as_ref()
                    .map(|d| serde_json::to_vec_pretty(d).unwrap_or_default());
                match keep(&task, "json", document.as_deref(), &self.redactor) {
                    Ok(evidence) => Performed {
                        came_back: answered.came_back(),
                        ending: answered.ending,
                        evidence,
                        learned: answered.learned,
                    },
                    // Nothing that the run history does is harmed by doing it once more.
                    Err(why) => Performed {
                        ending: Ending::Failed { why, code: None },
                        ..Performed::not_performed("")
                    },
                }
            }
            Work::ByHand | Work::HandOver { .. } => Performed::not_performed("a person does it"),
        }
    }
}

impl System {
    fn command_spec(
        &self,
        task: &Task<'_>,
        argv: &[String],
        environment: &BTreeMap<String, String>,
        secrets: &[String],
    ) -> CommandSpec {
        let mut env = environment.clone();
        env.insert(
            "RUNBOOK_EXECUTION".into(),
            self.history.execution.to_string(),
        );
        env.insert("RUNBOOK_RUN_ID".into(), self.history.run.to_string());
        env.insert("RUNBOOK_TARGET".into(), self.history.target.to_string());
        if let Some(fence) = task.fence {
            env.insert("RUNBOOK_FENCE".into(), fence.to_string());
        }
        CommandSpec {
            argv: argv.to_vec(),
            env,
            secrets: secrets.iter().cloned().collect(),
            cwd: Some(self.folder.clone()),
            timeout: task.timeout,
            grace: GRACE,
        }
    }

    async fn command(&self, task: Task<'_>, spec: &CommandSpec) -> Performed {
        let begin = |what: &str| {
            task.artifacts
                .begin(&format!("{}.{what}.txt", task.step.id))
        };
        let (mut stdout, mut stderr) = match (begin("stdout"), begin("stderr")) {
            (Ok(stdout), Ok(stderr)) => (stdout, stderr),
            (Err(why), _) | (_, Err(why)) => {
                return Performed::not_performed(&format!("its output could not be kept: {why}"));
            }
        };
        let sinks = Sinks {
            stdout: &mut stdout,
            stderr: &mut stderr,
            live: Some(task.live.clone()),
        };
        let ending = command::run(spec, &self.redactor, sinks, task.stop.clone()).await;
        let kept = commit(
            &task.artifacts,
            task.step,
            vec![
                (stdout, EvidenceSource::Stdout),
                (stderr, EvidenceSource::Stderr),
            ],
        );
        let lost = [&ending.stdout.sink_failure, &ending.stderr.sink_failure]
            .into_iter()
            .flatten()
            .next();
        let lost = lost
            .map(ToString::to_string)
            .or_else(|| kept.as_ref().err().cloned());
        let kept = kept.unwrap_or_default();
        Performed {
            came_back: CameBack {
                digest: digest(&kept, EvidenceSource::Stdout),
                ..came_back_from_command(task.step, &ending)
            },
            ending: unless_lost(command_ended(task.step, &ending), lost),
            evidence: evidence(kept),
            learned: None,
        }
    }

    fn request_spec(&self, task: &Task<'_>) -> Result<RequestSpec, String> {
        let Work::Request {
            endpoint,
            method,
            path,
            body,
        } = task.work
        else {
            return Err("not a request".into());
        };
        let at = self
            .endpoints
            .get(endpoint)
            .ok_or_else(|| format!("endpoint `{endpoint}` has no address"))?;
        let method = method
            .parse()
            .map_err(|_| format!("`{method}` is not a method"))?;
        let mut headers = BTreeMap::from([
            ("accept".to_owned(), "application/json".to_owned()),
            (
                "runbook-execution".to_owned(),
                self.history.execution.to_string(),
            ),
        ]);
        if let Some(fence) = task.fence {
            headers.insert("runbook-fence".into(), fence.to_string());
        }
        Ok(RequestSpec {
            method,
            url: format!("{}{path}", at.url.trim_end_matches('/')),
            headers,
            body: body.clone(),
            bearer: at.token.clone(),
            timeout: task.timeout,
            max_body: MAX_BODY,
        })
    }

    async fn request(&self, task: Task<'_>, spec: &RequestSpec) -> Performed {
        let mut sink = match task
            .artifacts
            .begin(&format!("{}.response.json", task.step.id))
        {
            Ok(sink) => sink,
            Err(why) => {
                return Performed::not_performed(&format!("its answer could not be kept: {why}"));
            }
        };
        let ending = request::send(
            &self.client,
            spec,
            &self.redactor,
            &mut sink,
            task.stop.clone(),
        )
        .await;
        let kept = commit(
            &task.artifacts,
            task.step,
            vec![(sink, EvidenceSource::Body)],
        );
        let lost = ending.taken.sink_failure.as_ref().map(ToString::to_string);
        let lost = lost.or_else(|| kept.as_ref().err().cloned());
        let change = task.fence.is_some();
        let (ended, came_back) = request_ended(task.step, &ending, change);
        let kept = kept.unwrap_or_default();
        Performed {
            came_back: CameBack {
                digest: digest(&kept, EvidenceSource::Body),
                ..came_back
            },
            ending: unless_lost(ended, lost),
            evidence: evidence(kept),
            learned: None,
        }
    }
}

/// What was performed without a record of what it said did not leave its evidence. Whether it took effect is then read
/// back rather than believed.
fn unless_lost(ending: Ending, lost: Option<String>) -> Ending {
    match (ending, lost) {
        (Ending::Done { outcome, .. }, Some(why)) => Ending::Doubtful {
            why: format!("it ended as `{outcome}`, but its output could not be kept: {why}"),
        },
        (ending, _) => ending,
    }
}

fn command_ended(step: &Step, ending: &CommandEnding) -> Ending {
    let Action::Command(command) = &step.action else {
        return Ending::NotPerformed {
            why: "the step runs no command".into(),
        };
    };
    let rest = if ending.survivors {
        "; some of its processes could not be ended"
    } else {
        ""
    };
    match &ending.ended {
        command::Ended::Exited(code) => match command.exit_codes.get(code) {
            Some(outcome) => Ending::Done {
                outcome: outcome.clone(),
                code: Some(i64::from(*code)),
            },
            None => Ending::Failed {
                why: format!("exit code {code}"),
                code: Some(i64::from(*code)),
            },
        },
        command::Ended::Signalled(signal) => Ending::Doubtful {
            why: format!("ended by signal {signal}"),
        },
        command::Ended::TimedOut => Ending::Doubtful {
            why: format!("not done after {}, and ended{rest}", step.timeout.rounded()),
        },
        command::Ended::Stopped => Ending::Doubtful {
            why: format!("stopped by the operator{rest}"),
        },
        command::Ended::NotStarted(why) => Ending::NotPerformed { why: why.clone() },
    }
}

fn came_back_from_command(step: &Step, ending: &CommandEnding) -> CameBack {
    let command::Ended::Exited(code) = ending.ended else {
        return CameBack::default();
    };
    let outcome = match &step.action {
        Action::Command(command) => command.exit_codes.get(&code).cloned().unwrap_or_default(),
        _ => String::new(),
    };
    // Output that is not text, or too long to be looked into, yields no facts; it is kept all the same.
    let whole = !ending.stdout.longer && !ending.output_cut;
    let stdout = whole
        .then(|| String::from_utf8(ending.stdout.start.clone()).ok())
        .flatten();
    let body = stdout
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok());
    CameBack {
        outcome,
        exit_code: Some(i64::from(code)),
        stdout,
        body,
        ..CameBack::default()
    }
}

fn request_ended(step: &Step, ending: &RequestEnding, change: bool) -> (Ending, CameBack) {
    let none = CameBack::default();
    let unclear = |why: String| {
        if change {
            Ending::Doubtful { why }
        } else {
            Ending::Failed { why, code: None }
        }
    };
    match &ending.ended {
        request::Ended::Answered {
            status,
            headers,
            body,
        } => {
            let (ending, came_back) = answered(step, *status, body, change);
            let headers = Some(headers.clone());
            let came_back = CameBack {
                headers,
                ..came_back
            };
            (ending, came_back)
        }
        request::Ended::Redirected { status, location } => {
            let to = location.as_deref().unwrap_or("nowhere in particular");
            (
                unclear(format!(
                    "answered {status} and pointed to `{to}`; redirects are not followed"
                )),
                none,
            )
        }
        request::Ended::TooLarge { limit } => (
            unclear(format!("its answer is longer than {} MiB", limit >> 20)),
            none,
        ),
        request::Ended::TimedOut => (
            Ending::Doubtful {
                why: format!("no answer within {}", step.timeout.rounded()),
            },
            none,
        ),
        request::Ended::Stopped => (
            Ending::Doubtful {
                why: "stopped by the operator".into(),
            },
            none,
        ),
        request::Ended::NotSent(why) => (
            Ending::NotPerformed {
                why: format!("it was not sent: {why}"),
            },
            none,
        ),
        request::Ended::Broken(why) => (
            Ending::Doubtful {
                why: format!("the connection broke: {why}"),
            },
            none,
        ),
    }
}

fn answered(step: &Step, status: u16, body: &Body, change: bool) -> (Ending, CameBack) {
    let code = Some(i64::from(status));
    let outcome = match &step.action {
        Action::Request(request) if request.statuses.is_empty() => {
            (200..300).contains(&status).then(|| "ok".to_owned())
        }
        Action::Request(request) => request.statuses.get(&status).cloned(),
        _ => None,
    };
    let Some(outcome) = outcome else {
        let why = format!("answered {status}{}", problem(body));
        // A server that failed may have done it before it failed.
        let doubtful = change && status >= 500;
        let ending = if doubtful {
            Ending::Doubtful { why }
        } else {
            Ending::Failed { why, code }
        };
        return (ending, CameBack::default());
    };
    let (body, why) = match body {
        Body::Json(body) => (Some(body.clone()), None),
        Body::Empty => (None, Some("the endpoint answered nothing".to_owned())),
        Body::Text { why, .. } => (None, Some(why.to_string())),
    };
    if let Some(why) = why.filter(|_| reads_the_body(step)) {
        let ending = if change {
            Ending::Doubtful { why }
        } else {
            Ending::Failed { why, code }
        };
        return (ending, CameBack::default());
    }
    let came_back = CameBack {
        outcome: outcome.clone(),
        status: Some(i64::from(status)),
        body,
        ..CameBack::default()
    };
    (Ending::Done { outcome, code }, came_back)
}

/// Whether a fact of the step is taken from the body as JSON.
fn reads_the_body(step: &Step) -> bool {
    let from = step.facts.iter().filter_map(|fact| fact.from.as_ref());
    from.flat_map(crate::expr::Expression::references)
        .any(|reference| reference.root() == "body")
}

/// What a problem document (RFC 9457) says, or the start of whatever else came.
fn problem(body: &Body) -> String {
    let said = match body {
        Body::Json(json) => {
            let text = |key: &str| json.get(key).and_then(serde_json::Value::as_str);
            text("detail")
                .or(text("title"))
                .or(text("error"))
                .map(str::to_owned)
        }
        Body::Text { text, .. } => text
            .lines()
            .next()
            .map(|line| line.chars().take(120).collect()),
        Body::Empty => None,
    };
    said.map_or(String::new(), |said| format!(": {said}"))
}

/// Keeps what came out, under the names that the step declares; what is empty is not kept.
fn commit(
    artifacts: &Artifacts,
    step: &Step,
    writers: Vec<(ArtifactWriter, EvidenceSource)>,
) -> Result<Vec<(Evidence, EvidenceSource)>, String> {
    let declared = |source| step.evidence.iter().find(|e| e.from == Some(source));
    let mut sources = Vec::new();
    let mut batch = Vec::new();
    for (writer, source) in writers {
        if writer.size() == 0 && declared(source).is_none() {
            writer.discard();
            continue;
        }
        let undeclared = if source == EvidenceSource::Body {
            "application/json"
        } else {
            "text/plain"
        };
        batch.push((
            writer,
            declared(source).map_or(undeclared, |e| e.media_type.as_str()),
        ));
        sources.push(source);
    }
    let kept = artifacts.commit_all(batch).map_err(|why| why.to_string())?;
    let named = |(artifact, source): (Artifact, EvidenceSource)| {
        let evidence = Evidence {
            id: declared(source).map(|e| e.id.clone()),
            artifact,
            origin: Origin::Measured,
        };
        (evidence, source)
    };
    Ok(kept.into_iter().zip(sources).map(named).collect())
}

fn evidence(kept: Vec<(Evidence, EvidenceSource)>) -> Vec<Evidence> {
    kept.into_iter().map(|(evidence, _)| evidence).collect()
}

/// The digest of what was kept of a source.
fn digest(kept: &[(Evidence, EvidenceSource)], of: EvidenceSource) -> Option<Digest> {
    let of = kept.iter().find(|(_, source)| *source == of);
    of.map(|(evidence, _)| evidence.artifact.sha256)
}

/// Keeps a document that the run history answered with, where there is one.
fn keep(
    task: &Task<'_>,
    extension: &str,
    document: Option<&[u8]>,
    redactor: &Redactor,
) -> Result<Vec<Evidence>, String> {
    use std::io::Write as _;
    let Some(document) = document else {
        return Ok(Vec::new());
    };
    let cannot = |why: &dyn std::fmt::Display| format!("its answer could not be kept: {why}");
    let name = format!("{}.{extension}", task.step.id);
    let mut writer = task.artifacts.begin(&name).map_err(|why| cannot(&why))?;
    writer
        .write_all(&redactor.bytes(document))
        .map_err(|why| cannot(&why))?;
    let batch = vec![(writer, EvidenceSource::Body)];
    commit(&task.artifacts, task.step, batch).map(evidence)
}
