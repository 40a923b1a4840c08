//! `runbook run`.

use crate::scene::Scene;

const RUN: &str = "run:
  id: r-1842
  workspace: shop
  environment: production
  service: checkout
  state: failed
  launched_by: carol
  launched_at: 2026-11-20T23:00:00Z
  failed_at: 2026-11-20T23:05:00Z
  stages:
    - {index: 0, name: build, state: succeeded}
    - {index: 1, name: rollout, state: failed, error: \"2 of 6 healthy\\e[31m\"}
  preflight:
    - {id: capacity, severity: warning, result: warn, detail: one node short}
  rollback_candidate: {artifact: 'sha256:aa', last_healthy_at: 2026-11-19T08:00:00Z}
workspace: {id: shop, owners: [olga], operators: [carol]}
logs:
  - {at: 2026-11-20T23:04:00Z, stream: rollout, text: starting}
  - {at: 2026-11-20T23:05:00Z, text: bang}
";

fn recorded() -> Scene {
    let scene = Scene::new().file("run.yaml", RUN);
    scene
        .run(["run", "record", "run.yaml"])
        .stderr("recorded: run `r-1842` on `shop/production/checkout`, new log lines: 2\n")
        .exit(0);
    scene
}

#[test]
fn a_recorded_run_is_shown() {
    let scene = recorded();
    scene
        .run(["run", "show", "r-1842"])
        .stdout(
            "run         r-1842
target      shop/production/checkout
state       failed
launched    2026-11-20T23:00:00Z by carol
failed      2026-11-20T23:05:00Z
approval    none
window      none
rollback    sha256:aa, never tested
stage       0 build succeeded
stage       1 rollout failed: 2 of 6 healthy\\u{1b}[31m
preflight   capacity warn (warning): one node short
logs        2 lines, 1 before and 0 after the failure
",
        )
        .exit(0);
    scene
        .run(["run", "show", "r-1842", "--json"])
        .json(|shown| {
            assert_eq!(
                shown["run"]["stages"][1]["error"],
                "2 of 6 healthy\u{1b}[31m"
            );
            assert!(
                shown["run"]
                    .as_object()
                    .is_some_and(|run| run["approval"].is_null())
            );
            assert_eq!(shown["logs"]["before"], 1);
        })
        .exit(0);
}

#[test]
fn recording_again_brings_the_run_up_to_date() {
    let scene = recorded();
    let fixed = RUN.replace("state: failed\n", "state: succeeded\n");
    scene
        .run_with_input(["run", "record", "-"], &fixed)
        .stderr("updated: run `r-1842` on `shop/production/checkout`, new log lines: 0\n")
        .exit(0);
    scene
        .run(["run", "list"])
        .stdout(
            " RUN     STATE      TARGET                    LAUNCHED              BY
 r-1842  succeeded  shop/production/checkout  2026-11-20T23:00:00Z  carol
",
        )
        .exit(0);
    scene
        .run(["run", "list", "--state", "failed"])
        .stderr("no runs\n")
        .exit(0);
    scene
        .run(["run", "list", "--target", "shop/production", "--json"])
        .json(|list| assert_eq!(list["runs"][0]["id"], "r-1842"))
        .exit(0);
    let moved = RUN.replace("environment: production", "environment: staging");
    scene
        .run_with_input(["run", "record", "-"], &moved)
        .stderr("error: run `r-1842` was recorded for `shop/production/checkout` and cannot be recorded again for `shop/staging/checkout`\n")
        .exit(1);
}

#[test]
fn a_recording_that_does_not_parse_is_refused_with_its_place() {
    let scene = Scene::new().file("run.yaml", &RUN.replace("launched_by", "lunched_by"));
    scene
        .run(["run", "record", "run.yaml"])
        .stderr("error: run.yaml:7:3: [..]`lunched_by`[..]\n")
        .exit(2);
    scene
        .run(["run", "record", "nowhere.yaml"])
        .stderr("error: failed to read `nowhere.yaml`\ncaused by: No such file or directory (os error 2)\n")
        .exit(2);
    assert!(
        !scene.home().exists(),
        "a refused recording leaves nothing behind"
    );
}

#[test]
fn logs_are_read_by_range_and_added_to() {
    let scene = recorded().file(
        "more.log",
        "2026-11-20T23:06:00Z quiet\n2026-11-20T23:05:00Z bang\n",
    );
    scene
        .run(["run", "logs", "r-1842", "--add", "more.log"])
        .stderr("added: 1 of 2 lines were new\n")
        .exit(0);
    scene
        .run(["run", "logs", "r-1842"])
        .stdout("2026-11-20T23:04:00Z rollout: starting\n2026-11-20T23:05:00Z bang\n2026-11-20T23:06:00Z quiet\n")
        .exit(0);
    scene
        .run([
            "run",
            "logs",
            "r-1842",
            "--to",
            "2026-11-20T23:05:00Z",
            "--json",
        ])
        .stdout("{\"at\":\"2026-11-20T23:04:00Z\",\"stream\":\"rollout\",\"text\":\"starting\"}\n")
        .exit(0);
    scene
        .run_with_input(["run", "logs", "r-1842", "--add", "-"], "no time here\n")
        .stderr("error: <stdin>:1:1: the line does not begin with a time: [..]\n")
        .exit(2);
}

#[test]
fn a_comment_with_a_key_is_made_once() {
    let scene = recorded();
    for _ in 0..2 {
        scene
            .run(["run", "comment", "r-1842", "rolled back", "--key", "k1"])
            .stdout("[..]-[..]-7[..]\n")
            .exit(0);
    }
    scene
        .run(["run", "comment", "r-1842", "--json"])
        .json(|list| {
            assert_eq!(list["comments"].as_array().map(Vec::len), Some(1));
            assert_eq!(list["comments"][0]["author"], "alice");
        })
        .exit(0);
    scene
        .run(["run", "comment", "r-1842", "rolled forward", "--key", "k1"])
        .stderr("error: the key `k1` was already used on run `r-1842` for another comment, [..]\n")
        .exit(1);
    scene
        .run(["run", "comment", "r-1842"])
        .stdout("[..]Z alice\n  rolled back\n")
        .exit(0);
}

#[test]
fn what_is_not_known_is_said_so() {
    let scene = recorded();
    scene
        .run(["run", "show", "r-1"])
        .stderr("error: the run history knows no run `r-1`\nhint: `runbook run list` shows the runs that were recorded\n")
        .exit(1);
    let fresh = Scene::new();
    fresh
        .run(["run", "list"])
        .stderr(
            "error: there is no run history at `[SCENE]/home/history.db`
hint: record a run with `runbook run record FILE`, or set `RUNBOOK_HOME`
",
        )
        .exit(20);
}

#[test]
fn the_operator_is_a_name_and_the_flag_goes_before_the_variable() {
    let scene = recorded();
    scene
        .run(["--as", "bob", "run", "comment", "r-1842", "hello", "--json"])
        .json(|comment| assert_eq!(comment["author"], "bob"))
        .exit(0);
    scene
        .env("RUNBOOK_OPERATOR", "not a name")
        .run(["run", "comment", "r-1842", "hello"])
        .stderr("error: invalid value 'not a name' for '--as <NAME>': [..]\n...")
        .exit(2);
}
