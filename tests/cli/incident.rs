//! An incident to respond to: a recorded run, a platform that answers, and the answers of an operator.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use serde_json::{Value as Json, json};

use runbook::clock::Timestamp;
use runbook::drill::{ControlPlane, Scenario};

use crate::scene::Scene;

const COMPATIBLE: [&str; 2] = [
    include_str!("../../runbooks/drills/bad-deploy.yaml"),
    include_str!("../../runbooks/drills/bad-deploy.answers.yaml"),
];
const INCOMPATIBLE: [&str; 2] = [
    include_str!("../../runbooks/drills/bad-deploy-incompatible.yaml"),
    include_str!("../../runbooks/drills/bad-deploy-incompatible.answers.yaml"),
];

/// The run of the incident, whatever the runbook.
pub(crate) const RUN: &str = "r-1842";

/// What an operator would answer, by step.
#[derive(Clone)]
pub(crate) struct Answers(Json);

impl Answers {
    /// The same, with another answer to one step.
    pub(crate) fn with(mut self, step: &str, answer: Json) -> Self {
        self.0[step] = answer;
        self
    }

    /// The same, with one step left unanswered.
    pub(crate) fn without(mut self, step: &str) -> Self {
        let answers = self.0.as_object_mut().expect("a mapping");
        assert!(answers.remove(step).is_some(), "`{step}` was answered");
        self
    }
}

