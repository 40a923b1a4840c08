//! Drills of the user's own: a scenario, its plane, its runbook and its answers as files.

use std::fs;
use std::path::PathBuf;

use serde_json::Value as Json;

use crate::fixture::{put, say, small, work};
use crate::scene::Scene;

/// Drains a host, and looks until nobody is there any more.
const STEPS: &str = "  - id: drain
    phase: act
    effect: change
    title: Drain it
    request: {endpoint: platform, post: /host/drain, body: {idempotency_key: '${execution.id}'}, statuses: {202: accepted}}
    idempotent: true
    attempts: 3
    confirm: target.environment
  - id: sessions
    phase: verify
    title: Read the sessions
    request: {endpoint: platform, get: /host}
    facts:
      sessions: {type: integer, from: body.sessions, prompt: How many sessions are there?}
  - id: empty
    phase: verify
    title: Wait until nobody is there
    wait: {read: [sessions], until: facts.sessions == 0, every: \"duration('10ms')\"}
    timeout: 60s
";

const PLANE: &str = "format: drill-plane/v1
routes:
  - route: GET /host
    cases:
      - merge: {sessions: '${state.draining && state.sessions > 0 ? state.sessions - 10 : state.sessions}'}
        body: {sessions: '${state.sessions}'}
  - route: POST /host/drain
    takes: {idempotency_key: string}
    cases:
      - status: 202
        merge: {draining: true, drains: '${state.drains + 1}'}
        body: {draining: true}
";

const DRILL: &str = "format: drill/v1
id: my-drain
title: A host is to be rebuilt
teaches: Look until it is empty.
runbook: ./small.yaml
briefing: This is a drill.
inputs: {}
recording:
  run:
    id: drill-1
    workspace: shop
    environment: production
    service: checkout
    state: failed
    launched_by: carol
    launched_at: now-45m
    failed_at: now-38m
  workspace: {id: shop, owners: [olga], operators: [carol]}
  logs:
    - {at: now-39m, text: starting}
    - {at: now-37m, text: bang}
plane: ./plane.yaml
disturbances:
  - title: the answer is lost
    after: POST /host/drain
    answer: {status: 503, problem: try again}
state: {sessions: 30, draining: false, drains: 0}
";

const ANSWERS: &str = "drain: {confirm: production, doubt: happened, reason: its page says so}\n";

/// A folder `own` with everything that the drill needs.
fn own() -> Scene {
    Scene::new()
        .file("own/small.yaml", &small(STEPS))
        .file("own/plane.yaml", PLANE)
        .file("own/drain.yaml", DRILL)
        .file("own/drain.answers.yaml", ANSWERS)
}

/// The directory of the only drill.
fn home(scene: &Scene) -> PathBuf {
    let all = fs::read_dir(scene.home().join("drills")).expect("drills");
    let mut all: Vec<PathBuf> = all.map(|entry| entry.expect("an entry").path()).collect();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn world(scene: &Scene) -> Json {
    let text = fs::read(home(scene).join("world.json")).expect("a world");
    serde_json::from_slice(&text).expect("JSON")
}

#[test]
fn a_drill_of_ones_own_is_played_like_any() {
    let scene = own();
    say(&scene, "drill own/drain.yaml --auto")
        .says("Drill `my-drain`: A host is to be rebuilt")
        .says("DRILL")
        .says("in doubt answered 503: try again")
        .says("What this drill teaches: Look until it is empty.")
        .exit(0);
    let world = world(&scene);
    assert_eq!(world["state"]["sessions"], 0);
    assert_eq!(world["state"]["drains"], 1);
    let effects: Vec<&Json> = world["performed"]
        .as_array()
        .expect("a ledger")
        .iter()
        .map(|p| &p["effect"])
        .collect();
    assert_eq!(effects, ["took"], "whose answer was lost");
    let status = say(&scene, "status --all");
    assert!(status.stdout.contains("DRILL"), "{}", status.stdout);
    assert!(
        !scene.home().join("history.db").exists(),
        "nothing real is touched"
    );
}

#[test]
fn it_goes_on_from_what_it_kept_when_the_files_are_gone() {
    let scene = own();
    say(&scene, "drill own/drain.yaml")
        .says("step `drain`")
        .exit(15);
    for name in ["plane.yaml", "drain.yaml", "drain.answers.yaml"] {
        fs::remove_file(work(&scene).join("own").join(name)).expect("removed");
    }
    put(&scene, "answers.yaml", ANSWERS);
    say(&scene, "resume --answers answers.yaml")
        .says("This is a drill.")
        .exit(0);
    assert_eq!(world(&scene)["state"]["sessions"], 0);
}

#[test]
fn what_is_wrong_with_a_drill_of_ones_own_is_said_before_anything_is_begun() {
    for (file, from, to, words) in [
        (
            "drain.yaml",
            "teaches:",
            "teachs:",
            "own/drain.yaml` is no drill",
        ),
        (
            "drain.yaml",
            "drill/v1",
            "drill/v9",
            "this tool reads `drill/v1`",
        ),
        (
            "drain.yaml",
            "./plane.yaml",
            "./plan.yaml",
            "the plane `own/plan.yaml` cannot be read",
        ),
        (
            "drain.yaml",
            "./plane.yaml",
            "plain",
            "there is no plane `plain`",
        ),
        (
            "drain.yaml",
            "./small.yaml",
            "./smell.yaml",
            "failed to read `own/smell.yaml`",
        ),
        (
            "drain.yaml",
            "./small.yaml",
            "smell",
            "there is no runbook `smell`",
        ),
        (
            "drain.yaml",
            "after: POST /host/drain",
            "after: POST /host/drian",
            "the plane has no route for `POST /host/drian`",
        ),
        (
            "drain.yaml",
            "launched_at: now-45m",
            "launched_at: soon",
            "the recording of scenario `my-drain`",
        ),
        (
            "plane.yaml",
            "${state.sessions}",
            "${state.sessions",
            "line 6",
        ),
        (
            "plane.yaml",
            "takes: {idempotency_key: string}",
            "takes: {key: text}",
            "`text` is not a type",
        ),
        (
            "drain.answers.yaml",
            "drain:",
            "- drain:",
            "is not an answers file",
        ),
    ] {
        let scene = own();
        let path = format!("own/{file}");
        let text = fs::read_to_string(work(&scene).join(&path)).expect("a file");
        assert!(text.contains(from), "{from}");
        put(&scene, &path, text.replacen(from, to, 1));
        say(&scene, "drill own/drain.yaml --auto")
            .says(words)
            .exit(2);
        assert!(!scene.home().exists(), "{to}: something was begun");
    }
    let scene = own();
    fs::remove_file(work(&scene).join("own/drain.answers.yaml")).expect("removed");
    say(&scene, "drill own/drain.yaml --auto")
        .says("drill `my-drain` has no answers of its own")
        .exit(2);
    let endless = DRILL.replace("plane: ./plane.yaml", "plane: /dev/zero");
    put(&scene, "own/endless.yaml", endless);
    say(&scene, "drill own/endless.yaml")
        .says("it is larger than 1 MiB")
        .exit(2);
    say(&scene, "drill ./nowhere.yaml")
        .says("failed to read `./nowhere.yaml`")
        .exit(2);
    say(&scene, "drill nothing")
        .says("there is no drill `nothing`")
        .exit(2);
}

#[test]
fn the_drills_are_listed_by_runbook() {
    let listed = say(&Scene::new(), "drill").stdout;
    let mut lines = listed.lines();
    assert_eq!(lines.next(), Some("bad-deploy: Recover from a bad deploy"));
    let first = lines.next().expect("a drill");
    assert!(first.starts_with("  bad-deploy  "), "{first}");
    assert!(
        first.ends_with("The checkout fails after a promotion, and the old artifact still fits"),
        "{first}"
    );
    let of_it = lines
        .by_ref()
        .take_while(|line| line.starts_with("  bad-deploy"));
    assert_eq!(of_it.count(), 3);
    let groups = listed.lines().filter(|line| !line.starts_with(' '));
    assert_eq!(
        groups.count(),
        8,
        "every runbook that has drills, once: {listed}"
    );
}
