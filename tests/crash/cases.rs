//! What is walked: every drill of `bad-deploy`, and `partial-deployment` on a host of the test's own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use axum::Json;
use axum::routing::get;
use serde_json::json;

use runbook::clock::Timestamp;
use runbook::digest::Digest;
use runbook::drill::{ControlPlane, Effect, Scenario, World, scenario};
use runbook::effects::request::Client;
use runbook::effects::system::Endpoint;
use runbook::execution::event::{Established, FileRef, Opened, Operator, RunbookRef};
use runbook::history::Recording;
use runbook::ids::{ExecutionId, Slug};
use runbook::runbook::model::Runbook;
use runbook::runbook::shipped::{self, RUNBOOKS};

/// Who steps through. Also who the simulated control plane says has asked.
pub(super) const OPERATOR: &str = "drill-operator";

/// One way through one runbook.
pub(super) struct Case {
    pub(super) runbook: Runbook,
    pub(super) opened: Opened,
    /// Answers to whatever is asked, as often as it is asked.
    pub(super) answers: String,
    pub(super) recordings: Vec<Recording>,
    /// Made once: to read the certificates of the machine takes longer than everything that is sent.
    pub(super) client: Client,
    ground: Ground,
}

enum Ground {
    Plane(Box<Scenario>),
    Host(Check),
}

/// What the comparison of `partial-deployment` is written in.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Check {
    /// As the runbook has it.
    Python,
    /// The same for `sh`, in a copy of the runbook that says so: Python takes longer to start than all the rest together.
    Shell,
}

/// The world while it is there to be asked.
pub(super) enum Running {
    Plane(ControlPlane),
    Host {
        url: String,
        serving: tokio::task::JoinHandle<()>,
    },
}

impl Case {
    pub(super) fn drill(id: &str) -> Self {
        let scenario = scenario(id).expect("a shipped scenario");
        let now = Timestamp::now();
        let mut inputs = serde_json::to_value(scenario.inputs()).expect("JSON");
        inputs["bake"] = json!("0s");
        inputs["look_every"] = json!("1ms");
        let mut recordings = scenario.earlier_at(now);
        recordings.push(scenario.recording_at(now));
        let runbook = read(scenario.runbook(), str::to_owned);
        Self {
            opened: opened(&runbook, &recordings, &inputs, Some(id)),
            runbook,
            answers: scenario.answers_at(now).expect("answers").to_string(),
            recordings,
            client: Client::default(),
            ground: Ground::Plane(Box::new(scenario)),
        }
    }

    /// `way` is what is chosen: `redeploy` runs a script, `repair` is done by hand.
    pub(super) fn partial(way: &str, check: Check) -> Self {
        let runbook = read("partial-deployment", |text| match check {
            Check::Python => text.to_owned(),
            Check::Shell => text.replace("[python3, ./scripts/", "[sh, ./scripts/"),
        });
        let recordings = vec![failed_run(Timestamp::now())];
        let inputs = json!({
            "decision_owner": "dana", "verifier": "vera", "channel": "#deploys",
            "stages_settle": "0s", "settle": "0s", "look_every": "1ms",
        });
        Self {
            opened: opened(&runbook, &recordings, &inputs, None),
            runbook,
            answers: partial_answers(way).to_string(),
            recordings,
            client: Client::default(),
            ground: Ground::Host(check),
        }
    }

    pub(super) fn id(&self) -> ExecutionId {
        self.opened.id
    }

    /// Makes what is there before the execution begins.
    pub(super) fn prepare(&self, home: &Path) {
        let host = home.join("host");
        fs::create_dir_all(host.join("scripts")).expect("makes");
        fs::write(host.join("ledger"), "").expect("writes");
        let Ground::Host(check) = self.ground else {
            return;
        };
        let compare = match check {
            Check::Python => {
                "import os, sys\nassert sys.argv[1:] == ['--check']\n\
                 if not os.path.exists('recovered'):\n    print('drift: container api')\n    sys.exit(1)\n"
            }
            Check::Shell => "test -e recovered || { echo 'drift: container api'; exit 1; }\n",
        };
        let place = host.join("scripts/verify_runtime_materialization.py");
        fs::write(place, compare).expect("writes");
        let redeploy = "test \"$ENVIRONMENT\" = production && test -n \"$RUNBOOK_FENCE\" || exit 3\n\
                        echo redeploy >>ledger\n: >recovered\necho done\n";
        fs::write(host.join("scripts/redeploy-host-stack.sh"), redeploy).expect("writes");
    }