/// How the program ended, and what it said.
#[must_use]
pub(crate) struct Done {
    code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// The exit code.
    #[track_caller]
    pub(crate) fn exit(self, expected: i32) -> Self {
        assert_eq!(
            self.code,
            Some(expected),
            "{}\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// It ended with this code, and its last words of refusal hold each of these.
    #[track_caller]
    pub(crate) fn refused(self, code: i32, words: &[&str]) {
        let done = self.exit(code);
        let at = done.stderr.rfind("error: ");
        let refusal = at.map_or("", |at| &done.stderr[at..]);
        for word in words {
            assert!(
                refusal.contains(word),
                "`{word}` is not in:\n{refusal}\nafter:\n{}",
                done.stderr
            );
        }
    }

    /// It said this, on either stream.
    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Self {
        let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let said = plain(&format!("{}\n{}", self.stdout, self.stderr));
        assert!(
            said.contains(words),
            "`{words}` is not in:\n{}",
            self.stderr
        );
        self
    }

    /// It did not say this.
    #[track_caller]
    pub(crate) fn never_says(self, words: &str) -> Self {
        for stream in [&self.stdout, &self.stderr] {
            assert!(!stream.contains(words), "`{words}` is in:\n{stream}");
        }
        self
    }
}

/// An incident in a scene of its own.
pub(crate) struct Incident {
    pub(crate) scene: Scene,
    runbook: String,
    inputs: Vec<String>,
    profile: bool,
    answers: Answers,
    plane: Option<ControlPlane>,
    _service: Option<Service>,
}

impl Incident {
    /// A bad deploy whose old artifact still fits.
    pub(crate) fn bad_deploy() -> Self {
        Self::bad_deploy_edited(|text| text)
    }

    /// The same, in a world or with a run that was edited first.
    pub(crate) fn bad_deploy_edited(edit: impl FnOnce(String) -> String) -> Self {
        Self::on_plane(COMPATIBLE, edit)
    }

    /// A bad deploy whose migration took away what the old artifact reads.
    pub(crate) fn incompatible() -> Self {
        Self::on_plane(INCOMPATIBLE, |text| text)
    }

    fn on_plane([text, answers]: [&str; 2], edit: impl FnOnce(String) -> String) -> Self {
        let text = text
            .replace("id: drill-1842", &format!("id: {RUN}"))
            .replace("id: drill-1843", &format!("id: {RUN}"));
        let edited = edit(text);
        let scenario = Scenario::parse(&edited, Some(answers), Path::new("")).expect("a scenario");
        let now = Timestamp::now();
        let scene = Scene::new();
        let keep = scene.work().join("world.json");
        let plane =
            ControlPlane::start(scenario.simulation_at(now), keep).expect("a control plane");
        let scene = scene.env("PLATFORM_TOKEN", plane.token());
        let incident = Self {
            scene,
            runbook: "bad-deploy".into(),
            inputs: [
                "decision_owner=drill-dana",
                "db_owner=drill-olga",
                "verifier=drill-vera",
                "channel=#checkout",
                "bake=60ms",
                "look_every=20ms",
            ]
            .map(String::from)
            .to_vec(),
            profile: true,
            answers: Answers(scenario.answers_at(now).expect("answers")),
            plane: Some(plane),
            _service: None,
        };
        for earlier in scenario.earlier_at(now) {
            incident.record(&json!(earlier));
        }
        incident.record(&json!(scenario.recording_at(now)));
        incident.steps_done("")
    }

    /// A deployment that stopped half-way, on a platform and with scripts of its own.
    pub(crate) fn partial_deployment() -> Self {
        let scene = Scene::new()
            .file("service.py", SERVICE)
            .file("scripts/verify_runtime_materialization.py", CHECK)
            .file("scripts/redeploy-host-stack.sh", REDEPLOY)
            .file("posture.json", DEGRADED)
            .file("drift.txt", "drift: service/worker\n");
        let service = Service::start(&scene);
        let url = service.url.clone();
        let inputs = [
            "decision_owner=dana",
            "verifier=vera",
            "channel=#shop",
            "stages_settle=30ms",
            "settle=60ms",
            "look_every=20ms",
        ];
        let incident = Self {
            scene,
            runbook: "partial-deployment".into(),
            inputs: inputs.map(String::from).to_vec(),
            profile: true,
            answers: Answers(partial_answers()),
            plane: None,
            _service: Some(service),
        };
        incident.record(&partial_run());
        incident.put(
            "profile.yaml",
            &format!("format: runbook-profile/v1\nendpoints: {{platform: {{url: '{url}'}}}}\n"),
        );
        incident
    }

    /// The same incident, with these lines under the `steps:` of the profile for the runbook.
    pub(crate) fn steps_done(self, lines: &str) -> Self {
        let url = self.plane.as_ref().map(ControlPlane::url);
        let mut profile = match url {
            Some(url) => format!(
                "format: runbook-profile/v1\nendpoints: {{platform: {{url: '{url}', token: PLATFORM_TOKEN}}}}\n"
            ),
            None => self.read("profile.yaml"),
        };
        if !lines.is_empty() {
            profile.push_str(&format!("steps:\n  {}:\n{lines}", self.runbook_id()));
        }
        self.put("profile.yaml", &profile);
        self
    }

    fn runbook_id(&self) -> &str {
        let name = self.runbook.trim_end_matches(".yaml");
        name.rsplit('/').next().unwrap_or(name)
    }

    /// The same incident, with a copy of the shipped runbook that was edited.
    ///
    /// Each edit must be one: what it replaces stands there exactly once.
    #[track_caller]
    pub(crate) fn runbook_edited(mut self, edits: &[(&str, &str)]) -> Self {
        let mut text = shipped(&self.runbook).to_owned();
        for (from, to) in edits {
            assert_eq!(text.matches(from).count(), 1, "{from}");
            text = text.replace(from, to);
        }
        self.runbook = format!("./{}.yaml", self.runbook);
        self.put(&self.runbook, &text);
        self
    }

    /// The same incident without addresses: every request becomes a step by hand.
    pub(crate) fn without_profile(mut self) -> Self {
        self.profile = false;
        self
    }

    /// The same incident with another value of an input, or with none.
    pub(crate) fn input(mut self, name: &str, value: Option<&str>) -> Self {
        self.inputs
            .retain(|input| input.split('=').next() != Some(name));
        self.inputs
            .extend(value.map(|value| format!("{name}={value}")));
        self
    }

    /// The same incident, where every run of the program has this in its environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.scene = self.scene.env(name, value);
        self
    }

    /// The token of the simulated control plane.
    pub(crate) fn token(&self) -> &str {
        self.plane
            .as_ref()
            .map(ControlPlane::token)
            .expect("a plane")
    }

    /// The answers that lead out of it.
    pub(crate) fn answers(&self) -> Answers {
        self.answers.clone()
    }

    /// Starts an execution with these answers.
    pub(crate) fn start(&self, answers: &Answers) -> Done {
        self.start_with(answers, &[])
    }

    /// The same, with more arguments.
    pub(crate) fn start_with(&self, answers: &Answers, more: &[&str]) -> Done {
        finish(self.starting(answers, more))
    }

    /// The command that starts an execution, not run yet.
    pub(crate) fn starting(&self, answers: &Answers, more: &[&str]) -> Command {
        self.put("answers.yaml", &answers.0.to_string());
        let mut command = self.scene.command();
        command.args(["start", &self.runbook, "--run-id", RUN]);
        command.args(["--answers", "answers.yaml"]);
        for input in &self.inputs {
            command.args(["--input", input]);
        }
        if self.profile {
            command.args(["--profile", "profile.yaml"]);
        }
        command.args(more);
        command
    }

    /// Goes on with the open execution.
    pub(crate) fn resume(&self, answers: &Answers) -> Done {
        self.put("answers.yaml", &answers.0.to_string());
        let mut args = vec!["resume", "--answers", "answers.yaml"];
        if self.profile {
            args.extend(["--profile", "profile.yaml"]);
        }
        self.run(&args)
    }

    /// Judges the preflight, as CI does.
    pub(crate) fn preflight(&self, more: &[&str]) -> Done {
        let mut args = vec!["preflight", &self.runbook, "--run-id", RUN];
        let inputs: Vec<&str> = self
            .inputs
            .iter()
            .flat_map(|i| ["--input", i.as_str()])
            .collect();
        args.extend(inputs);
        args.extend(["--profile", "profile.yaml"]);
        args.extend(more);
        self.run(&args)
    }

    /// Runs the program.
    pub(crate) fn run(&self, args: &[&str]) -> Done {
        let mut command = self.scene.command();
        command.args(args);
        finish(command)
    }

    /// Runs the program as somebody else.
    pub(crate) fn run_as(&self, who: &str, args: &[&str]) -> Done {
        let mut command = self.scene.command();
        command.env("RUNBOOK_OPERATOR", who).args(args);
        finish(command)
    }

    /// What the program prints as JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Json {
        serde_json::from_str(&self.run(args).stdout).expect("JSON")
    }

