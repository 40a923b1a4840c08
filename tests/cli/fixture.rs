//! A small shop with one failed run, and a runbook of five lawful steps around whatever a test is about.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::scene::Scene;

/// How long a test waits for something that must happen; reached only when it does not.
const PATIENCE: Duration = Duration::from_secs(60);

/// The run that everything here responds to.
pub(crate) const RUN: &str = "run:
  id: r-1
  workspace: shop
  environment: production
  service: checkout
  state: failed
  launched_by: carol
  launched_at: 2026-11-20T23:00:00Z
  failed_at: 2026-11-20T23:05:00Z
workspace: {id: shop, owners: [olga], operators: [carol]}
logs:
  - {at: 2026-11-20T23:04:00Z, text: starting}
  - {at: 2026-11-20T23:06:00Z, text: bang}
";

/// What comes before the step that a test is about.
const BEFORE: &str = "format: runbook/v1
id: small
title: Try one thing
summary: A few steps between freeze and release.
owner: platform
reviewed: 2026-11-20
inputs:
  text: {type: string, default: plain}
  other: {type: 'string?', default: null}
freeze: {scope: environment, lease: 60m}
preflight:
  - use: standard/check-run-and-workspace
steps:
  - use: standard/freeze
  - use: standard/read-run
  - use: standard/preflight
";

/// What comes after it.
const AFTER: &str = "  - use: standard/close-checks
  - use: standard/close-run
outcomes:
  - {label: over, when: 'true'}
";

/// A runbook with these steps, which are written as items of its list.
pub(crate) fn small(steps: &str) -> String {
    format!("{BEFORE}{steps}{AFTER}")
}

/// A step that a person does, so that an execution rests there.
pub(crate) const BY_HAND: &str = "  - id: look
    phase: truth
    title: Look at it
    facts: {seen: {type: string}}
";

/// A scene where the run is recorded and `small.yaml` has these steps.
pub(crate) fn shop(steps: &str) -> Scene {
    with_runbook(&small(steps))
}

/// A scene where the run is recorded and `small.yaml` is this text.
pub(crate) fn with_runbook(text: &str) -> Scene {
    let scene = Scene::new().file("run.yaml", RUN).file("small.yaml", text);
    say(&scene, "run record run.yaml").exit(0);
    scene
}

/// One step with a command, and a second one that must not be reached when the first does not work.
pub(crate) fn doing(keys: &str) -> Scene {
    shop(&format!(
        "  - id: do-it\n    phase: act\n    title: Do it\n{keys}  - id: later\n    phase: act\n    title: Later\n    command: ['true']\n"
    ))
}

/// The same, where the step only looks.
pub(crate) fn looking(keys: &str) -> Scene {
    let scene = doing(keys);
    let text = fs::read_to_string(work(&scene).join("small.yaml")).expect("a runbook");
    let read = "    phase: truth\n    effect: read\n    title: Do it\n";
    put(
        &scene,
        "small.yaml",
        text.replace("    phase: act\n    title: Do it\n", read),
    );
    scene
}

/// Runs the program with these words.
#[track_caller]
pub(crate) fn say(scene: &Scene, words: &str) -> Said {
    ran(scene, &words.split(' ').collect::<Vec<_>>())
}

/// Runs the program with these arguments, which may hold spaces.
#[track_caller]
pub(crate) fn ran(scene: &Scene, args: &[&str]) -> Said {
    let mut command = scene.command();
    command.args(args);
    Running::begin(command).end()
}

/// Starts the small runbook.
#[track_caller]
pub(crate) fn start(scene: &Scene) -> Said {
    say(scene, "start ./small.yaml --run-id r-1")
}

/// Goes on with these answers.
#[track_caller]
pub(crate) fn resume_with(scene: &Scene, answers: &str) -> Said {
    put(scene, "answers.yaml", answers);
    say(scene, "resume --answers answers.yaml")
}

/// Writes a file into the working directory.
pub(crate) fn put(scene: &Scene, name: &str, text: impl AsRef<[u8]>) {
    fs::write(work(scene).join(name), text).expect("a file");
}

/// The working directory.
pub(crate) fn work(scene: &Scene) -> PathBuf {
    scene.home().with_file_name("work")
}

/// Starts the program with these words and does not wait for it.
pub(crate) fn begin(scene: &Scene, words: &str) -> Running {
    let mut command = scene.command();
    command.args(words.split(' '));
    Running::begin(command)
}

/// The ids of all executions, oldest first.
pub(crate) fn executions(scene: &Scene) -> Vec<String> {
    let Ok(entries) = fs::read_dir(scene.home().join("executions")) else {
        return Vec::new();
    };
    let mut ids: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    ids.sort();
    ids
}

/// The data of the only execution: its journal and its artifacts.
#[track_caller]
pub(crate) fn data(scene: &Scene) -> PathBuf {
    let ids = executions(scene);
    assert_eq!(ids.len(), 1, "one execution: {ids:?}");
    scene.home().join("executions").join(&ids[0]).join("data")
}