    /// Starts what answers requests, on what is left of its world.
    pub(super) async fn run_world(&self, home: &Path) -> Running {
        match &self.ground {
            Ground::Plane(scenario) => {
                let simulation = scenario.simulation_at(Timestamp::now());
                let plane = ControlPlane::start(simulation, home.join("world.json"));
                Running::Plane(plane.expect("starts"))
            }
            Ground::Host(_) => {
                let recovered = home.join("host/recovered");
                let services = move || async move {
                    let ready = recovered.exists();
                    Json(
                        json!({"services": [{"name": "api", "ready": ready}, {"name": "db", "ready": true}]}),
                    )
                };
                let router = axum::Router::new().route("/api/v1/platform/services", get(services));
                let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await;
                let listener = listener.expect("listens");
                let url = format!("http://{}", listener.local_addr().expect("an address"));
                let serving = tokio::spawn(async move {
                    axum::serve(listener, router).await.expect("serves");
                });
                Running::Host { url, serving }
            }
        }
    }
}

impl Running {
    pub(super) fn endpoints(&self) -> BTreeMap<Slug, Endpoint> {
        let (url, token) = match self {
            Self::Plane(plane) => (plane.url(), Some(plane.token().to_owned())),
            Self::Host { url, .. } => (url.clone(), None),
        };
        let name = "platform".parse().expect("a name");
        BTreeMap::from([(name, Endpoint { url, token })])
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Self::Host { serving, .. } = self {
            serving.abort();
        }
    }
}

/// Every change that took effect, sorted: those of the control plane, then those of the host and by hand.
pub(super) fn ledger(home: &Path) -> Vec<String> {
    let mut changes = Vec::new();
    if let Ok(world) = fs::read(home.join("world.json")) {
        let world: World = serde_json::from_slice(&world).expect("a world");
        let took = world
            .performed()
            .iter()
            .filter(|p| p.effect == Effect::Took);
        changes.extend(took.map(|p| {
            let key = p.idempotency_key.as_deref().unwrap_or("no key");
            format!("{} {} {key} {}", p.actor, p.request, p.body)
        }));
    }
    let host = fs::read_to_string(home.join("host/ledger")).expect("a ledger");
    changes.extend(host.lines().map(|line| format!("host {line}")));
    changes.sort();
    changes
}

/// Whether a change of this step took effect, found out by looking at the world itself.
pub(super) fn took_effect(home: &Path, step: &str) -> bool {
    let mark = match step {
        "rollback-route-owner" => format!("{OPERATOR} POST /environments/production/operations"),
        "quarantine" => format!("{OPERATOR} POST /environments/production/quarantine"),
        by_hand => format!("host {by_hand}"),
    };
    ledger(home).iter().any(|line| line.starts_with(&mark))
}

/// Does by hand what the step says.
pub(super) fn do_by_hand(home: &Path, step: &str) {
    let path = home.join("host/ledger");
    let before = fs::read_to_string(&path).expect("a ledger");
    fs::write(path, format!("{before}{step}\n")).expect("writes");
    fs::write(home.join("host/recovered"), "").expect("writes");
}

fn read(name: &str, edit: impl Fn(&str) -> String) -> Runbook {
    let shipped = RUNBOOKS.iter().find(|r| r.name() == name);
    let shipped = shipped.expect("a shipped runbook");
    let read = shipped::read(shipped.file, edit(shipped.text).as_bytes());
    read.expect("parses")
}