    /// Records a run.
    pub(crate) fn record(&self, recording: &Json) {
        self.put("run.json", &recording.to_string());
        let _ = self.run(&["run", "record", "run.json"]).exit(0);
    }

    /// The gate on the target that the run is about.
    #[track_caller]
    pub(crate) fn gate(&self, expected: i32) {
        let _ = self
            .run(&["gate", "--target", "shop/production"])
            .exit(expected);
    }

    /// The comments on the run, oldest first.
    pub(crate) fn comments(&self) -> Vec<Json> {
        let list = self.json(&["run", "comment", RUN, "--json"]);
        list["comments"].as_array().expect("a list").clone()
    }

    /// The one execution there is.
    pub(crate) fn execution(&self) -> Json {
        let list = self.json(&["status", "--all", "--json"]);
        assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
        list[0].clone()
    }

    /// Every line of the journal of the one execution.
    pub(crate) fn journal(&self) -> Vec<Json> {
        let text = fs::read_to_string(self.journal_path()).expect("a journal");
        let lines = text.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().expect("lines of JSON")
    }

    /// The value of a fact as it was measured last.
    pub(crate) fn last_read(&self, fact: &str) -> Json {
        let journal = self.journal();
        let mut measured = journal.iter().rev().map(|entry| &entry["data"]["facts"]);
        let facts = measured.find(|facts| facts.get(fact).is_some());
        facts.expect("it was measured")[fact].clone()
    }

    /// The file of that journal.
    pub(crate) fn journal_path(&self) -> PathBuf {
        let files = self.files();
        let mut journals = files
            .iter()
            .filter(|file| file.extension().is_some_and(|e| e == "jsonl"));
        let path = journals.next().expect("a journal");
        path.clone()
    }