/// The whole entries of the only execution's journal.
#[track_caller]
pub(crate) fn events(scene: &Scene) -> Vec<Value> {
    let text = fs::read(data(scene).join("journal.jsonl")).expect("a journal");
    let text = String::from_utf8_lossy(&text);
    let whole = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    whole
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// What these attempts ended with: `ending` of each attempt of the step.
#[track_caller]
pub(crate) fn endings(scene: &Scene, step: &str) -> Vec<Value> {
    let finished = events(scene)
        .into_iter()
        .filter(|event| event["type"] == "attempt.finished" && event["data"]["work_of"] == step);
    finished
        .map(|event| event["data"]["ending"].clone())
        .collect()
}

/// Whether the step was begun at all.
#[track_caller]
pub(crate) fn begun(scene: &Scene, step: &str) -> bool {
    events(scene)
        .iter()
        .any(|event| event["type"] == "attempt.started" && event["data"]["work_of"] == step)
}

/// The bytes of the artifact whose name ends so.
#[track_caller]
pub(crate) fn artifact(scene: &Scene, ends: &str) -> Vec<u8> {
    fs::read(artifact_path(scene, ends)).expect("an artifact")
}

/// The artifact whose name ends so.
#[track_caller]
pub(crate) fn artifact_path(scene: &Scene, ends: &str) -> PathBuf {
    let all = fs::read_dir(data(scene).join("artifacts")).expect("artifacts");
    let mut all: Vec<PathBuf> = all.map(|entry| entry.expect("an entry").path()).collect();
    all.retain(|path| path.to_string_lossy().ends_with(ends));
    assert_eq!(all.len(), 1, "one artifact `{ends}`: {all:?}");
    all.remove(0)
}

/// Waits until this holds; fails when it never does.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "it never came to that: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The program under way.
pub(crate) struct Running {
    child: Option<Child>,
    told: String,
    streams: Vec<JoinHandle<String>>,
}

impl Running {
    /// Starts it with nothing on standard input.
    pub(crate) fn begin(mut command: Command) -> Self {
        let told = format!("{:?}", command.get_args().collect::<Vec<_>>());
        let mut child = command.spawn().expect("the program starts");
        drop(child.stdin.take());
        let streams = vec![
            reading(child.stdout.take().expect("stdout is piped")),
            reading(child.stderr.take().expect("stderr is piped")),
        ];
        Self {
            child: Some(child),
            told,
            streams,
        }
    }

    /// The number of the process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("under way").id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.pid()).expect("a pid");
        let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
        rustix::process::kill_process(pid, signal).expect("it is there");
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_under_way(&mut self) -> bool {
        let child = self.child.as_mut().expect("under way");
        child.try_wait().expect("our child").is_none()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Said {
        let deadline = Instant::now() + PATIENCE;
        while self.is_under_way() {
            assert!(Instant::now() < deadline, "{} never ended", self.told);
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut child = self.child.take().expect("under way");
        let code = child.wait().expect("our child").code();
        let mut texts = self.streams.drain(..).map(|s| s.join().expect("read"));
        let (stdout, stderr) = (texts.next(), texts.next());
        Said {
            told: self.told.clone(),
            code,
            stdout: stdout.unwrap_or_default(),
            stderr: stderr.unwrap_or_default(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn reading(mut stream: impl std::io::Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("a stream");
        String::from_utf8(bytes).expect("the program writes UTF-8")
    })
}

/// What the program said, to be looked into.
#[must_use = "finish with `exit`"]
pub(crate) struct Said {
    told: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    /// Standard error holds this, however it was wrapped.
    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Self {
        assert!(
            one_line(&self.stderr).contains(&one_line(words)),
            "stderr does not say {words:?}\n{}",
            self.all()
        );
        self
    }

    /// Standard output holds this, however it was wrapped.
    #[track_caller]
    pub(crate) fn shows(self, words: &str) -> Self {
        assert!(
            one_line(&self.stdout).contains(&one_line(words)),
            "stdout does not show {words:?}\n{}",
            self.all()
        );
        self
    }

    /// Neither stream holds this.
    #[track_caller]
    pub(crate) fn never(self, words: &str) -> Self {
        assert!(
            !self.stdout.contains(words) && !self.stderr.contains(words),
            "it says {words:?}\n{}",
            self.all()
        );
        self
    }

    /// Standard output is one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is not JSON: {error}\n{}", self.all()))
    }

    /// Ended with this code.
    #[track_caller]
    pub(crate) fn exit(self, expected: i32) {
        assert_eq!(self.code, Some(expected), "exit code\n{}", self.all());
    }

    fn all(&self) -> String {
        let Self {
            told,
            code,
            stdout,
            stderr,
        } = self;
        format!("runbook {told}: exit {code:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