fn opened(
    runbook: &Runbook,
    recordings: &[Recording],
    given: &serde_json::Value,
    drill: Option<&str>,
) -> Opened {
    let run = &recordings.last().expect("a recording").run;
    let mut inputs = BTreeMap::new();
    for input in &runbook.inputs {
        let value = given.get(input.id.as_str()).or(input.default.as_ref());
        let value = value.unwrap_or_else(|| panic!("`{}` is needed", input.id));
        inputs.insert(input.id.clone(), value.clone());
    }
    Opened {
        id: ExecutionId::generate(),
        tool: "runbook test".into(),
        host: "test-host".into(),
        operator: operator(),
        runbook: RunbookRef {
            id: runbook.id.clone(),
            path: None,
            digest: runbook.digest(),
            files: runbook
                .sources
                .iter()
                .map(|s| FileRef {
                    path: format!("runbook/{}", s.file),
                    sha256: Digest::of(&s.text),
                })
                .collect(),
        },
        profile: None,
        run_id: run.id.clone(),
        target: run.target(),
        inputs,
        by_hand: BTreeMap::new(),
        drill: drill.map(str::to_owned),
        handed_over: None,
    }
}

pub(super) fn operator() -> Operator {
    Operator {
        name: OPERATOR.parse().expect("a name"),
        established: Established::Claimed,
    }
}

fn failed_run(now: Timestamp) -> Recording {
    let ago =
        |minutes: i64| Timestamp::from_micros(now.micros() - minutes * 60_000_000).to_string();
    let recording = json!({
        "run": {
            "id": "run-77", "workspace": "shop", "environment": "production", "state": "failed",
            "launched_by": "lee", "launched_at": ago(45), "failed_at": ago(38), "finished_at": ago(36),
            "stages": [
                {"index": 0, "name": "build", "state": "succeeded"},
                {"index": 1, "name": "hosts", "state": "failed", "error": "host 3 of 4 timed out"},
                {"index": 2, "name": "verify", "state": "pending"},
            ],
            "approval": {"by": "dana", "at": ago(50)},
            "window": {"start": ago(120), "end": ago(-120), "approved_by": "dana", "kind": "change"},
            "rollback_candidate": {"artifact": "stack-41", "deployment": "op-41", "last_healthy_at": ago(41), "tested_at": ago(900)},
        },
        "workspace": {"id": "shop", "owners": ["dana"], "operators": ["lee", "vera"], "viewers": []},
        "logs": [
            {"at": ago(44), "stream": "hosts", "text": "host 1 done"},
            {"at": ago(37), "stream": "hosts", "text": "host 3 timed out"},
        ],
    });
    let bytes = recording.to_string();
    Recording::parse(bytes.as_bytes(), Path::new("run.json")).expect("a recording")
}

fn partial_answers(way: &str) -> serde_json::Value {
    json!({
        "scope-and-ownership": {"facts": {"scope_is_right": true, "affected": "the shop answers from two of four hosts"}},
        "boundary": {
            "facts": {"boundary": 0, "stopped_stage": "hosts", "safe_in_place": true},
            "evidence": {"boundary_proof": "stage hosts: host 3 of 4 timed out"},
        },
        "impact": {"choose": "partial-function", "reason": "two of four hosts serve"},
        "root-cause": {"facts": {"root_cause": "a full disk on host 3; the log says so"}},
        "side-effects": {"facts": {"cause_fixed": true, "safe_to_rerun": true, "rollback_fits": true}},
        "choose-recovery": {"choose": way, "reason": "the smallest that is enough"},
        "repair": {
            "confirm": "production",
            "facts": {"repaired": ["container api"]}, "evidence": {"repair_transcript": "started api on host 3"},
        },
        "redeploy": {"confirm": "production", "approve": "dana"},
        "downstream-path": {"facts": {"path_works": true}, "evidence": {"path_proof": "an order went through"}},
        "prevent-repeat": {"facts": {"follow_up": "a disk alarm on every host", "follow_up_owner": "lee"}},
    })
}