    /// Every file under the state directory.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.scene.home()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push(path);
                }
            }
        }
        files
    }

    /// What the program changed in the simulated world, in order: `METHOD /path KIND`.
    pub(crate) fn took_effect(&self) -> Vec<String> {
        let world: Json = serde_json::from_str(&self.read("world.json")).expect("a world");
        let all = world["performed"].as_array().expect("a ledger");
        let took = all
            .iter()
            .filter(|one| one["effect"] == "took" && one["actor"] == "drill-operator");
        took.map(|one| {
            let request = one["request"].as_str().expect("text");
            match one["body"]["kind"].as_str() {
                Some(kind) => format!("{request} {kind}"),
                None => request.to_owned(),
            }
        })
        .collect()
    }

    /// That the program changed nothing in the simulated world.
    #[track_caller]
    pub(crate) fn nothing_changed(&self) {
        assert_eq!(self.took_effect(), Vec::<String>::new());
    }

    /// Puts a file into the working directory.
    pub(crate) fn put(&self, name: &str, text: &str) {
        let path = self.scene.work().join(name);
        fs::create_dir_all(path.parent().expect("lies in a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    /// Puts a program into the working directory that only notes that it was run.
    pub(crate) fn put_program(&self, name: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        self.put(name, "#!/bin/bash\necho \"$0 $*\" >> was-run\n");
        let path = self.scene.work().join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("permissions");
    }

    /// What programs were run; empty where none was.
    pub(crate) fn was_run(&self) -> String {
        fs::read_to_string(self.scene.work().join("was-run")).unwrap_or_default()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.scene.work().join(name)).expect("a file")
    }
}

fn finish(mut command: Command) -> Done {
    let output = command
        .stdin(std::process::Stdio::null())
        .output()
        .expect("the program runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Done {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// The text of a shipped runbook.
pub(crate) fn shipped(name: &str) -> &'static str {
    let mut all = runbook::runbook::shipped::RUNBOOKS.iter();
    all.find(|r| r.name() == name)
        .map(|r| r.text)
        .expect("shipped")
}

/// The platform of a partial deployment, a process of its own.
struct Service {
    child: Child,
    url: String,
}

impl Service {
    fn start(scene: &Scene) -> Self {
        use std::io::{BufRead as _, BufReader};
        let mut child = Command::new("python3")
            .arg("service.py")
            .current_dir(scene.work())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let stdout = child.stdout.take().expect("it is piped");
        let mut url = String::new();
        BufReader::new(stdout)
            .read_line(&mut url)
            .expect("it says where it listens");
        Self {
            child,
            url: url.trim().to_owned(),
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Answers with the posture as the file says it is now.
const SERVICE: &str = r#"
import http.server, json

class Platform(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/api/v1/platform/services":
            self.send_error(404)
            return
        try:
            body = open("posture.json", "rb").read()
        except FileNotFoundError:
            self.send_error(500)
            return
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Platform)
print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
server.serve_forever()
"#;

/// Compares with what the file says differs; without the file it cannot tell.
const CHECK: &str = r#"
import sys

assert sys.argv[1:] == ["--check"], sys.argv
try:
    drift = open("drift.txt").read()
except FileNotFoundError:
    print("the host cannot be reached", file=sys.stderr)
    sys.exit(3)
sys.stdout.write(drift)
sys.exit(1 if drift else 0)
"#;

/// Makes both clean, and leaves a trace of having run.
const REDEPLOY: &str = r#"#!/bin/bash
set -eu
echo "redeploy $ENVIRONMENT $RUN_ID fence $RUNBOOK_FENCE" >> was-run
echo '{"services": [{"name": "web", "ready": true}, {"name": "worker", "ready": true}]}' > posture.new
mv posture.new posture.json
: > drift.txt
echo "redeployed"
"#;

/// The posture of the incident.
pub(crate) const DEGRADED: &str =
    r#"{"services": [{"name": "web", "ready": true}, {"name": "worker", "ready": false}]}"#;
/// The posture when all is well.
pub(crate) const HEALTHY: &str =
    r#"{"services": [{"name": "web", "ready": true}, {"name": "worker", "ready": true}]}"#;

/// The run that stopped at its second stage.
pub(crate) fn partial_run() -> Json {
    json!({
        "run": {
            "id": RUN,
            "workspace": "shop",
            "environment": "production",
            "template_stack": "shop/host",
            "state": "failed",
            "launched_by": "carol",
            "launched_at": "2026-11-20T23:00:00Z",
            "failed_at": "2026-11-20T23:05:00Z",
            "finished_at": "2026-11-20T23:06:00Z",
            "stages": [
                {"index": 0, "name": "build", "state": "succeeded"},
                {"index": 1, "name": "rollout", "state": "failed", "error": "1 of 2 ready"},
                {"index": 2, "name": "switch", "state": "pending"},
            ],
            "approval": {"by": "dana", "at": "2026-11-20T22:50:00Z", "scope": "shop/production"},
            "window": {
                "start": "2026-11-20T22:00:00Z", "end": "2026-11-21T01:00:00Z",
                "approved_by": "dana", "kind": "change",
            },
            "preflight": [{"id": "capacity", "severity": "blocking", "result": "pass"}],
            "rollback_candidate": {
                "artifact": "sha256:aa", "last_healthy_at": "2026-11-19T08:00:00Z",
                "tested_at": "2026-11-10T08:00:00Z",
            },
        },
        "workspace": {"id": "shop", "owners": ["dana"], "operators": ["carol", "alice"]},
        "logs": [
            {"at": "2026-11-20T23:04:00Z", "stream": "rollout", "text": "starting"},
            {"at": "2026-11-20T23:05:30Z", "stream": "rollout", "text": "worker does not come up"},
        ],
    })
}

fn partial_answers() -> Json {
    json!({
        "scope-and-ownership": {"facts": {"scope_is_right": true, "affected": "mails are not sent"}},
        "boundary": {
            "facts": {"boundary": 0, "stopped_stage": "rollout", "safe_in_place": true},
            "evidence": {"boundary_proof": "stages of the run: build succeeded, rollout failed"},
        },
        "impact": {"choose": "partial-function", "reason": "only mails are late"},
        "root-cause": {"facts": {"root_cause": "the worker had no memory; the log says so"}},
        "side-effects": {
            "facts": {"cause_fixed": true, "safe_to_rerun": true, "rollback_fits": true},
        },
        "choose-recovery": {"choose": "redeploy", "reason": "only the host's stack differs"},
        "redeploy": {"confirm": "production", "approve": "dana"},
        "downstream-path": {
            "facts": {"path_works": true},
            "evidence": {"path_proof": "a mail arrived"},
        },
        "prevent-repeat": {
            "facts": {"follow_up": "a limit on the worker's memory", "follow_up_owner": "carol"},
        },
    })
}
